"""Served models for tests: `edgefashion serve` as a process, and servers that answer what a test wants."""

from __future__ import annotations

import http.server
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.inference.remote.client import Limits

if TYPE_CHECKING:
    pass

PROTOCOLS: Final = ("http", "grpc")
SOON: Final = Limits(0.3, 0.3)


class Server:
    """`edgefashion serve` as a process, with its ports kept when it is started again."""

    def __init__(self, *models: str) -> None:
        self._ports = ["--port=0", "--grpc-port=0"]
        self.start(*models)
        self.wait()

    def start(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgefashion", "serve", *arguments, "--workers=1", *self._ports],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def wait(self) -> None:
        """Return once it is ready."""
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self._urls = {protocol: str(told[protocol]) for protocol in PROTOCOLS}
        ports = [url.rpartition(":")[2] for url in self._urls.values()]
        self._ports = [f"--port={ports[0]}", f"--grpc-port={ports[1]}"]

    def url(self, protocol: str, model: str) -> str:
        return f"{self._urls[protocol]}/v2/models/{model}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def answering(reply: Callable[[str, bytes], tuple[int, str, bytes]]) -> Iterator[int]:
    """A server of HTTP that answers each path and body with what ``reply`` gives: status, type and body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            given = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, kind, body = reply(self.path, given)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 (http.server's name)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield found.server_port
        found.shutdown()


class Pretending:
    """A server that answers what a test wants, and notes what it was asked for."""

    def __init__(self, shape: tuple[int, ...], **facts: object) -> None:
        self.shape = shape
        told = {"labels": ["a", "b"], "accept_threshold": 0.5, "precision": "int8", "input_shape": shape}
        self.facts = {**told, **facts}
        self.status = 200
        self.asked: list[tuple[str, int]] = []
        """Paths, each with how many images came."""
        self.tensors = {"probabilities": np.zeros((1, 2), np.float32)}

    def __call__(self, path: str, body: bytes) -> tuple[int, str, bytes]:
        number, answer = 0, {}
        if path.endswith("/infer"):
            asked, _ = json.JSONDecoder().raw_decode(body.decode("latin-1"))
            number = asked["inputs"][0]["shape"][0]
            outputs = [self._tensor(each["name"], number) for each in asked["outputs"]]
            answer = {"model_name": "m", "outputs": outputs, "parameters": {"facts": json.dumps(self.facts)}}
        elif path.endswith("/m"):
            inputs = [{"name": "images", "datatype": "UINT8", "shape": [-1, *self.shape]}]
            answer = {"inputs": inputs, "outputs": [{"name": "probabilities"}, {"name": "mask"}]}
        self.asked.append((path, number))
        return self.status, "application/json", json.dumps(answer).encode()

    def _tensor(self, name: str, number: int) -> dict[str, Any]:
        one = self.tensors[name]
        data = np.repeat(one, number, 0)
        kind = {"f": f"FP{8 * one.itemsize}", "i": f"INT{8 * one.itemsize}", "U": "BYTES"}[one.dtype.kind]
        return {"name": name, "datatype": kind, "shape": list(data.shape), "data": data.ravel().tolist()}
