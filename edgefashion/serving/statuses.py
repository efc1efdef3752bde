"""Why a request is refused, and the HTTP and gRPC status that says so."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Refusal:
    """A reason to refuse a request, in both protocols."""

    outcome: str
    """As the metrics call it."""
    http: int
    """The HTTP status."""
    grpc: str
    """The name of a ``grpc.StatusCode``."""
    retry_after_s: int | None = None


BUSY = Refusal("overloaded", 503, "RESOURCE_EXHAUSTED", 1)


DRAINING = Refusal("draining", 503, "UNAVAILABLE", 5)


LATE = Refusal("timeout", 504, "DEADLINE_EXCEEDED")


SLOW = Refusal("timeout", 408, "DEADLINE_EXCEEDED")


LARGE = Refusal("too_large", 413, "RESOURCE_EXHAUSTED")


UNKNOWN = Refusal("not_found", 404, "NOT_FOUND")


UNSUPPORTED = Refusal("unsupported", 501, "UNIMPLEMENTED")


BROKEN = Refusal("error", 500, "INTERNAL")


class RefusedError(Exception):
    """A request that is not answered, though nothing is wrong with what it asks."""

    def __init__(self, refusal: Refusal, reason: str) -> None:
        super().__init__(reason)
        self.refusal = refusal
        self.reason = reason
