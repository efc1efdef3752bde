"""The processes that decode pictures. One that dies or hangs is replaced.

The picture it was at is tried once more where the process died, for that may have been another's doing (of all
processes the system ends a large one when memory is short), and not where it hung.
"""

from __future__ import annotations

import base64
import collections
import contextlib
import json
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from edgefashion.errors import MissingError
from edgefashion.system.processes import child_environment
from edgefashion.system.text import without_password
from edgefashion.tagging import inventory
from edgefashion.tagging.picture import Prepared
from edgefashion.tagging.pool_worker import why_not
from edgefashion.tagging.row import TOOK_LONG, Row

PATIENCE_S: Final = 60.0
"""A process that is at one picture for longer is ended."""

START_S: Final = 60.0
"""What a process may take to start, on a machine that is busy."""

CHUNK: Final = 8
"""Pictures handed to a process at once. It has the next ones before it is through with these."""

_AHEAD: Final = 2
_PIPE_BYTES: Final = 1 << 20
"""A process goes on with the next picture while the pixels of a dozen wait to be taken."""

_ENVIRONMENT: Final = {
    "OPENBLAS_NUM_THREADS": "1",
    # Glibc's allocator gives large pictures' memory back after each, and to get it anew takes as long as to decode.
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(64 << 20),
}

Chunk = Sequence[str]
Looked = Sequence[Prepared | Row]
"""What became of a chunk, in its order."""


