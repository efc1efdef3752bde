"""The window, in a process of its own: OpenCV's Qt ends the process it runs in when the display goes."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from typing import IO, TYPE_CHECKING, Any, Final

from edgefashion.errors import EdgeFashionError, MissingError
from edgefashion.system.processes import child_environment
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

    Raises :class:`MissingError` where there is no display; without ``wait`` the first :meth:`take` that can know
    does, and a window takes none of the caller's time to open.
    """

    name: str = "window"

    def __init__(self, fullscreen: bool = False, *, wait: bool = True) -> None:
        self.fullscreen = fullscreen
        """As the person before it wants it: f changes it."""
        self._turn = threading.Condition()
        self._ready = self._gone = self._failed = False
        self._reason = ""
        self._keys = ""
        self._next: NDArray[np.uint8] | None = None
        self._busy_since_s: float | None = None
        self._limit_s = START_LIMIT_S
        self._memory = PictureMemory()
        descriptor = self._memory.descriptor
        spec = {"descriptor": descriptor, "fullscreen": fullscreen}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "edgefashion.camera.outputs.window_worker", json.dumps(spec)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,  # Qt's last words say why it ended
                pass_fds=() if descriptor is None else (descriptor,),
                env=child_environment(),
            )
        except BaseException:
            self._memory.close()
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        # A pipe cannot be read without waiting on every system; a thread may wait.
        self._reader = threading.Thread(target=self._read, args=(self._stdout,), name="window", daemon=True)
        self._reader.start()
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
        return self._process.pid

    def take(self, moment: Moment) -> None:
        """Have ``moment`` shown, in place of one that still waits to be.

        Raises :class:`WindowError` once the window's process has ended or hangs.
        """
        with self._turn:
            self._check()
        self._put(moment.drawn())

    def keys(self) -> str:
        """The keys pressed since the last call, in lower case; q for Esc and for a closed window."""
        with self._turn:
            keys, self._keys = self._keys, ""
        return keys

    def close(self) -> None:
        """Take the window off the screen. May be called twice."""
        with contextlib.suppress(OSError):
            self._stdin.close()  # its signal to end
        try:
            self._process.wait(0 if self._failed else END_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._stdout.close()
        self._memory.close()

    def _put(self, picture: NDArray[np.uint8]) -> None:
        with self._turn:
            self._check()
            if self._busy_since_s is None:
                self._send(picture)
            else:
                self._next = picture

    def _send(self, picture: NDArray[np.uint8]) -> None:
        """Hand over ``picture``. The pipe has room: one line at most is in it."""
        try:
            line = json.dumps(self._memory.put(picture))
        except (OSError, ValueError) as error:
            raise self._failure(f"there is no memory to hand the window its pictures in ({error})") from error
        with contextlib.suppress(OSError, ValueError):  # it has just ended, or been closed: the next look tells
            self._stdin.write(line.encode() + b"\n")
            self._stdin.flush()
        self._busy_since_s = time.monotonic()

    def _check(self) -> None:
        if self._gone and not self._ready:
            raise MissingError("no display here to show a window on. Run with --headless, or from a desktop session")
        if self._gone:
            raise self._failure(f"the window's process ended ({self._reason or 'no message'})")
        if self._busy_since_s is not None and time.monotonic() - self._busy_since_s > self._limit_s:
            raise self._failure(f"the window has shown nothing for {self._limit_s:.0f} s")

    def _failure(self, what: str) -> WindowError:
        self._failed = True
        return WindowError(f"{what}. Is the display still there?")

    def _read(self, stdout: IO[bytes]) -> None:
        for raw in stdout:
            line = raw.decode(errors="replace").strip()
            try:
                said = json.loads(line)
            except ValueError:
                self._reason = line[:200] or self._reason
                continue
            if isinstance(said, dict):
                with self._turn:
                    self._hear(said)
                    self._turn.notify_all()
        with self._turn:
            self._gone = True
            self._turn.notify_all()

    def _hear(self, said: dict[str, Any]) -> None:
        if "ready" in said:
            self._ready = True
        if "error" in said:
            self._reason = said["error"]
        if "fullscreen" in said:
            self.fullscreen = said["fullscreen"]
        if "key" in said:
            self._keys = (self._keys + said["key"])[-_MOST_KEYS:]
        if "shown" in said:
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
