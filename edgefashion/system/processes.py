"""A child process of our own, and how the two speak: JSON objects, one a line, over the child's stdin and stdout.

:class:`Child` is the parent's end: it starts this Python with one of our modules. :class:`Parent` is the child's end.
Bytes may follow an object (``payload``). Pictures of a camera go beside the lines, in shared memory
(:mod:`edgefashion.system.shared_pictures`).

The child ends when its parent ends, however that happens: its stdin is then closed. The parent ends the child with
:meth:`Child.close` or :meth:`Child.kill`, and what the child had started in its process group with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Final

from edgefashion.system.text import last_line

Message = dict[str, Any]
Listener = Callable[[Message | None], object]
"""Is called in a thread of its own with each message, and with None once the other end is gone."""

LONGEST_BYTES: Final = 2**28
"""A longer line of a child is nonsense. A bench that measures for a minute answers with 20 MB."""

KILLED_S: Final = 5.0
"""For a killed child to be gone. A driver may hold it back even from SIGKILL."""

LAST_WORDS_S: Final = 1.0
"""For what an ended child still has to say on stderr."""

_REMARK: Final = re.compile(r"\S+:\d+: \w*Warning: |[IW]\d{4} [\d.:]+ |(?:WARNING|INFO)\b")
"""What libraries say on stderr that is no reason for a process's end."""


def child_environment(**more: str) -> dict[str, str]:
    """For a child started with -P, which does not import from the current folder: where this package is."""
    home = str(Path(__file__).parents[2])
    beside = [more.pop("PYTHONPATH", ""), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, **more, "PYTHONPATH": os.pathsep.join(filter(None, (*beside, home)))}


class _End:
    """What the two ends have in common: messages arrive."""

    def __init__(self) -> None:
        self._arrived: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def receive(self, limit_s: float | None = None) -> Message:
        """The next message.

        Raises :class:`TimeoutError` if none comes within ``limit_s`` seconds, and :class:`EOFError` if the other end
        is gone and all it had sent has been received.
        """
        try:
            message = self._arrived.get(timeout=limit_s)
        except queue.Empty:
            raise TimeoutError from None
        if message is None:
            self._arrived.put(None)  # for whoever asks again
            raise EOFError
        return message


class Child(_End):
    """``python -P -m MODULE``, which speaks with us by means of :class:`Parent`.

    No call waits for the child except :meth:`receive` and :meth:`close`, both with a limit. Every call may come from
    any thread. Raises :class:`OSError` or :class:`RuntimeError` if no process, pipe or thread is to be had.
    """

    def __init__(
        self,
        module: str,
        *,
        name: str = "child",
        environment: dict[str, str] | None = None,
        inherit: int | None = None,
        under: tuple[str, ...] = (),
        keep_stderr: bool = False,
        on_message: Listener | None = None,
    ) -> None:
        """Start ``module``.

        ``name`` is that of the thread that hears the child, ``inherit`` a file descriptor which the child is to have
        too, and ``under`` a command that is given the child's as its last arguments. stderr is dropped, or its last
        line kept in :attr:`last_words`, libraries' remarks left out. Messages wait for :meth:`receive`, unless
        ``on_message`` takes them.
        """
        import subprocess

        super().__init__()
        self._deliver: Listener = on_message or self._arrived.put
        self.last_words = ""
        self.spent_s = 0.0
        """Processor time of the threads that spoke with it, once they have ended."""
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [*under, sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if keep_stderr else subprocess.DEVNULL,
            env=child_environment(**(environment or {})),
            pass_fds=() if inherit is None else (inherit,),
            start_new_session=True,  # a Ctrl-C does not reach it, and kill() reaches all of its process group
        )
        # A pipe can be read or written with a time limit only on some systems; a thread may wait on all.
        self._reader = threading.Thread(target=self._read, name=name, daemon=True)
        self._helpers = [threading.Thread(target=self._write, name=f"to {name}", daemon=True)]
        if keep_stderr:
            self._helpers.append(threading.Thread(target=self._read_stderr, name=f"stderr of {name}", daemon=True))
        try:
            for thread in (*self._helpers, self._reader):
                thread.start()
        except BaseException:
            self._clear()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """As :attr:`subprocess.Popen.returncode`: minus the number of the signal that ended it."""
        return self._process.returncode

    def send(self, message: Message, payload: bytes = b"") -> None:
        """Send a message. A child that has ended does not get it: :meth:`receive` tells."""
        self._outbox.put(_packed(message, payload))

    def kill(self) -> None:
        """End it at once, and what it has started in its process group."""
        if self._process.returncode is not None:  # its number may be another process's by now
            return
        if hasattr(os, "killpg"):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS: the group has ended already
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()

    def wait(self, limit_s: float | None) -> bool:
        """Wait until it has ended and nothing of it is left; False if that takes longer than ``limit_s`` seconds."""
        self._reader.join(limit_s)
        return not self._reader.is_alive()

    def close(self, limit_s: float = 10.0) -> None:
        """Ask it to end, by closing its stdin, and kill it if it has not ended after ``limit_s`` seconds.

        May be called twice.
        """
        self._outbox.put(None)
        if not self.wait(limit_s):
            self.kill()
            self.wait(KILLED_S)

    def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            for message in _messages(self._process.stdout, LONGEST_BYTES):
                self._deliver(message)
        finally:
            self._clear()

    def _write(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError), self._process.stdin as stdin:  # it has ended, which the reader tells
            while (line := self._outbox.get()) is not None:
                stdin.write(line)
                stdin.flush()
        self.spent_s += time.thread_time()

    def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        remarked = False
        while raw := self._process.stderr.readline(4096):
            line = raw.decode(errors="replace")
            # Behind a warning of Python's stands the line of code that warned.
            remarked = bool(_REMARK.match(line)) or (remarked and line[:1].isspace())
            if not remarked:
                self.last_words = last_line(line) or self.last_words

    def _clear(self) -> None:
        """It has said its last, or could not be heard: leave nothing of it."""
        self.kill()
        self._process.wait()
        self._outbox.put(None)
        for thread in self._helpers:
            if thread.is_alive():
                thread.join(LAST_WORDS_S)
        self._deliver(None)
        # Closing a pipe waits for whoever reads it: a process that it left behind may hold its stderr for good.
        left = any(thread.is_alive() for thread in self._helpers)
        for pipe in (self._process.stdin, self._process.stdout, None if left else self._process.stderr):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self.spent_s += time.thread_time()


