"""A camera, stream or video, read in a child process, so that nothing it does can stop the loop.

A driver may block for ever and a decoder may crash; the child is then ended and another one started. A source is
*starting* until its first frame, *live* while frames come, *stale* when none has come for a second, *reconnecting*
once it is lost, and *ended*.
"""

from __future__ import annotations

import collections
import contextlib
import json
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edgefashion.errors import BadInputError, MissingError
from edgefashion.system.processes import child_environment
from edgefashion.system.shared_pictures import PictureMemory, PictureReader

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

STALE_S: Final = 1.0
"""Without a frame for this long an answer is not of now; for a camera slower than that, three of its intervals."""

LOST_S: Final = 6.0
"""Without a frame for this long a source is given up. A stream that times out by itself (3 s) says so earlier."""

OPEN_LIMIT_S: Final = 12.0
"""For the child to start and to open the source, which may take a network its 5 s; then it is held to hang."""

DEVICE_OPEN_LIMIT_S: Final = 45.0 if os.name == "nt" else OPEN_LIMIT_S
"""Some cameras take Windows half a minute to open."""

DEVICES: Final = ("/dev/video", "/dev/v4l/")
"""How a camera's name begins, besides its number: one by its id is the same after it was plugged in elsewhere."""

RETRY_S: Final = (0.25, 1.25)
"""First and longest wait before a lost source is opened again; it doubles in between. The longest, its jitter, the
second that a silent host is waited for and the opening together stay under 3 s, within which a source that is back is
to be seen."""

MOST_DYING: Final = 2
"""Processes that a driver keeps from ending, even killed, from which on no other is started."""

JITTER: Final = 0.25
"""Share by which a wait is drawn longer or shorter, so that a shop's kiosks do not all knock at once."""

REAP_LIMIT_S: Final = 5.0
"""How long closing waits for a child that was killed."""

STEADY_S: Final = 10.0
"""A source that was live for this long begins again with the first wait when it is lost."""


@dataclass(frozen=True)
class Frame:
    """One picture with the time it was taken."""

    image: NDArray[np.uint8]
    """BGR (h, w, 3)."""
    time_s: float
    """``time.monotonic()`` when it left the source."""
    number: int
    """Its place in the source, from 0; a live source skips the numbers of dropped frames."""


