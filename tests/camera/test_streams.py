"""What a URL may name besides an endless stream: slow cameras, pictures, films, segments, what is sent to us, files."""

from __future__ import annotations

import http.server
import io
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest
from helpers.camera import NetworkCamera, number_of, numbered, read_frame, wait_until, write_clip
from helpers.mqtt import free_port
from helpers.odd_cameras import OddCameras, jpeg, png
from helpers.sources import read_on, wait_for
from PIL import Image

from edgefashion.camera.sources.frame import LONGEST_LOST_S, LOST_S, STALE_S, UNKNOWN_LOST_S, Pace
from edgefashion.camera.sources.opencv import AHEAD_S, BEHIND_S, PlayClock
from edgefashion.camera.sources.schemes import for_ffmpeg, resolved
from edgefashion.camera.sources.source import open_source
from edgefashion.errors import BadInputError, MissingError

# --- Limits ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("intervals_s", "stale_s", "lost_s"),
    [
        ([], None, UNKNOWN_LOST_S),
        ([0.0, 4.0], None, UNKNOWN_LOST_S),  # the first picture twice, as some send it
        ([0.04] * 5, STALE_S, LOST_S),
        ([0.0, 4, 4, 4, 4], 12, 12),
        ([4.0] * 9, 12, 12),
        ([0.04, 0.04, 0.04, 2.0, 0.04, 0.04, 0.04, 2.0], 6, 6),  # in bursts
        ([30.0] * 9, LONGEST_LOST_S, LONGEST_LOST_S),
        ([4.0] * 9 + [0.04] * 9, STALE_S, LOST_S),
    ],
)
def test_limits_follow_the_pace(intervals_s: list[float], stale_s: float | None, lost_s: float) -> None:
    """How long a frame may take follows from how long the frames before took, once enough have come."""
    pace = Pace()
    for interval_s in intervals_s:
        pace.add(interval_s)
    assert pace.lost_s() == lost_s
    assert stale_s is None or pace.stale_s == stale_s
    assert STALE_S < pace.stale_s <= pace.lost_s() or stale_s == STALE_S


def test_a_frame_every_few_seconds_is_live() -> None:
    """A camera slower than any fixed limit is live from its first frame on."""
    with NetworkCamera(interval_s=3.5) as slow:
        source = open_source(slow.url)
        read_frame(source)
        told = [source.read(20) for _ in range(2)]
        assert all(told)
        assert (source.state, source.losses) == ("live", 0)
        source.close()


# --- Pictures --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["shot.jpg", "once"])
def test_a_picture_is_asked_for_again_and_again(path: str) -> None:
    """The address of a single picture is a live source of new ones, each asked for when one is wanted."""
    with OddCameras() as cameras:
        source = open_source(cameras.url(path))
        frames = [read_frame(source) for _ in range(6)]
        assert [frame.number for frame in frames] == list(range(6))
        if path == "shot.jpg":
            numbers = [number_of(frame.image) for frame in frames]
            assert numbers == sorted(set(numbers))
        asked = len(cameras.asked)
        time.sleep(0.5)
        assert len(cameras.asked) == asked
        assert (source.state, source.losses) == ("live", 0)
        source.close()


ADDED = {
    "a line behind it": jpeg() + b"\n<!-- camera 3 -->",
    "filled up": jpeg() + b"\xff" * 64,
    "a picture behind it": jpeg() + jpeg(9)[:900],
    "a line before it": b"\r\n" + jpeg(),
    "PNG and a note": png() + b"\0\0\0\0note",
}


@pytest.mark.parametrize("what", [*ADDED, ""])
def test_a_picture_with_more_to_it(what: str) -> None:
    """A picture is read whatever a camera adds to it, and where it tells neither its kind nor its length (the last)."""
    with OddCameras({"picture": ADDED.get(what, b"")}) as cameras:
        source = open_source(cameras.url("picture" if what else "untold"))
        assert number_of(read_frame(source).image) in (7, 1, 2)
        read_frame(source)
        assert (source.state, source.losses) == ("live", 0)
        source.close()


@pytest.mark.parametrize("frames", [0, 1])
def test_what_ffmpeg_opens_and_does_not_decode(frames: int) -> None:
    """A film of which no frame can be decoded is refused at once; one of a single frame gives that one and ends."""
    image = Image.new("RGB", (64, 64), (200, 30, 90))
    made = io.BytesIO()
    image.save(made, "GIF" if frames else "AVIF")
    with OddCameras({"film": made.getvalue()}) as cameras:
        if not frames:
            with pytest.raises(BadInputError, match="no video that can be read"):
                open_source(cameras.url("film"))
            return
        source = open_source(cameras.url("film"))
        assert read_frame(source).image.shape == (64, 64, 3)
        wait_for(source, "ended")
        source.close()


