"""A network that answers with what is no number gives no answer, however it is asked."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.camera import demo_clip
from edgefashion.data.images import write_png
from edgefashion.inference import load, predict
from edgefashion.inference.finder import FRAME_SHAPE
from edgefashion.inference.finite import NoNumbersError, is_finite
from edgefashion.inference.openvino_engine import OpenVinoRunner

if TYPE_CHECKING:
    from collections.abc import Callable

    from helpers.types import Arrays, Run

    from edgefashion.inference.classifier import Classifier

PHOTO = np.full((160, 160, 3), 90, np.uint8)


@pytest.mark.parametrize("count", [0, 1, 10, 64, 65, 1000])
@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
def test_one_is_enough(count: int, odd: float) -> None:
    """One number among others that is none is found, wherever it stands and beside whatever other."""
    answer = np.full((1, count), 0.1, np.float32)
    assert is_finite(answer)
    for at in {0, count // 2, count - 1} if count else ():
        broken = answer.copy()
        broken[0, at] = odd
        assert not is_finite(broken)
        broken[0, 0] = -np.inf
        assert not is_finite(broken)


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network of this machine answers NaN, as one does that overflows its device's numbers."""
    answers, begins = OpenVinoRunner.__call__, OpenVinoRunner.starts

    def starts(self: Any, images: Any, done: Any, failed: Any) -> bool:
        return begins(self, images, lambda given, masks: done(given * np.nan, masks), failed)

    monkeypatch.setattr(OpenVinoRunner, "__call__", lambda self, images: answers(self, images) * np.nan)
    monkeypatch.setattr(OpenVinoRunner, "starts", starts)


@pytest.fixture(scope="module")
def kiosk() -> Classifier:
    return load.load("kiosk")


class _Masks:
    """A photo network whose masks alone are broken."""

    def __init__(self, sound: Any) -> None:
        self._sound, self.input_shape, self.settings = sound, sound.input_shape, sound.settings
        self.runtime_precision = ""

    def __call__(self, images: Any) -> Any:
        return self._sound(images)

    def look(self, images: Any) -> Any:
        """Sound probabilities, and no mask."""
        probabilities, masks = self._sound.look(images)
        return probabilities, masks / 0


@pytest.mark.parametrize(
    "ask",
    [
        lambda found: found.look(PHOTO),
        lambda found: found.look_at_all(PHOTO[None]),
        lambda found: found.start(PHOTO[None], print, print),
        lambda found: predict.predict(found, PHOTO, single=True),
    ],
)
def test_a_mask_of_no_numbers(ask: Callable[[Classifier], object], kiosk: Classifier) -> None:
    """A photo network's mask counts as its answer: a garment's box would be the whole picture."""
    with np.errstate(all="ignore"), pytest.raises(NoNumbersError, match="kiosk answers with what is no number"):
        ask(replace(kiosk, run=_Masks(kiosk.run)))


def test_a_finder_of_no_numbers(kiosk: Classifier) -> None:
    """A finder that answers NaN has not found that nothing is in view; one that does so at once is not taken."""
    assert kiosk.finder is not None
    blind = replace(kiosk.finder, load=lambda: lambda frames: np.full((len(frames), 24, 24, 41), np.nan, np.float32))
    asks: list[Callable[[], object]] = [
        blind.make_ready,
        lambda: blind.find(PHOTO),
        lambda: blind.cells(np.zeros(FRAME_SHAPE, np.uint8)),
    ]
    for ask in asks:
        with pytest.raises(NoNumbersError, match="the finder answers"):
            ask()


def test_commands(broken: None, run_here: Run, tmp_path: Path, test_set: Arrays) -> None:
    """`predict` and `tag` end with exit code 2 and one sentence, and print no JSON that is none."""
    write_png(tmp_path / "boot.png", demo_clip.scene_of(test_set[0][0]))
    for command in (
        ("predict", "--json", "edge", tmp_path / "boot.png"),
        ("tag", tmp_path / "boot.png", "--model", "edge", "--out", tmp_path / "t.csv", "--workers", "1"),
    ):
        done = run_here(*command)
        assert (done.returncode, done.stdout) == (2, "")
        assert "edge answers with what is no number" in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "t.csv").exists() or len((tmp_path / "t.csv").read_text().splitlines()) <= 1


# In a process of its own: beside tritonclient's messages KServe's cannot be defined.
REFUSED = """
from edgefashion.inference.finite import NoNumbersError
from edgefashion.serving.protocol import refusal_of
refusal, told = refusal_of(NoNumbersError("edge answers with what is no number"))
print(refusal.http, refusal.grpc, told, end="")
"""


def test_a_server_says_so() -> None:
    """A server answers such a request with status 500 and the reason, which a camera takes for the server's failure."""
    told = subprocess.run([sys.executable, "-c", REFUSED], capture_output=True, text=True, check=True).stdout
    assert told == "500 INTERNAL edge answers with what is no number"
