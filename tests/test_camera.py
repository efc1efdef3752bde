"""The camera, end to end: the real command on real clips, folders and a network camera."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from camera_helpers import (
    COMMAND,
    PATIENCE_S,
    NetworkCamera,
    RunningCamera,
    blank,
    environment,
    parse,
    read_clip,
    refusing_url,
    run_camera,
    write_clip,
)

from edgefashion import camera, data, demo, display, load, sources
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from conftest import Arrays

GARMENTS = 500


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> Path:
    """A 1280x720 video of test images, each in view for a single frame."""
    path = tmp_path_factory.mktemp("clip") / "garments.mp4"
    demo.make_clip(path, test_set[0][:GARMENTS])
    return path


@pytest.fixture
def garments(tmp_path: Path, test_set: Arrays) -> Path:
    """A folder of five pictures, the third of which cannot be read."""
    folder = tmp_path / "garments"
    folder.mkdir()
    for number in (0, 1, 3, 4):
        data.write_png(folder / f"{number}.png", demo.scene_of(test_set[0][number]))
    (folder / "2.png").write_bytes(b"no picture")
    return folder


def _scene(test_set: Arrays) -> cv2.typing.MatLike:
    return cv2.resize(demo.scene_of(test_set[0][0]), (640, 360), interpolation=cv2.INTER_AREA)


@pytest.fixture
def network_camera(test_set: Arrays) -> NetworkCamera:
    """A network camera, not started yet, that sees an ankle boot."""
    scene = np.asarray(_scene(test_set), np.uint8)
    return NetworkCamera(lambda _: scene, interval_s=0.03)


# --- What it sees ----------------------------------------------------------------------------


def test_names_garments_in_a_video(tmp_path: Path, clip: Path, test_set: Arrays) -> None:
    """At least 88 % of the frames of a video of test images are named right, each frame is
    answered once and in order, and the last event says that the video has ended."""
    done = run_camera(tmp_path, "--source", clip, "--headless")
    assert done.returncode == 0, done.stderr
    *named, last = parse(done.stdout)
    assert [event["frame"] for event in named] == list(range(GARMENTS))
    truth = [LABELS[label] for label in test_set[1][:GARMENTS]]
    right = np.mean(
        [(event["state"], event["label"]) == ("garment", label) for event, label in zip(named, truth, strict=True)]
    )
    assert right >= 0.88
    accepted = [event for event in named if event["state"] == "garment"]
    assert len(accepted) >= 0.9 * GARMENTS
    assert {event["state"] for event in named} <= {"garment", "unknown"}
    assert all(0 < event["confidence"] <= 1 and event["latency_ms"] > 0 for event in named)
    times = [datetime.fromisoformat(event["time"]) for event in [*named, last]]
    assert times == sorted(times)
    assert all(event["time"].endswith("Z") for event in named)
    assert (last["state"], last["frame"], last["label"]) == ("ended", GARMENTS - 1, None)
    assert done.stderr.startswith(f"{GARMENTS} frames in ")
    assert done.stderr.count("\n") == 1


def test_empty_wall(tmp_path: Path) -> None:
    """Where there is no garment the state is none, without a label or confidence."""
    wall = write_clip(tmp_path / "wall.avi", [blank()] * 5)
    done = run_camera(tmp_path, "--source", wall, "--headless")
    assert done.returncode == 0
    *frames, _ = parse(done.stdout)
    assert [(event["state"], event["label"], event["confidence"]) for event in frames] == [("none", None, None)] * 5


def test_folder(tmp_path: Path, garments: Path, test_set: Arrays) -> None:
    """A folder of pictures is answered in order; stderr names the one that cannot be read."""
    done = run_camera(tmp_path, "--source", garments, "--headless")
    assert done.returncode == 0
    *named, last = parse(done.stdout)
    assert [event["frame"] for event in named] == [0, 1, 3, 4]
    assert [event["label"] for event in named] == [LABELS[test_set[1][n]] for n in (0, 1, 3, 4)]
    assert last["state"] == "ended"
    complaint, summary = done.stderr.splitlines()
    assert "2.png" in complaint
    assert summary.startswith("4 frames in ")


def test_single_picture(tmp_path: Path, garments: Path, test_set: Arrays) -> None:
    """A single picture gives one answer and the end."""
    done = run_camera(tmp_path, "--source", garments / "0.png", "--headless")
    assert done.returncode == 0
    assert [(e["frame"], e["label"]) for e in parse(done.stdout)] == [(0, LABELS[test_set[1][0]]), (0, None)]


def test_events_are_added_to_a_file(tmp_path: Path, garments: Path) -> None:
    """--events adds to a file what would go to stdout, run after run."""
    events = tmp_path / "events.jsonl"
    for _ in range(2):
        done = run_camera(tmp_path, "--source", garments, "--headless", "--events", events)
        assert done.returncode == 0
        assert done.stdout == ""
    assert [event["state"] == "ended" for event in parse(events.read_text())] == 2 * ([False] * 4 + [True])


def test_recording_of_a_folder(tmp_path: Path, garments: Path) -> None:
    """A recording has a drawn frame for every answer; --mirror flips the pictures in it."""
    recordings = []
    for name, options in (("plain.avi", ()), ("mirrored.avi", ("--mirror",))):
        done = run_camera(tmp_path, "--source", garments, "--headless", "--record", tmp_path / name, *options)
        assert done.returncode == 0
        recordings.append(read_clip(tmp_path / name))
    plain, mirrored = recordings
    assert len(plain) == len(mirrored) == 4
    garment = np.s_[140:500, 330:950]  # inside the guide, off the bar and the inset
    for before, after in zip(plain, mirrored, strict=True):
        assert before.shape == (720, 1280, 3)
        assert np.abs(before[:, ::-1][garment].astype(int) - after[garment]).mean() < 3
    # The boot points to the left in one and to the right in the other.
    assert np.abs(plain[0][garment].astype(int) - mirrored[0][garment]).mean() > 10


# --- What is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "code", "words"),
    [
        ("63", 3, "camera 63 cannot be opened"),
        ("99999999999", 3, "camera 99999999999 cannot be opened"),
        ("URL", 3, "/camera.mjpg cannot be opened"),
        ("notes.txt", 2, "notes.txt is no video"),
        ("cut.mp4", 2, "cut.mp4 is no video"),
        ("cut.avi", 2, "cut.avi is no video"),
        ("missing.mp4", 2, "missing.mp4 does not exist"),
        ("", 2, "does not exist"),
        (".", 2, "no image"),
    ],
)
def test_bad_source(tmp_path: Path, source: str, code: int, words: str) -> None:
    """A source that is not there or no source ends in one line on stderr, from nobody but us, and
    the exit code for it."""
    (tmp_path / "notes.txt").write_text("\n".join(str(n) for n in range(5000)))
    for name in ("cut.mp4", "cut.avi"):
        write_clip(tmp_path / name, [blank((320, 240))] * 5)
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:500])
    done = run_camera(tmp_path, "--headless", "--source", refusing_url() if source == "URL" else source)
    assert done.returncode == code
    assert done.stdout == ""
    assert done.stderr.startswith("edgefashion: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


@pytest.mark.parametrize(
    ("option", "place", "words"),
    [
        ("--record", "clip.mkv", "ending in .mp4 or .avi"),
        ("--record", "missing/clip.mp4", "folder does not exist"),
        ("--record", "folder.mp4", "cannot be written"),
        ("--events", "missing/events.jsonl", "cannot be written"),
        ("--events", "folder.mp4", "cannot be written"),
    ],
)
def test_bad_output(tmp_path: Path, garments: Path, option: str, place: str, words: str) -> None:
    """A recording or event file that cannot be written is refused before any frame is read."""
    (tmp_path / "folder.mp4").mkdir()
    done = run_camera(tmp_path, "--headless", "--source", garments, option, place)
    assert done.returncode == 2
    # The folder's broken picture would be told of, and the others answered, had it been read.
    assert done.stdout == ""
    assert done.stderr.startswith(f"edgefashion: {option} {place}")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


def test_reader_leaves(tmp_path: Path, clip: Path) -> None:
    """When the reader of stdout has had enough (``| head -1``), the camera ends without a word."""
    command = [*COMMAND, "--source", str(clip), "--headless"]
    with (
        (tmp_path / "stderr.txt").open("w") as errors,
        subprocess.Popen(
            command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["frame"] == 0
        process.stdout.close()
        # As a shell reports SIGPIPE, but not killed by it: what it opened was closed.
        assert process.wait(PATIENCE_S) == 141
    assert (tmp_path / "stderr.txt").read_text() == ""


def test_broken_sink(tmp_path: Path) -> None:
    """Whatever goes wrong in the loop, on the way out the source is closed, the recording is made
    playable and ``ended`` is told."""
    recorder = display.Recorder(tmp_path / "recording.mp4", 10)
    source = sources.open_source(str(write_clip(tmp_path / "wall.avi", [blank((320, 240))] * 5)))
    states = []

    def sink(event: camera.Event) -> None:
        states.append(event.state)
        if event.frame == 2 and event.state != "ended":
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="disk is full"):
        camera.run(load(), source, events=sink, recorder=recorder)
    assert states == ["none", "none", "none", "ended"]
    assert source.state == "ended"
    assert len(read_clip(tmp_path / "recording.mp4")) == 2  # the third frame was not drawn any more


def test_stop(tmp_path: Path) -> None:
    """A set stop event ends the loop after the frame it is at."""
    source = sources.open_source(str(write_clip(tmp_path / "wall.avi", [blank((320, 240))] * 5)))
    stop = threading.Event()
    events: list[camera.Event] = []

    def sink(event: camera.Event) -> None:
        events.append(event)
        if event.frame == 1:
            stop.set()

    summary = camera.run(load(), source, stop=stop, events=sink)
    assert summary.frames == 2
    assert [(event.frame, event.state) for event in events] == [(0, "none"), (1, "none"), (1, "ended")]


# --- A network camera, and signals -----------------------------------------------------------


def test_network_camera_comes_back(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """A network camera that is cut off gives one ``reconnecting`` event, and answers once it is
    back; SIGTERM then ends the command with 143."""
    with network_camera, RunningCamera(tmp_path, "--source", network_camera.url, "--headless") as running:
        seen = running.wait_for("garment")
        assert running.events[seen]["label"] == "Ankle boot"
        network_camera.cut()
        lost = running.wait_for("reconnecting")
        network_camera.start()
        found = running.wait_for("garment", after=lost)
        assert running.end(signal.SIGTERM) == 143
        states = [event["state"] for event in running.events]
        assert states == ["garment"] * lost + ["reconnecting"] + ["garment"] * (len(states) - found - 1) + ["ended"]
        numbers = [event["frame"] for event in running.events if event["state"] == "garment"]
        assert numbers == sorted(set(numbers))


def test_sigterm_while_reconnecting(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """SIGTERM ends the command with 143 while its camera is lost, too."""
    with network_camera, RunningCamera(tmp_path, "--source", network_camera.url, "--headless") as running:
        running.wait_for("garment")
        network_camera.cut()
        running.wait_for("reconnecting")
        assert running.end(signal.SIGTERM) == 143
        assert [event["state"] for event in running.events[-2:]] == ["reconnecting", "ended"]


@pytest.mark.parametrize(
    ("number", "code", "recording"),
    [
        (signal.SIGINT, 130, None),
        (signal.SIGINT, 130, "recording.mp4"),
        (signal.SIGTERM, 143, "recording.avi"),
    ],
)
def test_signal(
    tmp_path: Path, network_camera: NetworkCamera, number: signal.Signals, code: int, recording: str | None
) -> None:
    """Ctrl-C ends the command with 130 and SIGTERM with 143, both after a last whole ``ended``
    event, and what was recorded can be played."""
    options = ("--record", recording) if recording else ()
    with network_camera, RunningCamera(tmp_path, "--source", network_camera.url, "--headless", *options) as running:
        running.wait_for("garment", after=5)
        assert running.end(number) == code
        assert running.events[-1]["state"] == "ended"
        summary = running.errors
        assert "Traceback" not in summary
        assert summary.count("\n") == 1
    if recording:
        frames = read_clip(tmp_path / recording)
        assert len(frames) >= 5
        assert frames[0].shape == (360, 640, 3)


def test_live_recording_keeps_time(tmp_path: Path, test_set: Arrays) -> None:
    """A recording of a camera slower than its frame rate has the time, not the frames, of life."""
    scene = np.asarray(_scene(test_set), np.uint8)
    with (
        NetworkCamera(lambda _: scene, interval_s=0.2) as slow,
        RunningCamera(tmp_path, "--source", slow.url, "--headless", "--record", "x.avi") as running,
    ):
        running.wait_for("garment", after=5)
        assert running.end(signal.SIGTERM) == 143
        answered = len(running.events) - 1
    assert len(read_clip(tmp_path / "x.avi")) > 2 * answered  # 6 times, at 5 and 30 a second


def test_signal_before_the_first_frame(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """A signal that comes before there is a frame ends the command as cleanly, and leaves no empty
    recording."""
    network_camera.paused.set()
    with (
        network_camera,
        RunningCamera(tmp_path, "--source", network_camera.url, "--headless", "--record", "x.mp4") as running,
    ):
        network_camera.wait_for_viewer()
        running.process.send_signal(signal.SIGTERM)
        network_camera.paused.clear()  # the stream opens, if only to be closed
        assert running.end() == 143
        assert [event["state"] for event in running.events] == ["ended"]
    assert not (tmp_path / "x.mp4").exists()
