"""A model's history: each revision a whole bundle, one of them in force, changed in one atomic step.

How it lies on disk is told in :mod:`edgefashion.bundles.current`. Whoever makes a new revision asks :func:`next_place`
for its folder, writes a bundle there with :func:`edgefashion.bundles.draft.draft`, and calls :func:`record` and
:func:`switch`. A crash anywhere in between leaves the old revision in force, and a folder that :func:`prune` clears up.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import secrets
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles import probation
from edgefashion.bundles.bundle import INFO, open_bundle
from edgefashion.bundles.current import CURRENT, PLAIN, PREVIOUS, REVISIONS, current_id, folder_of, is_id, keeps_history
from edgefashion.bundles.places import model_dirs
from edgefashion.bundles.resolve import is_bundle, is_shipped, known
from edgefashion.errors import BadInputError
from edgefashion.system import file_lock
from edgefashion.system.files import sha256, write_whole
from edgefashion.system.ownership import hand_over
from edgefashion.system.text import quoted

KEEP: Final = 5
"""Revisions that are kept, unless told otherwise."""

_LOCK: Final = ".lock"
_FORMAT: Final = 1
_LONGEST_WAY: Final = 50
"""Revisions, of those that were in force, that are remembered."""
_ABANDONED_S: Final = 24 * 3600.0
"""A folder that no revision was made of within this time belongs to a run that was killed."""


@dataclass(frozen=True)
class Origin:
    """Where a revision comes from."""

    why: str = ""
    """What was done, as a phrase: ``taught with 212 photos``, ``installed from shop-0002.edgepack``."""
    verdict: str | None = None
    """What its report says of it in a word or a sentence."""
    data_sha256: str | None = None
    """Of the pictures it was trained on."""
    signed_by: str | None = None
    """SHA-256 of the key or certificate that its signature was checked with; None where none was."""
    parent: str | None = None
    """The revision that was in force before; of a recorded one None only where there was none."""
    who: str = ""
    """``account@computer``; filled in where it is empty."""
    when: str = ""
    """UTC, ISO 8601; filled in where it is empty."""
    taken_back: str | None = None
    """Why another was put in its place again; None where that has not happened."""


@dataclass(frozen=True)
class Revision:
    """One of a model's revisions."""

    id: str
    """Its name; ``.`` is the bundle in the model's own folder."""
    path: Path
    """Its bundle."""
    sha256: str
    """Of its ``bundle.json``, in hex: the same wherever the same bundle was installed."""
    current: bool
    """True of the one in force."""
    origin: Origin

    def as_json(self) -> dict[str, Any]:
        """Its fields, for ``--json``."""
        return {"revision": self.id, "sha256": self.sha256, "current": self.current, **asdict(self.origin)}


# --- Looking ---------------------------------------------------------------------------------


def history(model_dir: Path) -> list[Revision]:
    """The revisions of the model at ``model_dir``, the oldest first; of a plain bundle that one.

    A revision whose facts cannot be read, or that was not recorded, is left out, unless it is the one in force.
    """
    in_force = _in_force(model_dir)
    found = []
    if (model_dir / INFO).is_file():
        why = "was here before revisions were kept" if keeps_history(model_dir) else ""
        origin = Origin(why=why, when=_made(model_dir))
        found.append(Revision(PLAIN, model_dir, sha256(model_dir / INFO), in_force == PLAIN, origin))
    for name in sorted({file.stem for file in (model_dir / REVISIONS).glob("*.json")} | {in_force}, key=_number):
        place = model_dir / REVISIONS / name
        with contextlib.suppress(OSError):
            if is_id(name) and name != PLAIN and (place / INFO).is_file():
                recorded, current = _recorded(place), name == in_force
                # What runs is a revision, whatever became of what was written of it.
                if recorded is None and current:
                    recorded = Origin(why="what was written of it is lost", when=_made(place))
                if recorded is not None:
                    found.append(Revision(name, place, sha256(place / INFO), current, recorded))
    return found


