"""A shop's folder of pictures as it is now, however many people, cameras and programs change it."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.data import collected, senders
from edgefashion.data.label_names import DELETED, TO_REVIEW

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from edgefashion.data.collected import Facts, Picture

FRESH_S: Final = 3.0
"""A folder that has changed so short a time ago may change again within the same tick of its file system's clock: it is
looked through anew. FAT's clock ticks every two seconds."""


@dataclass(frozen=True)
class Seen:
    """What the folder held when it was last looked through."""

    version: int
    """Another number where anything is another picture, or in another place."""
    undecided: tuple[Picture, ...] = ()
    decided: tuple[Picture, ...] = ()
    deleted: tuple[Picture, ...] = ()
    unnamed: tuple[Picture, ...] = ()
    """As :class:`~edgefashion.data.collected.Listing` has them."""


class WatchedFolder:
    """The pictures in a folder. The disk alone says where each is; here it is only remembered until it changes.

    Every call may come from any thread. Raises :class:`BadInputError` where the folder is not there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._seen = Seen(0)
        self._folders: dict[Path, int] = {}
        """When each folder was changed last, in nanoseconds, as of :attr:`_seen`."""
        self._looked_s = 0.0
        self._facts: dict[str, Facts | None] = {}
        self._places: dict[str, str] = {}

    def now(self) -> Seen:
        """What is there now. A folder that has not changed is not looked through again."""
        with self._lock:
            if self._has_changed():
                self._look()
            return self._seen

    def facts(self, picture: Picture) -> Facts | None:
        """What the camera noted of a picture. It is read once: a collected file keeps its name, which no other has, and
        its facts. Photos of other names may be called alike, each in a folder of its own."""
        name = picture.name if picture.phash is None else picture.path.name
        if name not in self._facts:
            self._facts[name] = picture.facts()
        return self._facts[name]

    def place(self, picture: Picture) -> str:
        """The day and place where a labelled picture was taken, or who sent it: what a training holds out by. It is
        told once for each picture, for its file may have to be opened."""
        assert picture.label is not None
        if picture.name not in self._places:
            told = senders.sender_of(picture.path, picture.folder / picture.name.partition("/")[0])
            self._places[picture.name] = told.name
        return self._places[picture.name]

    def counts(self) -> dict[str, int]:
        """How many pictures each label has."""
        counts: dict[str, int] = {}
        for picture in self.now().decided:
            assert picture.label is not None
            counts[picture.label] = counts.get(picture.label, 0) + 1
        return counts

    def _has_changed(self) -> bool:
        newest_ns = (time.time() - FRESH_S) * 1e9
        return not self._folders or any(
            when != _changed_ns(folder) or (when > newest_ns and time.monotonic() - self._looked_s > 1.0)
            for folder, when in self._folders.items()
        )

    def _look(self) -> None:
        listed = collected.listing(self.path)
        deleted = collected.deleted(self.path)
        before = self._seen
        self._looked_s = time.monotonic()
        seen = Seen(before.version, listed.undecided, listed.decided, deleted, listed.unnamed)
        if seen != before:
            self._seen = replace(seen, version=before.version + 1)
        self._folders = {folder: _changed_ns(folder) for folder in set(self._holding())}

    def _holding(self) -> Iterator[Path]:
        """Every folder that something may come into or go from."""
        yield from (self.path, self.path / TO_REVIEW, self.path / DELETED)
        with os.scandir(self.path) as entries:
            yield from (Path(entry.path) for entry in entries if entry.is_dir())
        seen = self._seen
        for pictures in (seen.undecided, seen.decided, seen.deleted):
            yield from _folders_of(self.path, pictures)


def _folders_of(path: Path, pictures: Sequence[Picture]) -> Iterator[Path]:
    """The folders that hold the pictures, and those between them and ``path``."""
    for name in {picture.name.rpartition("/")[0] for picture in pictures}:
        parts = name.split("/")
        yield from (path.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1))


def _changed_ns(folder: Path) -> int:
    """When something came into or went from a folder; 0 where it is not there."""
    try:
        return folder.stat().st_mtime_ns
    except OSError:
        return 0
