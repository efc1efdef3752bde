"""What a shop's network learns from: its pictures as features, and which of them are held out together."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.data import photo_folders
from edgefashion.data.photo_folders import Photo
from edgefashion.errors import BadInputError
from edgefashion.inference import features, preprocess
from edgefashion.labels import PHOTO_LABELS, folder_labels, stands_for
from edgefashion.training import shop_check

if TYPE_CHECKING:
    from numpy.typing import NDArray

VIEWS: Final = 4
"""How often each picture is looked at: as it is, mirrored, and cut otherwise in other light. Its features are computed
once for each."""

FOLDS: Final = 5
"""Each picture is held out in one of so many trainings; of fewer where there are fewer senders, of more where some
training would else have none of a label's pictures."""

TWINS: Final = 0.995
"""Cosine of two pictures' features from which they are taken for the same picture."""


@dataclass(frozen=True, eq=False)
class Shop:
    """A shop's pictures."""

    photos: list[Photo]
    features: NDArray[np.float32]
    """(n, views, size), the picture as it is first."""
    skipped: list[str]

    @property
    def labels(self) -> list[str]:
        """The folder's label of each."""
        return [photo.label for photo in self.photos]


def gather(
    folders: Sequence[Path], of: features.Features, on_progress: Callable[[int, int], None] | None = None
) -> Shop:
    """Read a shop's photo folders: the features of every view of every picture. What was computed before is kept in the
    folders themselves. Raises :class:`BadInputError` for labels of which too few can be
    read."""
    found = photo_folders.scan(*folders, of=None)
    skipped, photos, rows = list(found.skipped), list[Photo](), list["NDArray[np.float32]"]()
    total, done = len(found.photos) * VIEWS, 0
    for folder in dict.fromkeys(folders):
        own = [photo for photo in found.photos if folder == photo_folders.root_of(photo.path, folders)]
        kept = features.Kept(folder / features.KEPT_IN, of.network, of.size)

        def step(number: int, _: int, before: int = done) -> None:
            if on_progress:
                on_progress((before + number) // VIEWS, total // VIEWS)  # photos: nobody has counted views

        views = views_of([photo.path for photo in own])
        by_file: dict[Path, dict[str, NDArray[np.float32]]] = {}
        try:
            for (file, name, _), row in features.each(of, views, kept, skipped, step):
                by_file.setdefault(file, {})[name] = row
        finally:  # Ctrl-C may come here, outside of each(): what was computed is found again
            kept.save()
        done += len(views)
        for photo in own:
            if len(seen := by_file.get(photo.path, {})) == VIEWS:
                photos.append(photo)
                rows.append(np.stack([seen[_name(at)] for at in range(VIEWS)]))
    shop_check.refuse_unread(found.photos, photos, folders)
    return Shop(photos, np.stack(rows), list(dict.fromkeys(skipped)))


def views_of(files: Sequence[Path]) -> list[features.Wanted]:
    """Every view of every file, those of one file together."""
    return [(file, _name(at), _view(file, at)) for file in files for at in range(VIEWS)]


def _name(at: int) -> str:
    return f"view {at}" if at else ""


def _view(file: Path, at: int) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """What makes view ``at`` of a picture: the same each time."""
    if at == 0:
        return preprocess.view
    if at == 1:
        return lambda picture: np.ascontiguousarray(preprocess.view(picture)[:, ::-1])
    return lambda picture: jittered(picture, np.random.default_rng((zlib.crc32(file.name.encode()), at)))


def jittered(picture: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A BGR picture (h, w, 3) as it would be seen from a little elsewhere, in other light: RGB uint8 (160, 160, 3)."""
    height, width = picture.shape[:2]
    down, across = (max(1, round(edge * rng.uniform(0.75, 1))) for edge in (height, width))
    top, left = rng.integers(0, height - down + 1), rng.integers(0, width - across + 1)
    seen = preprocess.view(np.ascontiguousarray(picture[top : top + down, left : left + across]))
    seen = seen[:, ::-1] if rng.random() < 0.5 else seen
    light = rng.uniform(0.6, 1.3) * rng.uniform(0.93, 1.07, 3)
    return np.asarray(np.clip(seen * light, 0, 255), np.uint8)


# --- Labels --------------------------------------------------------------------------------------


def network_labels(of_folders: Sequence[str]) -> tuple[str, ...]:
    """The labels of a network that is taught folders' labels: the ten, the new ones by name, Unknown and No garment."""
    ours = set(folder_labels(PHOTO_LABELS))
    new = sorted({label for label in of_folders if label not in ours})
    return (*PHOTO_LABELS[:-2], *new, *PHOTO_LABELS[-2:])


def right_table(labels: Sequence[str], of: tuple[str, ...]) -> NDArray[np.bool_]:
    """(n, classes): which of the answers ``of`` are right for each of the folders' ``labels`` (n,)."""
    rows = {name: [answer in stands_for(name) for answer in of] for name in set(labels)}
    return np.array([rows[name] for name in labels], np.bool_).reshape(-1, len(of))


# --- Held out ------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Folds:
    """Which pictures are held out together."""

    count: int
    fold: NDArray[np.int64]
    """(n,), the training in which each is held out; -1 for those that always teach."""
    one_sender: list[str]
    """Labels of which all pictures are of one sender: nobody can say how they are known elsewhere."""


def folds_of(photos: Sequence[Photo]) -> Folds:
    """Part the photos by sender, so that each fold has about its share of every label.

    The largest senders are placed first, each where its labels are rarest; so it is the same each time. No fold has all
    photos of a label: a network that has learned from the others would know nothing of it. Raises
    :class:`BadInputError` where all are by one sender.
    """
    senders = {photo.sender for photo in photos}
    of_label = {label: {p.sender for p in photos if p.label == label} for label in {p.label for p in photos}}
    one = sorted(label for label, by in of_label.items() if len(by) == 1)
    movable = {label for label in of_label if label not in one}
    if not movable:
        raise BadInputError("every label has photos of one place and day only. Add photos of another day or place")
    count = min(FOLDS, max(len(of_label[label]) for label in movable))
    totals = Counter(photo.label for photo in photos if photo.label in movable)
    by_sender = {s: Counter(p.label for p in photos if p.sender == s and p.label in movable) for s in senders}
    filled = [Counter[str]() for _ in range(count)]
    place: dict[str, int] = {}
    for sender in sorted(senders, key=lambda name: (-by_sender[name].total(), name)):
        own = by_sender[sender]
        cost = [sum((has[label] + n) * n / totals[label] ** 2 for label, n in own.items()) for has in filled]
        whole = [any(has[label] + n == totals[label] for label, n in own.items()) for has in filled]
        if all(whole):
            filled.append(Counter())
            place[sender] = len(filled) - 1
        else:
            place[sender] = int(np.argmin(np.where(whole, np.inf, cost)))
        filled[place[sender]].update(own)
    fold = np.array([place[p.sender] if p.label in movable else -1 for p in photos], np.int64)
    return Folds(len(filled), fold, one)


def twins(shop: Shop, folds: Folds) -> NDArray[np.bool_]:
    """(n,), True for a picture that is held out while one that looks the same teaches."""
    found = np.zeros(len(folds.fold), np.bool_)
    for at, same in _same(shop):
        apart = folds.fold[at : at + len(same), None] != folds.fold[None]
        found[at : at + len(same)] = (same & apart).any(1)
    return found & (folds.fold >= 0)


def contradicted(shop: Shop) -> list[tuple[Photo, Photo]]:
    """Pictures with one that looks the same under another label, each pair once. A kind of shoe is a shoe."""
    rights = [stands_for(photo.label) for photo in shop.photos]
    return [
        (shop.photos[at + row], shop.photos[other])
        for at, same in _same(shop)
        for row, other in np.argwhere(same).tolist()
        if at + row < other and rights[at + row].isdisjoint(rights[other])
    ]


def _same(shop: Shop) -> Iterator[tuple[int, NDArray[np.bool_]]]:
    """Which pictures look the same: bool (some, n) for some pictures after the other, and the number of the first."""
    whole = shop.features[:, 0] / np.maximum(np.linalg.norm(shop.features[:, 0], axis=1, keepdims=True), 1e-9)
    for at in range(0, len(whole), 1024):
        yield at, whole[at : at + 1024] @ whole.T >= TWINS
