"""Folders of labelled photos: find them, read them, split them by who took them, check them.

A photo folder has one sub-folder a label: ``T-shirt``, ``Footwear``, ``Unknown``, ``No garment``, ...
Photos of one sender share a room, a camera and a wardrobe, so a split is by sender, as
:mod:`edgefashion.data.senders` tells it.
"""

from __future__ import annotations

import csv
import difflib
import itertools
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data import coco_file, images
from edgefashion.data.label_names import ALIASES, DELETED, TO_REVIEW, is_label_folder, key
from edgefashion.data.picture_walk import FolderWalk, LeftOut, is_picture_file, stray
from edgefashion.data.senders import sender_of
from edgefashion.errors import BadInputError
from edgefashion.labels import NAMELESS, PHOTO_LABELS, folder_labels, stands_for
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

LABELS: Final[tuple[str, ...]] = folder_labels(PHOTO_LABELS)
"""The names a sub-folder may have, for the network that ships."""

FEW: Final = 20
"""A label with fewer photos than this is trained and measured poorly."""


SAME_BITS: Final = 4
"""Two photos whose 64-bit perceptual hashes differ in at most so many bits are taken for the same picture. In a set of
3,353 photos 4 of 5.6 million pairs are as close, each of them two shots of one label by one sender."""

_MORE: Final = "\0"
"""The column of the cells that are one too many, of a name that no file gives."""

_WORN: Final = {"1": True, "true": True, "0": False, "false": False, "": False}


@dataclass(frozen=True)
class Photo:
    """One labelled photo on disk."""

    path: Path
    label: str
    sender: str
    kind: str | None = None
    """A finer name of the garment (Blazer, Hoodie, ...), where the folder's ``photos.csv`` gives one."""
    also: tuple[str, ...] = ()
    """Other labels that are as right for it, where ``photos.csv`` gives them."""
    worn: bool = False
    """True where ``photos.csv`` says that somebody wears it: there is more in the photo than the garment."""

    @property
    def known(self) -> bool:
        """True for a garment that has a name: neither Unknown nor No garment."""
        return self.label not in NAMELESS


@dataclass(frozen=True)
class PhotoSet:
    """What a folder holds."""

    folders: tuple[Path, ...]
    photos: tuple[Photo, ...]
    skipped: tuple[str, ...]
    """One line for each folder or file left out, and why."""


def scan(*folders: Path, of: tuple[str, ...] | None = PHOTO_LABELS) -> PhotoSet:
    """List the photos of one or more photo folders, sorted; no picture is read yet.

    ``of``: the labels of the network that they are for. A sub-folder of another name is left out and listed. None: any
    name is a label. What is no picture is counted by reason. A photo of a label counts once, however many paths lead
    to it: a folder may be given twice, or lie in another one as a link. Raises :class:`BadInputError` for a folder that
    does not exist or holds no photo under any known name.
    """
    known = None if of is None else folder_labels(of)
    photos: dict[tuple[Path, str], Photo] = {}
    """By the file that it is in the end, and its label."""
    skipped: list[str] = []
    for folder in folders:
        if not folder.is_dir():
            raise BadInputError(f"{folder} is no folder. Give one with a sub-folder of photos for each label")
        here = _photos_of(folder, known, skipped)
        again = [photo for photo in here if photos.setdefault((photo.path.resolve(), photo.label), photo) is not photo]
        if again:
            such = f"such as {again[0].path}: each counts once"
            skipped.append(f"{folder}: {len(again):,} of its photos were found before by another path, {such}")
    if not photos:
        if scenes := [folder for folder in folders if coco_file.find(folder)]:
            raise BadInputError(f"{scenes[0]} has a COCO file: it is a folder of annotated scenes. Use --scenes")
        hint = (
            skipped[0]
            if skipped
            else f"give a sub-folder for each label: {', '.join(known or ('Polo', 'Hoodie', '...'))}"
        )
        raise BadInputError(f"{', '.join(map(str, folders))} holds no labelled photo: {hint}")
    return PhotoSet(folders, tuple(photos.values()), tuple(dict.fromkeys(skipped)))


_Known = tuple[str, ...] | None
"""The names that labels' folders may have; None: any."""


def _photos_of(folder: Path, known: _Known, skipped: list[str]) -> list[Photo]:
    """The photos of one folder; ``skipped`` gets a line for what is left out."""
    photos: list[Photo] = []
    listed, left_out = _listed(folder, known), LeftOut()
    for below in sorted(p for p in folder.iterdir() if p.is_dir()):
        if key(below.name) in (TO_REVIEW, DELETED):
            continue  # a folder of collected pictures: these are not decided, or deleted
        label = _label_of(below.name, known)
        why = None if label else stray([below.name])
        found = sorted(Path(name) for name in FolderWalk(left_out).below(str(below), why))
        if label is None:
            if found:
                near = _near(below.name, known)
                skipped.append(f"{below}: no label is named so{near}; {len(found):,} files left out")
            continue
        photos += [
            Photo(path, label, sender_of(path, below).name, **listed.get(path.relative_to(folder).as_posix(), {}))
            for path in found
        ]
    here = {photo.path.relative_to(folder).as_posix() for photo in photos}
    if absent := [name for name in listed if name not in here]:
        told = f"{len(absent):,} of the files that it names are no photo here, such as {absent[0]}"
        skipped.append(f"{folder / 'photos.csv'}: {told}")
    if loose := sum(is_picture_file(str(path), LeftOut()) for path in folder.iterdir() if not path.is_dir()):
        loose_told = f"{loose:,} picture{'s' * (loose != 1)} in no label's folder"
        skipped.append(f"{folder}: {loose_told}")
    if told := left_out.told():
        skipped.append(f"{folder}: {told}")
    return photos


