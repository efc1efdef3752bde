"""The folder of a shop's collected pictures: what a camera keeps, a person decides, and a training reads.

How a folder DIR is laid out::

    DIR/to review/2026-11-27/20261127-101112-<16 hex>.jpg   nobody has decided yet
    DIR/<Label>/20261127-101112-<16 hex>.jpg                decided; any name may be a label
    DIR/.deleted/<Label, or to review/...>/...              deleted, for an undo

A file's name holds the local day and time at which it was taken, and its perceptual hash. It never changes. As the day
comes first, all of a day are of one "sender" to :mod:`edgefashion.data.photo_folders`, and a split keeps them together.
Two labels mean no garment of the shop's own: ``Unknown`` (none of these) and ``No garment`` (nothing to name).
``to review``, and every name that begins with a dot, is no label. Photos that were not collected may lie beside these,
in sub-folders that tell their senders.

A picture and its facts are one file: the facts are JSON in the JPEG's comment segment. So both move at once, and a
power cut leaves no half. A file gets its name by a link, which the file system gives to one and which overwrites
nothing: any number of people, pages and cameras may use a folder at once. Then it loses the name before; a power cut
just in between leaves it both.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Final, TypeVar

from edgefashion.data.jpeg_facts import Facts, read_facts, with_facts
from edgefashion.data.label_names import DELETED, TO_REVIEW, folder_of_label, is_label_folder
from edgefashion.data.picture_walk import FolderWalk, LeftOut
from edgefashion.errors import BadInputError
from edgefashion.system.files import sync_folder

__all__ = ["DELETED", "TO_REVIEW", "Facts", "Listing", "Moved", "Picture", "delete", "deleted", "empty", "find"]
__all__ += ["is_collected", "is_name", "listing", "move", "read_facts", "remove", "undo", "with_facts", "write"]

_NAME: Final = re.compile(r"\d{8}-\d{6}-([0-9a-f]{16})(?:-\d+)?\.jpg")

_NO_TEXT: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

T = TypeVar("T")

_moving = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A picture in a folder."""

    folder: Path
    name: str
    """Its path below the folder with ``/``, such as ``to review/2026-11-27/x.jpg``. It serves as an identifier."""

    @property
    def path(self) -> Path:
        return self.folder / self.name

    @property
    def label(self) -> str | None:
        """The label that a person gave it; None where nobody has decided yet."""
        first = self.name.partition("/")[0]
        return first if is_label_folder(first) else None

    @property
    def phash(self) -> int | None:
        """Its perceptual hash, where its file name tells it: only for pictures that were collected."""
        found = _NAME.fullmatch(self.name.rpartition("/")[2])
        return int(found[1], 16) if found else None

    def facts(self) -> Facts | None:
        """As :func:`read_facts`."""
        return read_facts(self.path)


@dataclass(frozen=True)
class Moved:
    """A picture that was moved or deleted: what :func:`undo` takes."""

    before: Picture
    after: Picture


@dataclass(frozen=True)
class Listing:
    """What a folder holds, by name."""

    undecided: tuple[Picture, ...]
    decided: tuple[Picture, ...]
    unnamed: tuple[Picture, ...] = ()
    """Those left out for their names, which no page and no JSON takes as they are: see :func:`is_name`."""


def listing(folder: Path) -> Listing:
    """The pictures of ``folder``, those of each label together, whatever its name; none is opened but to see what kind
    of file it is. Empty where there is nothing yet. Raises :class:`BadInputError` where there is no such folder."""
    try:
        names = sorted(entry.name for entry in folder.iterdir() if entry.is_dir())
    except OSError as error:
        raise BadInputError(f"{folder} cannot be read: {error.strerror}. Give the folder of --collect") from None
    undecided = list(_below(folder, TO_REVIEW) if (folder / TO_REVIEW).is_dir() else ())
    decided = [picture for name in names if is_label_folder(name) for picture in _below(folder, name)]
    return Listing(
        tuple(filter(_has_name, undecided)),
        tuple(filter(_has_name, decided)),
        tuple(picture for picture in (*undecided, *decided) if not _has_name(picture)),
    )


def is_collected(name: str) -> bool:
    """True for a file's name, without its folder, that only a picture has that was collected, decided or not."""
    return _NAME.fullmatch(name) is not None


