"""What a teaching refuses of photo folders, told all at once and before the work."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgefashion.data import label_names, photo_folders
from edgefashion.data.photo_folders import FEW
from edgefashion.errors import BadInputError

__all__ = ["FEW", "faults", "refuse", "refuse_few"]

LEAST: Final = 5
"""Photos that a label needs to be taught at all."""

MOST_LABELS: Final = 200


def faults(photos: Sequence[photo_folders.Photo]) -> list[str]:
    """Why photos of a folder of any labels cannot be learned from, a sentence each; empty where they can."""
    counts = Counter(photo.label for photo in photos)
    spellings: dict[str, list[str]] = {}
    for label in sorted(counts):
        spellings.setdefault(label_names.key(label), []).append(label)
    found = [
        f"{' and '.join(names)} differ by case or blanks only: put the photos into one folder"
        for names in spellings.values()
        if len(names) > 1
    ]
    if len(counts) < 2:
        only = next(iter(counts))
        found.append(
            f"{only} is the only label: a network learns differences. Add another label, or a folder Unknown with "
            "photos of other things"
        )
    if len(counts) > MOST_LABELS:
        found.append(f"there are {len(counts):,} labels, and {MOST_LABELS} are possible at most: put some together")
    for label, count in sorted(counts.items()):
        if count < LEAST:
            near = difflib.get_close_matches(label, [other for other in counts if other != label], n=1, cutoff=0.75)
            hint = f" (did you mean {near[0]}?)" if near else ""
            found.append(f"{label} has {count} photo{'s' * (count != 1)}{hint}: {LEAST} are needed at least")
    return found


def refuse(folders: Sequence[Path]) -> None:
    """Raise :class:`BadInputError` with all that is wrong with all of the folders."""
    if not folders:
        raise BadInputError("there is nothing to learn from. Give photos with --photos")
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        raise BadInputError(f"no folder: {', '.join(missing)}. Give one with a sub-folder of photos for each label")
    _raise(faults(photo_folders.scan(*folders, of=None).photos))


def refuse_few(labels: Sequence[str]) -> None:
    """The same, once it is known which photos can be read."""
    _raise(
        [
            f"{label} has {count} photo{'s' * (count != 1)} that can be read: {LEAST} are needed at least"
            for label, count in sorted(Counter(labels).items())
            if count < LEAST
        ]
    )


def _raise(found: list[str]) -> None:
    if found:
        told = "; ".join(found)
        raise BadInputError(f"{told}. See all of it: edgefashion data check DIR")
