"""The process that reads a source: started, spoken to, killed where it hangs, and replaced by another one."""

from __future__ import annotations

import collections
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, Literal

from edgefashion.system.processes import KILLED_S, Child, Message
from edgefashion.system.shared_pictures import PictureMemory, PictureReader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

MOST_DYING: Final = 2
"""Processes that a driver keeps from ending, even killed, from which on no other is started."""


class NotStartedError(Exception):
    """There is no process to read the source; the message says why, as a phrase."""


class CaptureProcess:
    """The process of :mod:`edgefashion.camera.sources.capture_worker` that reads ``source``.

    ``changed`` is to be held around every call but :meth:`wait`, and is notified when there are messages.
    """

    def __init__(self, source: str, live: bool, changed: threading.Condition) -> None:
        self.at: Literal["nothing", "opening", "open"] = "nothing"
        self.since_s = 0.0
        """``time.monotonic()`` when that began."""
        self.ready = False
        """Whether the process has started; then only the source is waited for."""
        self.asked_s: float | None = None
        """``time.monotonic()`` when it was asked for the frame that has not come yet."""
        self._source, self._live, self._changed = source, live, changed
        self._child: Child | None = None
        self._messages: collections.deque[Message] = collections.deque()
        self._dying: list[Child] = []

    def open(self, now_s: float) -> None:
        """Have the source opened; the answer is of the kind ``opened``, ``lost`` or ``bad``.

        Raises :class:`NotStartedError`.
        """
        self._dying = [child for child in self._dying if not child.wait(0)]
        if len(self._dying) >= MOST_DYING:  # a driver holds them; more would be held as well
            raise NotStartedError("the processes that read it cannot be ended")
        try:
            self._child = self._child or self._start()
        except (OSError, RuntimeError) as error:  # no descriptor, thread or memory is to be had just now
            raise NotStartedError(f"no process can be started to read it: {error}") from error
        self._child.send({"do": "open"})
        self.at, self.since_s = "opening", now_s

    def messages(self) -> Iterator[Message]:
        """What it has said; the last is of the kind ``died``."""
        while self._messages:
            yield self._messages.popleft()

    def is_ready(self, now_s: float) -> None:
        """Take note that the process has started, and begins to open the source."""
        self.ready, self.since_s = True, now_s

    def opened(self, now_s: float) -> None:
        """Take note that the source is open."""
        self.at, self.since_s = "open", now_s

    def ask(self, now_s: float) -> None:
        """Ask for the next frame."""
        assert self._child is not None
        self._child.send({"do": "next"})
        self.asked_s = now_s

    def picture(self, put: dict[str, Any]) -> NDArray[np.uint8]:
        """A copy of the picture that a message of the kind ``frame`` tells of: the next one takes its place."""
        return self._pictures.get(put).copy()

    def lost(self) -> None:
        """Take note that the source is no longer open. The process may open it again."""
        self.at, self.asked_s = "nothing", None

    def kill(self) -> None:
        """End the process without waiting for it, and hear no more of it."""
        self.lost()
        if self._child is not None:
            self._child.kill()
            self._dying.append(self._child)
            self._child, self._messages = None, collections.deque()
            self._memory.close()
            self._pictures.close()

    def wait(self) -> None:
        """Wait until nothing is left of the processes that were killed, :data:`KILLED_S` at most."""
        until_s = time.monotonic() + KILLED_S
        for child in self._dying:
            child.wait(max(0.0, until_s - time.monotonic()))

    def _start(self) -> Child:
        self._messages = messages = collections.deque[Message]()
        self.ready = False

        def hear(message: Message | None) -> None:
            with self._changed:
                messages.append(message or {"kind": "died"})
                self._changed.notify_all()

        self._memory = PictureMemory()
        descriptor = self._memory.descriptor
        self._pictures = PictureReader(descriptor)
        try:
            worker = "edgefashion.camera.sources.capture_worker"
            child = Child(worker, name="capture", inherit=descriptor, on_message=hear)
        except BaseException:
            self._memory.close()
            raise
        # Not as an argument, which everybody on the machine can read: a camera's URL may hold its password.
        child.send({"source": self._source, "live": self._live, "descriptor": descriptor})
        return child
