"""The command ``serve``: its start, its end, and what it does under load."""

from __future__ import annotations

import contextlib
import io
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil
import pytest
from helpers.serve import Server, infer
from helpers.types import Run
from numpy.typing import NDArray
from PIL import Image
from tritonclient.utils import InferenceServerException

from edgefashion.errors import BadInputError
from edgefashion.serving.serve import bound


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_nothing_leaves_the_machine(server: Server) -> None:
    """The server has no connection but those that clients made to it."""
    known = {int(address.rpartition(":")[2]) for address in server.address.values()}
    its = [one for one in psutil.net_connections("inet") if one.pid == server.process.pid]
    assert len(its) >= 2
    for connection in its:
        assert connection.laddr.port in known
        assert connection.laddr.ip.removeprefix("::ffff:") == "127.0.0.1"


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_overload_slowness_and_the_end(pictures: list[bytes]) -> None:
    """Over its queue the server says so at once; what takes too long is given up; SIGTERM waits for what is inside."""
    large = io.BytesIO()
    Image.new("L", (4000, 4000)).save(large, "PNG")
    few, many = (np.array(pictures[:1] * count, object) for count in (5, 16))
    without_end = np.array([large.getvalue()] * 250, object)  # for any machine
    with Server("kiosk", "--workers=1", "--queue=1", "--timeout=4") as server, ThreadPoolExecutor(12) as threads:

        def ask(protocol: str, tensor: NDArray[Any] = many) -> str:
            try:
                infer(server.client(protocol, **patience[protocol]), "kiosk", tensor, "pictures")
            except InferenceServerException as refused:
                return str(refused.status())
            except OSError as error:  # not even connected
                return type(error).__name__
            return "ok"

        patience = {"http": {"network_timeout": 30}, "grpc": {}}
        silent, header, slow = (server.connect() for _ in range(3))
        header.sendall(b"POST /v2/models/kiosk/infer HTTP/1.1\r\nHost: x\r\nContent-Le")
        slow.sendall(b"POST /v2/models/kiosk/infer HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nhalf")
        said = list(threads.map(lambda protocol: ask(protocol, few), ["http", "grpc"] * 6))
        assert said.count("ok") >= 2
        assert {"503", "StatusCode.RESOURCE_EXHAUSTED"} & set(said)
        assert set(said) <= {"ok", "503", "StatusCode.RESOURCE_EXHAUSTED"}
        # One is computed too long, and the other waits too long.
        late = list(threads.map(lambda protocol: ask(protocol, without_end), ["http", "grpc"]))
        assert late == ["504", "StatusCode.DEADLINE_EXCEEDED"]
        assert slow.recv(1000).startswith(b"HTTP/1.1 408")
        for cut in (silent, header):
            with contextlib.suppress(ConnectionError):
                assert cut.recv(1000) == b""
        assert ask("http", few) == "ok"

        inside = [threads.submit(ask, "http"), threads.submit(ask, "grpc")]
        while "edgefashion_requests_in_flight 2.0" not in server.get("/metrics")[1]:
            assert not any(one.done() for one in inside)
        server.process.send_signal(signal.SIGTERM)
        while server.get("/v2/health/ready")[0] != 503:
            assert not any(one.done() for one in inside)
        new = ask("http"), ask("grpc")
        assert not all(one.done() for one in inside)
        assert new == ("503", "StatusCode.UNAVAILABLE")
        assert [one.result() for one in inside] == ["ok", "ok"]
        assert server.process.wait(30) == 143
        assert server.process.communicate()[1] == ""


def test_end_in_mid_work() -> None:
    """Once drained, the process ends, though a thread is still at a picture."""
    program = """
import concurrent.futures, signal, time
from edgefashion.cli import main as cli
from edgefashion.serving import serve
def ended(*_):
    concurrent.futures.ThreadPoolExecutor(1).submit(time.sleep, 60)
    print("served")
    return signal.SIGTERM
serve.serve = ended
cli.app(["serve"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    assert (done.returncode, done.stdout) == (143, "served\n")


def test_one_server_an_address() -> None:
    """A second server on an address is refused though the first is still loading its models."""
    with (
        bound("127.0.0.1", 0, "--port") as first,
        pytest.raises(BadInputError, match="Choose another --port"),
    ):
        bound("127.0.0.1", first.getsockname()[1], "--port")


@pytest.mark.linux_only("the server is ended by SIGTERM and must say 143")
def test_ctrl_c_and_ports_and_warning(run_here: Run) -> None:
    """Ctrl-C ends it with 130; a port in use is told before anything is loaded; so is an open address."""
    with Server("edge", "--host=0.0.0.0") as server:
        port = server.said["http"].rpartition(":")[2]
        for option in ("--port", "--grpc-port"):
            refused = run_here("serve", "edge", "--port=0", "--grpc-port=0", f"{option}={port}")
            assert refused.returncode == 2
            assert refused.stderr.count("\n") == 1
            assert f"Choose another {option}" in refused.stderr
        code, said = server.end(signal.SIGINT)
        assert code == 130
        assert "can be reached from other machines" in said
        assert said.count("\n") == 1


def test_without_the_extra(run_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without KServe it says in one line how to get it, and exits with 3."""
    monkeypatch.setattr("edgefashion.system.extras.find_spec", lambda name: None)
    missing = run_here("serve")
    assert missing.returncode == 3
    assert 'pip install "edgefashion[serve]"' in missing.stderr


def test_unknown_and_double_models(run_here: Run) -> None:
    """A model that is none, or named twice, is told before anything is loaded."""
    options = "--port=0", "--grpc-port=0"
    assert "no model 'nope'" in run_here("serve", "nope", *options).stderr
    assert "named alike" in run_here("serve", "edge", "edge", *options).stderr