def test_what_is_no_picture_is_asked_for_seldom() -> None:
    """A camera whose picture is none after a while is asked less and less often for one, and says so; one that leads to
    a page of its own instead is told at once."""
    with OddCameras() as cameras:
        source = open_source(cameras.url("shot.jpg"))
        read_on(source)
        cameras.instead = "half.jpg"
        before = len(cameras.asked)
        wait_for(source, "reconnecting")
        assert source.reason.startswith("it sends no whole pictures; see in a browser")
        assert len(cameras.asked) - before < 10
        source.close()
        cameras.instead = ""
        source = open_source(cameras.url("shot.jpg"))
        read_on(source)
        cameras.instead = "login.html"
        wait_for(source, "reconnecting")
        assert source.reason.startswith("a page answers there, no stream (text/html)")
        source.close()


# --- Films -----------------------------------------------------------------------------------


def test_a_film_is_played_once(tmp_path: Path) -> None:
    """A film by URL is played by its own time, to its end, and not again."""
    film = write_clip(tmp_path / "film.mp4", [numbered(n) for n in range(12)], fps=6)
    with OddCameras({"film.mp4": film.read_bytes()}) as server:
        source = open_source(server.url("film.mp4"))
        seen: list[int] = []
        while source.state != "ended":
            if frame := source.read(0.5):
                seen.append(number_of(frame.image))
        assert source.reason == "the film has ended"
        assert source.losses == 0
        # At its own speed whoever reads all the time misses few.
        assert seen == sorted(set(seen))
        assert len(seen) > 5
        assert seen[-1] > 8
        source.close()


