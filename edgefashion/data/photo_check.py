"""Photo folders looked through before training: all that it would refuse, leave out or do poorly with."""

from __future__ import annotations

import difflib
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from edgefashion.data import label_names, photo_folders, senders
from edgefashion.data.images import perceptual_hash
from edgefashion.data.photo_folders import FEW, Photo
from edgefashion.errors import BadInputError
from edgefashion.labels import PHOTO_LABELS, folder_labels

LEAST: Final = 5
"""Photos that a label needs to be taught at all."""

MOST_LABELS: Final = 200

_KIOSKS: Final = frozenset(folder_labels(PHOTO_LABELS))
_NEAR: Final = 0.72
"""From so near on two labels may be one, spelt differently."""


@dataclass(frozen=True)
class Check:
    """What :func:`check` found."""

    counts: dict[str, int]
    """Readable photos a label, every label of the photo network named, then the folders' own."""
    sender_names: dict[str, int]
    """Readable photos of each sender."""
    senders_by: dict[str, int]
    """Senders by how they are told: see :mod:`edgefashion.data.senders`."""
    not_kiosks: tuple[str, ...]
    """A line for each folder that ``train kiosk`` would leave out: its name is no label of it."""
    skipped: tuple[str, ...]
    """Files that any training would leave out, and why."""
    duplicates: tuple[tuple[Photo, Photo], ...]
    """Pairs that look the same."""
    refused_by_shop: tuple[str, ...]
    """Why ``train shop`` would refuse the folders; empty where it would not."""
    refused_by_kiosk: tuple[str, ...]
    """Why ``train kiosk`` would."""
    notes: tuple[str, ...]
    """What neither refuses, and what costs."""

    @property
    def senders(self) -> int:
        return len(self.sender_names)

    @property
    def few(self) -> dict[str, int]:
        """Labels that are there with too few photos."""
        return {label: n for label, n in self.counts.items() if 0 < n < FEW}


def check(*folders: Path) -> Check:
    """Look through photo folders before training. Raises :class:`BadInputError` for folders that are none, all of them
    named, and for folders without a photo."""
    there(folders)
    found = photo_folders.scan(*folders, of=None)
    skipped = list(found.skipped)
    kept, hashes = [], []
    for photo, picture in photo_folders.read(found.photos, skipped):
        kept.append(photo)
        hashes.append(perceptual_hash(picture))
    counts = Counter(photo.label for photo in kept)
    own = sorted(label for label in counts if label not in _KIOSKS)
    told = _senders(kept, folders)
    return Check(
        counts={label: counts[label] for label in (*photo_folders.LABELS, *own)},
        sender_names=dict(sorted(Counter(p.sender for p in kept).items())),
        senders_by=dict(Counter(by for by in told.values())),
        not_kiosks=tuple(_not_kiosks(folders)),
        skipped=tuple(skipped),
        duplicates=tuple((kept[a], kept[b]) for a, b in photo_folders.same_pairs(np.array(hashes, np.uint64))),
        refused_by_shop=tuple(shop_faults(kept)),
        refused_by_kiosk=tuple(_kiosk_faults(kept)),
        notes=tuple(_notes(kept, told)),
    )


def there(folders: Sequence[Path]) -> None:
    """Raise :class:`BadInputError` naming every one of the ``folders`` that is none."""
    if missing := [str(folder) for folder in folders if not folder.is_dir()]:
        are = "is no folder" if len(missing) == 1 else "are no folders"
        raise BadInputError(f"{', '.join(missing)} {are}. Give one with a sub-folder of photos for each label")


def shop_faults(photos: Sequence[Photo]) -> list[str]:
    """Why photos of any labels cannot be taught, a sentence each; empty where they can."""
    counts = Counter(photo.label for photo in photos)
    if not counts:
        return ["no photo can be read: add some"]
    spellings: dict[str, list[str]] = {}
    for label in sorted(counts):
        spellings.setdefault(label_names.key(label), []).append(label)
    found = [
        f"{' and '.join(names)} differ by case or blanks only: put the photos into one folder"
        for names in spellings.values()
        if len(names) > 1
    ]
    found += [why for label in sorted(counts) if label not in _KIOSKS and (why := _no_name(label))]
    if len(counts) < 2:
        found.append(
            f"{next(iter(counts))} is the only label: a network learns differences. Add another label, or a folder "
            "Unknown with photos of other things"
        )
    if len(counts) > MOST_LABELS:
        found.append(f"there are {len(counts):,} labels, and {MOST_LABELS} are possible at most: put some together")
    for label, count in sorted(counts.items()):
        if count < LEAST:
            found.append(
                f"{label} has {count} photo{'s' * (count != 1)}{_near(label, counts)}: {LEAST} are needed at least"
            )
    return found + _sender_faults(photos, "sub-folder of the label's")


