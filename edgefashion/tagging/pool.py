"""The processes that decode pictures. One that dies or hangs is replaced.

A picture at which a process died is tried once more, for it may not be the reason: where memory is short the system
ends a large process. A picture at which one hung is not tried again in this run.
"""

from __future__ import annotations

import collections
import contextlib
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Final

import numpy as np

from edgefashion.errors import MissingError
from edgefashion.system.addresses import shown
from edgefashion.system.processes import Child, Message
from edgefashion.tagging import inventory, logins
from edgefashion.tagging.collecting import from_message
from edgefashion.tagging.formats import from_record
from edgefashion.tagging.picture import Prepared
from edgefashion.tagging.pool_worker import may_pass, why_not
from edgefashion.tagging.row import Row
from edgefashion.tagging.several import Named, Network, Networks

PATIENCE_S: Final = 60.0
"""A process that is at one picture for longer hangs, and is ended."""

START_S: Final = 60.0
"""What a process may take to start, on a machine that is busy."""

CHUNK: Final = 8
"""Pictures handed to a process at once. It has the next ones before it is through with these."""

_AHEAD: Final = 2
_ENVIRONMENT: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    # Glibc's allocator gives large pictures' memory back after each, and to get it anew takes as long as to decode.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}

Chunk = Sequence[str]
Looked = Sequence[Prepared | Named | Row]
"""What became of a chunk, in its order. A row is an error's."""


class Pool:
    """Decodes chunks of pictures in ``workers`` processes; use it as a context manager.

    ``on_looked`` takes what became of a chunk, or of a part of it, ``on_failure`` an error after which nothing more
    comes; both are called from the pool's threads. With ``networks`` each process loads what that gives, and names the
    garments too.
    """

    def __init__(
        self,
        workers: int,
        photos: bool,
        on_looked: Callable[[Looked], None],
        on_failure: Callable[[BaseException], None],
        networks: Networks | None = None,
    ) -> None:
        self._chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self._workers = [_Worker(self._chunks, photos, on_looked, on_failure, networks) for _ in range(workers)]

    def __enter__(self) -> Pool:
        for each in self._workers:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in self._workers:
            each.stop()
            self._chunks.put(None)
        for each in self._workers:
            each.join()

    def __len__(self) -> int:
        return len(self._workers)

    def put(self, chunk: Chunk) -> None:
        """Hand over pictures; does not wait."""
        self._chunks.put(chunk)

    @property
    def spent_s(self) -> float:
        """Processor time of the pool's threads in this process, once it is left."""
        return sum(worker.spent_s for worker in self._workers)