def _listed(folder: Path, known: _Known) -> dict[str, dict[str, Any]]:
    """What a ``photos.csv`` tells of files, if there is one: its columns are ``file`` and any of ``kind``, ``also``
    (labels separated by ``|``) and ``worn`` (1 where somebody wears the garment).

    Raises :class:`BadInputError` for a list of which a part would not be understood.
    """
    listed = folder / "photos.csv"
    told: dict[str, dict[str, Any]] = {}
    try:
        with listed.open(newline="", encoding="utf-8-sig") as lines:  # Excel begins a file with a mark
            rows = csv.DictReader(lines, restkey=_MORE)
            if "file" not in (rows.fieldnames or ()):
                raise ValueError("its first line names no column file; the columns are separated by commas")
            for row in rows:
                if not (name := (row["file"] or "").replace("\\", "/")):
                    continue
                found = _told(row, known)
                if told.setdefault(name, found) != found:
                    raise ValueError(f"line {rows.line_num:,} tells of {name} otherwise than a line before")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, csv.Error) as error:
        raise BadInputError(f"{listed} cannot be read: {reason_of(error)}. Mend it or take it away") from None
    return told


def _told(row: dict[str, str | None], known: _Known) -> dict[str, Any]:
    """What a line tells. Raises ValueError for what is none of it."""
    if _MORE in row:
        raise ValueError(f"the line of {row['file']} has more cells than the first line names")
    names = [name for name in (row.get("also") or "").split("|") if name.strip()]
    if unknown := next((name for name in names if _label_of(name, known) is None), None):
        raise ValueError(f"{row['file']} is also {unknown!r}, which is no label{_near(unknown, known)}")
    worn = _WORN.get((row.get("worn") or "").strip().lower())
    if worn is None:
        raise ValueError(f"worn of {row['file']} is {row['worn']!r}, neither 1 nor 0")
    return {
        "kind": row.get("kind") or None,
        "also": tuple(filter(None, (_label_of(name, known) for name in names))),
        "worn": worn,
    }


def _label_of(name: str, known: _Known) -> str | None:
    """The label that a folder's name is; None for no label."""
    if not is_label_folder(name):
        return None
    there = known or LABELS
    plain = key(name)
    found = ALIASES.get(plain) or next((label for label in there if key(label) == plain), None)
    return found if found or known else " ".join(unicodedata.normalize("NFC", name).split())


def _near(name: str, known: _Known) -> str:
    there = known or LABELS
    names = {label.casefold(): label for label in there}
    near = difflib.get_close_matches(name.casefold(), names, n=2, cutoff=0.5)
    return f" (did you mean {' or '.join(names[n] for n in near)}?)" if near else f" (known: {', '.join(there)})"


def root_of(path: Path, folders: Sequence[Path]) -> Path:
    """Which of the folders that were given a photo is found in: the first, where one lies in another."""
    return next(folder for folder in folders if folder in path.parents)


def has_labels(folder: Path) -> bool:
    """True for a folder with a sub-folder that has a label's name: a photo folder."""
    return any(_label_of(below.name, LABELS) for below in folder.iterdir() if below.is_dir())


def members(label: str, of: tuple[str, ...] = PHOTO_LABELS) -> tuple[int, ...]:
    """The network's answers that are right for a folder's label: positions in its labels ``of``."""
    return tuple(of.index(name) for name in of if name in stands_for(label))


def right(answers: NDArray[np.int64], labels: Sequence[str], of: tuple[str, ...] = PHOTO_LABELS) -> NDArray[np.bool_]:
    """Which of a network's ``answers`` (n,), positions in its labels ``of``, are right for folders' ``labels`` (n,)."""
    return np.array([of[answer] in stands_for(label) for answer, label in zip(answers, labels, strict=True)], np.bool_)


def read(photos: Sequence[Photo], skipped: list[str]) -> Iterator[tuple[Photo, NDArray[np.uint8]]]:
    """Each photo with its BGR picture, one at a time; a file that cannot be read is added to
    ``skipped`` with its reason and left out."""
    for photo in photos:
        try:
            picture = images.read_image(photo.path)
        except BadInputError as error:
            skipped.append(str(error))
        else:
            yield photo, picture


def same_pairs(hashes: NDArray[np.uint64]) -> list[tuple[int, int]]:
    """Positions of the hashes (n,) that are taken for the same picture, in pairs, the lower position first."""
    pairs = []
    for a, b in itertools.pairwise([*range(0, len(hashes), 1024), len(hashes)]):
        differing = np.bitwise_count(hashes[a:b, None] ^ hashes[None, :])
        pairs += [(a + int(i), int(j)) for i, j in np.argwhere(differing <= SAME_BITS) if a + i < j]
    return pairs
