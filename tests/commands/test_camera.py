"""The command ``camera`` on files and folders, and on what cannot be opened."""

from __future__ import annotations

import json
import socket
import subprocess
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from helpers.camera import (
    COMMAND,
    PATIENCE_S,
    blank,
    environment,
    parse,
    read_clip,
    refusing_url,
    run_camera,
    write_clip,
)
from helpers.garments import FRAMES_EACH, GARMENTS, garment_folder, garment_video

from edgefashion.camera import demo_clip
from edgefashion.data.images import write_png
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.types import Arrays

SOON = 15
"""Frames of half a second."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> Path:
    return garment_video(tmp_path_factory.mktemp("clip") / "garments.mp4", test_set)


@pytest.fixture
def garments(tmp_path: Path, test_set: Arrays) -> Path:
    return garment_folder(tmp_path / "garments", test_set)


# --- What it sees ----------------------------------------------------------------------------


def test_names_garments_in_a_video(tmp_path: Path, clip: Path, test_set: Arrays) -> None:
    """Of the garments of a video at least nine in ten get their name within half a second of coming into view,
    and keep it until they leave; the last event says that the video has ended."""
    done = run_camera(tmp_path, "--source", clip, "--headless")
    assert done.returncode == 0, done.stderr
    *told, last = parse(done.stdout)
    named = 0
    for place, label in enumerate(test_set[1][:GARMENTS]):
        first = place * FRAMES_EACH
        before = [event for event in told if event["frame"] <= first + SOON]
        within = [event for event in told if first + SOON < event["frame"] < first + FRAMES_EACH]
        named += (before[-1]["state"], before[-1]["label"]) == ("garment", LABELS[label]) and not within
    assert named >= 0.9 * GARMENTS
    assert {event["state"] for event in told} <= {"garment", "unknown"}
    assert all(0 < event["confidence"] <= 1 and event["latency_ms"] > 0 for event in told)
    times = [datetime.fromisoformat(event["time"]) for event in [*told, last]]
    assert times == sorted(times)
    assert all(event["time"].endswith("Z") for event in told)
    assert (last["state"], last["frame"], last["label"]) == ("ended", GARMENTS * FRAMES_EACH - 1, None)
    assert done.stderr.startswith(f"{GARMENTS * FRAMES_EACH} frames in ")
    assert done.stderr.count("\n") == 1


def test_empty_wall(tmp_path: Path) -> None:
    """Where there is no garment the state is none, without a label or confidence, told once."""
    wall = write_clip(tmp_path / "wall.avi", [blank()] * 10)
    done = run_camera(tmp_path, "--source", wall, "--headless")
    assert done.returncode == 0
    events = parse(done.stdout)
    assert [(event["state"], event["label"], event["confidence"]) for event in events] == [
        ("none", None, None),
        ("ended", None, None),
    ]


def test_folder(tmp_path: Path, garments: Path, test_set: Arrays) -> None:
    """A folder of pictures is answered in order, each for itself; stderr names the one that cannot be read."""
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


def test_privacy(tmp_path: Path, test_set: Arrays) -> None:
    """With --privacy a recording shows the garment and, of what is written beside it, nothing."""
    scene = demo_clip.scene_of(test_set[0][0])
    for y in range(60, 700, 60):
        cv2.putText(scene, "A CUSTOMER", (10, y), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 0, 0), 2)
    write_png(tmp_path / "scene.png", scene)
    sharp = []
    for name, options in (("plain.avi", ()), ("hidden.avi", ("--privacy",))):
        done = run_camera(tmp_path, "--source", "scene.png", "--headless", "--record", name, *options)
        assert done.returncode == 0
        (picture,) = read_clip(tmp_path / name)
        sharp.append([cv2.Laplacian(picture[part], cv2.CV_64F).std() for part in (np.s_[80:600, 10:260],)])
    assert sharp[1][0] < 0.1 * sharp[0][0]


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
        ("", 2, "an argument behind --source is empty"),
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


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--web", "PORT IN USE"), 2, "in use"),
        (("--web", "nonsense"), 2, "--web 'nonsense'"),
        (("--web", "0.0.0.0:0"), 2, "--token"),
        (("--web", "0.0.0.0:0", "--token", "short"), 2, "token"),
        (("--events", "mqtt://127.0.0.1:1/shop"), 3, "127.0.0.1:1"),
        (("--max-failures", "-1"), 2, "max-failures"),
        (("--models", "nosuch"), 2, "nosuch"),
        (("--headless", "--fullscreen"), 2, "exclude each other"),
        (("--config", "nowhere.toml"), 2, "nowhere.toml"),
    ],
)
def test_bad_options(tmp_path: Path, garments: Path, options: tuple[str, ...], code: int, words: str) -> None:
    """What cannot be done is refused in one line, with its exit code, before the first frame is read."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = f"127.0.0.1:{taken.getsockname()[1]}"
        given = [port if option == "PORT IN USE" else option for option in options]
        done = run_camera(tmp_path, "--headless", "--source", garments, *given)
    assert done.returncode == code
    assert done.stdout == ""
    # Typer's own complaint of a number out of its range has its usage before it.
    assert "max-failures" in words or done.stderr.count("\n") == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.linux_only("exit code 141 is that of SIGPIPE")
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
        assert json.loads(process.stdout.readline())["state"] == "garment"
        process.stdout.close()
        # As a shell reports SIGPIPE, but not killed by it: what it opened was closed.
        assert process.wait(PATIENCE_S) == 141
    assert (tmp_path / "stderr.txt").read_text() == ""


def test_configuration_file(tmp_path: Path, garments: Path) -> None:
    """The configuration file says what to do, a flag says otherwise, and a wrong key is told with its line."""
    (tmp_path / "edgefashion.toml").write_text('model = "edge"\nsource = "garments"\nheadless = true\n')
    done = run_camera(tmp_path, model=None)
    assert len(parse(done.stdout)) == 5
    done = run_camera(tmp_path, "--source", garments / "0.png", model=None)
    assert len(parse(done.stdout)) == 2
    (tmp_path / "edgefashion.toml").write_text('model = "edge"\nsauce = "garments"\n')
    done = run_camera(tmp_path, model=None)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "edgefashion.toml" in done.stderr
    assert "source" in done.stderr
