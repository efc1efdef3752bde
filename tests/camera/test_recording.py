"""What is kept of a camera: a whole run, short clips and snapshots, whole or not at all."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.camera import number_of, numbered, read_clip, wait_until, write_clip

from edgefashion.camera.moment import Health, Moment
from edgefashion.camera.outputs import clips, overlay
from edgefashion.camera.outputs.clips import Clips
from edgefashion.camera.outputs.recording import Recorder, Recording
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.camera.sources.source import open_source
from edgefashion.errors import BadInputError

LIVE = Health("live")


def moment(number: int, at_s: float = 0.0, condition: str = "live", **changes: Any) -> Moment:
    """A moment whose picture carries ``number``, also once it is drawn on."""
    image = numbered(number, (1280, 720))
    return Moment(at_s, Health(condition), image=image, taken_s=at_s, **changes)


def numbers_of(path: Path) -> list[int]:
    """The numbers of a video's frames, read where nothing is drawn."""
    return [number_of(np.ascontiguousarray(frame)) for frame in read_clip(path)]


def keeping(output: Recording | Clips) -> str | None:
    """The name of the file that is being written."""
    return output.keeping


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures that are drawn on would not be numbered any more."""
    monkeypatch.setattr(overlay, "drawn", lambda moment: moment.image)


# --- A video file ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["clip.mp4", "clip.avi", "CLIP.MP4"])
@pytest.mark.parametrize("size_wh", [(640, 480), (321, 241)])
def test_recording_is_a_video(tmp_path: Path, name: str, size_wh: tuple[int, int]) -> None:
    """A recording can be played and holds every frame, also of an odd size, and of sizes that
    change on the way."""
    recorder = Recorder(tmp_path / name, 12)
    for number in range(6):
        recorder.write(numbered(number * 1000, size_wh if number < 3 else (1280, 720)))
    recorder.close()
    recorder.close()
    frames = read_clip(tmp_path / name)
    assert [number_of(frame) for frame in frames] == [number * 1000 for number in range(6)]
    assert {frame.shape for frame in frames} <= {(size_wh[1] - odd, size_wh[0] - odd, 3) for odd in (0, 1)}
    source = open_source(str(tmp_path / name))
    assert source.fps == 12
    source.close()


def test_recording_keeps_time(tmp_path: Path) -> None:
    """A recording of a live camera plays at the speed of life: a slow camera's frames are
    repeated, a fast one's left out, and the time a camera was lost is cut."""
    slow, fast, lost = (Recorder(tmp_path / f"{name}.avi", 10) for name in ("slow", "fast", "lost"))
    for number in range(5):
        slow.write_at(numbered(number), 1000 + number * 0.5)
    for number in range(101):
        fast.write_at(numbered(number), 1000 + number * 0.02)
    for number, at_s in enumerate([1000, 1000.1, 4600, 4600.1]):
        lost.write_at(numbered(number), at_s)
    for recorder in (slow, fast, lost):
        recorder.close()
    assert len(read_clip(tmp_path / "slow.avi")) == 21  # 2 s at 10 a second, and the first
    shown = [number_of(frame) for frame in read_clip(tmp_path / "fast.avi")]
    assert len(shown) in (20, 21)  # the clock's last tick may fall to either side
    assert shown == sorted(set(shown))
    assert [number_of(frame) for frame in read_clip(tmp_path / "lost.avi")] == [0, 1, 2, 3]


def test_recording_without_a_frame(tmp_path: Path) -> None:
    """Without a frame a recording leaves no file behind, and an older one as it was."""
    old = write_clip(tmp_path / "old.avi", [numbered(5)])
    before = old.read_bytes()
    for name in ("new.avi", "old.avi"):
        Recorder(tmp_path / name, 10).close()
        Recording(tmp_path / name, 10, live=True).close()
    assert [path.name for path in tmp_path.iterdir()] == ["old.avi"]
    assert old.read_bytes() == before


@pytest.mark.parametrize(
    ("place", "words"),
    [("clip.gif", "ending in"), ("clip", "ending in"), ("missing/clip.mp4", "does not exist"), ("d.mp4", "written")],
)
def test_bad_recording(tmp_path: Path, place: str, words: str) -> None:
    """A recording that cannot be written is refused when it is made, not at its first frame."""
    (tmp_path / "d.mp4").mkdir()
    with pytest.raises(BadInputError, match=words):
        Recording(tmp_path / place, 10, live=True)


# --- The whole run ---------------------------------------------------------------------------


def test_file_is_recorded_whole(tmp_path: Path) -> None:
    """Of a file every frame is written, however fast they come, and each once: moments without a new
    frame, or of a source that is not live, add nothing."""
    threads = threading.active_count()
    output = Recording(tmp_path / "run.avi", 25, live=False)
    assert keeping(output) == "run.avi"
    for number in range(40):
        new = moment(number)
        output.take(new)
        output.take(Moment(0.0, LIVE, image=new.image, note="the same frame"))
        output.take(moment(999, condition="stale"))
    assert output.keys() == ""
    output.close()
    output.close()
    assert keeping(output) is None
    assert numbers_of(tmp_path / "run.avi") == list(range(40))
    assert threading.active_count() == threads