def folder(model: str | Path) -> Path:
    """The folder of a model by its name, or by its path; whether the revision in force can be read or not.

    Raises :class:`BadInputError` for what is none.
    """
    path = Path(model)
    dirs = [each / path for each in model_dirs()] if len(path.parts) == 1 else []
    for found in (*dirs, path):
        if found.is_dir() and (is_bundle(found) or history(found)):
            return folder_of(found)
    names = ", ".join(folder_of(each.path).name for each in known()) or "none"
    raise BadInputError(f"no model {str(model)!r}: no bundle of that name, and not the path of one. Known: {names}")


def find(model_dir: Path, revision: str) -> Revision:
    """The revision of that name, or the one whose name begins so. Raises :class:`BadInputError` where there is none."""
    there = history(model_dir)
    found = [each for each in there if each.id == revision] or [
        each for each in there if revision and revision != PLAIN and each.id.startswith(revision)
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(each.id for each in there) or "none"
    raise BadInputError(f"{model_dir.name} has no one revision {revision!r}. Its revisions: {names}")


def before(model_dir: Path) -> Revision:
    """The revision to go back to from the one in force. Raises :class:`BadInputError` where there is none."""
    there = history(model_dir)
    here = next((each for each in there if each.current), None)
    older = there[: there.index(here)] if here else there
    # An older one that was put in force once more has another one before it than its parent.
    known = {each.id: each for each in there if each is not here}
    way = [known[name] for name in (_way(model_dir, here.id) if here else ()) if name in known]
    # Its parent may have been pruned since: then the newest older one, none of which was taken back.
    parent = known.get(here.origin.parent or "") if here else None
    good = [each for each in older if each.origin.taken_back is None] or older
    found = way[-1] if way else parent or (good[-1] if good else None)
    if found is None:
        raise BadInputError(f"{model_dir.name} has no older revision to go back to. See: {_show(model_dir)}")
    return found


def origin_of(told: Any) -> Origin:
    """An origin as JSON, read; what is not fields_told in it is left out. Raises ValueError for what is no table."""
    if not isinstance(told, dict):
        raise ValueError("no table")
    fields_told = {field.name: told.get(field.name) for field in fields(Origin)}
    return Origin(**{name: value for name, value in fields_told.items() if isinstance(value, str)})


def _in_force(model_dir: Path) -> str:
    """The name of the revision in force; empty where ``current`` names none."""
    try:
        return current_id(model_dir)
    except BadInputError:
        return ""


def _recorded(place: Path) -> Origin | None:
    """What was written of the revision at ``place``; None where nothing was, or nobody can read it."""
    try:
        return origin_of(json.loads(_facts_of(place).read_text(encoding="utf-8")))
    except (OSError, ValueError, RecursionError):
        return None


def _made(place: Path) -> str:
    """When the bundle at ``place`` was written, by its file: UTC, ISO 8601."""
    return datetime.fromtimestamp((place / INFO).stat().st_mtime, UTC).isoformat(timespec="seconds")


def _way(model_dir: Path, here: str) -> list[str]:
    """What was in force before ``here``, the latest last; empty where nobody has written it, or can read it."""
    with contextlib.suppress(OSError, ValueError):
        names = (model_dir / PREVIOUS).read_text(encoding="utf-8").split()
        # A crash between its writing and the switch leaves the one that was about to come behind it.
        return names[: len(names) - 1 - names[::-1].index(here)]
    return []


def _number(name: str) -> int:
    digits = name.partition("-")[0]
    return int(digits) if digits.isdecimal() and digits.isascii() else -1


def _show(model_dir: Path) -> str:
    return f"edgefashion models show {quoted(model_dir.name)}"


# --- Changing --------------------------------------------------------------------------------

_mine: Final[set[tuple[str, int]]] = set()
"""The folders that a thread of this process is changing just now."""


@contextlib.contextmanager
def changing(model_dir: Path) -> Iterator[None]:
    """Keep every other process from changing this model's revisions. May be entered again inside.

    Raises :class:`BadInputError` while another changes them, and for a model that came with the package.
    """
    mine = (str(model_dir.absolute()), threading.get_ident())
    if mine in _mine:
        yield
        return
    if is_shipped(model_dir / INFO):
        raise BadInputError(f"{model_dir.name} came with edgefashion and is not changed. Install it under another name")
    lock = model_dir / REVISIONS / _LOCK
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = file_lock.hold(lock)
    except BadInputError as error:
        raise BadInputError(
            f"another process is changing the revisions of {model_dir.name}. Wait until that is done"
        ) from error
    except OSError as error:
        raise BadInputError(
            f"{lock.parent} cannot be written: {error.strerror}. Check its permissions and the free space"
        ) from error
    _mine.add(mine)
    try:
        yield
    finally:
        _mine.discard(mine)
        file_lock.let_go(held)
        hand_over(model_dir)


def forget(model_dir: Path) -> None:
    """Remove the folder of a model of which nothing came: the lock alone is in it."""
    with contextlib.suppress(OSError):
        (model_dir / REVISIONS / _LOCK).unlink(missing_ok=True)
        (model_dir / REVISIONS).rmdir()
        model_dir.rmdir()


def next_place(model_dir: Path, suffix: str | None = None) -> Path:
    """A folder for the next revision's bundle, which is not there yet: a draft's target.

    ``suffix``: eight hex digits that end its name; random ones by default.
    """
    folder = model_dir / REVISIONS
    taken = [_number(path.name) for path in folder.iterdir()] if folder.is_dir() else []
    number = max([*taken, 1 if (model_dir / INFO).is_file() else 0]) + 1
    return folder / f"{number:04}-{suffix or secrets.token_hex(4)}"


def record(model_dir: Path, place: Path, origin: Origin) -> Revision:
    """Make the bundle at ``place``, which :func:`next_place` gave, a revision that can be put in force.

    Raises :class:`BadInputError` if there is no bundle.
    """
    if place.absolute().parent != (model_dir / REVISIONS).absolute() or not is_id(place.name):
        raise BadInputError(f"{place} is no place of a revision of {model_dir.name}. Ask for the next place")
    made = open_bundle(place)
    with changing(model_dir):
        whole = replace(
            origin,
            parent=origin.parent or next((each.id for each in history(model_dir) if each.current), None),
            who=origin.who or _who(),
            when=origin.when or _now(),
        )
        found = Revision(place.name, place, made.sha256, False, whole)
        _write_facts(found)
    return found


def switch(model_dir: Path, revision: str, *, probation_s: float | None = None) -> Revision:
    """Put a recorded revision in force, in one step: whoever looks finds the old one or the new one.

    ``probation_s``: for how many seconds a running camera compares it with the one before, see
    :mod:`edgefashion.bundles.probation`; None: not at all. Raises :class:`BadInputError` for a revision that is not
    there, OSError where the disk is full.
    """
    with changing(model_dir):
        new, old = find(model_dir, revision), next((each for each in history(model_dir) if each.current), None)
        if new == old:
            return new
        if old is not None and old.id != PLAIN and _recorded(old.path) is None:
            _write_facts(old)  # else nothing could go back to it
        # First: without its revision in force it says nothing, and afterwards a crash would leave it unwritten.
        if probation_s and old is not None:
            probation.begin(model_dir, new.id, old.id, probation_s)
        way = [*_way(model_dir, old.id), old.id, new.id] if old is not None else [new.id]
        return _put_in_force(model_dir, new, way[-_LONGEST_WAY:])


def rollback(model_dir: Path, why: str = "", to: str | None = None) -> tuple[Revision, Revision]:
    """Put the revision before, or ``to``, in force again; returns the one that was and the one that is.

    ``why`` stands in the history of the one that is taken back. A newer ``to`` that was not in force before takes
    nothing back: it is put in force on probation. Raises :class:`BadInputError` where there is none.
    """
    with changing(model_dir):
        was = next((each for each in history(model_dir) if each.current), None)
        now = find(model_dir, to) if to else before(model_dir)
        if was is not None and now.id == was.id:
            raise BadInputError(f"{model_dir.name} is at {now.id} already. See: {_show(model_dir)}")
        way = _way(model_dir, was.id) if was is not None else []
        newer = [each.id for each in history(model_dir)]
        if was is not None and now.id in newer[newer.index(was.id) :] and now.id not in (*way, was.origin.parent):
            return was, switch(model_dir, now.id, probation_s=probation.MINUTES * 60)
        # The way on from there is the one that led to it: going back twice does not lead to where one was.
        way = way[: len(way) - way[::-1].index(now.id)] if now.id in way else [now.id]
        now = _put_in_force(model_dir, now, way)
        # It is done. What is written from here on only tells of it.
        with contextlib.suppress(OSError):
            told = why or f"by {_who()}, {_now()}"
            if was is not None and was.id != PLAIN:
                _write_facts(replace(was, origin=replace(was.origin, taken_back=told)))
            if was is not None:
                probation.end(model_dir, was.id, "rolled back", told)
    return was or now, now


def _put_in_force(model_dir: Path, now: Revision, way: list[str]) -> Revision:
    """The revision ``now``, put in force in one step; ``way`` led to it. That it was taken back once is over."""
    write_whole(model_dir / PREVIOUS, "\n".join(way) + "\n")
    write_whole(model_dir / CURRENT, f"{now.id}\n")
    if now.origin.taken_back is not None:
        now = replace(now, origin=replace(now.origin, taken_back=None))
        with contextlib.suppress(OSError):  # it only tells of it
            _write_facts(now)
    return replace(now, current=True)


def prune(model_dir: Path, keep: int = KEEP) -> list[Revision]:
    """Remove all but the newest ``keep`` revisions; returns those removed.

    The one in force, the one to go back to, the one of a running probation and the bundle in the model's own folder
    stay in any case.
    """
    with changing(model_dir):
        there = history(model_dir)
        stays = {each.id for each in there[max(0, len(there) - keep) :]} | {PLAIN}
        stays |= {each.id for each in there if each.current}
        with contextlib.suppress(BadInputError):
            stays.add(before(model_dir).id)
        if (on := probation.running(model_dir)) is not None:
            stays.add(on.previous)
        gone = [each for each in there if each.id not in stays]
        for each in gone:
            _facts_of(each.path).unlink(missing_ok=True)  # first: a folder without it is no revision any more
            shutil.rmtree(each.path, ignore_errors=True)
        _clear_up(model_dir)
    return gone


def _clear_up(model_dir: Path) -> None:
    """Remove what a killed run has left: folders that no revision was made of, and facts whose bundle is gone."""
    in_force = _in_force(model_dir)
    for path in (*model_dir.glob(".*.new-*"), *(model_dir / REVISIONS).iterdir()):
        with contextlib.suppress(OSError):
            young = time.time() - path.stat().st_mtime < _ABANDONED_S
            if young or path.name == _LOCK or path.suffix == ".training":  # what can be resumed
                continue
            if path.is_dir() and path.name != in_force and not _facts_of(path).is_file():
                shutil.rmtree(path, ignore_errors=True)
            elif path.is_file() and (path.suffix != ".json" or not path.with_suffix("").is_dir()):
                path.unlink()


def _facts_of(place: Path) -> Path:
    return place.with_name(f"{place.name}.json")


def _write_facts(of: Revision) -> None:
    told = {"format": _FORMAT, "revision": of.id, "sha256": of.sha256, **asdict(of.origin)}
    write_whole(_facts_of(of.path), json.dumps(told, indent=2) + "\n")


def _who() -> str:
    try:
        account = getpass.getuser()
    except (OSError, KeyError, ImportError):
        account = f"account {os.getuid()}" if hasattr(os, "getuid") else "unknown"
    return f"{account}@{socket.gethostname()}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
