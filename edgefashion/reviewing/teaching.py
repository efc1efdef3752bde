"""The buttons Teach, Use it and Take it back: commands of ours that run as child processes, one at a time."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles import revisions
from edgefashion.bundles.current import current_id
from edgefashion.errors import BadInputError, printable
from edgefashion.system.addresses import without_secrets
from edgefashion.system.processes import child_environment
from edgefashion.system.text import quoted

EDGEFASHION: Final = (sys.executable, "-P", "-m", "edgefashion")
LINES: Final = 200
"""Lines of a command that are remembered."""

STOP_S: Final = 30.0
"""A command that is stopped has this to keep what it has done; then it is ended."""

_MISSING: Final = 3
"""The exit code of a command that misses something on this machine."""

_FINISHED: Final = (0, 1)
"""Exit codes of a command that came to its end; 1: what was taught is worse."""

_LINE: Final = re.compile(r"[\r\n]+")
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Teaching:
    """Teaching with a folder, and what is done with the network that comes of it.

    Args:
        folder: the pictures.
        model: the model that is taught, in ``./models``. A better one is put in force by the command itself, and what
            runs takes it up.
        command: how a command of ours is begun.
    """

    def __init__(self, folder: Path, model: str, command: tuple[str, ...] = EDGEFASHION) -> None:
        self._folder, self._model, self._command = folder, model, command
        self._out = f"models/{model}"
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._following: threading.Thread | None = None
        self._lines: collections.deque[str] = collections.deque(maxlen=LINES)
        self._doing = ""
        self._began_s = self._ended_s = 0.0
        self._stopped = False
        self._exit: int | None = None
        self._result: dict[str, Any] | None = None
        self._taught: dict[str, Any] | None = None
        self._put = ""
        """The revision that this page has put in force last."""

    def state(self) -> dict[str, Any]:
        """What the page shows: what runs or ran, its lines, how long, and how it ended."""
        back_to = self._back_to()
        with self._lock:
            running = self._process is not None
            until_s = time.monotonic() if running else self._ended_s
            return {
                "doing": self._doing,
                "running": running,
                "stopping": running and self._stopped,
                "stopped": not running and self._stopped,
                "seconds": round(until_s - self._began_s) if self._doing else 0,
                "lines": list(self._lines),
                "exit": self._exit,
                "result": self._result,
                "can_use": _is_kept_back(self._taught) and not running,
                "can_resume": not running and self._stopped and self._doing == "teach",
                "back_to": "" if running else back_to,
                "model": self._model,
                "missing": self._exit == _MISSING and self._doing == "teach" and not running,
                "elsewhere": self._elsewhere(),
            }

    def _elsewhere(self) -> str:
        """How to teach on another PC, in one sentence after the other."""
        return printable(
            f"Or teach on a PC that has it: copy the folder {self._folder.absolute()} to it and there run: "
            f"edgefashion train shop --photos {quoted(self._folder.name)} --out models/{self._model}, then: "
            f"edgefashion models export {self._model}. Bring the file that this writes back, and here run: "
            "edgefashion models install FILE"
        )

    def teach(self, *, resume: bool = False) -> None:
        """Begin to teach, or go on where it was stopped. Raises :class:`BadInputError` while something runs."""
        more = ("--resume",) if resume else ()
        self._start("teach", "train", "shop", "--photos", str(self._folder), "--out", self._out, "--json", *more)

    def use(self) -> None:
        """Put in force what was taught last, where it was not found better. Raises as :meth:`teach`."""
        if not _is_kept_back(self._taught):
            raise BadInputError("nothing was taught that could be used. Teach first")
        assert self._taught is not None
        self._start("use", "models", "rollback", self._model, "--to", str(self._taught["revision"]), "--json")

    def take_back(self) -> None:
        """Have them use the network that was in force before this page put another there. Raises as :meth:`teach`, and
        where it has put none there that still is."""
        back_to = self._back_to()
        if not back_to:
            raise BadInputError(
                "no network that this page has put to use is in use, so there is none to take back. To go back all the "
                f"same: edgefashion models rollback {self._model}"
            )
        self._start("take_back", "models", "rollback", self._model, "--to", back_to, "--json")

    def _back_to(self) -> str:
        """The revision to go back to; empty where this page has put none in force, or another has come since."""
        if not self._put:
            return ""
        try:
            model = revisions.folder(self._model)
            return revisions.before(model).id if current_id(model) == self._put else ""
        except (BadInputError, OSError):  # it was the first one, or it is gone
            return ""

    def stop(self) -> None:
        """End what runs, in order: it may keep what it has done."""
        with self._lock:
            process = self._process
            if process is None:
                return
            self._stopped = True
        with contextlib.suppress(OSError):
            # Not SIGINT: whoever is started in a script's background ignores it, and so do its children.
            process.send_signal(signal.SIGTERM if os.name == "posix" else signal.CTRL_BREAK_EVENT)  # type: ignore[attr-defined]
        timer = threading.Timer(STOP_S, process.kill)
        timer.daemon = True
        timer.start()

    def close(self) -> None:
        """Stop what runs and wait for its end."""
        self.stop()
        if self._following is not None:
            self._following.join(STOP_S + 5)

    def _start(self, doing: str, *arguments: str) -> None:
        with self._lock:
            if self._process is not None:
                raise BadInputError("something is running already. Wait for its end, or stop it")
            flags = 0 if os.name == "posix" else subprocess.CREATE_NEW_PROCESS_GROUP  # type: ignore[attr-defined]
            self._process = subprocess.Popen(
                [*self._command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=child_environment(),
                encoding="utf-8",
                errors="replace",
                start_new_session=os.name == "posix",  # a Ctrl-C in the terminal is ours to pass on
                creationflags=flags,
            )
            self._lines.clear()
            self._doing, self._stopped, self._exit, self._result = doing, False, None, None
            self._began_s = time.monotonic()
            process = self._process
        self._following = threading.Thread(target=self._follow, args=(process, doing), name="teaching", daemon=True)
        self._following.start()

    def _follow(self, process: subprocess.Popen[str], doing: str) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        out: list[str] = []
        reading = threading.Thread(target=lambda: out.append(process.stdout.read()), daemon=True)  # type: ignore[union-attr]
        reading.start()
        for line in process.stderr:
            plain = [without_secrets(_ESCAPE.sub("", part)).strip() for part in _LINE.split(line)]
            with self._lock:
                self._lines.extend(part for part in plain if part)
        reading.join()
        code = process.wait()
        with self._lock:
            self._exit, self._ended_s = code, time.monotonic()
            self._result = _object("".join(out))
            if code in _FINISHED and self._result is not None:
                self._stopped = False  # it was done before it could be stopped
            if doing == "teach":
                self._taught = self._result if code == 0 else None
            elif code == 0:
                self._taught = None
            if code == 0 and self._result is not None and (doing != "teach" or self._result.get("in_force")):
                self._put = "" if doing == "take_back" else str(self._result.get("revision") or "")
            self._process = None


def _is_kept_back(taught: dict[str, Any] | None) -> bool:
    """True for a network that is kept as a revision and not in force: nobody knows whether it is better."""
    return bool(taught and taught.get("revision") and not taught.get("in_force"))


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object that a command printed, None where it printed none."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