def _no_name(label: str) -> str | None:
    """Why a label's name cannot be used everywhere: on other systems, in an IR; None where it can."""
    try:
        label_names.folder_of_label(label)
    except BadInputError as error:
        return str(error)
    return None


def _sender_faults(photos: Sequence[Photo], where: str) -> list[str]:
    """Why nothing could be held out."""
    of_label: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        of_label[photo.label].add(photo.sender)
    names = sorted({photo.sender for photo in photos})
    if any(len(by) > 1 for by in of_label.values()):
        return []
    one = f"all {len(photos):,} photos are of one place and day ({names[0]})"
    each = "each label has the photos of one place and day only"
    told = f"{one if len(names) == 1 else each}: nothing can be held out, so nobody could say whether it was learned"
    return [f"{told}. Add photos of another day or place, or put each day's into a {where}"]


def _kiosk_faults(photos: Sequence[Photo]) -> list[str]:
    ours = [photo for photo in photos if photo.label in _KIOSKS]
    known = {photo.label for photo in ours if photo.known}
    found = []
    if len(known) < 2:
        only = ", ".join(sorted(known)) or "none"
        found.append(f"it has labels of its own, and photos of two of these are needed at least; there is: {only}")
    if ours and len({photo.sender for photo in ours}) < 2:
        found += _sender_faults(ours, "sub-folder of the label's")
    return found


def _not_kiosks(folders: Sequence[Path]) -> list[str]:
    """A line for each folder whose name is no label of the photo network."""
    try:
        lines = photo_folders.scan(*folders).skipped
    except BadInputError as error:
        return [str(error)] if any(photo_folders.has_labels(folder) for folder in folders) else []
    return [line for line in lines if ": no label is named so" in line]


def _senders(photos: Sequence[Photo], folders: Sequence[Path]) -> dict[str, str]:
    """By sender how it is told."""
    told = {}
    for photo in photos:
        root = photo_folders.root_of(photo.path, folders)
        below = root / photo.path.relative_to(root).parts[0]
        if photo.sender not in told:
            told[photo.sender] = senders.sender_of(photo.path, below).by
    return told


def _near(label: str, others: Counter[str], cutoff: float = _NEAR) -> str:
    names = [other for other in others if label_names.key(other) != label_names.key(label)]
    near = difflib.get_close_matches(label, names, n=1, cutoff=cutoff)
    return f" (did you mean {near[0]}?)" if near else ""


def _notes(photos: Sequence[Photo], told: dict[str, str]) -> list[str]:
    counts = Counter(photo.label for photo in photos)
    of_label: dict[str, set[str]] = defaultdict(set)
    for photo in photos:
        of_label[photo.label].add(photo.sender)
    found = [
        f"{label}: all {counts[label]:,} photos are of one place and day ({next(iter(by))}). How well it is known "
        "elsewhere cannot be measured"
        for label, by in sorted(of_label.items())
        if len(by) == 1 and counts[label] > 1
    ]
    if senders.NO_DAY in told.values():
        count = sum(photo.sender == senders.UNKNOWN_DAY for photo in photos)
        found.append(
            f"{count:,} photos have names that a phone or a camera gives, and tell no day: they are taken for one "
            "place and day. Put each day's into a sub-folder of the label's"
        )
    by_name = [photo.sender for photo in photos if told.get(photo.sender) == senders.NAME]
    if len(by_name) > FEW and len(set(by_name)) == len(by_name):
        found.append(
            f"each of {len(by_name):,} photos is taken for a place and day of its own, by its name. Where several are "
            "of one day, put them into a sub-folder of the label's: else what is measured is too good"
        )
    found += [
        f"{label}{near} They are taught as two labels"
        for label in sorted(counts)
        if label not in _KIOSKS and counts[label] >= LEAST and (near := _near(label, counts, 0.85))
    ]
    return found
