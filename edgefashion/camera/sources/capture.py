"""A camera, stream or video, read in a child process, so that nothing it does can stop the camera's loop.

A driver may block for ever and a decoder may crash; the child is then ended and another one started. A source is
*starting* until its first frame, *live* while frames come, *stale* when none has come for a second, *reconnecting*
once it is lost, and *ended*.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Final

from edgefashion.camera.sources.capture_process import CaptureProcess, NotStartedError
from edgefashion.camera.sources.failures import KINDS, advice, told
from edgefashion.camera.sources.frame import HANGS_S, LOST_S, UNKNOWN_STALE_S, Frame, Numbering
from edgefashion.camera.sources.reconnect import STEADY_S, Attempts
from edgefashion.camera.sources.schemes import CONNECTIONLESS, is_described, scheme_of
from edgefashion.errors import BadInputError, EdgeFashionError, MissingError
from edgefashion.system.processes import Message

START_LIMIT_S: Final = 120.0
"""For the child to start, which a busy machine may take its time for."""

OPEN_LIMIT_S: Final = 12.0
"""For the child to open the source, which may take a network its 5 s; then it is held to hang."""

LISTEN_LIMIT_S: Final = 25.0
"""The same for what is sent to us, which is waited for longer."""

DEVICE_OPEN_LIMIT_S: Final = 45.0 if os.name == "nt" else OPEN_LIMIT_S
"""Some cameras take Windows half a minute to open."""


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
        self.reason_alone = ""
        """The same without what to do about it."""
        self.apart = False
        self.losses = 0
        """Times it went from live to lost."""
        self._source, self._called = source, called
        self._changed = threading.Condition()
        self._closing = False
        self._process = CaptureProcess(source, live, self._changed)
        self._attempts, self._numbering = Attempts(max_failures), Numbering()
        self._frame: Frame | None = None
        self._stale_s, self._lost_s = UNKNOWN_STALE_S, LOST_S + HANGS_S
        self._failure = "lost"
        """The kind of the last failure."""
        self._told = ("starting", "")

    # --- What the loop calls ------------------------------------------------------------------

    def read(self, timeout_s: float) -> Frame | None:
        """The next frame; None if none came in time, or as soon as the state or its reason has changed.

        Raises :class:`BadInputError` for a file that cannot be read, and after the last of ``max_failures`` failures
        that, or :class:`MissingError`, whichever the failure is.
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
                if self._process.at == "open" and self._process.asked_s is None:
                    self._process.ask(now_s)  # only now: nothing is decoded ahead of need
                # The limits need no exact time: to look at them ten times a second is enough.
                self._changed.wait(min(until_s - now_s, 0.1))
        return None

    def wait_until_open(self, stop: threading.Event) -> bool:
        """Wait until the source has been opened (true) or has failed to be (false), or ``stop`` is set (true).

        What is over as soon as it is open has been opened, too.
        """
        while not stop.is_set():
            with self._changed:
                now_s = time.monotonic()
                self._hear(now_s)
                self._advance(now_s)
                opened = self._process.at == "open" or self.state == "ended"
                if opened or self._attempts.failures:
                    return opened
                self._changed.wait(0.1)
        return True

    def error(self) -> EdgeFashionError:
        """The error for a source that could not be opened: bad input, or something that is missing."""
        kind = BadInputError if KINDS[self._failure].bad_input else MissingError
        return kind(f"{self._called} cannot be opened: {self.reason_alone}. {advice(self._failure)}")

    def reopen(self, reason: str) -> None:
        """Give up the connection there is, and make a new one."""
        with self._changed:
            if self._process.at == "open" and not self._closing:
                self._lose(reason, time.monotonic(), hangs=True, failed=False)

    def close(self) -> None:
        """End the child process, whatever it is at. May be called twice, and from any thread."""
        with self._changed:
            self._closing = True
            self.state, self.reason = "ended", self.reason or "closed"
            self._process.kill()
            self._frame = None
            self._changed.notify_all()
        self._process.wait()

    # --- The states ---------------------------------------------------------------------------

    def _hear(self, now_s: float) -> None:
        """Act on what the child has said."""
        for message in self._process.messages():
            match message["kind"]:
                case "frame":
                    self._take(message, now_s)
                case "ready":
                    self._process.is_ready(now_s)
                case "opened":
                    self._process.opened(now_s)
                    self.fps, self._lost_s = float(message["fps"]), float(message["lost_s"])
                    if not self.live:
                        self.state, self.reason = "live", ""
                case "lost" if message["failure"] == "broke off":
                    self._end(message["reason"])
                    raise MissingError(f"{self._called} cannot be read to its end: {message['reason']}. Try again")
                case "lost":
                    self._lose(message["reason"], now_s, kind=message["failure"])
                case "ended":
                    self._end("the film has ended" if self.live else "the file has ended")
                case "bad":
                    self._end(message["reason"])
                    raise BadInputError(message["reason"])
                case "died":
                    self._died(now_s)

    def _died(self, now_s: float) -> None:
        reason = "the process that reads it died"
        if self.live:
            self._lose(reason, now_s, hangs=True)
            return
        self._end(reason)
        raise BadInputError(
            f"{self._called} cannot be read beyond frame {self._numbering.next - 1}: its decoder crashed. "
            "Give another video"
        )

    def _take(self, message: Message, now_s: float) -> None:
        try:
            image = self._process.picture(message["put"])
        except (OSError, MemoryError, ValueError) as error:
            self._lose(f"no memory for its pictures: {error}", now_s, hangs=True)
            return
        number, time_s = int(message["number"]), float(message["time_s"])
        first = self.state not in ("live", "stale")
        self._frame = Frame(image, time_s, self._numbering.add(number, first=first))
        self._stale_s, self._lost_s = float(message["stale_s"]), float(message["lost_s"])
        self._process.asked_s = None
        self.state, self.reason = "live", ""
        self._attempts.failures = 0

    def _advance(self, now_s: float) -> None:
        """Do what is due."""
        process = self._process
        if self.state == "ended":
            return
        if process.at == "nothing":
            if now_s >= self._attempts.due_s:
                try:
                    process.open(now_s)
                except NotStartedError as error:
                    self._lose(str(error), now_s)
        elif process.at == "opening":
            limit_s = self._open_limit_s() if process.ready else START_LIMIT_S
            if self.live and now_s - process.since_s > limit_s:
                self._lose(f"opening it took over {limit_s:.0f} s", now_s, hangs=True)
        elif process.asked_s is not None:
            self._watch(now_s - process.asked_s, now_s)
        if self.state == "live" and now_s - process.since_s > STEADY_S:
            self._attempts.steady()

    def _open_limit_s(self) -> float:
        scheme = scheme_of(self._source)
        if scheme in CONNECTIONLESS or is_described(self._source):
            return LISTEN_LIMIT_S
        return OPEN_LIMIT_S if scheme else DEVICE_OPEN_LIMIT_S

    def _watch(self, without_s: float, now_s: float) -> None:
        """Judge a frame that has been asked for and has not come, by the source's own pace."""
        if self.live and without_s > self._lost_s:
            self._lose(f"no frame came for {self._lost_s:.0f} s", now_s, hangs=True)
        elif self.state == "live" and without_s > self._stale_s:
            self.state, self.reason = "stale", f"no frame came for {without_s:.1f} s"

    def _lose(self, reason: str, now_s: float, *, kind: str = "lost", hangs: bool = False, failed: bool = True) -> None:
        """The source is lost; where the process ``hangs`` or died, only another one can open it again."""
        if hangs:
            self._process.kill()
        else:
            self._process.lost()
        if self.state in ("live", "stale"):
            self.losses += 1
            self.state = "reconnecting"
        self.reason, self.reason_alone, self._failure = told(reason, kind), reason, kind
        if self._attempts.put_off(now_s, kind, failed=failed):
            return
        self._end(reason)
        failures = self._attempts.failures
        times = "once" if failures == 1 else f"{failures} times in a row"
        error = BadInputError if KINDS[kind].bad_input else MissingError
        raise error(f"{self._called} cannot be opened or was lost {times}: {reason}. {advice(kind)}")

    def _end(self, reason: str) -> None:
        self.state, self.reason = "ended", reason
        self._process.kill()