class Parent(_End):
    """The parent of this process, which a :class:`Child` there has started. To be made before anything else.

    What a library prints on stdout goes to stderr from then on, and what it reads from stdin is empty. Signals that
    end a whole group of processes are ignored, for the parent acts on them. The end of the parent ends this process,
    whatever it is at.
    """

    def __init__(self, *, grace_s: float = 0.0, ignore_signals: bool = True) -> None:
        """``grace_s``: how long this process may go on once its stdin is closed, to end in order."""
        super().__init__()
        if ignore_signals:
            _ignore_signals()
        self._grace_s = grace_s
        self._sending = threading.Lock()
        # Copies, which no process that this one starts inherits. What is sent last must not be followed by the end of
        # the file before this process has its exit code.
        self._stdin = os.fdopen(os.dup(0), "rb")
        self._stdout = os.fdopen(os.dup(1), "wb", closefd=False)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)
        os.dup2(2, 1)
        threading.Thread(target=self._read, name="parent", daemon=True).start()

    def send(self, message: Message, payload: bytes = b"") -> None:
        """Send a message; ends this process if the parent is gone. May be called from any thread."""
        with self._sending:
            try:
                self._stdout.write(_packed(message, payload))
                self._stdout.flush()
            except OSError:
                os._exit(0)

    def _read(self) -> None:
        try:
            for message in _messages(self._stdin):
                self._arrived.put(message)
            if self._grace_s:
                self._arrived.put(None)
                time.sleep(self._grace_s)
        finally:
            os._exit(0)  # the main thread may be held for ever by a device, a picture or a display


def _ignore_signals() -> None:
    """Ignore what ends a whole group of processes; and leave no core file."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    with contextlib.suppress(ImportError, ValueError, OSError):  # Windows has no such limits
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _packed(message: Message, payload: bytes) -> bytes:
    if payload:
        message = {**message, "payload": len(payload)}
    return json.dumps(message).encode() + b"\n" + payload


def _messages(file: IO[bytes], longest_bytes: int = -1) -> Iterator[Message]:
    """The messages in ``file``. Other lines are passed over: a library may print before we can prevent it."""
    while line := file.readline(longest_bytes):
        try:
            message = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if not isinstance(message, dict):
            continue
        if "payload" in message:
            size = int(message["payload"])
            message["payload"] = file.read(size)
            if len(message["payload"]) < size:  # its sender ended in the middle of it
                return
        yield message