class Pool:
    """Decodes chunks of pictures in ``workers`` processes; use it as a context manager.

    ``on_looked`` takes what became of a chunk, or of a part of it, ``on_failure`` an error after which nothing more
    comes; both are called from the pool's threads.
    """

    def __init__(
        self,
        workers: int,
        photos: bool,
        on_looked: Callable[[Looked], None],
        on_failure: Callable[[BaseException], None],
    ) -> None:
        self._chunks: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self._workers = [_Worker(self._chunks, photos, on_looked, on_failure) for _ in range(workers)]

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

    def watch(self) -> None:
        """End the processes that hang; to be called about every second."""
        for worker in self._workers:
            worker.watch()

    @property
    def pids(self) -> list[int]:
        """The processes at work."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

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
    ) -> None:
        super().__init__(name="decoder", daemon=True)
        self._chunks, self._photos = chunks, photos
        self._on_looked, self._on_failure = on_looked, on_failure
        self._sent: collections.deque[list[str]] = collections.deque()
        self._heard_s: float | None = None
        self._hung = self._stopped = self._ended = False
        self._tried = ""
        self._lock = threading.Lock()
        self.process: subprocess.Popen[bytes] | None = None
        self.spent_s = 0.0

    def run(self) -> None:
        try:
            while not self._stopped and not (self._ended and not self._sent):
                self._serve()
        except BaseException as error:
            self._on_failure(error)
        finally:
            self._end()
            self.spent_s = time.thread_time()

    def stop(self) -> None:
        """End it at once, whatever it is at."""
        with self._lock:
            self._stopped = True
            if self.process is not None:
                self.process.kill()

    def watch(self) -> None:
        heard_s, process = self._heard_s, self.process
        if heard_s is not None and time.monotonic() - heard_s > PATIENCE_S and process is not None:
            self._hung = True
            process.kill()

    def _serve(self) -> None:
        """Start a process and talk to it until it ends, of itself or because nothing is left to do."""
        process = self._new_process()
        if process is None:
            return
        try:
            for chunk in list(self._sent):  # what the process before left
                self._hand_over(process, chunk)
            while self._fill(process):
                self._receive(process)
        except (OSError, EOFError):
            if not self._stopped:
                self._blame(process)
        finally:
            self._heard_s = None

    def _new_process(self) -> subprocess.Popen[bytes] | None:
        command = [sys.executable, "-P", "-m", "edgefashion.tagging.pool_worker"]
        environment = child_environment(**_ENVIRONMENT)
        for _ in range(3):
            self._end()
            with self._lock:
                if self._stopped:
                    return None
                self.process = process = subprocess.Popen(
                    command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
                )
            _widen(process.stdout)
            with contextlib.suppress(OSError, EOFError):
                _write(process, {"photos": self._photos})
                self._heard_s = time.monotonic() + START_S - PATIENCE_S
                _read(process)
                self._hung = False
                return process
        if self._stopped:
            return None
        raise MissingError(
            "the processes that decode pictures end as soon as they are started. Run: edgefashion doctor"
        )

    def _fill(self, process: subprocess.Popen[bytes]) -> bool:
        """Keep the process supplied; False if there is nothing for it to do any more."""
        while len(self._sent) < _AHEAD and not self._ended:
            if not self._sent:
                self._heard_s = None  # idle, not hanging
            try:
                chunk = self._chunks.get(block=not self._sent)
            except queue.Empty:
                break
            if chunk is None:
                self._ended = True
            else:
                self._send(process, list(chunk))
        return bool(self._sent)

    def _send(self, process: subprocess.Popen[bytes], chunk: list[str]) -> None:
        if not self._sent:
            self._heard_s = time.monotonic()
        self._sent.append(chunk)
        self._hand_over(process, chunk)

    def _hand_over(self, process: subprocess.Popen[bytes], chunk: list[str]) -> None:
        items = []
        for path in list(chunk):
            try:
                here = inventory.read_here(path)
            except Exception as error:  # the picture's, not the process's
                chunk.remove(path)
                self._on_looked([Row(path, error=why_not(path, error))])
            else:
                items.append((path, None if here is None else base64.b64encode(here).decode()))
        if chunk:
            _write(process, items)
        else:
            self._sent.remove(chunk)

    def _receive(self, process: subprocess.Popen[bytes]) -> None:
        """What became of the oldest chunk."""
        looked: list[Prepared | Row] = []
        chunk = self._sent[0]
        try:
            for path in chunk:
                looked.append(_looked(process, path))
                self._heard_s = time.monotonic()
        finally:
            del chunk[: len(looked)]
            if not chunk:
                self._sent.popleft()
            if looked:
                self._on_looked(looked)

    def _blame(self, process: subprocess.Popen[bytes]) -> None:
        """The picture the process was at makes an error row, if not for the first time."""
        process.kill()
        number = process.wait()
        self._heard_s = None
        if not self._sent:
            return
        if self._hung:
            why = f"{TOOK_LONG} {PATIENCE_S:.0f} s to read"
        elif number < 0 and -number in signal.valid_signals():
            why = f"ended the process that read it ({signal.Signals(-number).name})"
        else:
            why = f"ended the process that read it (exit code {number})"
        chunk = self._sent[0]
        if not self._hung and self._tried != chunk[0]:
            self._tried = chunk[0]
            return
        path = chunk.pop(0)
        if not chunk:
            self._sent.popleft()
        self._hung = False
        self._on_looked([Row(path, error=f"{without_password(path)} {why}. Replace it or leave it out")])

    def _end(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            for pipe in (self.process.stdin, self.process.stdout):
                with contextlib.suppress(OSError):
                    if pipe is not None:
                        pipe.close()
            self.process = None


def _looked(process: subprocess.Popen[bytes], path: str) -> Prepared | Row:
    facts = _read(process)
    if "error" in facts:
        return Row(path, error=facts["error"])
    shape = facts.pop("shape")
    pixels = None
    if shape is not None:
        pixels = np.empty(shape, np.uint8)
        assert process.stdout is not None
        if process.stdout.readinto(pixels.data.cast("B")) < pixels.nbytes:  # type: ignore[attr-defined]
            raise EOFError
    return Prepared(**facts | {"within": tuple(facts["within"]), "pixels": pixels})


def _read(process: subprocess.Popen[bytes]) -> dict[str, Any]:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    facts: dict[str, Any] = json.loads(line)
    return facts


def _write(process: subprocess.Popen[bytes], message: Any) -> None:
    assert process.stdin is not None
    process.stdin.write(json.dumps(message).encode() + b"\n")
    process.stdin.flush()


def _widen(pipe: Any) -> None:
    with contextlib.suppress(ImportError, AttributeError, OSError):  # Linux only, and up to a limit
        import fcntl

        fcntl.fcntl(pipe.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
