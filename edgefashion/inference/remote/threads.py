"""Threads that ask a server. Nothing waits for them: a process can end while a server does not answer."""

from __future__ import annotations

import concurrent.futures
import queue
import sys
import threading
import weakref
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from typing import Any, Final, TypeVar

_LOOK_S: Final = 0.5

P = TypeVar("P")
R = TypeVar("R")


class Askers:
    """A pool of threads that ask side by side.

    The pool of concurrent.futures will not do: when the interpreter ends it waits for every thread's request.
    """

    def __init__(self, count: int, leave: Callable[[], None]) -> None:
        """Start ``count`` threads; each calls ``leave`` before it ends."""
        self._jobs: queue.SimpleQueue[Any] = queue.SimpleQueue()
        for number in range(count):
            threading.Thread(target=_work, args=(self._jobs, leave), name=f"remote-{number}", daemon=True).start()
        self._ended = weakref.finalize(self, _end, self._jobs, count)
        self._ended.atexit = False

    def map(self, ask: Callable[[P], R], parts: Iterable[P]) -> list[R]:
        """Call ``ask`` with every part, and return the results in their order. Raises what the first failed one raised,
        and begins no further ones then."""
        futures: list[Future[R]] = []
        try:
            for part in parts:
                futures.append(Future())
                self._jobs.put((futures[-1], ask, part))
            return [_result_of(future) for future in futures]
        finally:
            for future in futures:
                future.cancel()

    def close(self) -> None:
        """Let the threads end, each after its present request."""
        self._ended()


def _result_of(future: Future[R]) -> R:
    # Not in one wait without an end: a Ctrl-C that comes in the moment before it begins would be seen after it only.
    while not concurrent.futures.wait((future,), _LOOK_S).done:
        pass
    return future.result()


def _end(jobs: queue.SimpleQueue[Any], count: int) -> None:
    for _ in range(count):
        jobs.put(None)


def _work(jobs: queue.SimpleQueue[Any], leave: Callable[[], None]) -> None:
    try:
        while (job := jobs.get()) is not None:
            future, ask, part = job
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(ask(part))
                except BaseException as error:
                    future.set_exception(error)
            del job, future, ask, part  # so that a waiting thread keeps nothing alive
    finally:
        leave()
        leave_thread()


def leave_thread() -> None:
    """Free what gevent keeps for this thread, which is about to end and may have asked over HTTP."""
    if "gevent" in sys.modules:
        import gevent

        gevent.get_hub().destroy(destroy_loop=True)