def test_camera_recording_keeps_time_and_nobody_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera's recording keeps time also where the disk stands still meanwhile: frames are left out, the
    ones that come later take their place, and whoever hands them in goes on."""
    go_on = threading.Event()
    write = Recorder.write
    monkeypatch.setattr(Recorder, "write", lambda *given: (go_on.wait(), write(*given)))
    output = Recording(tmp_path / "run.avi", 10, live=True)
    for number in range(20):
        output.take(moment(number, 1000 + number / 10))
    go_on.set()
    wait_until(lambda: not output._background._waiting, "the frames that were let in")
    output.take(moment(20, 1002))
    output.close()
    shown = numbers_of(tmp_path / "run.avi")
    assert len(shown) in (20, 21)
    assert shown[0] == 0
    assert shown[-1] == 20
    assert shown == sorted(shown)


def test_recording_goes_on_beside(tmp_path: Path) -> None:
    """Opened again after a fault a recording does not write over what there is."""
    for again in (False, True, True):
        output = Recording(tmp_path / "run.avi", 10, live=True, again=again)
        output.take(moment(7, 1000))
        output.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run-2.avi", "run-3.avi", "run.avi"]


@pytest.mark.linux_only("no colon is part of a name on Windows")
@pytest.mark.parametrize("name", ["rec:1.mp4", "udp:%03d|x.avi", "-i.avi"])
def test_names_that_ffmpeg_takes_for_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A relative name that FFmpeg would take for a protocol or an option is a recording like any other."""
    monkeypatch.chdir(tmp_path)
    output = Recording(Path(name), 10, live=False)
    for number in range(4):
        output.take(moment(number))
    output.close()
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert numbers_of(tmp_path / name) == [0, 1, 2, 3]


@pytest.mark.linux_only("on Linux a name may be no valid text")
def test_where_no_video_can_be_written(tmp_path: Path) -> None:
    """Where a file can be made and no video written the recording is refused when it is made, and leaves no file."""
    with pytest.raises(BadInputError, match="cannot be written"):
        Recording(tmp_path / "\udcff.mp4", 10, live=True)
    assert not list(tmp_path.iterdir())


def test_a_recording_that_cannot_be_finished(tmp_path: Path) -> None:
    """A recording whose file is spoiled before its end is an error when it is closed, and once only; the output that
    it was keeps the reason."""
    output = Recording(tmp_path / "run.avi", 10, live=False)
    watched = ReopeningOutput(output, None)
    assert watched.take(moment(1)) is None
    wait_until(lambda: output._background._recorder.frames, "the frame")
    (tmp_path / "run.avi").unlink()
    watched.close()
    assert watched.failure == "run.avi could not be written whole. Is the disk full?"
    watched.close()
    output.close()


def test_full_disk_ends_recording(tmp_path: Path) -> None:
    """A disk that is full is refused at the start; one that fills up on the way ends the recording, whose
    frames so far can be played, with an error at every further frame."""
    with pytest.raises(OSError, match="MB are free"):
        Recording(tmp_path / "run.avi", 10, live=False, reserve_bytes=10**18)
    assert not list(tmp_path.iterdir())
    output = Recording(tmp_path / "run.avi", 10, live=False)
    output.take(moment(3))
    wait_until(lambda: not output._background._waiting, "the frame")
    output._background._reserve_bytes = 10**18  # from now on too little is free
    with pytest.raises(OSError, match="MB are free"):
        wait_until(lambda: output.take(moment(4)), "the error")
    with pytest.raises(OSError, match="MB are free"):
        output.take(moment(4))
    output.close()
    assert numbers_of(tmp_path / "run.avi") == [3]


# --- Clips -----------------------------------------------------------------------------------


def test_clip_on_demand(tmp_path: Path) -> None:
    """Nothing is kept by default. From start to stop a clip is recorded under another name, at the speed of
    life; then it has its own, with the time in UTC, and can be played."""
    threads = threading.active_count()
    output = Clips(tmp_path, fps=10)
    for number in range(5):
        output.take(moment(number, 100 + number / 10))
    assert output.stop() is None
    assert not list(tmp_path.iterdir())
    assert keeping(output) is None
    path = output.start()
    assert output.start() == path
    assert re.fullmatch(r"edgefashion-\d{8}T\d{6}Z\.mp4", path.name)
    assert keeping(output) == path.name
    for number in range(10, 20):
        output.take(moment(number, 100 + number / 5))
        time.sleep(0.02)  # the encoder's turn
    assert not path.exists()
    assert [left.name.startswith(".edgefashion-") for left in tmp_path.iterdir()] == [True]
    assert output.stop() == path
    assert keeping(output) is None
    wait_until(path.exists, "the clip")
    output.take(moment(30, 200))
    output.close()
    output.close()
    assert list(tmp_path.iterdir()) == [path]
    shown = numbers_of(path)
    assert len(shown) in (18, 19)  # 1.8 s at 10 a second, and the first
    assert set(shown) <= set(range(10, 20))
    assert shown == sorted(shown)
    assert threading.active_count() == threads


