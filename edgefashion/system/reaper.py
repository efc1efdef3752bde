"""Runs a command so that nothing it ever started outlives it, or us: a process between us and a program of many.

    python -P -m edgefashion.system.reaper LIFELINE FOLDER COMMAND...

LIFELINE is the descriptor of a pipe that nobody writes into. When its other end closes, which even SIGKILL does, the
command is asked to end, then all that descends from it is killed, however it had cut itself loose, and FOLDER is
removed. The same happens when the command ends of itself; its exit code is ours.
"""

from __future__ import annotations

import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Final

GRACE_S: Final = 5.0
"""For the command to end when it is asked to."""

_LOOK_S: Final = 0.1
_ADOPT: Final = 36
"""PR_SET_CHILD_SUBREAPER of linux/prctl.h: orphans among our descendants become our children."""


def main() -> None:
    """Run the command, and clear up behind it."""
    lifeline, folder, *command = sys.argv[1:]
    asked = [False]

    def ask(*_: object) -> None:
        asked[0] = True

    # Handlers, and not SIG_IGN: the command would inherit that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, ask)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_ADOPT, 1, 0, 0, 0)
    process = subprocess.Popen(command)  # the lifeline is not handed on
    try:
        while process.poll() is None and not asked[0]:
            asked[0] = bool(select.select([int(lifeline)], [], [], _LOOK_S)[0])
        if process.poll() is None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(GRACE_S)
    finally:
        _clear()
        shutil.rmtree(folder, ignore_errors=True)
    code = process.poll()
    sys.exit(1 if code is None else 128 - code if code < 0 else code)


def _clear() -> None:
    """Kill all that descends from this process, until nothing is left."""
    import psutil

    until_s = time.monotonic() + GRACE_S
    while (left := psutil.Process().children(recursive=True)) and time.monotonic() < until_s:
        for one in left:
            with suppress(psutil.Error):
                one.kill()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(_LOOK_S / 4)


if __name__ == "__main__":
    main()
