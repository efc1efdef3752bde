"""Who may infer on the server: so many at once, so many waiting, for so long, and nobody new once it drains."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Why:
    """A reason to refuse a request, in both protocols."""

    outcome: str
    """As the metrics call it."""
    http: int
    grpc: str
    """The name of a ``grpc.StatusCode``."""
    retry_after_s: int | None = None


BUSY = Why("overloaded", 503, "RESOURCE_EXHAUSTED", 1)
DRAINING = Why("draining", 503, "UNAVAILABLE", 5)
LATE = Why("timeout", 504, "DEADLINE_EXCEEDED")
SLOW = Why("timeout", 408, "DEADLINE_EXCEEDED")
LARGE = Why("too_large", 413, "RESOURCE_EXHAUSTED")
BROKEN = Why("error", 500, "INTERNAL")


class RefusedError(Exception):
    """A request that is not answered, though nothing is wrong with what it asks."""

    def __init__(self, why: Why, reason: str) -> None:
        super().__init__(reason)
        self.why = why
        self.reason = reason


class Gate:
    """Runs work in ``workers`` threads and lets ``queue`` more wait; each has ``timeout_s`` from when it comes."""

    def __init__(self, workers: int, queue: int, timeout_s: float) -> None:
        self.workers = workers
        self.queue = queue
        self.timeout_s = timeout_s
        self.draining = False
        self.abandoned = False
        self.inside = 0
        """Requests being computed or waiting for it."""
        self.threads = ThreadPoolExecutor(workers, thread_name_prefix="infer")

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return max(0, self.inside - self.workers)

    def check_time(self, end_s: float | None) -> None:
        """For work to ask now and then: raises :class:`RefusedError` once nobody waits for it any more."""
        if self.abandoned or (end_s is not None and time.monotonic() > end_s):
            raise _late(self.timeout_s)

    def abandon(self) -> None:
        """End: what has not begun never will, and what has is to stop."""
        self.draining = self.abandoned = True
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[float], Answer]) -> Answer:
        """``work``'s result; it is given the time, by ``time.monotonic()``, after which nobody waits for it.

        Raises :class:`RefusedError` where the queue is full, the server drains or the time is over.
        """
        self._check_open()
        if self.inside >= self.workers + self.queue:
            raise RefusedError(BUSY, f"{self.inside} requests are being answered or wait already. Ask again soon")
        self.inside += 1
        try:
            async with asyncio.timeout(self.timeout_s):
                end_s = time.monotonic() + self.timeout_s
                return await asyncio.get_running_loop().run_in_executor(self.threads, work, end_s)
        except TimeoutError as error:
            raise _late(self.timeout_s) from error
        finally:
            self.inside -= 1

    def run_here(self, work: Callable[[float], Answer]) -> Answer:
        """``work``'s result, on the event loop: for what is done sooner than handed to a thread and back."""
        self._check_open()
        return work(time.monotonic() + self.timeout_s)

    def _check_open(self) -> None:
        if self.draining:
            raise RefusedError(DRAINING, "the server is shutting down. Ask another, or again soon")


def _late(timeout_s: float) -> RefusedError:
    """What a request is told that waited or computed too long."""
    return RefusedError(LATE, f"there was no answer within {timeout_s:g} s. Send fewer pictures, or ask again")
