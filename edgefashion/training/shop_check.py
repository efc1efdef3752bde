"""What a teaching refuses of photo folders, told all at once and before the work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edgefashion.data import photo_check, photo_folders
from edgefashion.data.photo_check import LEAST
from edgefashion.errors import BadInputError
from edgefashion.system.text import quoted


def refuse(folders: Sequence[Path]) -> None:
    """Raise :class:`BadInputError` with all that is wrong with all of the folders."""
    if not folders:
        raise BadInputError("there is nothing to learn from. Give photos with --photos")
    photo_check.there(folders)
    _raise(photo_check.shop_faults(photo_folders.scan(*folders, of=None).photos), folders)


def refuse_unread(
    all_of: Sequence[photo_folders.Photo], readable: Sequence[photo_folders.Photo], folders: Sequence[Path]
) -> None:
    """The same, once it is known which of the photos of ``folders`` can be read."""
    counts = Counter(photo.label for photo in readable)
    few = {label: counts[label] for label in sorted({photo.label for photo in all_of}) if counts[label] < LEAST}
    _raise(
        [
            f"{label} has {count} photo{'s' * (count != 1)} that can be read: {LEAST} are needed at least"
            for label, count in few.items()
        ],
        folders,
    )


def _raise(found: list[str], folders: Sequence[Path]) -> None:
    if found:
        where = " ".join(quoted(folder) for folder in folders)
        raise BadInputError(f"{'; '.join(found)}. See all of it: edgefashion data check {where}")