class _Worker(threading.Thread):
    """One process, and the thread that talks to it."""

    def __init__(
        self,
        chunks: queue.SimpleQueue[Chunk | None],
        photos: bool,
        on_looked: Callable[[Looked], None],
        on_failure: Callable[[BaseException], None],
        networks: Networks | None,
    ) -> None:
        super().__init__(name="decoder", daemon=True)
        self._chunks, self._photos = chunks, photos
        self._networks: Callable[[], AbstractContextManager[Network | None]] = networks or contextlib.nullcontext
        self._on_looked, self._on_failure = on_looked, on_failure
        self._sent: collections.deque[list[str]] = collections.deque()
        self._stopped = self._ended = False
        self._tried = ""
        self._lock = threading.Lock()
        self._child: Child | None = None
        self.spent_s = 0.0

    def run(self) -> None:
        try:
            while not self._stopped and not (self._ended and not self._sent):
                self._serve()
        except BaseException as error:
            self._on_failure(error)
        finally:
            self._end()
            self.spent_s += time.thread_time()

    def stop(self) -> None:
        """End it at once, whatever it is at."""
        with self._lock:
            self._stopped = True
            if self._child is not None:
                self._child.kill()

    def _serve(self) -> None:
        """Start a process and talk to it until it ends, of itself or because nothing is left to do."""
        child = self._new_child()
        if child is None:
            return
        try:
            for chunk in list(self._sent):  # what the process before left
                self._hand_over(child, chunk)
            while self._fill(child):
                self._receive(child)
        except TimeoutError:
            self._blame(f"took longer than {PATIENCE_S:.0f} s to read", hung=True)
        except EOFError:
            if not self._stopped:
                self._blame(f"ended the process that read it ({_how(child)})")

    def _new_child(self) -> Child | None:
        for _ in range(3):
            self._end()
            with self._lock:
                if self._stopped:
                    return None
                self._child = child = Child(
                    "edgefashion.tagging.pool_worker", name="decoding", environment=_ENVIRONMENT
                )
            with self._networks() as network, contextlib.suppress(TimeoutError, EOFError):
                child.send({"photos": self._photos, "network": network, "logins": logins.known()})
                _check(child.receive(START_S))
                return child
        if self._stopped:
            return None
        raise MissingError(
            "the processes that decode pictures end as soon as they are started. Run: edgefashion doctor"
        )

    def _fill(self, child: Child) -> bool:
        """Keep the process supplied; False if there is nothing for it to do any more."""
        while len(self._sent) < _AHEAD and not self._ended:
            try:
                chunk = self._chunks.get(block=not self._sent)
            except queue.Empty:
                break
            if chunk is None:
                self._ended = True
            else:
                self._sent.append(list(chunk))
                self._hand_over(child, self._sent[-1])
        return bool(self._sent)

    def _hand_over(self, child: Child, chunk: list[str]) -> None:
        here: list[bytes | None] = []
        for path in list(chunk):
            try:
                here.append(inventory.read_here(path))
            except Exception as error:  # the picture's, not the process's
                chunk.remove(path)
                self._on_looked([Row(path, error=why_not(path, error), try_again=may_pass(error))])
        if chunk:
            sizes = [None if raw is None else len(raw) for raw in here]
            child.send({"paths": chunk, "sizes": sizes}, b"".join(raw or b"" for raw in here))
        else:
            self._sent.remove(chunk)

    def _receive(self, child: Child) -> None:
        """What became of the oldest chunk."""
        looked: list[Prepared | Named | Row] = []
        chunk = self._sent[0]
        try:
            for path in chunk:
                looked.append(_looked(path, child.receive(PATIENCE_S)))  # noqa: PERF401 (what came stays, if one fails)
        finally:
            del chunk[: len(looked)]
            if not chunk:
                self._sent.popleft()
            if looked:
                self._on_looked(looked)

    def _blame(self, why: str, *, hung: bool = False) -> None:
        """The picture the process was at makes an error row, if not for the first time."""
        if not self._sent:
            return
        chunk = self._sent[0]
        if not hung and self._tried != chunk[0]:
            self._tried = chunk[0]
            return
        path = chunk.pop(0)
        if not chunk:
            self._sent.popleft()
        error = f"{shown(path)} {why}. Replace it or leave it out"
        self._on_looked([Row(path, error=error, try_again=hung)])

    def _end(self) -> None:
        if self._child is not None:
            self._child.close(0)
            self.spent_s += self._child.spent_s
            self._child = None


def _how(child: Child) -> str:
    code = child.exit_code or 0
    return signal.Signals(-code).name if -code in signal.valid_signals() else f"exit code {code}"


def _check(message: Message) -> None:
    """Raise :class:`MissingError` where a process says that it cannot go on."""
    if "failed" in message:
        raise MissingError(message["failed"])


def _looked(path: str, message: Message) -> Prepared | Named | Row:
    if "error" in message:
        return Row(path, error=message["error"], try_again=message["try_again"])
    _check(message)
    if "row" in message:
        cuts = from_message(message["cuts"], message.pop("payload", b""))
        return Named(**message | {"row": from_record(message["row"]), "cuts": cuts})
    shape, payload = message.pop("shape"), message.pop("payload", b"")
    pixels = None if shape is None else np.frombuffer(payload, np.uint8).reshape(shape)
    return Prepared(**message | {"within": tuple(message["within"]), "pixels": pixels})
