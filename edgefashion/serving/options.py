"""The settings of ``serve``, and the addresses it listens on."""

from __future__ import annotations

import json
from dataclasses import dataclass


@dataclass(frozen=True)
class ServeOptions:
    """How to serve."""

    host: str = "127.0.0.1"
    http_port: int = 8080
    """0: any that is free."""
    grpc_port: int = 8081
    precision: str | None = None
    device: str | None = None
    """What OpenVINO runs on, as :func:`edgefashion.load` takes it; None: the CPU."""
    workers: int = 0
    """Requests computed at once; 0: one a core."""
    queue: int = 256
    """Requests that may wait while others are computed."""
    timeout_s: float = 10.0
    """The time in which a request is to be sent, and then the time in which it is to be computed."""
    drain_timeout_s: float = 10.0
    """At the end, for requests that are being computed."""
    max_request_mb: float = 32.0
    max_images: int = 256
    """Images in one request."""
    max_megapixels: float = 64.0
    """Size of one encoded picture."""


@dataclass(frozen=True)
class Addresses:
    """Where the server is to be found."""

    http: str
    grpc: str
    models: dict[str, str]
    """Each model's name and its URL over HTTP."""

    def as_json(self) -> str:
        """The line scripts wait for."""
        return json.dumps({"ready": True, "http": self.http, "grpc": self.grpc, "models": self.models})
