"""A network camera in a process of its own that misbehaves on command: motion JPEG over HTTP on 127.0.0.1.

    python benchmarks/camera/bad_camera.py [--port 0] [--fps 30] [--size 1280x720] [--garments 6] [--seconds-each 3]

Prints its port. Shows Fashion-MNIST test images, one after the other, with a sensor's noise. Reads one word a line
from stdin: ``stall``, ``truncate``, ``garbage``, ``header`` (one that never ends, to who connects from then on),
``freeze``, ``black``, ``small``, and ``live`` to be itself again.
"""

from __future__ import annotations

import argparse
import http.server
import os
import subprocess
import sys
import threading
import time
from typing import Self

import cv2
import numpy as np

from edgefashion.camera import demo_clip
from edgefashion.data import fashion_mnist

NOISE_LEVELS = 4
_PICTURES_EACH = 20


class BadCamera:
    """The process, for a benchmark to drive. ``port`` 0 takes a free one, which :meth:`restart` takes again."""

    def __init__(self, *arguments: str) -> None:
        self._arguments = arguments
        self._port = 0
        self.restart()

    def restart(self) -> None:
        """Start it, again on the same port."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--port", str(self._port), *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self._port = int(self._process.stdout.readline())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/camera.mjpg"

    def be(self, how: str) -> None:
        """Behave ``how`` from now on."""
        assert self._process.stdin is not None
        print(how, file=self._process.stdin, flush=True)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


def pictures(garments: int, size_wh: tuple[int, int]) -> list[list[bytes]]:
    """JPEGs of each garment, each with noise of its own."""
    rng = np.random.default_rng(0)
    images, _ = fashion_mnist.load("test")
    found = []
    for image in images[:garments]:
        scene = cv2.resize(demo_clip.scene_of(image), size_wh, interpolation=cv2.INTER_AREA).astype(np.int16)
        each = []
        for _ in range(_PICTURES_EACH):
            noise = rng.integers(-NOISE_LEVELS, NOISE_LEVELS + 1, scene.shape, dtype=np.int16)
            each.append(jpeg(np.clip(scene + noise, 0, 255).astype(np.uint8)))
        found.append(each)
    return found


def jpeg(picture: cv2.typing.MatLike) -> bytes:
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def main() -> None:
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--port", type=int, default=0)
    arguments.add_argument("--fps", type=float, default=30)
    arguments.add_argument("--size", default="1280x720")
    arguments.add_argument("--garments", type=int, default=6)
    arguments.add_argument("--seconds-each", type=float, default=3)
    given = arguments.parse_args()
    width, height = (int(n) for n in given.size.split("x"))
    shown = pictures(given.garments, (width, height))
    small = pictures(given.garments, (width // 2, height // 2))
    black = jpeg(np.full((height, width, 3), 2, np.uint8))
    how = ["live"]
    began_s = time.monotonic()

    def current(number: int) -> bytes:
        place = int((time.monotonic() - began_s) / given.seconds_each) % len(shown)
        if how[0] == "freeze":
            return shown[0][0]
        if how[0] == "black":
            return black
        whole = (small if how[0] == "small" else shown)[place][number % _PICTURES_EACH]
        if how[0] == "truncate":
            return whole[: len(whole) // 2]
        return os.urandom(len(whole)) if how[0] == "garbage" else whole

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                self.serve()
            except OSError:  # the viewer has left
                return

        def serve(self) -> None:
            if how[0] == "header":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
                while how[0] == "header":
                    self.wfile.write(b"a" * 16)
                    time.sleep(0.05)
                return
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            due_s, number = time.monotonic(), 0
            while True:
                if how[0] != "stall":
                    one = current(number)
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(one)}\r\n\r\n"
                    self.wfile.write(head.encode() + one + b"\r\n")
                    number += 1
                due_s = max(due_s + 1 / given.fps, time.monotonic() - 0.1)
                time.sleep(max(0.0, due_s - time.monotonic()))

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", given.port), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    for line in sys.stdin:
        how[0] = line.strip()


if __name__ == "__main__":
    main()
