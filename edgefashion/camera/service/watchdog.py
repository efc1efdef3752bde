"""What systemd is told of a running camera, and the watchdog it is fed with; nothing where systemd does not ask."""

from __future__ import annotations

import math
import os
import socket
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from edgefashion.camera.moment import Health, Moment
    from edgefashion.inference.classifier import Classifier

_STATUS_S: Final = 10.0
"""How often ``systemctl status`` gets new figures; a change of condition is told at once."""

_FED_EARLY: Final = 3
"""How many times in systemd's limit the watchdog is fed: two may be lost."""

_RETRY_S: Final = 1.0


def send(*lines: str) -> bool:
    """Send ``NAME=VALUE`` lines to systemd, as sd_notify(3) says; False where nobody asks or listens.

    Never raises and never blocks: a manager that does not read is its own affair.
    """
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")) or not hasattr(socket, "AF_UNIX"):
        return False
    if address.startswith("@"):  # Linux's abstract names
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
            channel.setblocking(False)
            channel.sendto("\n".join(lines).encode(), address)
    except (OSError, ValueError):
        return False
    return True


def stopping() -> None:
    """Tell systemd that the camera is ending, so that a slow end is no fault."""
    send("STOPPING=1")


def watchdog_limit_s() -> float | None:
    """Seconds without feeding after which systemd ends this process; None where it does not watch it."""
    limit, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not limit.isdecimal() or int(limit) == 0 or (pid and pid != str(os.getpid())):
        return None
    return int(limit) / 1e6


def proof(current: Callable[[], Classifier]) -> Callable[[], None]:
    """What proves the inference path of ``current()``: one inference on a blank picture, its answer checked.

    The function raises :class:`RuntimeError` for an answer that is no probabilities, and whatever the runtime raises.
    """

    def prove() -> None:
        import numpy as np

        classifier = current()
        total = float(classifier(np.zeros((1, *classifier.input_shape), np.uint8)).sum())
        if not math.isclose(total, 1, abs_tol=0.01):  # also where it is no number
            raise RuntimeError(f"the network's answers to a blank picture add up to {total:.3g}, not to 1")

    return prove


class Watchdog:
    """An output of the camera loop that feeds systemd's watchdog, only ever after a fresh inference.

    While frames come, that is a new answered frame: a moment that is live and counts more of them than the last
    one. While none comes, for a camera unplugged for an hour is no reason to restart a sound process each minute,
    ``prove`` is run, an inference through the same network on a blank picture; the watchdog is fed once it has
    returned. A loop that stands still, an inference that hangs or one that raises does not feed it. Without
    ``prove`` a camera that is away starves it. Either happens at most three times in systemd's limit.

    The first moment that may feed also says that the service is ready. Without systemd all of it does nothing.
    """

    name = "watchdog"
    shows = False
    keeping = None

    def __init__(self, prove: Callable[[], None] | None = None) -> None:
        self._prove = prove
        self._asked = "NOTIFY_SOCKET" in os.environ
        limit_s = watchdog_limit_s()
        self._every_s = math.inf if limit_s is None else limit_s / _FED_EARLY
        self._ready = False
        self._due_s = self._told_s = -math.inf
        self._answered = 0
        self._condition = ""

    def take(self, moment: Moment) -> None:
        """Feed the watchdog if ``moment`` or the proof gives the right to. Raises what the proof raises."""
        if not self._asked:
            return
        self._tell(moment.health)
        fresh = moment.health.well and moment.health.frames != self._answered
        self._answered = moment.health.frames
        if time.monotonic() < self._due_s:
            return
        if not fresh:
            if self._prove is None:
                return
            self._prove()
        told = send("WATCHDOG=1") if self._ready else send("READY=1", "WATCHDOG=1")
        self._ready = self._ready or told
        wait_s = self._every_s if self._ready else _RETRY_S
        self._due_s = time.monotonic() + wait_s

    def _tell(self, health: Health) -> None:
        """What ``systemctl status`` shows."""
        now = time.monotonic()
        if health.condition == self._condition and now < self._told_s + _STATUS_S:
            return
        self._condition, self._told_s = health.condition, now
        reason = f" ({health.reason})" if health.reason else ""
        send(f"STATUS={health.condition}{reason}: {health.fps:.0f} fps, {health.frames:,} frames".replace("\n", " "))

    def keys(self) -> str:
        """No keys: nobody types here."""
        return ""

    def close(self) -> None:
        """Nothing to let go of; that the service ends is told by :func:`stopping`."""
