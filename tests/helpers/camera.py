"""What the camera's tests share: clips, a network camera, the running command, a virtual screen."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

import cv2
import numpy as np

from edgefashion.camera import demo_clip
from edgefashion.camera.events.event import ANSWERS, CONDITIONS
from edgefashion.camera.outputs.recording import Recorder
from edgefashion.camera.sources.source import Frame, Source
from edgefashion.labels import GROUPS, LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

PATIENCE_S = 60.0
"""Only prevents a hang: no test is about how long something takes."""


def wait_until(ready: Callable[[], object], what: str) -> None:
    """Return once ``ready()`` is true; fail if it never is."""
    deadline = time.monotonic() + PATIENCE_S
    while not ready():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


# --- Pictures --------------------------------------------------------------------------------

_GRID_WH = (4, 4)


def numbered(number: int, size_wh: tuple[int, int] = (320, 240)) -> Picture:
    """A picture that carries ``number`` (16 bits) as black and white fields no codec can blur."""
    bits = np.array([(number >> bit) & 1 for bit in range(16)], np.uint8).reshape(_GRID_WH) * 255
    grey = cv2.resize(bits, size_wh, interpolation=cv2.INTER_NEAREST)
    return np.repeat(grey[..., None], 3, axis=2)


def number_of(picture: Picture) -> int:
    """The number a :func:`numbered` picture carries."""
    fields = cv2.resize(picture, _GRID_WH, interpolation=cv2.INTER_AREA)[..., 0]
    return sum(int(value > 127) << bit for bit, value in enumerate(fields.reshape(-1)))


def blank(size_wh: tuple[int, int] = demo_clip.FRAME_WH) -> Picture:
    """An empty wall."""
    return np.full((size_wh[1], size_wh[0], 3), demo_clip.BACKGROUND, np.uint8)


def write_clip(path: Path, pictures: Sequence[Picture], fps: float = 10) -> Path:
    """Write a real video file of ``pictures``."""
    recorder = Recorder(path, fps)
    for picture in pictures:
        recorder.write(picture)
    recorder.close()
    return path


def read_clip(path: Path) -> list[Picture]:
    """Every frame of a video file, by OpenCV itself."""
    capture = cv2.VideoCapture(str(path))
    frames: list[Picture] = []
    while True:
        ok, frame = capture.read()
        if not ok:
            capture.release()
            return frames
        frames.append(frame)


# --- A network camera ------------------------------------------------------------------------


def whole_part(jpeg: bytes) -> bytes:
    """A picture as a well-made camera sends it."""
    return f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n".encode() + jpeg + b"\r\n"


def unsized_part(jpeg: bytes) -> bytes:
    """A picture whose length is not told."""
    return b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg + b"\r\n"


def truncated_part(jpeg: bytes) -> bytes:
    """A picture that breaks off in the middle; its length is that of what is sent."""
    return whole_part(jpeg[: len(jpeg) // 2])


def overlong_part(jpeg: bytes) -> bytes:
    """A picture that breaks off in the middle of the length that was told."""
    return whole_part(jpeg)[: -len(jpeg) // 2] + b"\r\n"


def undertold_part(jpeg: bytes) -> bytes:
    """A picture longer than is told."""
    told = f"Content-Length: {len(jpeg)}".encode()
    return whole_part(jpeg).replace(told, f"Content-Length: {len(jpeg) * 2 // 3}".encode())


def garbage_part(jpeg: bytes) -> bytes:
    """Bytes that are no picture, of the length of one."""
    return whole_part(np.random.default_rng(len(jpeg)).bytes(len(jpeg)))


class NetworkCamera:
    """Motion JPEG over HTTP on 127.0.0.1, as IP cameras send it; the test pauses, cuts and corrupts it."""

    def __init__(self, picture: Callable[[int], Picture] = numbered, interval_s: float = 0.02) -> None:
        self.picture = picture
        self._interval_s = interval_s
        self._port = 0
        self._server: http.server.ThreadingHTTPServer | None = None
        self._connections: set[socket.socket] = set()
        self.paused = threading.Event()
        self.endless_header = threading.Event()
        """New viewers are sent a header that never ends."""
        self.part: Callable[[bytes], bytes] = whole_part
        """What is sent for a JPEG."""
        self.sent = 0
        """Pictures sent so far; the next one gets this number."""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.cut()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/camera.mjpg"

    @property
    def watched(self) -> bool:
        """True while someone is connected."""
        return bool(self._connections)

    def start(self) -> None:
        """Serve, on the port of the last time if there was one; nothing more where it serves already."""
        if self._server is not None:
            return
        camera = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                camera._connections.add(self.connection)
                try:
                    # A viewer that leaves, and cut(), both break the connection: nothing to report.
                    with contextlib.suppress(OSError):
                        camera._serve(self)
                finally:
                    camera._connections.discard(self.connection)

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        self._port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.02,), name="server", daemon=True).start()

    def _serve(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        if self.endless_header.is_set():
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            while handler.server is self._server and self.endless_header.is_set():
                handler.wfile.write(b"a" * 16)
                time.sleep(self._interval_s)
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        handler.end_headers()
        while handler.server is self._server:  # a viewer that slips in while cut() is at it is cut too
            if not self.paused.is_set():
                jpeg = cv2.imencode(".jpg", self.picture(self.sent))[1].tobytes()
                handler.wfile.write(self.part(jpeg))
                self.sent += 1
            elif select.select([handler.connection], [], [], 0)[0]:
                return  # the viewer has left, which without sending shows in no other way
            time.sleep(self._interval_s)

    def wait_for_viewer(self) -> None:
        """Return once someone is connected."""
        wait_until(lambda: self._connections, "a viewer")

    def cut(self) -> None:
        """Pull the plug: every connection breaks and the port refuses."""
        if self._server is None:
            return
        server, self._server = self._server, None
        server.shutdown()
        server.server_close()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        wait_until(lambda: not self._connections, "the connections to break")


def refusing_url() -> str:
    """A URL on this machine on whose port nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/camera.mjpg"


