"""Sources: files give every frame, live ones the newest, and nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from helpers.camera import (
    NetworkCamera,
    garbage_part,
    number_of,
    numbered,
    overlong_part,
    read_frame,
    refusing_url,
    truncated_part,
    unsized_part,
    wait_until,
    write_clip,
)

from edgefashion.camera.sources.source import Source, open_source
from edgefashion.data import images
from edgefashion.errors import BadInputError, MissingError


def _capture_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("capture")]


def _children() -> list[psutil.Process]:
    """The processes that read sources."""
    found = psutil.Process().children()
    return [child for child in found if "edgefashion.camera.sources.capture_worker" in child.cmdline()]


def _wait_for(source: Source, state: str) -> None:
    wait_until(lambda: source.read(0.1) is None and source.state == state, f"the source to be {state}")


@pytest.fixture
def network_camera() -> Iterator[NetworkCamera]:
    with NetworkCamera() as camera:
        yield camera
    assert not _capture_threads(), "the test left a source open"
    assert not _children(), "the test left a process"


# --- Files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".mp4", ".avi"])
def test_video_gives_every_frame(tmp_path: Path, suffix: str) -> None:
    """A video gives every frame once and in order, knows its speed, and then has ended."""
    clip = write_clip(tmp_path / f"clip 1%02d{suffix}", [numbered(n * 321) for n in range(20)], fps=12.5)
    source = open_source(str(clip))
    assert (source.live, source.fps, source.state) == (False, 12.5, "live")
    frames = [read_frame(source) for _ in range(20)]
    assert [frame.number for frame in frames] == list(range(20))
    assert [number_of(frame.image) for frame in frames] == [n * 321 for n in range(20)]
    assert source.read(1) is None
    assert source.state == "ended"
    assert source.read(1) is None


def test_folder_gives_every_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder gives its pictures sorted; an unreadable one is told of on stderr and passed over."""
    for number in (3, 1, 0):
        images.write_png(tmp_path / f"{number}.png", numbered(number))
    (tmp_path / "2.jpg").write_bytes(b"no picture")
    (tmp_path / "notes.txt").write_text("no picture either, and not meant to be one")
    source = open_source(str(tmp_path))
    frames = [read_frame(source) for _ in range(3)]
    assert [number_of(frame.image) for frame in frames] == [frame.number for frame in frames[:2]] + [3] == [0, 1, 3]
    assert source.read(1) is None
    assert source.state == "ended"
    told = capsys.readouterr()
    assert told.err.count("\n") == 1
    assert "2.jpg" in told.err
    assert not told.out


def test_single_picture(tmp_path: Path) -> None:
    """A picture file is a source of one frame."""
    images.write_png(tmp_path / "shirt.png", numbered(77))
    source = open_source(str(tmp_path / "shirt.png"))
    assert number_of(read_frame(source).image) == 77
    assert source.read(1) is None
    assert source.state == "ended"


def test_closed_file_gives_nothing(tmp_path: Path) -> None:
    """A closed source has ended, whatever was left in it, and may be closed twice."""
    clip = write_clip(tmp_path / "clip.avi", [numbered(n) for n in range(3)])
    images.write_png(tmp_path / "picture.png", numbered(0))
    for path in (clip, tmp_path / "picture.png"):
        source = open_source(str(path))
        source.close()
        source.close()
        assert source.state == "ended"
        assert source.read(1) is None


def _text(path: Path) -> None:
    path.write_text("just words\n" * 5)


def _long_text(path: Path) -> None:
    path.write_text("\n".join(str(n) for n in range(5000)))


def _nothing(path: Path) -> None:
    path.touch()


def _folder(path: Path) -> None:
    path.mkdir()


def _cut_video(path: Path) -> None:
    write_clip(path, [numbered(n) for n in range(20)])
    path.write_bytes(path.read_bytes()[:6000])


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("notes.txt", _text, "no video"),
        ("log1.txt", _long_text, "no video"),  # FFmpeg would show it as a film of a terminal
        ("empty.mp4", _nothing, "no video"),
        ("cut.mp4", _cut_video, "no video"),
        ("folder", _folder, "no image"),
    ],
)
def test_no_pictures_in_it(tmp_path: Path, name: str, make: Callable[[Path], None], words: str) -> None:
    """A path without pictures is bad input that says so."""
    make(tmp_path / name)
    with pytest.raises(BadInputError, match=words):
        open_source(str(tmp_path / name))