def test_clip_ends_by_itself(tmp_path: Path) -> None:
    """A clip that nobody ends does so by itself, and so does one when the camera's run is over; a second
    one within the same second has a name of its own."""
    output = Clips(tmp_path, longest_s=0.3)
    first = output.start()
    began_s = time.monotonic()
    while output.keeping:
        output.take(moment(1, time.monotonic()))
        assert time.monotonic() < began_s + 60
        time.sleep(0.03)
    wait_until(first.exists, "the clip")
    second = output.start()
    assert second != first
    output.take(moment(2, 1000))
    output.close()
    assert numbers_of(second) == [2]
    assert sorted(tmp_path.iterdir()) == sorted([first, second])


def test_clip_without_a_frame(tmp_path: Path) -> None:
    """A clip without a frame leaves nothing behind."""
    output = Clips(tmp_path)
    output.start()
    output.take(Moment(0.0, Health("starting")))
    output.close()
    assert not list(tmp_path.iterdir())


def test_bad_clips(tmp_path: Path) -> None:
    """A clip that cannot be begun is refused when it is: no folder, a file for one, a full disk."""
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "missing", tmp_path / "file"):
        with pytest.raises(BadInputError, match="no folder"):
            Clips(folder).start()
        with pytest.raises(BadInputError, match="no folder"):
            clips.snapshot(moment(1), folder)
    full = Clips(tmp_path, reserve_bytes=10**18)
    with pytest.raises(OSError, match="MB are free"):
        full.start()
    assert full.keeping is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
@pytest.mark.linux_only("a folder's mode does not forbid writing on Windows")
def test_clips_in_a_read_only_folder(tmp_path: Path) -> None:
    """Where nothing can be written no clip begins, and no snapshot is taken."""
    tmp_path.chmod(0o500)
    with pytest.raises(BadInputError, match="Choose another folder"):
        Clips(tmp_path).start()
    with pytest.raises(OSError, match="denied"):
        clips.snapshot(moment(1), tmp_path)


FULL = """
import resource, sys, time
from pathlib import Path
import numpy as np
from edgefashion.camera.outputs.clips import Clips
from edgefashion.camera.moment import Health, Moment, Output
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
clips, random = Clips(Path(sys.argv[1]), fps=100), np.random.default_rng(0)
for start in (0, 100):
    clips.start()
    for number in range(30):
        image = (random.integers(0, 256, (360, 640, 3)) * (start == 0)).astype(np.uint8)
        clips.take(Moment(start + number / 100, Health("live"), image=image))
        time.sleep(0.01)
    clips.stop()
    try:
        while clips._finishing:
            clips.take(Moment(0.0, Health("live")))
            time.sleep(0.01)
    except OSError as error:
        print(error)
clips.close()
print(clips.keeping)
"""


@pytest.mark.skipif(os.name != "posix", reason="a limit of POSIX makes writing fail")
@pytest.mark.linux_only("RLIMIT_FSIZE is POSIX's")
def test_clip_that_cannot_be_written_whole(tmp_path: Path) -> None:
    """A clip of which the system takes only a part, as a full disk does, is told as an error and leaves
    nothing behind; the next one, which fits, is whole, in the same process."""
    done = subprocess.run([sys.executable, "-c", FULL, tmp_path], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "could not be written whole" in lines[0]
    assert lines[1:] == ["None"]
    (only,) = tmp_path.iterdir()
    assert len(read_clip(only)) > 10


def test_what_a_killed_process_left(tmp_path: Path) -> None:
    """An unfinished clip of a process that was killed is cleared away before the next clip; one that
    another process may be writing is not, nor any other file."""
    left, busy = (tmp_path / f".edgefashion-20200101T00000{n}Z.new-00000000.mp4" for n in (1, 2))
    other = tmp_path / ".other.new-00000000.mp4"
    for path in (left, busy, other):
        path.write_bytes(b"x")
    for path in (left, other):
        os.utime(path, (0, 0))
    output = Clips(tmp_path)
    output.start()
    output.close()
    assert sorted(tmp_path.iterdir()) == sorted([busy, other])


def test_snapshot(tmp_path: Path) -> None:
    """A snapshot is what is on the screen, as a PNG named by the time in UTC, and writes over nothing; before
    the first frame there is none."""
    paths = [clips.snapshot(moment(number), tmp_path) for number in (1, 2)]
    assert all(re.fullmatch(r"edgefashion-\d{8}T\d{6}Z(-2)?\.png", path.name) for path in paths)
    assert [number_of(np.asarray(cv2.imread(str(path)), np.uint8)) for path in paths] == [1, 2]
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    with pytest.raises(BadInputError, match="no picture yet"):
        clips.snapshot(Moment(0.0, Health("starting")), tmp_path)
