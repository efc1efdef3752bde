"""The window, in a process of its own: OpenCV's Qt ends the process it runs in when the display goes."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Final

from edgefashion.camera.outputs import overlay
from edgefashion.errors import EdgeFashionError, MissingError
from edgefashion.system.processes import Child, Message
from edgefashion.system.shared_pictures import PictureMemory

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.moment import Moment

WINDOW: Final = "edgefashion"
"""The window's title."""

START_LIMIT_S: Final = 30.0
"""For the process to show its first picture: a window that stays black is opened anew, some seconds each time."""

HANG_S: Final = 5.0
"""A window that takes so long over one picture hangs."""

END_LIMIT_S: Final = 2.0
"""For the process to take its window off the screen and end."""

_MOST_KEYS: Final = 32


class WindowError(EdgeFashionError):
    """A window whose process has ended or hangs; another one may be opened."""


class Window:
    """A window on the screen: an :class:`~edgefashion.camera.moment.Output`.

    Raises :class:`MissingError` where there is no display. Without ``wait`` a window takes none of the caller's time
    to open, and it is the first :meth:`take` that can know of it that raises.
    """

    name: str = "window"
    shows: bool = True
    keeping: str | None = None

    def __init__(self, fullscreen: bool = False, *, wait: bool = True) -> None:
        self.fullscreen = fullscreen
        """Whether it fills the screen. The key f changes it."""
        self._turn = threading.Condition()
        self._ready = self._gone = self._failed = False
        self._error = ""
        self._keys = ""
        self._next: NDArray[np.uint8] | None = None
        self._busy_since_s: float | None = None
        self._limit_s = START_LIMIT_S
        self._memory = PictureMemory()
        descriptor = self._memory.descriptor
        try:
            self._child = Child(
                "edgefashion.camera.outputs.window_worker",
                name="window",
                inherit=descriptor,
                keep_stderr=True,  # Qt's last words say why it ended
                on_message=self._hear,
            )
        except BaseException:
            self._memory.close()
            raise
        self._child.send({"descriptor": descriptor, "fullscreen": fullscreen})
        if wait:
            try:
                with self._turn:
                    self._turn.wait_for(lambda: self._ready or self._gone, START_LIMIT_S)
                    self._check()
                    if not self._ready:
                        raise self._failure(f"the window did not open within {START_LIMIT_S:.0f} s")
            except BaseException:
                self.close()
                raise

    @property
    def pid(self) -> int:
        """The process that owns the window."""
        return self._child.pid

    def take(self, moment: Moment) -> None:
        """Have ``moment`` shown, in place of one that still waits to be.

        Raises :class:`WindowError` once the window's process has ended or hangs.
        """
        with self._turn:
            self._check()
        self._put(overlay.drawn(moment))

    def keys(self) -> str:
        """The keys pressed since the last call, in lower case; q for Esc and for a closed window."""
        with self._turn:
            keys, self._keys = self._keys, ""
        return keys

    def close(self) -> None:
        """Take the window off the screen. May be called twice."""
        self._child.close(0 if self._failed else END_LIMIT_S)
        self._memory.close()

    def _put(self, picture: NDArray[np.uint8]) -> None:
        with self._turn:
            self._check()
            if self._busy_since_s is None:
                self._send(picture)
            else:
                self._next = picture

    def _send(self, picture: NDArray[np.uint8]) -> None:
        try:
            put = self._memory.put(picture)
        except (OSError, ValueError) as error:
            raise self._failure(f"there is no memory to hand the window its pictures in ({error})") from error
        self._child.send(put)
        self._busy_since_s = time.monotonic()

    def _check(self) -> None:
        if self._gone and not self._ready:
            raise MissingError("no display here to show a window on. Run with --headless, or from a desktop session")
        if self._gone:
            reason = self._error or self._child.last_words or "no message"
            raise self._failure(f"the window's process ended ({reason})")
        if self._busy_since_s is not None and time.monotonic() - self._busy_since_s > self._limit_s:
            raise self._failure(f"the window has shown nothing for {self._limit_s:.0f} s")

    def _failure(self, what: str) -> WindowError:
        self._failed = True
        return WindowError(f"{what}. Is the display still there?")

    def _hear(self, message: Message | None) -> None:
        """Take what the process says; called in a thread of its own."""
        with self._turn:
            if message is None:
                self._gone = True
            else:
                self._act(message)
            self._turn.notify_all()

    def _act(self, message: Message) -> None:
        self._ready = self._ready or "ready" in message
        self._error = message.get("error", self._error)
        self.fullscreen = message.get("fullscreen", self.fullscreen)
        self._keys = (self._keys + message.get("key", ""))[-_MOST_KEYS:]
        if "shown" in message:
            self._limit_s, self._busy_since_s = HANG_S, None
            picture, self._next = self._next, None
            if picture is not None:
                with contextlib.suppress(WindowError):  # the next one will fail as well, where it can be told
                    self._send(picture)


def display_works() -> bool:
    """True if a window can be opened here."""
    try:
        Window().close()
    except EdgeFashionError:
        return False
    return True