@pytest.mark.parametrize("spec", ["", "no/such/clip.mp4", "-1", "ftp://127.0.0.1/clip.mp4"])
def test_not_a_path(spec: str) -> None:
    """What is neither a path, a camera number nor a URL is bad input."""
    with pytest.raises(BadInputError, match="does not exist"):
        open_source(spec)


def test_no_readable_picture_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A source none of whose pictures can be read is bad input, not a quiet success."""
    (tmp_path / "a.png").write_bytes(b"no picture")
    source = open_source(str(tmp_path))
    with pytest.raises(BadInputError, match="can be read"):
        source.read(1)
    assert source.state == "ended"


# --- Live ------------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", ["63", "99999999999", ""])
def test_nothing_there(spec: str) -> None:
    """A camera number or URL that is not there is something missing, and leaves no thread behind."""
    with pytest.raises(MissingError, match="cannot be opened"):
        open_source(spec or refusing_url())
    assert not _capture_threads()


def test_password_is_not_repeated() -> None:
    """The error about a URL leaves out the user and password in it."""
    url = refusing_url().replace("//", "//admin:s3cret@")
    with pytest.raises(MissingError) as raised:
        open_source(url)
    assert "s3cret" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)


def test_live_frames_arrive(network_camera: NetworkCamera) -> None:
    """A stream gives whole frames, numbered upwards, each with the time it was taken."""
    began = time.monotonic()
    source = open_source(network_camera.url)
    frames = [read_frame(source) for _ in range(10)]
    assert source.live
    assert source.state == "live"
    numbers = [frame.number for frame in frames]
    assert numbers == sorted(set(numbers))
    carried = [number_of(frame.image) for frame in frames]
    assert carried == sorted(set(carried))
    assert frames[0].image.shape == (240, 320, 3)
    assert frames[0].image.dtype == np.uint8
    times = [frame.time_s for frame in frames]
    assert began < times[0]
    assert times == sorted(times)
    assert times[-1] < time.monotonic()
    source.close()


def test_newest_frame_wins(network_camera: NetworkCamera) -> None:
    """A slow reader of a stream skips what it missed and does not fall behind."""
    source = open_source(network_camera.url)
    first = read_frame(source)
    frames = [first]
    for _ in range(4):
        mark = network_camera.sent
        wait_until(lambda mark=mark: network_camera.sent >= mark + 25, "25 more pictures")  # type: ignore[misc]
        frames.append(read_frame(source))
    source.close()
    steps = np.diff([number_of(frame.image) for frame in frames])
    # A queue would step by 1. The first step is left out: opening a stream reads ahead.
    assert steps[1:].min() > 5
    assert np.diff([frame.number for frame in frames])[1:].min() > 5
    assert frames[-1].number > first.number + 50


def test_reconnects(network_camera: NetworkCamera) -> None:
    """A stream that breaks is reconnecting until its camera is back on the same address."""
    source = open_source(network_camera.url)
    before = read_frame(source)
    network_camera.cut()
    wait_until(lambda: source.read(0.1) is None and source.state == "reconnecting", "the loss to show")
    network_camera.start()
    after = read_frame(source)
    assert source.state == "live"
    assert after.number > before.number
    assert number_of(after.image) > number_of(before.image)
    source.close()


def test_stalled_stream_is_lost(network_camera: NetworkCamera) -> None:
    """A stream that stays connected and sends nothing is lost too, and found again."""
    source = open_source(network_camera.url)
    read_frame(source)
    network_camera.paused.set()
    wait_until(lambda: source.read(0.1) is None and source.state == "reconnecting", "the stall to show")
    network_camera.paused.clear()
    read_frame(source)
    assert source.state == "live"
    source.close()


def test_loss_is_told_once(network_camera: NetworkCamera) -> None:
    """The loss of a stream ends a read at once; the reads after that wait out their time, so that
    a loop around them does not spin."""
    source = open_source(network_camera.url)
    read_frame(source)
    network_camera.cut()
    while source.read(5 * 60) is not None:  # the last frames; then the loss, or this would hang
        pass
    assert source.state == "reconnecting"
    began = time.monotonic()
    assert source.read(0.3) is None
    assert time.monotonic() - began >= 0.3
    source.close()


def test_close_leaves_nothing(network_camera: NetworkCamera) -> None:
    """Closing a live source ends its thread and its connection, and no late frame revives it."""
    source = open_source(network_camera.url)
    read_frame(source)
    assert len(_capture_threads()) == 1
    assert network_camera.watched
    source.close()
    assert source.state == "ended"
    source.close()
    assert not _capture_threads()
    wait_until(lambda: not network_camera.watched, "the connection to close")
    assert source.state == "ended"
    assert source.read(5 * 60) is None
    assert source.state == "ended"


def test_close_while_reconnecting(network_camera: NetworkCamera) -> None:
    """A live source can be closed while it is reconnecting."""
    source = open_source(network_camera.url)
    read_frame(source)
    network_camera.cut()
    wait_until(lambda: source.read(0.1) is None and source.state == "reconnecting", "the loss to show")
    source.close()
    assert not _capture_threads()
    assert source.state == "ended"


def test_close_wakes_a_reader(network_camera: NetworkCamera) -> None:
    """Closing a live source that waits for a frame ends a read of it in another thread."""
    source = open_source(network_camera.url)
    read_frame(source)
    network_camera.paused.set()
    wait_until(lambda: source.read(0.3) is None, "the stream to stall")
    answers: list[object] = []

    def wait_for_end() -> None:
        while source.state != "ended":
            answers.append(source.read(5 * 60))

    reader = threading.Thread(target=wait_for_end)
    reader.start()
    source.close()
    reader.join(timeout=60)
    assert not reader.is_alive()
    assert not any(answers)
    assert not _capture_threads()


# --- What goes wrong -------------------------------------------------------------------------


def test_stale_before_lost(network_camera: NetworkCamera) -> None:
    """A stream that stalls is stale at first, which the next frame mends without a new connection."""
    source = open_source(network_camera.url)
    read_frame(source)
    network_camera.paused.set()
    _wait_for(source, "stale")
    assert "no frame came" in source.reason
    network_camera.paused.clear()
    read_frame(source)
    assert (source.state, source.reason, source.losses) == ("live", "", 0)
    source.close()


@pytest.mark.parametrize("spoil", [truncated_part, overlong_part, garbage_part])
def test_spoiled_pictures(network_camera: NetworkCamera, spoil: Callable[[bytes], bytes]) -> None:
    """Truncated and garbage pictures are never given out, and the whole ones between them are."""
    spoilt: set[int] = set()
    counted = iter(range(10**6))

    def part(jpeg: bytes) -> bytes:
        if next(counted) % 3:
            spoilt.add(network_camera.sent)
            return spoil(jpeg)
        return whole(jpeg)

    whole, network_camera.part = network_camera.part, part
    source = open_source(network_camera.url)
    numbers = [number_of(read_frame(source).image) for _ in range(10)]
    assert not spoilt & set(numbers)
    assert numbers == sorted(set(numbers))
    assert source.losses == 0
    source.close()


def test_nothing_but_spoiled_pictures(network_camera: NetworkCamera) -> None:
    """A stream of nothing but spoiled pictures is lost, and found again once they are whole."""
    source = open_source(network_camera.url)
    read_frame(source)
    whole, network_camera.part = network_camera.part, truncated_part
    _wait_for(source, "reconnecting")
    network_camera.part = whole
    read_frame(source)
    assert source.state == "live"
    source.close()


def test_lengths_untold(network_camera: NetworkCamera) -> None:
    """A camera that does not tell its pictures' lengths is read all the same."""
    network_camera.part = unsized_part
    source = open_source(network_camera.url)
    numbers = [number_of(read_frame(source).image) for _ in range(10)]
    assert numbers == sorted(set(numbers))
    source.close()


