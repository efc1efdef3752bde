"""The camera, end to end: the real command on real clips, folders and a network camera."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import socket
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import psutil
import pytest
from helpers.camera import (
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
    wait_until,
    write_clip,
)

from edgefashion.bundles import resolve
from edgefashion.camera import demo_clip, loop
from edgefashion.camera.moment import Event, Moment
from edgefashion.camera.networks import Lineup
from edgefashion.camera.outputs.reopening import KeptOpen
from edgefashion.camera.sources.source import Frame, open_source
from edgefashion.data import fashion_mnist
from edgefashion.data.images import read_image, write_png
from edgefashion.errors import MissingError
from edgefashion.inference import load
from edgefashion.inference.predict import Prediction
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.camera import Picture
    from helpers.types import Arrays

GARMENTS, FRAMES_EACH = 30, 20
SOON = 15
"""Frames of half a second."""


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> Path:
    """A 1280x720 video of test images, each in view for 20 frames."""
    path = tmp_path_factory.mktemp("clip") / "garments.mp4"
    demo_clip.make_clip(path, test_set[0][:GARMENTS], FRAMES_EACH)
    return path


@pytest.fixture
def garments(tmp_path: Path, test_set: Arrays) -> Path:
    """A folder of five pictures, the third of which cannot be read."""
    folder = tmp_path / "garments"
    folder.mkdir()
    for number in (0, 1, 3, 4):
        write_png(folder / f"{number}.png", demo_clip.scene_of(test_set[0][number]))
    (folder / "2.png").write_bytes(b"no picture")
    return folder


def _scene(test_set: Arrays, number: int = 0) -> Picture:
    small = cv2.resize(demo_clip.scene_of(test_set[0][number]), (640, 360), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.uint8)


def _noisy(scene: Picture, levels: float) -> Iterator[Picture]:
    rng = np.random.default_rng(0)
    while True:
        yield np.clip(scene + rng.normal(0, levels, scene.shape), 0, 255).astype(np.uint8)


@pytest.fixture
def network_camera(test_set: Arrays) -> NetworkCamera:
    """A network camera, not started yet, that sees an ankle boot."""
    pictures = list(itertools.islice(_noisy(_scene(test_set), 2), 10))
    return NetworkCamera(lambda number: pictures[number % len(pictures)], interval_s=0.03)


@pytest.fixture
def changing_camera(test_set: Arrays) -> NetworkCamera:
    """A network camera, not started yet, that sees a boot and a pullover in turns, for a second each."""
    pictures = [list(itertools.islice(_noisy(_scene(test_set, place), 2), 10)) for place in (0, 1)]
    return NetworkCamera(lambda number: pictures[number // 30 % 2][number % 10], interval_s=0.03)


class Heard:
    """An event sink that keeps what it is told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def fault(self) -> str | None:
        return None

    def close(self) -> None:
        pass


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


