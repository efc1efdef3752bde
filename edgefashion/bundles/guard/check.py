"""Model files from outside, refused before they can hurt: looked through, then tried in a child.

A file is first looked at without OpenVINO (size, form, references), then read, compiled and run
once in a process with a memory and a time limit, which may crash or hang in our place. What has
passed is remembered by its hash, so that it is tried once on a machine and not at each start.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from edgefashion.bundles import model_files
from edgefashion.bundles.guard import ir_xml
from edgefashion.errors import BadInputError, MissingError
from edgefashion.system import files
from edgefashion.system.processes import Child, Message

FORMATS: Final = (".xml", ".onnx", ".tflite")
MAX_TEXT_BYTES: Final = 32 * 2**20
"""Of an IR's .xml. Our longest has 0.4 MB."""
MAX_WEIGHTS_BYTES: Final = 2**30
"""Of any other file: ten times ResNet-50."""

_RULES: Final = 2
"""Raise it with every stricter rule: verdicts by older rules count no more."""
_KEPT: Final = 256
"""Verdicts kept, the newest."""
_LOOK_S: Final = 0.02
"""How often the child is looked at."""
_STANDSTILL: Final = 10
"""How many times as long as its processor time a child may be there: a busy computer has little for it, and one that
only waits would wait for ever."""


@dataclass(frozen=True)
class Limits:
    """What the child may take; ours take 0.2 to 0.4 GB and 0.3 to 1 s."""

    seconds: int = 60
    """Of processor time, which is as much on a busy computer as on one with nothing else to do."""
    memory_bytes: int = 2**30
    """Besides eight times the file: as read, as converted, as compiled twice."""


def check(path: Path, limits: Limits = Limits(), *, finder: bool = False, named: Path | None = None) -> None:
    """Raise :class:`BadInputError` unless the IR, ONNX or TFLite file ``path`` is safe to load and run.

    Safe means: a whole file, with one image in and finite numbers out, that ran in a child within
    ``limits`` and whose work does not depend on the picture. Nothing is raised for what has passed
    before, here or on this machine. ``finder``: it is to answer with a finder's cells, not with a row of
    probabilities. ``named`` is what errors call the file, where ``path`` is a copy of it.
    """
    named = named or path
    if path.suffix not in FORMATS:
        raise BadInputError(f"{named} is no {', '.join(FORMATS)} file. Give one of them")
    try:
        sizes = _sizes(path)
        verdict = _verdict(path, finder=finder)
        if _is_kept(verdict):
            return
        if path.suffix == ".xml":
            ir_xml.scan(path, sizes[1])
        elif path.suffix == ".tflite":
            _check_mark(path)
    except ir_xml.RefusedError as error:
        raise BadInputError(f"{named} is refused: {error}. {error.step}") from error
    except OSError as error:
        raise BadInputError(f"{named} cannot be read ({error.strerror}). {ir_xml.RESTORE}") from error
    with _alone(path) as copy:
        refused = _tried(copy, Limits(limits.seconds, limits.memory_bytes + 8 * sum(sizes)), finder=finder)
    if refused:
        raise BadInputError(f"{named} is refused: {refused}. {refused.step}")
    _keep(verdict)


def vouch(path: Path, *, finder: bool = False) -> None:
    """Remember a file that this process has itself just written as one that needs no child."""
    with contextlib.suppress(OSError):  # then it is tried when it is loaded
        _keep(_verdict(path, finder=finder))


# --- What can be seen without OpenVINO -------------------------------------------------------


def _sizes(path: Path) -> list[int]:
    """Bytes of each of the model's files, none of them empty, huge or something other than a file."""
    sizes = []
    for file in model_files.files_of(path):
        if not file.exists() and not file.is_symlink():
            raise ir_xml.RefusedError(f"{file.name} is missing")
        found = file.stat()
        # A pipe would wait for ever, and a device never end.
        if not stat.S_ISREG(found.st_mode):
            raise ir_xml.RefusedError(f"{file.name} is no regular file")
        largest = MAX_TEXT_BYTES if file.suffix == ".xml" else MAX_WEIGHTS_BYTES
        if not found.st_size:
            raise ir_xml.RefusedError(f"{file.name} is empty")
        if found.st_size > largest:
            raise ir_xml.RefusedError(f"{file.name} has {found.st_size:,} bytes, more than {largest:,}")
        sizes.append(found.st_size)
    return sizes