def deleted(folder: Path) -> tuple[Picture, ...]:
    """The deleted pictures of ``folder`` that are still there for an undo."""
    where = folder / DELETED
    if not where.is_dir():
        return ()
    there = (picture for below in sorted(where.iterdir()) for picture in _below(folder, f"{DELETED}/{below.name}"))
    return tuple(filter(_has_name, there))


def find(folder: Path, name: str) -> Picture | None:
    """The picture called ``name`` (see :class:`Picture`), None where there is none, or the name leads elsewhere.

    Made for names that come from a browser: nothing outside the folder is found, and nothing deleted. All that
    :func:`listing` tells is found.
    """
    parts = PurePosixPath(name).parts
    if (
        not is_name(name)
        or any(part[0] in "./" for part in parts)
        or "/".join(parts) != name
        or len(parts) < 2
        or not (parts[0] == TO_REVIEW or is_label_folder(parts[0]))
    ):
        return None
    picture = Picture(folder, "/".join(parts))
    try:
        return picture if picture.path.is_file() else None
    except (OSError, ValueError):  # too long, for one
        return None


def is_name(name: str, system: str = os.name) -> bool:
    """False for a name with controls, a line break among them, or with bytes that are no text, as archives of old
    systems unpack them; on Windows also for one that would lead elsewhere there. Blanks of any kind may stand in it."""
    return not (_NO_TEXT.search(name) or (system == "nt" and not set(name).isdisjoint("\\:")))


# --- Written and read --------------------------------------------------------------------------


def write(folder: Path, jpeg: bytes, facts: Facts, phash: int) -> Picture:
    """Put a picture among those to review, whole or not at all.

    Args:
        folder: It has to be there: a disk that is unplugged is not written to in its place.
        jpeg: The picture as a JPEG file.
        facts: ``facts.time`` tells the day and the file's name; now, where it is empty.
        phash: Its 64-bit :func:`~edgefashion.data.images.perceptual_hash`.

    Raises:
        OSError: The folder is not there or the disk is full, for example.
    """
    taken = datetime.fromisoformat(facts.time) if facts.time else datetime.now(UTC).astimezone()
    stem = f"{taken:%Y%m%d-%H%M%S}-{phash:016x}"
    if not folder.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))
    data = with_facts(jpeg, facts)
    day = folder / TO_REVIEW / f"{taken:%Y-%m-%d}"

    def put() -> Picture:
        aside = day / f".{stem}.new-{secrets.token_hex(4)}.jpg"
        try:
            with aside.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            place = _into_free(aside, day / f"{stem}.jpg")
        finally:
            with contextlib.suppress(OSError):
                aside.unlink()
        sync_folder(day)
        return Picture(folder, place.relative_to(folder).as_posix())

    return _in_folder(day, put)


# --- Decided -----------------------------------------------------------------------------------


def move(picture: Picture, to_label: str | None) -> Moved | None:
    """Put a picture under a label, or back among those to review (None).

    A label's folder is made where there is none yet. A sub-folder, which tells the sender, is kept, among those to
    review too; a collected picture lies there in its day's folder. There it is as new: a camera removes the old ones.

    Returns:
        What was done, for :func:`undo`; None where the picture is not there any more: somebody was faster.

    Raises:
        BadInputError: ``to_label`` can be no folder's name; see :func:`~edgefashion.data.label_names.folder_of_label`.
        OSError: The folder cannot be written.
    """
    *above, file = picture.name.split("/")[1:]
    days = _days_folder(picture)
    if picture.label is None and days:
        above = above[above.index(days[0]) + 1 :] if days[0] in above else []  # the day is in the file's name, too
    to = [TO_REVIEW, *days] if to_label is None else [folder_of_label(to_label, _labels(picture.folder))]
    return _renamed(picture, "/".join((*to, *above, file)))


def delete(picture: Picture) -> Moved | None:
    """As :func:`move`, into the folder of deleted pictures, where it stays until :func:`empty`."""
    return _renamed(picture, f"{DELETED}/{picture.name}")


def undo(moved: Moved) -> Moved | None:
    """Put a picture back where it was; None where it is not there any more."""
    return _renamed(moved.after, moved.before.name)