def read_frame(source: Source) -> Frame:
    """The next frame of ``source``, however long the machine takes."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        frame = source.read(0.5)
        if frame is not None:
            return frame
        assert source.state != "ended", "the source has ended"
    raise AssertionError("no frame came")


# --- The command -----------------------------------------------------------------------------

COMMAND = (sys.executable, "-m", "edgefashion", "camera", "edge")


def command(model: str | None) -> tuple[str, ...]:
    """The camera's command line with ``model``; None leaves it out."""
    return (*COMMAND[:-1], *([model] if model else []))


NAMES = {*LABELS, *GROUPS}
FIELDS = ("time", "frame", "state", "label", "confidence", "latency_ms", "reason", "garments", "network")


def environment(display_name: str | None = None) -> dict[str, str]:
    """This process's environment on the given X display, or on none."""
    hidden = {"DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"}
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return kept | ({"DISPLAY": display_name} if display_name else {})


def run_camera(
    cwd: Path, *arguments: str | Path, display_name: str | None = None, model: str | None = "edge"
) -> subprocess.CompletedProcess[str]:
    """Run ``edgefashion camera`` with the shipped model to its end."""
    return subprocess.run(
        [*command(model), *map(str, arguments)],
        cwd=cwd,
        env=environment(display_name),
        capture_output=True,
        text=True,
        timeout=5 * PATIENCE_S,
        check=False,
    )


def parse(lines: str) -> list[dict[str, Any]]:
    """The events in JSON Lines; every one has exactly the promised fields, in their order."""
    events = [json.loads(line) for line in lines.splitlines()]
    for event in events:
        assert tuple(event) == FIELDS
        assert event["state"] in {*ANSWERS, *CONDITIONS, "fault"}
        assert event["label"] is None or event["label"] in NAMES
        if event["state"] not in ANSWERS:
            assert event["garments"] is None
        for garment in event["garments"] or []:
            assert tuple(garment) == ("label", "confidence", "accepted", "box", "worn", "id")
            assert garment["label"] in NAMES
    return events


class RunningCamera:
    """``edgefashion camera`` as a process, its events read while it runs."""

    def __init__(
        self,
        cwd: Path,
        *arguments: str | Path,
        display_name: str | None = None,
        model: str = "edge",
        more: Mapping[str, str] | None = None,
    ) -> None:
        """``more`` is added to the environment."""
        self._errors = cwd / "stderr.txt"
        with self._errors.open("w") as errors:
            self.process = subprocess.Popen(
                [*command(model), *map(str, arguments), "--events", "-"],
                cwd=cwd,
                env={**environment(display_name), **(more or {})},
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        assert self.process.stdout is not None
        self._lines: list[str] = []
        self._reader = threading.Thread(target=self._read, args=(self.process.stdout,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self, stdout: IO[str]) -> None:
        self._lines.extend(stdout)

    @property
    def events(self) -> list[dict[str, Any]]:
        """Every whole line so far."""
        return parse("".join(line for line in list(self._lines) if line.endswith("\n")))

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def wait_for(self, state: str, after: int = 0) -> int:
        """Wait for an event of ``state`` behind the first ``after`` events; returns its index."""

        def found() -> list[int]:
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.errors}"
            return [i for i, event in enumerate(self.events) if i >= after and event["state"] == state]

        wait_until(found, f"an event {state}")
        return found()[0]

    def end(self, number: signal.Signals | None = None) -> int:
        """Send a signal, if one is given, and return the exit code."""
        if number is not None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE_S)
        self._reader.join()
        return code