def test_thumbnails(network_camera: NetworkCamera) -> None:
    """A picture that carries a thumbnail, which ends before it does, is read whole, its length told or not."""
    thumbnail = cv2.imencode(".jpg", numbered(0, (32, 24)))[1].tobytes()
    segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
    network_camera.part = lambda jpeg: unsized_part(jpeg[:2] + segment + jpeg[2:])
    source = open_source(network_camera.url)
    numbers = [number_of(read_frame(source).image) for _ in range(10)]
    assert numbers == sorted(set(numbers))
    assert source.losses == 0
    source.close()


def test_bare_line_ends(network_camera: NetworkCamera) -> None:
    """A camera that ends its lines with a line feed alone is read, too."""
    network_camera.part = lambda jpeg: unsized_part(b"").replace(b"\r\n", b"\n")[:-1] + jpeg + b"\n"
    source = open_source(network_camera.url)
    numbers = [number_of(read_frame(source).image) for _ in range(10)]
    assert numbers == sorted(set(numbers))
    source.close()


def test_slow_camera() -> None:
    """A camera slower than a frame a second is live once its pace is known, not stale again and again."""
    with NetworkCamera(interval_s=1.2) as slow:
        source = open_source(slow.url)
        for _ in range(4):
            read_frame(source)
        told = [source.read(3) for _ in range(3)]
        assert all(told)
        assert (source.state, source.losses) == ("live", 0)
        source.close()