def test_a_film_that_breaks_off(tmp_path: Path) -> None:
    """A film of which only a part comes is an error at that part's end, not played again."""
    film = write_clip(tmp_path / "film.avi", [numbered(n, (64, 48)) for n in range(60)], fps=30).read_bytes()
    with OddCameras({"film.avi": film[: len(film) // 2]}) as server:
        source = open_source(server.url("film.avi"))
        with pytest.raises(MissingError, match="broke off after"):
            wait_until(lambda: source.read(0.1) and False, "the end")
        assert source.state == "ended"
        source.close()


@pytest.mark.parametrize(
    ("stamps_s", "waits_s"),
    [
        ([0, 0.04, 0.08], [0, 0.04, 0.08]),
        ([100, 100.5], [0, 0.5]),  # a stream begins anywhere
        ([0, 2, 1000, 1000.5], [0, 2, 0, 0.5]),  # a leap is not waited out
        ([50, 50.5, 0, 0.5], [0, 0.5, 0, 0.5]),  # it begins anew
    ],
)
def test_time_stamps_set_the_pace(stamps_s: list[float], waits_s: list[float]) -> None:
    """What has time stamps is played by them; where they leap, it goes on from there."""
    clock = PlayClock()
    assert [clock.wait_s(at_s, 7.0) for at_s in stamps_s] == pytest.approx(waits_s)
    assert clock.wait_s(stamps_s[-1] + 0.04, 1000.0) == 0  # late: it does not run after its time
    assert clock.wait_s(stamps_s[-1] + 0.08, 1000.0) == pytest.approx(0.04)
    assert AHEAD_S > 2 > BEHIND_S


class Segments:
    """A live stream in segments of a second, of which the newest three are on offer, as HLS has it."""

    def __init__(self, stream: bytes) -> None:
        began_s = time.monotonic()
        size = len(stream) // _SECONDS // 188 * 188

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                name = self.path.partition("?")[0].strip("/")
                if name.endswith(".ts"):
                    at = int(name.removesuffix(".ts")) * size
                    body = stream[at : at + size]
                else:
                    first = int(time.monotonic() - began_s)
                    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
                    for number in range(first, first + 3):
                        lines += ["#EXTINF:1.0,", f"{number}.ts"]
                    body = "\n".join([*lines, ""]).encode()
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t" if name.endswith(".ts") else "text/plain")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()


_SECONDS = 60


@pytest.fixture(scope="module")
def transport_stream(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A minute of MPEG-2 in a transport stream, ten frames a second."""
    path = tmp_path_factory.mktemp("ts") / "minute.ts"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mpg2"), 10, (64, 48))
    assert writer.isOpened()
    for number in range(10 * _SECONDS):
        writer.write(numbered(number * 100, (64, 48)))
    writer.release()
    return path.read_bytes()


def test_segments_are_played_by_their_time(transport_stream: bytes) -> None:
    """A stream in segments goes on beyond those that were on offer at first, without a loss between two of them."""
    served = Segments(transport_stream)
    source = open_source(f"http://127.0.0.1:{served.server.server_port}/live.m3u8?a=b")
    while read_frame(source).number < 40:
        pass
    assert (source.state, source.losses) == ("live", 0)
    source.close()
    served.server.shutdown()
    served.server.server_close()


# --- What is sent to us ----------------------------------------------------------------------


@pytest.fixture
def sent(transport_stream: bytes) -> Iterator[int]:
    """A port of this machine to which a transport stream is sent."""
    port, stop = free_port(), threading.Event()

    def send() -> None:
        packets = [transport_stream[at : at + 7 * 188] for at in range(0, len(transport_stream), 7 * 188)]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            while not stop.is_set():
                for packet in packets:
                    out.sendto(packet, ("127.0.0.1", port))
                    stop.wait(0.002)

    thread = threading.Thread(target=send)
    thread.start()
    yield port
    stop.set()
    thread.join()


def test_what_is_sent_by_udp(sent: int) -> None:
    """A stream that is sent to this machine is read; nobody is knocked at for it."""
    source = open_source(f"UDP://@:{sent}")
    frames = [read_frame(source) for _ in range(3)]
    assert frames[-1].image.shape == (48, 64, 3)
    source.close()


# --- Names -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("rtsps://127.0.0.1:9000/live#ca=own.pem", "#ca= is for https://. Leave it out"),
        ("srt://127.0.0.1:9000", "srt:// is not read here. Let its sender offer rtsp://"),
        ("SRT://127.0.0.1:9000", "srt:// is not read here"),
        ("rist://127.0.0.1:9000", "MPEG-TS by udp://"),
        ("ftp://127.0.0.1/clip.mp4", "Copy the film to this machine"),
        ("s3://shop/clip.mp4", "Copy the film to this machine"),
        ("v4l2:///dev/video0", "such as /dev/video0"),
        ("webrtc://cam/1", "Give the rtsp:// address"),
        ("onvif://cam", "Give the rtsp:// address"),
        ("hls://cam/a.m3u8", "http"),
        ("gopher://cam/1", "Read are http://"),
        ("udp://127.0.0.1", "names no port"),
        ("rtp://@", "names no port"),
        ("tcp://127.0.0.1", "names no port"),
        ("http://", "names no host"),
        ("rtsp://cam:port/live", "no address"),
        ("rtsp://admin:S3c/ret@cam/live", "write / as %2F"),
        ("http://[::1/live", "no address"),
        ("file://other/share/clip.mp4", "file of another machine"),
        ("file:///no/such/clip.mp4", "/no/such/clip.mp4 does not exist"),
        ("192.168.1.20/live", "Give rtsp://192.168.1.20/live or http://192.168.1.20/live if it is a network camera"),
        ("admin:S3cret@camera.local:554/live", "Give rtsp://...@camera.local:554/live or"),
        pytest.param("x" * 5000, "does not exist", id="longer than a name may be"),
    ],
)
@pytest.mark.parametrize("wait", [False, True])
def test_what_is_not_read_says_what_to_give(spec: str, words: str, wait: bool) -> None:
    """An address that is not read here is bad input at once, with what to give instead, also where one is to wait."""
    with pytest.raises(BadInputError) as caught:
        open_source(spec, wait=wait)
    assert words in str(caught.value)
    assert "S3c" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "read"),
    [
        ("RTSP://Cam/Live", "rtsp://Cam/Live"),
        ("rtp://@:5004", "rtp://0.0.0.0:5004"),
        ("rtp://:5004", "rtp://0.0.0.0:5004"),
        ("rtp://@239.0.0.1:5004", "rtp://239.0.0.1:5004"),
        ("udp://@239.0.0.1:5004?reuse=1", "udp://@239.0.0.1:5004?reuse=1"),
    ],
)
def test_addresses_as_ffmpeg_takes_them(url: str, read: str) -> None:
    """Forms that people write are made those that FFmpeg knows."""
    assert for_ffmpeg(url) == read


@pytest.mark.linux_only("paths as POSIX writes them")
@pytest.mark.parametrize("name", ["clip.mp4", "clip 1.mp4", "a%20b.mp4", "shop [2024] #1?.mp4", "ü.mp4"])
def test_a_file_by_its_url(tmp_path: Path, name: str) -> None:
    """A file:// address is the path that it names, escaped or as it is."""
    path = tmp_path / name
    path.touch()
    for url in (path.as_uri(), f"file://{path}", f"file://localhost{path}"):
        assert resolved(url) == str(path)


@pytest.mark.linux_only("no colon is part of a name on Windows")
@pytest.mark.parametrize("name", ["cam:1.mp4", "udp:%03d|x.avi"])
def test_a_relative_name_with_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A film whose name FFmpeg would take for a protocol is written, and read, like any other."""
    monkeypatch.chdir(tmp_path)
    write_clip(Path(name), [numbered(n) for n in range(3)])
    assert [path.name for path in tmp_path.iterdir()] == [name]
    source = open_source(name)
    assert [number_of(read_frame(source).image) for _ in range(3)] == [0, 1, 2]
    source.close()
