"""Which requests are computed: so many at once while so many wait, each for a limited time, and none new at the end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, TypeVar

from edgefashion.serving.statuses import BUSY, DRAINING, LARGE, LATE, RefusedError

Answer = TypeVar("Answer")


MOST_VALUES: Final = 500_000
"""Numbers in the lists of one request, in either protocol. Each takes the event loop's time and some fifty bytes of
memory. An encoded picture is one value, however long its text."""

MESSAGES_BYTES: Final = 2 << 30
"""Memory for the messages of all gRPC calls together. gRPC itself limits the number of calls only."""

_LEAST_CALLS: Final = 8
"""gRPC calls that are taken at once in any case, however large a message may be."""


def check_values(count: int) -> None:
    """Raises :class:`RefusedError` for a request with too many values one by one."""
    if count > MOST_VALUES:
        raise RefusedError(LARGE, f"more than {MOST_VALUES:,} values are in lists. Send tensors as binary data")


def most_calls(wanted: int, max_bytes: int) -> int:
    """How many gRPC calls are taken at once: ``wanted``, or as many as fit into :data:`MESSAGES_BYTES` with
    ``max_bytes`` each, but eight at least."""
    return min(wanted, max(_LEAST_CALLS, MESSAGES_BYTES // max_bytes))


class Gate:
    """Runs work in ``workers`` threads and lets ``queue`` more wait. Each has ``timeout_s`` from when it comes."""

    def __init__(self, workers: int, queue: int, timeout_s: float) -> None:
        self.workers = workers
        self.queue = queue
        self.timeout_s = timeout_s
        self.draining = False
        """True once no new request is taken."""
        self.abandoned = False
        """True once work that has begun is to stop, too."""
        self.inside = 0
        """Requests that are computed or wait. One that nobody waits for any more counts until its thread is free."""
        self._counting = threading.Lock()
        self.threads = ThreadPoolExecutor(workers, thread_name_prefix="infer")

    @property
    def waiting(self) -> int:
        """Requests that wait for a thread."""
        return max(0, self.inside - self.workers)

    def check_time(self, end_s: float | None) -> None:
        """Raise :class:`RefusedError` once nobody waits for the work any more. Work calls it now and then."""
        if self.abandoned or (end_s is not None and time.monotonic() > end_s):
            raise _late(self.timeout_s)

    def abandon(self) -> None:
        """Give up all work: what has not begun does not begin, and what has begun stops at :meth:`check_time`."""
        self.draining = self.abandoned = True
        self.threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, work: Callable[[float], Answer], within_s: float | None = None) -> Answer:
        """``work``'s result; it is given the time, by ``time.monotonic()``, after which nobody waits for it.

        ``within_s``: what the client waits for, where that is less than our own limit. Raises :class:`RefusedError`
        where the queue is full, the server drains or the time is over.
        """
        self._check_open()
        if self.inside >= self.workers + self.queue:
            raise RefusedError(BUSY, f"{self.inside} requests are being answered or wait already. Ask again soon")
        with self._counting:
            self.inside += 1
        limit_s = self.timeout_s if within_s is None else min(within_s, self.timeout_s)
        job = self.threads.submit(work, time.monotonic() + limit_s)
        job.add_done_callback(self._left)
        try:
            async with asyncio.timeout(limit_s):
                return await asyncio.wrap_future(job)
        except TimeoutError as error:
            raise _late(limit_s) from error
        except RefusedError as error:
            if error.refusal is LATE:  # the work found it out first
                raise _late(limit_s) from error
            raise

    def run_here(self, work: Callable[[float], Answer]) -> Answer:
        """``work``'s result, computed on the event loop: for work that takes less time than handing it to a thread."""
        self._check_open()
        return work(time.monotonic() + self.timeout_s)

    def run_in_each(self, work: Callable[[], object]) -> None:
        """Run ``work`` once in each thread, before there are requests; raises what it raises in any."""
        all_here = threading.Barrier(self.workers)

        def once() -> None:
            try:
                work()
            except BaseException:
                all_here.abort()  # the others must not wait for this thread
                raise
            all_here.wait()  # a thread that is free would take the next job, which is another thread's

        jobs = [self.threads.submit(once) for _ in range(self.workers)]
        failed = [error for error in (job.exception() for job in jobs) if error is not None]
        for error in sorted(failed, key=lambda error: isinstance(error, threading.BrokenBarrierError)):
            raise error  # first the cause, then the errors of those that waited for it

    def _left(self, _: Future[Any]) -> None:
        """Count one less. Called when the work ends, which may be after its answer was given up."""
        with self._counting:
            self.inside -= 1

    def _check_open(self) -> None:
        if self.draining:
            raise RefusedError(DRAINING, "the server is shutting down. Ask another, or again soon")


def _late(timeout_s: float) -> RefusedError:
    """For a request that waited or was computed too long."""
    return RefusedError(LATE, f"there was no answer within {timeout_s:g} s. Send fewer pictures, or ask again")
