"""RTSP, from a real server that is killed or hangs."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.camera import read_frame, wait_until
from helpers.sources import read_on, wait_for

from edgefashion.camera.sources.source import open_source

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
    server = subprocess.Popen([_SYSTEM_PYTHON, "-I", script, str(port)], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    try:
        yield server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.mark.linux_only("the RTSP server is Debian's GStreamer")
def test_rtsp_server_killed_and_restarted(rtsp_port: int) -> None:
    """An RTSP stream is read, is lost when its server is killed, and is live again once it runs again."""
    with _rtsp_server(rtsp_port):
        source = open_source(f"rtsp://127.0.0.1:{rtsp_port}/camera")
        frames = [read_frame(source) for _ in range(10)]
    assert frames[0].image.shape == (240, 320, 3)
    assert np.any(frames[0].image != frames[-1].image)
    wait_for(source, "reconnecting")
    with _rtsp_server(rtsp_port):
        assert read_frame(source).number > frames[-1].number
        assert source.state == "live"
        source.close()


@pytest.mark.linux_only("the RTSP server is Debian's GStreamer, stopped with SIGSTOP")
def test_rtsp_server_hangs(rtsp_port: int) -> None:
    """An RTSP server that hangs is lost, no old frame passing for a new one, and is found again."""
    with _rtsp_server(rtsp_port) as server:
        source = open_source(f"rtsp://127.0.0.1:{rtsp_port}/camera")
        read_on(source)
        server.send_signal(signal.SIGSTOP)
        wait_for(source, "stale")
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
