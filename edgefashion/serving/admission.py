"""Who may infer on the server: so many at once, so many waiting, for so long, and nobody new once it drains."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Final, TypeVar

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


MOST_VALUES: Final = 500_000
"""In the lists of one request, whichever protocol's: numbers one by one take the event loop's time, and some fifty
bytes each. An encoded picture is one value, however long its text."""

MESSAGES_BYTES: Final = 2 << 30
"""The messages of all calls together are held in memory up to here, or eight of the largest: gRPC counts calls only."""

_LEAST_CALLS: Final = 8

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


def check_values(count: int) -> None:
    """Raises :class:`RefusedError` for a request with too many values one by one."""
    if count > MOST_VALUES:
        raise RefusedError(LARGE, f"more than {MOST_VALUES:,} values are in lists. Send tensors as binary data")


def most_calls(wanted: int, max_bytes: int) -> int:
    """So many calls at once, ``wanted`` or fewer, fit into :data:`MESSAGES_BYTES` with ``max_bytes`` each."""
    return min(wanted, max(_LEAST_CALLS, MESSAGES_BYTES // max_bytes))


class Gate:
    """Runs work in ``workers`` threads and lets ``queue`` more wait; each has ``timeout_s`` from when it comes."""

    def __init__(self, workers: int, queue: int, timeout_s: float) -> None:
        self.workers = workers
        self.queue = queue
        self.timeout_s = timeout_s
        self.draining = False
        self.abandoned = False
        self.inside = 0
        """Requests being computed or waiting for it; one that was given up too, as long as its thread is at it."""
        self._counting = threading.Lock()
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
        with self._counting:
            self.inside += 1
        job = self.threads.submit(work, time.monotonic() + self.timeout_s)
        job.add_done_callback(self._left)
        try:
            async with asyncio.timeout(self.timeout_s):
                return await asyncio.wrap_future(job)
        except TimeoutError as error:
            raise _late(self.timeout_s) from error

    def run_here(self, work: Callable[[float], Answer]) -> Answer:
        """``work``'s result, on the event loop: for what is done sooner than handed to a thread and back."""
        self._check_open()
        return work(time.monotonic() + self.timeout_s)

    def run_in_each(self, work: Callable[[], object]) -> None:
        """Run ``work`` once in each thread, before there are requests; raises what it raises in any."""
        all_here = threading.Barrier(self.workers)

        def once() -> None:
            try:
                work()
            except BaseException:
                all_here.abort()  # nobody is to wait for this one
                raise
            all_here.wait()  # else one thread might take another's turn

        jobs = [self.threads.submit(once) for _ in range(self.workers)]
        failed = [error for error in (job.exception() for job in jobs) if error is not None]
        for error in sorted(failed, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
            raise error  # the cause, not those that waited for it

    def _left(self, _: Future[Any]) -> None:
        """Called where the work ended, which may be later than its answer was given up."""
        with self._counting:
            self.inside -= 1

    def _check_open(self) -> None:
        if self.draining:
            raise RefusedError(DRAINING, "the server is shutting down. Ask another, or again soon")


def _late(timeout_s: float) -> RefusedError:
    """What a request is told that waited or computed too long."""
    return RefusedError(LATE, f"there was no answer within {timeout_s:g} s. Send fewer pictures, or ask again")