def empty(folder: Path, before_s: float) -> int:
    """Remove for good what was deleted before ``before_s``, in seconds since 1970; how many pictures that were."""
    gone = 0
    for picture in deleted(folder):
        with contextlib.suppress(OSError):
            if picture.path.stat().st_mtime < before_s:
                picture.path.unlink()
                _tidy(picture)
                gone += 1
    return gone


def remove(picture: Picture) -> None:
    """Remove a picture for good, and its day's folder with the last one. It may be gone already."""
    picture.path.unlink(missing_ok=True)
    _tidy(picture)


def _renamed(picture: Picture, to: str) -> Moved | None:
    """None where the picture is gone. Nothing is overwritten: where the name is taken it gets a number."""
    target = picture.folder / to
    if not picture.path.is_file():
        return None
    if target == picture.path:
        return Moved(picture, picture)
    if not is_label_folder(to.partition("/")[0]):
        with contextlib.suppress(OSError):
            # Since when it is to review, or deleted: what a camera and empty() go by. They may come right after the
            # rename, so this comes before it.
            os.utime(picture.path)

    def put() -> Moved:
        place = _into_free(picture.path, target)
        sync_folder(place.parent)
        return Moved(picture, Picture(picture.folder, place.relative_to(picture.folder).as_posix()))

    try:
        moved = _in_folder(target.parent, put)
    except FileNotFoundError:  # another process was faster
        _tidy(Picture(picture.folder, to))  # a folder that was made for nothing
        return None
    _tidy(picture)
    return moved


def _in_folder(folder: Path, put: Callable[[], T]) -> T:
    """What ``put`` returns once ``folder`` is there: another may tidy it away in between, but hardly twice."""
    for left in (2, 1, 0):
        if not folder.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            sync_folder(folder.parent)  # else a power cut could take the folder, and all that came into it
        try:
            return put()
        except FileNotFoundError:
            if not left or folder.is_dir():
                raise
    raise AssertionError("the last round returns or raises")


def _into_free(file: Path, wanted: Path) -> Path:
    """Rename ``file`` to ``wanted``, or to that with a number where the name is taken; what it is called now."""
    while True:
        try:
            return _renamed_to_new(file, _free(wanted))
        except FileExistsError:  # another process has just taken the name
            continue


def _renamed_to_new(file: Path, place: Path) -> Path:
    """Rename ``file`` to ``place``. Raises :class:`FileExistsError` where that is there, FileNotFoundError where
    ``file`` is not."""
    if os.name == "nt":
        return file.rename(place)  # which overwrites nothing there
    try:
        os.link(file, place, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:  # a memory card or a share without links
        # Two people at one page are two threads of one process. Between two processes there is a gap here.
        with _moving:
            if os.path.lexists(place):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(place)) from None
            return file.rename(place)
    try:
        file.unlink()
    except OSError:  # another was faster, and it is his
        place.unlink(missing_ok=True)
        raise
    return place


def _free(wanted: Path) -> Path:
    """``wanted``, with a number where it is taken."""
    place, number = wanted, 1
    while os.path.lexists(place):
        number += 1
        place = wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
    return place


def _tidy(picture: Picture) -> None:
    """Remove the folders that a picture leaves empty, up to the whole folder and without it."""
    above = picture.path.parent
    with contextlib.suppress(OSError):  # not empty
        while above != picture.folder and picture.folder in above.parents:
            above.rmdir()
            above = above.parent


def _days_folder(picture: Picture) -> tuple[str, ...]:
    """The name of the folder of its day; none for a photo that was not collected, whose folders are a person's."""
    name = picture.name.rpartition("/")[2]
    return (f"{name[:4]}-{name[4:6]}-{name[6:8]}",) if _NAME.fullmatch(name) else ()


def _labels(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if is_label_folder(entry.name) and entry.is_dir()]


def _has_name(picture: Picture) -> bool:
    return is_name(picture.name)


def _below(folder: Path, name: str) -> Iterator[Picture]:
    top, begin = str(folder / name), len(str(folder / "x")) - 1
    for path in FolderWalk(LeftOut()).below(top):
        if path != top:  # a folder that cannot be read comes itself
            yield Picture(folder, path[begin:].replace(os.sep, "/"))
