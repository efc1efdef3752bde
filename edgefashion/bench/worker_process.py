"""The parent's side of a measuring process: start it, ask it, and lose nothing but its row when it fails."""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from typing import Any, Final

from edgefashion.errors import EdgeFashionError
from edgefashion.system.processes import child_environment

START_LIMIT_S: Final = 120.0
"""For a process to import its engine, load the network and answer once; TensorFlow takes 5 s."""

ANSWER_LIMIT_S: Final = 60.0
"""For a request, beyond the seconds it is to measure for."""


class WorkerError(EdgeFashionError):
    """A measuring process that crashed or hung."""


class Worker:
    """One ``python -m MODULE SPEC`` that answers JSON lines with JSON lines."""

    def __init__(self, name: str, module: str, spec: dict[str, Any], environment: dict[str, str]) -> None:
        self._name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close())
        self._replies: queue.Queue[str] = queue.Queue()
        started = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", module, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
            encoding="utf-8",
            env=child_environment(**environment),
        )
        # A pipe cannot be read with a time limit on every system; a queue can.
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            self.first = self._reply(START_LIMIT_S)
            self.cold_start_s = time.perf_counter() - started
            """From the start of the process to its first answer."""
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, do: str, *, limit_s: float = 0.0, **request: Any) -> dict[str, Any]:
        """Have the process ``do`` something, for ``limit_s`` at most besides :data:`ANSWER_LIMIT_S`."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it died in between: the reply tells
            print(json.dumps({"do": do, **request}), file=self._process.stdin, flush=True)
        return self._reply(ANSWER_LIMIT_S + limit_s)

    def close(self) -> None:
        """End it: closing its stdin is its signal; one that does not obey is killed."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        if self._process.stdout is not None:
            self._process.stdout.close()
        self._log.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._replies.put(line)
        self._replies.put("")

    def _reply(self, limit_s: float) -> dict[str, Any]:
        try:
            line = self._replies.get(timeout=limit_s)
        except queue.Empty:
            self._process.kill()
            raise WorkerError(f"the process measuring {self._name} gave no answer for {limit_s:.0f} s") from None
        if not line:
            self._replies.put("")  # for whoever asks again
            self._log.seek(0)
            last = self._log.read().decode(errors="replace").strip().splitlines()[-1:] or ["no message"]
            raise WorkerError(
                f"the process measuring {self._name} ended early ({last[0][:200]}). Is there memory enough?"
            )
        reply: dict[str, Any] = json.loads(line)
        if "error" in reply:
            error = EdgeFashionError(reply["error"])
            error.exit_code = reply["exit_code"]
            raise error
        return reply