def test_single_frames_of_a_video(clip: Path, test_set: Arrays) -> None:
    """At least 88 % of a video's frames say the right thing by themselves, each answered once and in order."""
    seen: list[tuple[int, str | None]] = []

    def on_answer(frame: Frame, found: Prediction) -> None:
        seen.append((frame.number, found.answer.label if found.answer and found.answer.accepted else None))

    summary = loop.run(Lineup(["edge"]), open_source(str(clip)), on_answer=on_answer)
    assert [number for number, _ in seen] == list(range(GARMENTS * FRAMES_EACH))
    assert summary.frames == len(seen)
    truth = [LABELS[test_set[1][number // FRAMES_EACH]] for number, _ in seen]
    assert np.mean([label == right for (_, label), right in zip(seen, truth, strict=True)]) >= 0.88


@pytest.mark.parametrize("levels", [5, 15, 30])
def test_no_flicker(tmp_path: Path, test_set: Arrays, levels: float) -> None:
    """On a still garment with noise, even of 30 grey levels, what is answered changes once a second at most."""
    pictures = _noisy(_scene(test_set, 4), levels)
    still = write_clip(tmp_path / "still.avi", list(itertools.islice(pictures, 150)), 30)
    heard = Heard()
    loop.run(Lineup(["edge"]), open_source(str(still)), events=[heard])
    frames = [event.frame for event in heard.events if event.state in ("garment", "unknown", "none")]
    assert frames
    assert all(later - earlier >= 30 for earlier, later in itertools.pairwise(frames))


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
        ("", 2, "--source must be a text"),
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


class Breaking:
    """An output that breaks at some of the moments it is handed."""

    name = "screen"

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
        Lineup(["edge"]),
        open_source(str(wall)),
        outputs=[KeptOpen(first, again)],
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


def test_broken_network(tmp_path: Path) -> None:
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

    lineup = Lineup(["edge"], load=lambda _: replace(classifier, run=Failing()))
    images, _ = fashion_mnist.load("test")
    shown = write_clip(tmp_path / "boot.avi", list(itertools.islice(_noisy(_scene((images, _)), 2), 30)), 30)
    heard = Heard()
    summary = loop.run(lineup, open_source(str(shown)), events=[heard])
    assert summary.frames == 25
    told = [(event.state, event.reason) for event in heard.events if event.reason]
    assert told == [
        ("fault", "network: edge gives no answer: out of memory"),
        ("stale", "the network gives no answer"),
        ("fault", "network: works again"),
        ("ended", "the file has ended"),
    ]
    assert "garment" in {event.state for event in heard.events}


def test_error_that_is_not_the_source_s(monkeypatch: pytest.MonkeyPatch, network_camera: NetworkCamera) -> None:
    """A live camera goes on after an error of its network's, though it is one that would end a command."""
    lineup, stop, heard = Lineup(["edge"]), threading.Event(), Heard()
    asked = iter([MissingError("its server is away")])

    def poll(_: float) -> tuple[str, str]:
        for error in asked:
            raise error
        return "", ""

    monkeypatch.setattr(lineup, "poll", poll)

    def on_answer(*_: object) -> None:
        if any(event.reason == "loop: works again" for event in heard.events):
            stop.set()

    source = open_source(network_camera_url(network_camera))
    loop.run(lineup, source, stop=stop, events=[heard], on_answer=on_answer)
    assert [e.reason for e in heard.events if e.state == "fault"] == ["loop: its server is away", "loop: works again"]


def test_stop(tmp_path: Path) -> None:
    """A set stop event ends the loop after the frame it is at."""
    source = open_source(str(write_clip(tmp_path / "wall.avi", [blank((320, 240))] * 5)))
    stop = threading.Event()
    heard = Heard()

    def on_answer(frame: Frame, _: Prediction) -> None:
        if frame.number == 1:
            stop.set()

    summary = loop.run(Lineup(["edge"]), source, stop=stop, events=[heard], on_answer=on_answer)
    assert summary.frames == 2
    assert [(event.frame, event.state, event.reason) for event in heard.events] == [(1, "ended", "stopped")]
    assert source.state == "ended"


def test_keys(tmp_path: Path, garments: Path) -> None:
    """The keys mirror, show the help, keep a snapshot and a clip, change network and precision, and end it."""
    screen = Breaking(set())
    presses = iter(["m", "h", "s", "r", "", "r", "2", "7", "q"])

    def on_answer(frame: Frame, _: Prediction) -> None:
        if frame.number % 5 == 0:
            screen.pressed = next(presses)

    pictures = [read_image(garments / "0.png")] * 100
    shown = write_clip(tmp_path / "boot.avi", pictures, 20)
    loop.run(
        Lineup(["edge", "edge"]),
        open_source(str(shown)),
        outputs=[KeptOpen(screen, None)],
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
    sentences = [moment.kept for moment in screen.taken]
    assert sentences[0] == sentences[-1] == "Nothing is recorded"
    assert f"Recording to {kept[0].name}" in sentences


# --- A network camera, and signals -----------------------------------------------------------


def test_network_camera_comes_back(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """A network camera that is cut off is ``reconnecting`` with its reasons, and is answered once it is back;
    SIGTERM then ends the command with 143."""
    with network_camera, RunningCamera(tmp_path, "--source", network_camera.url, "--headless") as running:
        seen = running.wait_for("garment")
        assert running.events[seen]["label"] == "Ankle boot"
        network_camera.cut()
        lost = running.wait_for("reconnecting")
        network_camera.start()
        running.wait_for("garment", after=lost)
        assert running.end(signal.SIGTERM) == 143
        states = [state for state, _ in itertools.groupby(event["state"] for event in running.events)]
        assert states == ["starting", "live", "garment", "reconnecting", "live", "garment", "ended"]
        assert all(e["reason"] for e in running.events if e["state"] in ("reconnecting", "ended"))
        numbers = [event["frame"] for event in running.events if event["state"] == "garment"]
        assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("state", ["starting", "stale", "reconnecting"])
def test_sigterm_without_frames(tmp_path: Path, network_camera: NetworkCamera, state: str) -> None:
    """SIGTERM ends the command with 143 while its camera is absent, stalled or lost, and leaves no process."""
    with network_camera:
        if state == "starting":
            network_camera.cut()
        with RunningCamera(tmp_path, "--source", network_camera.url, "--headless", "--wait") as running:
            if state != "starting":
                running.wait_for("garment")
                (network_camera.cut if state == "reconnecting" else network_camera.paused.set)()
            running.wait_for(state)
            children = psutil.Process(running.process.pid).children(recursive=True)
            assert running.end(signal.SIGTERM) == 143
            assert running.events[-1]["state"] == "ended"
            wait_until(lambda: not any(child.is_running() for child in children), "the children to end")


def test_absent_camera_is_waited_for(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """With --wait a camera that is absent at the start is answered once it is there."""
    network_camera.start()
    network_camera.cut()
    with RunningCamera(tmp_path, "--source", network_camera.url, "--headless", "--wait") as running:
        wait_until(lambda: any(event["reason"] for event in running.events), "the reason")
        assert running.events[-1]["state"] == "starting"
        assert running.events[-1]["reason"] == "connection refused"
        with network_camera:
            network_camera.start()
            running.wait_for("garment")
            assert running.end(signal.SIGTERM) == 143


def test_max_failures(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """--max-failures ends the command with 3 and one line when its camera stays away."""
    options = ("--source", network_camera_url(network_camera), "--headless", "--max-failures", "2")
    with RunningCamera(tmp_path, *options) as running:
        running.wait_for("garment")
        network_camera.cut()
        assert running.end() == 3
        assert running.events[-1]["state"] == "ended"
        assert "2 times in a row" in running.errors
        assert running.errors.count("\n") == 1


def network_camera_url(network_camera: NetworkCamera) -> str:
    network_camera.start()
    return network_camera.url


@pytest.mark.parametrize("what", ["frozen", "black"])
def test_pictures_that_are_not_of_now(tmp_path: Path, network_camera: NetworkCamera, what: str) -> None:
    """A frozen or black picture is ``stale``, and nothing is answered until it is a living one again."""
    living = network_camera.picture
    with network_camera, RunningCamera(tmp_path, "--source", network_camera.url, "--headless") as running:
        running.wait_for("garment")
        spoilt = living(0) if what == "frozen" else np.full_like(living(0), 2)
        network_camera.picture = lambda _: spoilt
        stale = running.wait_for("stale")
        assert what in running.events[stale]["reason"]
        network_camera.picture = living
        running.wait_for("garment", after=stale)
        assert running.end(signal.SIGTERM) == 143
        after = [event["state"] for event in running.events[stale + 1 :]]
        assert after[0] == "live"


def test_model_replaced_while_it_runs(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """A model whose file is spoiled while the camera runs is a fault and nothing else; mended, it is read anew."""
    mine = tmp_path / "mine"
    shutil.copytree(resolve.resolve("edge").path, mine)
    weights = mine / "int8.bin"
    whole = weights.read_bytes()
    with (
        network_camera,
        RunningCamera(tmp_path, "--source", network_camera.url, "--headless", model=str(mine)) as running,
    ):
        running.wait_for("garment")
        weights.write_bytes(whole[:1000])
        fault = running.wait_for("fault")
        assert "int8.bin was altered" in running.events[fault]["reason"]
        weights.write_bytes(whole)
        mended = running.wait_for("fault", after=fault + 1)
        assert running.events[mended]["reason"] == "model: works again"
        assert running.end(signal.SIGTERM) == 143
        assert {event["state"] for event in running.events} == {"starting", "live", "garment", "fault", "ended"}


def _libfaketime() -> Path:
    found = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
    if found is None:
        pytest.skip("libfaketime is not installed (Debian: faketime)")
    return found


def test_clock_set_back(tmp_path: Path, changing_camera: NetworkCamera) -> None:
    """A clock set back by a day changes what time events carry, and nothing else."""
    clock = tmp_path / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(_libfaketime()),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    changing_camera.start()
    options = ("--source", changing_camera.url, "--headless")
    with changing_camera, RunningCamera(tmp_path, *options, more=faked) as running:
        first = running.wait_for("garment")
        clock.write_text("-1d")
        wait_until(lambda: running.events[-1]["time"] < running.events[first]["time"], "an event of yesterday")
        running.wait_for("garment", after=len(running.events) + 1)
        assert running.end(signal.SIGTERM) == 143
        assert [event["state"] for event in running.events if event["reason"]] == ["ended"]


def test_event_disk_full(tmp_path: Path, changing_camera: NetworkCamera) -> None:
    """While the event file's disk is full the camera goes on and says so elsewhere; nothing is lost or doubled."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    try:
        file, filler = disk / "events.jsonl", disk / "filler"
        # This disk is full by pages: the first events come to lie at the end of one.
        before = "x" * (2 * 4096 - 700) + "\n"
        file.write_text(before)
        options = ("--source", network_camera_url(changing_camera), "--headless", "--events", str(file))
        with changing_camera, RunningCamera(tmp_path, *options) as running:
            running.wait_for("garment")
            with filler.open("wb", buffering=0) as full:
                while True:
                    try:
                        full.write(b"x" * 512)
                    except OSError:
                        break
            fault = running.wait_for("fault")
            assert "No space left" in running.events[fault]["reason"]
            filler.unlink()
            running.wait_for("fault", after=fault + 1)
            assert running.end(signal.SIGTERM) == 143
            assert parse(file.read_text().removeprefix(before)) == running.events
    finally:
        subprocess.run(["umount", str(disk)], check=True)


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
        running.wait_for("garment")
        assert running.end(number) == code
        assert running.events[-1]["state"] == "ended"
        summary = running.errors
        assert "Traceback" not in summary
        assert summary.count("\n") == 1
    if recording:
        frames = read_clip(tmp_path / recording)
        assert len(frames) >= 2
        assert frames[0].shape == (360, 640, 3)


def test_live_recording_keeps_time(tmp_path: Path, test_set: Arrays) -> None:
    """A recording of a camera slower than its frame rate has the time, not the frames, of life."""
    pictures = list(itertools.islice(_noisy(_scene(test_set), 2), 10))
    with (
        NetworkCamera(lambda number: pictures[number % 10], interval_s=0.2) as slow,
        RunningCamera(tmp_path, "--source", slow.url, "--headless", "--record", "x.avi") as running,
    ):
        running.wait_for("garment")
        mark = slow.sent
        wait_until(lambda: slow.sent >= mark + 10, "ten more pictures")
        assert running.end(signal.SIGTERM) == 143
        answered = int(running.errors.split(" frames")[0])
    assert len(read_clip(tmp_path / "x.avi")) > 2 * answered  # 3 times, at 5 and 15 a second


def test_signal_before_the_first_frame(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """A signal that comes before there is a frame ends the command as cleanly, and leaves no empty
    recording."""
    network_camera.paused.set()
    with (
        network_camera,
        RunningCamera(tmp_path, "--source", network_camera.url, "--headless", "--record", "x.mp4") as running,
    ):
        network_camera.wait_for_viewer()
        assert running.end(signal.SIGTERM) == 143
        assert {event["state"] for event in running.events} <= {"starting", "ended"}
    assert not (tmp_path / "x.mp4").exists()


def test_page_of_the_running_camera(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """--web shows what the running command answers, and is red as soon as its camera is lost."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"

    def healthz() -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://{address}/healthz", timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    options = ("--source", network_camera_url(network_camera), "--headless", "--web", address)
    with network_camera, RunningCamera(tmp_path, *options) as running:
        running.wait_for("garment")
        assert healthz()[0] == 200
        with urllib.request.urlopen(f"http://{address}/events", timeout=10) as stream:
            wait_until(lambda: b"Ankle boot" in stream.readline(), "the answer on the page")
        network_camera.cut()
        running.wait_for("reconnecting")
        wait_until(lambda: healthz()[0] == 503, "the page to be red")
        assert healthz()[1]["condition"] == "reconnecting"
        assert running.end(signal.SIGTERM) == 143


def test_service_is_ready_and_alive(tmp_path: Path, network_camera: NetworkCamera) -> None:
    """Under systemd's protocol the command is ready once it has answered, feeds the watchdog and says that it
    stops."""
    address = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address)
        manager.settimeout(PATIENCE_S)
        told: list[str] = []
        more = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000"}
        options = ("--source", network_camera_url(network_camera), "--headless")
        with network_camera, RunningCamera(tmp_path, *options, more=more) as running:
            while sum("WATCHDOG=1" in lines for lines in told) < 3:
                told.append(manager.recv(4096).decode())
            assert running.end(signal.SIGTERM) == 143
            manager.settimeout(0.1)
            while "STOPPING=1" not in told:
                told.append(manager.recv(4096).decode())
    assert any(lines.startswith("READY=1") for lines in told)
    assert any(lines.startswith("STATUS=live") for lines in told)


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
