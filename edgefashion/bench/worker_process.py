"""The parent's side of a measuring process: start it, ask it, and lose nothing but its row when it fails."""

from __future__ import annotations

import time
from typing import Any, Final

from edgefashion.errors import EdgeFashionError
from edgefashion.system.processes import Child

START_LIMIT_S: Final = 120.0
"""For a process to import its engine, load the network and answer once; TensorFlow takes 5 s."""

ANSWER_LIMIT_S: Final = 60.0
"""For a request, beyond the seconds it is to measure for."""


class WorkerError(EdgeFashionError):
    """A measuring process that crashed or hung."""


class Worker:
    """One measuring process, of ``module``; ``spec`` says what it is to measure."""

    def __init__(self, name: str, module: str, spec: dict[str, Any], environment: dict[str, str]) -> None:
        self._name = name
        started = time.perf_counter()
        self._child = Child(module, name="bench", environment=environment, keep_stderr=True)
        try:
            self._child.send(spec)
            self.first = self._reply(START_LIMIT_S)
            self.cold_start_s = time.perf_counter() - started
            """From the start of the process to its first answer."""
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._child.pid

    def ask(self, do: str, *, limit_s: float = 0.0, **request: Any) -> dict[str, Any]:
        """Have the process ``do`` something, for ``limit_s`` at most besides :data:`ANSWER_LIMIT_S`."""
        self._child.send({"do": do, **request})
        return self._reply(ANSWER_LIMIT_S + limit_s)

    def close(self) -> None:
        """End the process."""
        self._child.close()

    def _reply(self, limit_s: float) -> dict[str, Any]:
        try:
            reply = self._child.receive(limit_s)
        except TimeoutError:
            self._child.kill()
            raise WorkerError(f"the process measuring {self._name} gave no answer for {limit_s:.0f} s") from None
        except EOFError:
            last = self._child.last_words or "no message"
            raise WorkerError(
                f"the process measuring {self._name} ended early ({last}). Is there memory enough?"
            ) from None
        if "error" in reply:
            error = EdgeFashionError(reply["error"])
            error.exit_code = reply["exit_code"]
            raise error
        return reply
