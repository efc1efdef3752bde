"""Live sources: the newest frame, lost and found again, and closed without anything left behind."""

from __future__ import annotations

import contextlib
import threading
import time

import numpy as np
import pytest
from helpers.camera import NetworkCamera, number_of, numbered, read_frame, wait_until
from helpers.sources import capture_threads, read_on, wait_for

from edgefashion.camera.sources.source import open_source
from edgefashion.errors import MissingError


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
    read_on(source)
    network_camera.paused.set()
    wait_until(lambda: source.read(0.1) is None and source.state == "reconnecting", "the stall to show")
    network_camera.paused.clear()
    read_frame(source)
    assert source.state == "live"
    source.close()


def test_loss_is_told_once(network_camera: NetworkCamera) -> None:
    """The loss of a stream ends a read at once, and so does another reason for it; the reads after that wait out their
    time, so that a loop around them does not spin."""
    with contextlib.closing(open_source(network_camera.url)) as source:
        read_frame(source)
        network_camera.cut()
        while source.read(5 * 60) is not None:  # the last frames; then the loss, or this would hang
            pass
        assert source.state == "reconnecting"
        began, reads, reasons = time.monotonic(), 0, {source.reason}
        while time.monotonic() - began < 0.9:
            assert source.read(0.3) is None
            reads, reasons = reads + 1, reasons | {source.reason}
        assert reads <= 3 + len(reasons)


def test_close_leaves_nothing(network_camera: NetworkCamera) -> None:
    """Closing a live source ends its thread and its connection, and no late frame revives it."""
    source = open_source(network_camera.url)
    read_frame(source)
    assert len(capture_threads()) == 1
    assert network_camera.watched
    source.close()
    assert source.state == "ended"
    source.close()
    assert not capture_threads()
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
    assert not capture_threads()
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
    assert not capture_threads()


def test_stale_before_lost(network_camera: NetworkCamera) -> None:
    """A stream that stalls is stale at first, which the next frame mends without a new connection."""
    source = open_source(network_camera.url)
    read_frame(source)
    network_camera.paused.set()
    wait_for(source, "stale")
    assert "no frame came" in source.reason
    network_camera.paused.clear()
    read_frame(source)
    assert (source.state, source.reason, source.losses) == ("live", "", 0)
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


@pytest.mark.linux_only("POSIX's words for a refused connection")
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


@pytest.mark.linux_only("POSIX's words for a refused connection")
def test_too_many_failures(network_camera: NetworkCamera) -> None:
    """A source that failed as often in a row as is allowed ends with an error that says why."""
    source = open_source(network_camera.url, max_failures=3)
    read_frame(source)
    network_camera.cut()
    with pytest.raises(MissingError, match=r"3 times in a row: connection refused"):
        wait_until(lambda: source.read(0.1) and False, "the end")
    assert source.state == "ended"
    source.close()
