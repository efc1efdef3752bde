"""The loop in this process: what it answers, what it does about outputs and networks that fail, its keys."""

from __future__ import annotations

import itertools
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers.camera import blank, write_clip
from helpers.events import Heard
from helpers.garments import FRAMES_EACH, GARMENTS, boot_camera, garment_video, noisy, scene

from edgefashion.camera import demo_clip, loop
from edgefashion.camera.moment import Moment
from edgefashion.camera.networks import Networks
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.camera.sources.source import Frame, open_source
from edgefashion.errors import MissingError
from edgefashion.inference import load
from edgefashion.inference.predict import Prediction
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.camera import Picture
    from helpers.types import Arrays


# --- What it sees ----------------------------------------------------------------------------


def test_single_frames_of_a_video(tmp_path: Path, test_set: Arrays) -> None:
    """At least 88 % of a video's frames say the right thing by themselves, each answered once and in order."""
    clip = garment_video(tmp_path / "garments.mp4", test_set)
    seen: list[tuple[int, str | None]] = []

    def on_answer(frame: Frame, found: Prediction) -> None:
        seen.append((frame.number, found.answer.label if found.answer and found.answer.accepted else None))

    summary = loop.run(Networks(["edge"]), open_source(str(clip)), on_answer=on_answer)
    assert [number for number, _ in seen] == list(range(GARMENTS * FRAMES_EACH))
    assert summary.frames == len(seen)
    truth = [LABELS[test_set[1][number // FRAMES_EACH]] for number, _ in seen]
    assert np.mean([label == right for (_, label), right in zip(seen, truth, strict=True)]) >= 0.88


@pytest.mark.parametrize("levels", [5, 15, 30])
def test_no_flicker(tmp_path: Path, test_set: Arrays, levels: float) -> None:
    """On a still garment with noise, even of 30 grey levels, what is answered changes once a second at most."""
    pictures = noisy(scene(test_set, 4), levels)
    still = write_clip(tmp_path / "still.avi", list(itertools.islice(pictures, 150)), 30)
    heard = Heard()
    loop.run(Networks(["edge"]), open_source(str(still)), events=[heard])
    frames = [event.frame for event in heard.events if event.state in ("garment", "unknown", "none")]
    assert frames
    assert all(later - earlier >= 30 for earlier, later in itertools.pairwise(frames))


# --- What is wrong ---------------------------------------------------------------------------


class Breaking:
    """An output that breaks at some of the moments it is handed."""

    name = "screen"
    shows = True
    keeping = None

    def __init__(self, breaks: set[int]) -> None:
        self._breaks = breaks
        self.taken: list[Moment] = []
        self.closed = 0
        self.pressed = ""

    def take(self, moment: Moment) -> None:
        self.taken.append(moment)
        if len(self.taken) in self._breaks:
            raise OSError("the cable is out")

    def keys(self) -> str:
        pressed, self.pressed = self.pressed, ""
        return pressed

    def close(self) -> None:
        self.closed += 1


def test_broken_output(tmp_path: Path) -> None:
    """An output that breaks costs nobody a frame: it is told of, closed, and opened anew beside the loop."""
    first, second = Breaking({3}), Breaking(set())
    opened = threading.Event()

    def again() -> Breaking:
        opened.set()
        return second

    wall = write_clip(tmp_path / "wall.avi", [blank((320, 240))] * 60, 20)
    heard = Heard()
    summary = loop.run(
        Networks(["edge"]),
        open_source(str(wall)),
        outputs=[ReopeningOutput(first, again)],
        events=[heard],
        options=loop.LoopOptions(real_time=True),
    )
    assert summary.frames == 60
    assert (len(first.taken), first.closed) == (3, 1)
    assert opened.is_set()
    assert second.taken
    assert second.closed == 1
    reasons = [event.reason for event in heard.events if event.state == "fault"]
    assert reasons == ["screen: the cable is out", "screen: works again"]
    assert summary.faults == 1


def test_broken_network(tmp_path: Path, test_set: Arrays) -> None:
    """A network that gives no answer is told of, its frames are passed over, and it is asked again."""
    classifier = load.load("edge")
    sound = classifier.run
    asked = 0

    class Failing:
        input_shape = sound.input_shape
        settings = sound.settings
        runtime_precision = sound.runtime_precision

        def __call__(self, images: Picture) -> Any:
            nonlocal asked
            asked += 1
            if 5 <= asked < 10:
                raise RuntimeError("out of memory")
            return sound(images)

    networks = Networks(["edge"], load=lambda _: replace(classifier, run=Failing()))
    shown = write_clip(tmp_path / "boot.avi", list(itertools.islice(noisy(scene(test_set), 2), 30)), 30)
    heard = Heard()
    summary = loop.run(networks, open_source(str(shown)), events=[heard])
    assert summary.frames == 25
    told = [(event.state, event.reason) for event in heard.events if event.reason]
    assert told == [
        ("fault", "network: edge gives no answer: out of memory"),
        ("stale", "the network gives no answer"),
        ("fault", "network: works again"),
        ("ended", "the file has ended"),
    ]
    assert "garment" in {event.state for event in heard.events}


def test_error_that_is_not_the_source_s(monkeypatch: pytest.MonkeyPatch, test_set: Arrays) -> None:
    """A live camera goes on after an error of its network's, though it is one that would end a command."""
    networks, stop, heard = Networks(["edge"]), threading.Event(), Heard()
    asked = iter([MissingError("its server is away")])

    def poll(_: float) -> tuple[str, str]:
        for error in asked:
            raise error
        return "", ""

    monkeypatch.setattr(networks, "poll", poll)

    def on_answer(*_: object) -> None:
        if any(event.reason == "loop: works again" for event in heard.events):
            stop.set()

    with boot_camera(test_set) as camera:
        loop.run(networks, open_source(camera.url), stop=stop, events=[heard], on_answer=on_answer)
    assert [e.reason for e in heard.events if e.state == "fault"] == ["loop: its server is away", "loop: works again"]


def test_stop(tmp_path: Path) -> None:
    """A set stop event ends the loop after the frame it is at."""
    source = open_source(str(write_clip(tmp_path / "wall.avi", [blank((320, 240))] * 5)))
    stop = threading.Event()
    heard = Heard()

    def on_answer(frame: Frame, _: Prediction) -> None:
        if frame.number == 1:
            stop.set()

    summary = loop.run(Networks(["edge"]), source, stop=stop, events=[heard], on_answer=on_answer)
    assert summary.frames == 2
    assert [(event.frame, event.state, event.reason) for event in heard.events] == [(1, "ended", "stopped")]
    assert source.state == "ended"


def test_keys(tmp_path: Path, test_set: Arrays) -> None:
    """The keys mirror, show the help, keep a snapshot and a clip, change network and precision, and end it."""
    screen = Breaking(set())
    presses = iter(["m", "h", "s", "r", "", "r", "2", "7", "q"])

    def on_answer(frame: Frame, _: Prediction) -> None:
        if frame.number % 5 == 0:
            screen.pressed = next(presses)

    pictures = [demo_clip.scene_of(test_set[0][0])] * 100
    shown = write_clip(tmp_path / "boot.avi", pictures, 20)
    loop.run(
        Networks(["edge", "edge"]),
        open_source(str(shown)),
        outputs=[ReopeningOutput(screen, None)],
        on_answer=on_answer,
        options=loop.LoopOptions(real_time=True, snapshots=tmp_path / "kept"),
    )
    assert len(screen.taken) < 60
    assert not screen.taken[0].mirror
    assert screen.taken[-1].mirror
    assert screen.taken[-1].help
    notes = [note for note, _ in itertools.groupby(moment.note for moment in screen.taken)]
    kept = sorted((tmp_path / "kept").iterdir(), key=lambda file: file.suffix)
    assert [file.suffix for file in kept] == [".mp4", ".png"]
    assert {f"Kept as {file.name}" for file in kept} <= set(notes)
    assert "There is no network 7: this camera has 2" in notes
    assert any(note.startswith("Loading edge") for note in notes)
    stored = [moment.kept.files for moment in screen.taken]
    assert stored[0] == stored[-1] == ()
    assert (kept[0].name,) in stored
