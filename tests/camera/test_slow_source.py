"""A camera with fewer frames than the loop has turns: what is wrong with a frame holds until the next one."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers.events import Heard

from edgefashion.camera import loop
from edgefashion.camera.networks import Networks
from edgefashion.camera.sources.source import Frame
from edgefashion.inference import load

if TYPE_CHECKING:
    from helpers.camera import Picture

RNG = np.random.default_rng(0)
STEP_S = 1.9
"""Between two frames."""

HINT = "Run it on another device (--device CPU), or convert its model again"
LIVE = ("live", None)
BLACK = ("stale", "the picture is black: is the lens covered, or the light off?")
FROZEN = ("stale", "the picture is frozen: the same again and again")
SILENT = ("fault", "network: edge gives no answer: the device is lost")
NO_NUMBERS = ("fault", "network: edge gives no answer: edge answers with what is no number (NaN or infinite). " + HINT)
NO_ANSWER = ("stale", loop.NO_ANSWER)
ANSWERS = ("fault", "network: works again")
LOOP = ("fault", "loop: the garment cannot be kept")
LOOP_WORKS = ("fault", "loop: works again")
LOST = ("reconnecting", "it was unplugged")


class Scripted:
    """A live camera of which each turn of the loop is a letter: ``.`` no frame, ``-`` it is lost, else a frame."""

    live, apart, fps, losses, state, reason = True, False, 0.0, 0, "starting", ""

    def __init__(self, script: str) -> None:
        self._turns = iter(script)
        self.at = ""
        self._time_s = 0.0
        self._numbers = itertools.count()

    def read(self, timeout_s: float) -> Frame | None:
        """The letter's frame, without any waiting."""
        self.at = next(self._turns, "")
        if self.at in ("", "."):
            self.state = self.state if self.at else "ended"
            return None
        self._time_s += STEP_S
        self.state, self.reason = LOST if self.at == "-" else ("live", "")
        if self.at == "-":
            return None
        light: Picture = np.full((90, 120, 3), 128, np.uint8)
        if self.at != "f":
            light = RNG.integers(0, 6 if self.at == "b" else 255, light.shape).astype(np.uint8)
        return Frame(light, self._time_s, next(self._numbers))

    def reopen(self, reason: str) -> None:
        """It stays as it is."""

    def close(self) -> None:
        """Nothing is open."""


class Unhurried(threading.Event):
    """A stop signal of a loop that waits for nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        return self.is_set()


@pytest.mark.parametrize(
    ("script", "told"),
    [
        pytest.param("l.l.." * 5, [LIVE], id="all is well"),
        pytest.param("l.b..b..b..b..b..l.l", [LIVE, BLACK, LIVE], id="black"),
        pytest.param("l." + "f.." * 12 + "l.", [LIVE, FROZEN, LIVE], id="frozen"),
        pytest.param("l.x..x..x.x.l.l", [LIVE, SILENT, NO_ANSWER, ANSWERS, LIVE], id="the network gives no answer"),
        pytest.param("l.n..n..n.n.l.l", [LIVE, NO_NUMBERS, NO_ANSWER, ANSWERS, LIVE], id="it answers NaN"),
        pytest.param("l.o..o..o.o.l.l", [LIVE, LOOP, LOOP_WORKS], id="an error that nobody foresaw"),
        pytest.param("lb.b.b.--.b.b.l", [LIVE, BLACK, LOST, BLACK, LIVE], id="lost and back, and black still"),
        pytest.param("l.b.-.b.l.", [LIVE, LOST, LIVE], id="the first picture is dark"),
        pytest.param("x.x.-.l.", [SILENT, NO_ANSWER, LOST, ANSWERS, LIVE], id="lost while nothing answers"),
        pytest.param("o.o.-.l.", [LIVE, LOOP, LOST, LOOP_WORKS, LIVE], id="lost after an error"),
    ],
)
def test_what_is_wrong_holds_until_the_next_frame(script: str, told: list[tuple[str, str | None]]) -> None:
    """A fault of the picture, the network or the loop is told once, and its end once, however many turns of the loop
    go by between two frames."""
    classifier = load.load("edge")
    source, heard = Scripted(script), Heard()

    class Failing:
        input_shape, settings = classifier.run.input_shape, classifier.run.settings
        runtime_precision = classifier.run.runtime_precision

        def __call__(self, images: Picture) -> Any:
            if source.at == "x":
                raise RuntimeError("the device is lost")
            return classifier.run(images) * (np.nan if source.at == "n" else 1)

    def on_answer(*_: object) -> None:
        if source.at == "o":
            raise RuntimeError("the garment cannot be kept")

    loop.run(
        Networks(["edge"], load=lambda _: replace(classifier, run=Failing())),
        source,
        stop=Unhurried(),
        events=[heard],
        on_answer=on_answer,
    )
    answers = ("garment", "unknown", "none", "starting", "ended")
    assert [(event.state, event.reason) for event in heard.events if event.state not in answers] == told
