"""``edgefashion serve`` in a process of its own, and requests to it."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from typing import Any, Self

import cv2
import numpy as np
import pytest
import tritonclient.grpc as triton_grpc
import tritonclient.http as triton_http
from numpy.typing import NDArray

MAX_BYTES = 2_000_000
MAX_IMAGES = 100
LIBRARIES = {"http": triton_http, "grpc": triton_grpc}
both = pytest.mark.parametrize("protocol", ["http", "grpc"])
ZEROS = np.zeros((1, 28, 28, 1), np.uint8)


class Server:
    """``edgefashion serve`` in a process of its own, on free ports."""

    def __init__(self, *arguments: str) -> None:
        command = [sys.executable, "-m", "edgefashion", "serve", *arguments, "--port", "0", "--grpc-port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout
        self.first_line = self.process.stdout.readline()
        assert self.first_line, self.process.communicate()[1]
        self.said = json.loads(self.first_line)
        self.address = {p: self.said[p].rpartition("/")[2] for p in ("http", "grpc")}

    def client(self, protocol: str, **options: Any) -> Any:
        return LIBRARIES[protocol].InferenceServerClient(self.address[protocol], **options)

    def get(self, path: str) -> tuple[int, str]:
        return self._open(urllib.request.Request(f"{self.said['http']}{path}"))

    def post(self, body: bytes, model: str = "edge", **headers: str) -> tuple[int, Any]:
        url = f"{self.said['http']}/v2/models/{model}/infer"
        status, text = self._open(urllib.request.Request(url, body, headers))
        return status, json.loads(text)

    def _open(self, request: urllib.request.Request) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def connect(self) -> socket.socket:
        host, port = self.address["http"].split(":")
        return socket.create_connection((host, int(port)), timeout=30)

    def end(self, how: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit code, and what it said on stderr."""
        self.process.send_signal(how)
        return self.process.wait(30), self.process.communicate()[1]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


def infer(client: Any, model: str, tensor: NDArray[Any], name: str = "images", **options: Any) -> Any:
    """One request of tritonclient's, whichever protocol the client speaks."""
    library = triton_http if isinstance(client, triton_http.InferenceServerClient) else triton_grpc
    return client.infer(model, [input_of(library, tensor, name)], **options)


def input_of(library: Any, tensor: NDArray[Any], name: str = "images", **options: Any) -> Any:
    given = library.InferInput(name, list(tensor.shape), "BYTES" if tensor.dtype == object else "UINT8")
    given.set_data_from_numpy(tensor, **options)
    return given


def views_of(scene: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two different inputs for the photo network."""
    view = np.asarray(cv2.resize(scene, (160, 160)), np.uint8)
    return np.stack([view, view[:, ::-1]])


def as_json(tensor: NDArray[Any], **more: Any) -> bytes:
    given = {"name": "images", "shape": list(tensor.shape), "datatype": "UINT8", "data": tensor.ravel().tolist()}
    return json.dumps({"inputs": [given], **more}).encode()