def test_size_changes(network_camera: NetworkCamera) -> None:
    """Pictures of another size in mid-stream are given out as they are, the smaller and the larger."""
    sizes = [(320, 240), (640, 480), (160, 120)]
    network_camera.picture = lambda number: numbered(number, sizes[number // 5 % 3])
    source = open_source(network_camera.url)
    seen = set()
    for _ in range(30):
        seen.add(read_frame(source).image.shape)
    assert seen == {(height, width, 3) for width, height in sizes}
    assert source.losses == 0
    source.close()


def test_header_without_end(network_camera: NetworkCamera) -> None:
    """A server whose header never ends is given up and tried again, until it is itself."""
    source = open_source(network_camera.url)
    read_frame(source)
    network_camera.endless_header.set()
    network_camera.cut()
    network_camera.start()
    _wait_for(source, "reconnecting")
    wait_until(lambda: source.read(0.1) is None and network_camera.watched, "the viewer of the header")
    network_camera.endless_header.clear()
    read_frame(source)
    source.close()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=["crash", "hang"])
def test_process_that_reads_fails(network_camera: NetworkCamera, number: signal.Signals) -> None:
    """When the process that reads a stream crashes or hangs, another one takes over and none is left."""
    source = open_source(network_camera.url)
    read_frame(source)
    (child,) = _children()
    child.send_signal(number)
    _wait_for(source, "reconnecting")
    after = read_frame(source)
    assert source.state == "live"
    assert after.number > 0
    assert child.pid not in {other.pid for other in _children()}
    assert len(_children()) == 1
    source.close()
    wait_until(lambda: not child.is_running(), "the first process to be gone")


def test_signals_are_for_the_parent(network_camera: NetworkCamera) -> None:
    """What ends a whole group of processes, as a service's manager does, is left to the parent to act on."""
    source = open_source(network_camera.url)
    read_frame(source)
    (child,) = _children()
    for number in (signal.SIGTERM, signal.SIGINT):
        child.send_signal(number)
    for _ in range(10):
        read_frame(source)
    assert _children() == [child]
    assert source.losses == 0
    source.close()


def test_no_password_in_the_process_list(network_camera: NetworkCamera) -> None:
    """A camera's password is not among the arguments that everybody on the machine can read."""
    source = open_source(network_camera.url.replace("//", "//admin:s3cret@"))
    read_frame(source)
    (child,) = _children()
    assert "s3cret" not in " ".join(child.cmdline())
    source.close()


def test_no_more_processes(network_camera: NetworkCamera) -> None:
    """Where no process can be started for a moment, the source is lost, not the program."""
    source = open_source(network_camera.url)
    read_frame(source)
    (child,) = _children()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))  # no file can be opened any more
    try:
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: source.read(0.1) is None and "no process can be started" in source.reason, "the reason")
        assert source.state == "reconnecting"
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    read_frame(source)
    assert source.state == "live"
    source.close()


def test_wait_for_absent_source(network_camera: NetworkCamera) -> None:
    """A source that is absent at the start can be waited for; meanwhile its state says why."""
    network_camera.cut()
    source = open_source(network_camera.url, wait=True)
    wait_until(lambda: source.read(0.1) is None and source.reason, "the reason")
    assert (source.state, source.reason) == ("starting", "connection refused")
    network_camera.start()
    read_frame(source)
    assert (source.state, source.losses) == ("live", 0)
    source.close()


