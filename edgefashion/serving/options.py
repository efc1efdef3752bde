"""The settings of ``serve``, and the addresses it listens on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from edgefashion.errors import BadInputError

LONGEST_S: Final = 86_400.0
"""That a request may take. Waiting for much longer overflows the system's clocks."""


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

    def __post_init__(self) -> None:
        """Raises :class:`BadInputError` for a number out of its range."""
        for flag, value, low, high in (
            ("--workers", self.workers, 0, 256),
            ("--queue", self.queue, 0, None),
            ("--timeout", self.timeout_s, 0.01, LONGEST_S),
            ("--drain-timeout", self.drain_timeout_s, 0, LONGEST_S),
            ("--max-request-mb", self.max_request_mb, 0.001, 2000),
            ("--max-images", self.max_images, 1, None),
            ("--max-megapixels", self.max_megapixels, 0.01, 134),
        ):
            # NaN is in no range.
            if not (low <= value and (high is None or value <= high)):
                what = f"at least {low:g}" if high is None else f"from {low:g} to {high:,g}"
                raise BadInputError(f"{flag} must be {what}, not {value:g}")


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