class _Child:
    """The process that reads, and the thread that hears what it says."""

    def __init__(self, source: str, live: bool, changed: threading.Condition) -> None:
        self._memory = PictureMemory()
        descriptor = self._memory.descriptor
        self.pictures = PictureReader(descriptor)
        self.messages: collections.deque[dict[str, Any]] = collections.deque()
        self._changed = changed
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "edgefashion.camera.sources.capture_worker"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=child_environment(),
                start_new_session=True,  # a Ctrl-C is for us to act on
                pass_fds=() if descriptor is None else (descriptor,),
            )
        except BaseException:
            self._memory.close()
            raise
        self._hearer = threading.Thread(target=self._hear, name="capture", daemon=True)
        try:
            self._hearer.start()
        except BaseException:
            self._process.kill()
            self._process.wait()
            self._let_go()
            raise
        self.ask(json.dumps({"source": source, "live": live, "descriptor": descriptor}))

    def _hear(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError, ValueError):  # it is being closed, or died over a line
            for line in self._process.stdout:
                self._put(json.loads(line))
        self._put({"died": True})

    def _put(self, message: dict[str, Any]) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()

    def ask(self, command: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has died, which the hearer tells
            self._process.stdin.write(command.encode() + b"\n")
            self._process.stdin.flush()

    def kill(self) -> threading.Thread:
        """End it; the thread that is returned leaves nothing of it. A driver may hold it back even from SIGKILL."""
        self._process.kill()
        reaper = threading.Thread(target=self._reap, name="capture-reaper", daemon=True)
        with contextlib.suppress(RuntimeError):  # no more threads are to be had: it stays a zombie until we end
            reaper.start()
        return reaper

    def _reap(self) -> None:
        self._process.wait()
        self._hearer.join()
        self._let_go()

    def _let_go(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._memory.close()


class Capture:
    """Frames of a device, a URL or a video file. Not to be read from two threads at once."""

    def __init__(self, source: str, *, live: bool, called: str, max_failures: int | None = None) -> None:
        """Begin to open ``source``, which messages call ``called``.

        A ``live`` source gives its newest frame and is opened anew whenever it is lost, until it has failed
        ``max_failures`` times in a row; a file gives every frame in order.
        """
        self.live = live
        self.fps = 0.0
        self.state = "starting"
        self.reason = ""
        """Why, as a phrase, where the state is not live."""
        self.apart = False
        self.losses = 0
        """Times it went from live to lost."""
        self._source, self._called, self._max_failures = source, called, max_failures
        self._changed = threading.Condition()
        self._closing = False
        self._child: _Child | None = None
        self._phase = "waiting"  # for the next attempt; then "opening", then "open"
        self._due_s = self._since_s = time.monotonic()
        self._wait_s, self._failures = RETRY_S[0], 0
        self._asked_s: float | None = None
        self._last_s = self._interval_s = 0.0
        self._next_number = 0
        self._base = 0
        """What a child's count of frames is to be added to: it begins anew with each."""
        self._frame: Frame | None = None
        self._reapers: list[threading.Thread] = []
        self._told = ("starting", "")

    # --- What the loop calls ------------------------------------------------------------------

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame; None if none came in time, or as soon as the state or its reason has changed.

        Raises :class:`BadInputError` for a file that cannot be read, :class:`MissingError` after the last of
        ``max_failures`` failures.
        """
        until_s = time.monotonic() + timeout_s
        with self._changed:
            while not self._closing:
                now_s = time.monotonic()
                self._hear(now_s)
                self._advance(now_s)
                if self._frame is not None:
                    frame, self._frame = self._frame, None
                    self._told = (self.state, self.reason)
                    return frame
                if (self.state, self.reason) != self._told:
                    self._told = (self.state, self.reason)
                    return None
                if now_s >= until_s or self.state == "ended":
                    return None
                if self._phase == "open" and self._asked_s is None:  # only now: nothing is decoded ahead of need
                    assert self._child is not None
                    self._child.ask("next")
                    self._asked_s = now_s
                # The limits need no exact time: to look at them ten times a second is enough.
                self._changed.wait(min(until_s - now_s, 0.1))
        return None

    def wait_until_open(self, stop: threading.Event) -> bool:
        """Wait until the source has been opened (true) or has failed to be (false), or ``stop`` is set (true)."""
        while not stop.is_set():
            with self._changed:
                now_s = time.monotonic()
                self._hear(now_s)
                self._advance(now_s)
                if self._phase == "open" or self._failures:
                    return self._phase == "open"
                self._changed.wait(0.1)
        return True

    def reopen(self, reason: str) -> None:
        """Give up the connection there is, and make a new one."""
        with self._changed:
            if self._phase == "open" and not self._closing:
                self._lose(reason, time.monotonic(), hangs=True, failed=False)

    def close(self) -> None:
        """End the child process, whatever it is at. May be called twice, and from any thread."""
        with self._changed:
            self._closing = True
            self.state, self.reason = "ended", self.reason or "closed"
            self._drop()
            self._frame = None
            self._changed.notify_all()
        until_s = time.monotonic() + REAP_LIMIT_S
        for reaper in self._reapers:
            reaper.join(timeout=max(0.0, until_s - time.monotonic()))

    # --- The states ---------------------------------------------------------------------------

    def _hear(self, now_s: float) -> None:
        """Act on what the child has said."""
        while self._child is not None and self._child.messages:
            message = self._child.messages.popleft()
            if "frame" in message:
                self._take(message, now_s)
            elif "opened" in message:
                self._phase, self._since_s, self.fps = "open", now_s, float(message["opened"])
                if not self.live:
                    self.state, self.reason = "live", ""
            elif "lost" in message:
                self._lose(message["lost"], now_s)
            elif "ended" in message:
                self._end("the file has ended")
            elif "bad" in message:
                self._end(message["bad"])
                raise BadInputError(message["bad"])
            elif self.live:
                self._lose("the process that reads it died", now_s, hangs=True)
            else:
                self._end("the process that reads it died")
                raise BadInputError(
                    f"{self._called} cannot be read beyond frame {self._next_number - 1}: its decoder crashed. "
                    "Give another video"
                )

    def _take(self, message: dict[str, Any], now_s: float) -> None:
        assert self._child is not None
        try:
            image = self._child.pictures.get(message["put"]).copy()  # the next one comes into the same memory
        except (OSError, MemoryError, ValueError) as error:
            self._lose(f"no memory for its pictures: {error}", now_s, hangs=True)
            return
        time_s = float(message["time_s"])
        if self.state in ("live", "stale"):
            self._interval_s += 0.2 * (min(time_s - self._last_s, LOST_S) - self._interval_s)
        else:
            self._base = self._next_number - int(message["frame"]) if self.live else 0
            self._interval_s = 0.0
        number = int(message["frame"]) + self._base
        self._frame = Frame(image, time_s, number)
        self._next_number, self._last_s, self._asked_s = number + 1, time_s, None
        self.state, self.reason = "live", ""
        self._failures = 0

    def _advance(self, now_s: float) -> None:
        """Do what is due."""
        if self.state == "ended":
            return
        if self._phase == "waiting":
            if now_s >= self._due_s:
                self._begin(now_s)
        elif self._phase == "opening":
            limit_s = OPEN_LIMIT_S if "://" in self._source else DEVICE_OPEN_LIMIT_S
            if self.live and now_s - self._since_s > limit_s:
                self._lose(f"opening it took over {limit_s:.0f} s", now_s, hangs=True)
        elif self._asked_s is not None:
            self._watch(now_s - self._asked_s, now_s)
        if self.state == "live" and now_s - self._since_s > STEADY_S:
            self._wait_s = RETRY_S[0]

    def _begin(self, now_s: float) -> None:
        """Have the source opened, by a new process where there is none."""
        self._reapers = [reaper for reaper in self._reapers if reaper.is_alive()]
        if len(self._reapers) >= MOST_DYING:  # a driver holds them; more would be held as well
            self._lose("the processes that read it cannot be ended", now_s)
            return
        try:
            if self._child is None:
                self._child = _Child(self._source, self.live, self._changed)
        except (OSError, RuntimeError) as error:  # no descriptor, thread or memory is to be had just now
            self._lose(f"no process can be started to read it: {error}", now_s)
            return
        self._child.ask("open")
        self._phase, self._since_s = "opening", now_s

    def _watch(self, without_s: float, now_s: float) -> None:
        """Judge a frame that has been asked for and has not come."""
        if self.live and without_s > LOST_S:
            self._lose(f"no frame came for {LOST_S:.0f} s", now_s, hangs=True)
        elif self.state == "live" and without_s > max(STALE_S, min(3 * self._interval_s, LOST_S / 2)):
            self.state, self.reason = "stale", f"no frame came for {without_s:.1f} s"

    def _lose(self, reason: str, now_s: float, *, hangs: bool = False, failed: bool = True) -> None:
        if hangs:
            self._drop()
        if self.state in ("live", "stale"):
            self.losses += 1
            self.state = "reconnecting"
        self.reason = reason
        self._failures += failed
        self._phase, self._asked_s = "waiting", None
        self._due_s = now_s + self._wait_s * random.uniform(1 - JITTER, 1 + JITTER)
        self._wait_s = min(2 * self._wait_s, RETRY_S[1])
        if failed and self._max_failures is not None and self._failures >= self._max_failures:
            self._end(reason)
            times = "once" if self._failures == 1 else f"{self._failures} times in a row"
            raise MissingError(
                f"{self._called} cannot be opened or was lost {times}: {reason}. Check that it is there and try again"
            )

    def _end(self, reason: str) -> None:
        self.state, self.reason = "ended", reason
        self._drop()

    def _drop(self) -> None:
        """End the child without waiting for it."""
        child, self._child = self._child, None
        if child is not None:
            self._reapers = [*(thread for thread in self._reapers if thread.is_alive()), child.kill()]