def test_too_many_failures(network_camera: NetworkCamera) -> None:
    """A source that failed as often in a row as is allowed ends with an error that says why."""
    source = open_source(network_camera.url, max_failures=3)
    read_frame(source)
    network_camera.cut()
    with pytest.raises(MissingError, match=r"3 times in a row: connection refused"):
        wait_until(lambda: source.read(0.1) and False, "the end")
    assert source.state == "ended"
    source.close()


def test_nothing_leaks(network_camera: NetworkCamera) -> None:
    """Losing a stream again and again leaves no thread, process or open file more than there was."""
    source = open_source(network_camera.url)
    read_frame(source)
    me = psutil.Process()

    def lose() -> None:
        (child,) = _children()
        child.kill()
        _wait_for(source, "reconnecting")
        read_frame(source)
        wait_until(lambda: len(_capture_threads()) == 1, "the first child to be cleared away")

    lose()
    files = me.num_fds()
    for _ in range(5):
        lose()
    assert me.num_fds() == files
    assert len(_children()) == 1
    source.close()


def test_reader_ends_with_its_parent(network_camera: NetworkCamera, tmp_path: Path) -> None:
    """When the program that reads a source is killed outright, nothing of it stays behind."""
    script = f"from edgefashion.camera.sources import source; s = source.open_source({network_camera.url!r})\nwhile True: s.read(1)"
    program = subprocess.Popen([sys.executable, "-c", script])
    network_camera.wait_for_viewer()
    (child,) = psutil.Process(program.pid).children()
    program.kill()
    program.wait()
    wait_until(lambda: not child.is_running(), "the child to end")
    wait_until(lambda: not network_camera.watched, "the connection to close")


# --- RTSP ------------------------------------------------------------------------------------

_SYSTEM_PYTHON = "/usr/bin/python3"
"""Debian's own, for which GStreamer's bindings are packaged."""


@pytest.fixture(scope="module")
def rtsp_port() -> int:
    probe = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"
    if not Path(_SYSTEM_PYTHON).exists() or subprocess.run([_SYSTEM_PYTHON, "-c", probe], check=False).returncode:
        pytest.skip("GStreamer's RTSP server is not installed (Debian: gir1.2-gst-rtsp-server-1.0 python3-gi)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def _rtsp_server(port: int) -> Iterator[subprocess.Popen[str]]:
    script = Path(__file__).parents[1] / "helpers" / "rtsp_server.py"
    server = subprocess.Popen([_SYSTEM_PYTHON, script, str(port)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    try:
        yield server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def test_rtsp_server_killed_and_restarted(rtsp_port: int) -> None:
    """An RTSP stream is read, is lost when its server is killed, and is live again once it runs again."""
    with _rtsp_server(rtsp_port):
        source = open_source(f"rtsp://127.0.0.1:{rtsp_port}/camera")
        frames = [read_frame(source) for _ in range(10)]
    assert frames[0].image.shape == (240, 320, 3)
    assert np.any(frames[0].image != frames[-1].image)
    _wait_for(source, "reconnecting")
    with _rtsp_server(rtsp_port):
        assert read_frame(source).number > frames[-1].number
        assert source.state == "live"
        source.close()


def test_rtsp_server_hangs(rtsp_port: int) -> None:
    """An RTSP server that hangs is lost, no old frame passing for a new one, and is found again."""
    with _rtsp_server(rtsp_port) as server:
        source = open_source(f"rtsp://127.0.0.1:{rtsp_port}/camera")
        read_frame(source)
        server.send_signal(signal.SIGSTOP)
        _wait_for(source, "stale")
        states: set[str] = set()

        def lost() -> bool:
            source.read(0.1)
            states.add(source.state)
            return source.state == "reconnecting"

        wait_until(lost, "the loss")
        assert states == {"stale", "reconnecting"}
        server.send_signal(signal.SIGCONT)
        read_frame(source)
        source.close()


def test_opencv_log_level_is_restored() -> None:
    """Silencing OpenCV for a failed open does not silence it for the rest of the program."""
    level = cv2.utils.logging.getLogLevel()
    with pytest.raises(MissingError):
        open_source("63")
    assert cv2.utils.logging.getLogLevel() == level