def _check_mark(path: Path) -> None:
    with path.open("rb") as file:
        if file.read(8)[4:] != b"TFL3":
            raise ir_xml.RefusedError("it is no TFLite file")


# --- The child -------------------------------------------------------------------------------


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[Path]:
    """``path``; an ONNX file as a copy in a folder of its own, where the other files that it may name
    are not: they were not looked at, and their bytes are not in its hash."""
    if path.suffix != ".onnx":
        yield path.absolute()
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        yield Path(shutil.copyfile(path, Path(folder) / "model.onnx"))


def _tried(path: Path, limits: Limits, *, finder: bool) -> ir_xml.RefusedError | None:
    """What a child that reads, compiles and runs ``path`` says against it; its death says so too."""
    child = Child("edgefashion.bundles.guard.worker", environment={"PYTHONDONTWRITEBYTECODE": "1"})
    try:
        child.send({"path": str(path), "finder": finder, **vars(limits)})
        answer = _answer(child, limits)
    except EOFError:
        code = child.exit_code or 0
        how = f"signal {-code}" if code < 0 else f"code {code}"
        return ir_xml.RefusedError(f"it ended the process that tried it ({how})")
    finally:
        child.close(0)
    if "missing" in answer:
        raise MissingError(f"openvino cannot be imported ({answer['missing']}). Run: pip install openvino")
    return ir_xml.RefusedError(answer["reason"], answer["step"]) if answer["reason"] else None


def _answer(child: Child, limits: Limits) -> Message:
    """The child's answer, or the limit that it has passed as one. Raises :class:`EOFError` if it ends without any."""
    import psutil

    until_s = time.monotonic() + _STANDSTILL * limits.seconds
    while True:
        with contextlib.suppress(TimeoutError):
            return child.receive(_LOOK_S)
        if time.monotonic() > until_s:
            return _too_much(f"{_STANDSTILL * limits.seconds} s")
        with contextlib.suppress(psutil.Error):  # it has just ended
            process = psutil.Process(child.pid)
            spent = process.cpu_times()
            if spent.user + spent.system > limits.seconds:
                return _too_much(f"{limits.seconds} s of processor time")
            if process.memory_info().rss > limits.memory_bytes:
                return _too_much(f"{limits.memory_bytes / 2**20:,.0f} MB of memory")


def _too_much(of_what: str) -> Message:
    return {"reason": f"trying it took more than {of_what}", "step": ir_xml.SMALLER}


# --- What has passed before ------------------------------------------------------------------
#
# One empty file a verdict, in the user's own cache. A verdict only spares the child. Whoever can
# write there runs as this user already, and can as well change this package or his shell's start;
# the model's folder, often a download or a share, is open to more people than that, and a model
# changed there has another hash and no verdict. (Changed between its check and its loading it is not
# noticed; so it is with a bundle's manifest.) Where the cache is shared after all
# (XDG_CACHE_HOME=/tmp), another user's files do not count. Without a cache everything is only slower.

_kept_here: set[str] = set()
"""The verdicts of this process, for where the cache cannot be written."""


def _verdict(path: Path, *, finder: bool) -> str:
    """The name under which a file that passed is remembered."""
    kind = " finder" if finder else ""
    known = hashlib.sha256(f"{_RULES} {version('openvino')} {path.suffix}{kind}".encode())
    for file in model_files.files_of(path):
        known.update(files.sha256(file).encode())
    return known.hexdigest()


def _folder() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("edgefashion", appauthor=False) / "vetted"


def _is_kept(verdict: str) -> bool:
    if verdict in _kept_here:
        return True
    try:
        found = (_folder() / verdict).lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and (os.name == "nt" or found.st_uid == os.geteuid())


def _keep(verdict: str) -> None:
    _kept_here.add(verdict)
    folder = _folder()
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / verdict).touch()  # without content there is no half of it
        by_age = sorted(folder.iterdir(), key=lambda file: file.lstat().st_mtime, reverse=True)
        for old in by_age[_KEPT:]:
            old.unlink()
