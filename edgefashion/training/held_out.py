"""What a photo network is trained on and what is held out: photos by sender, scenes by group.

A group that is called like a sender is the same person, camera or day: both are held out, or neither. Only of a name
that is a number that is not known. Whoever counts photos and whoever counts scenes begins with the same ones, so that
numbers meet by chance, and what they name is parted by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.data import photo_folders, scenes, splits
from edgefashion.data.photo_folders import Photo
from edgefashion.errors import BadInputError
from edgefashion.inference import preprocess
from edgefashion.inference.scene import with_margin

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Parts:
    """Everything that was given, parted."""

    fit_photos: list[Photo]
    fit_scenes: list[scenes.Scene]
    held_photos: list[Photo]
    held_scenes: list[scenes.Scene]
    skipped: list[str]
    labels: Counter[str]
    """Garments of each label, photos and scenes together."""

    def apart(self, marked: Sequence[scenes.Scene]) -> list[scenes.Scene]:
        """Of further scenes to train on those that are of no sender and no group that is held out. Numbers count here:
        such scenes are marked in the photos and scenes that were given, and have their names."""
        held = {photo.sender for photo in self.held_photos} | {scene.group for scene in self.held_scenes}
        return [scene for scene in marked if scene.group not in held]

    def held_views(self) -> tuple[list[Photo], NDArray[np.uint8]]:
        """The held-out garments, and what a photo network sees of each, RGB uint8 (n, 160, 160, 3): a photo as it is,
        a garment of a scene cut out by its true box. Raises :class:`BadInputError` where no known one can be read."""
        photos, views = [], []
        for photo, picture in photo_folders.read(self.held_photos, self.skipped):
            photos.append(photo)
            views.append(preprocess.view(picture))
        for scene, picture in scenes.read(self.held_scenes, self.skipped):
            for thing in scene.things:
                if thing.garment and not (thing.crowd or thing.unclear):
                    x, y, w, h = (round(edge) for edge in thing.box)
                    within = with_margin((x, y, max(1, w), max(1, h)), scene.width, scene.height)
                    photos.append(_as_photo(scene, thing))
                    views.append(preprocess.view(picture, within))
        if not any(photo.known for photo in photos):
            raise BadInputError(
                "none of the held-out pictures shows a known garment and can be read. Add some by others"
            )
        return photos, np.stack(views)


def part(
    folders: Sequence[str | Path], scene_folders: Sequence[str | Path], validation_split: float, seed: int
) -> Parts:
    """Scan photo folders and scenes folders, any number of each, and hold a share of the senders and groups out.

    Where all scenes would be on one side, because all their groups are senders of that side, they are parted by
    themselves, and their senders' photos on the other side are left out: ``skipped`` tells it.
    Raises :class:`BadInputError` for none of either, for one label only, and where nothing can be held out.
    """
    if not folders and not scene_folders:
        raise BadInputError("there is nothing to learn from. Give photos with --photos, or scenes with --scenes")
    photos = photo_folders.scan(*map(Path, folders)) if folders else photo_folders.PhotoSet((), (), ())
    marked = scenes.scan_scenes(*map(Path, scene_folders)) if scene_folders else scenes.SceneSet((), (), ())
    labels = Counter(photo.label for photo in photos.photos)
    labels += Counter(_folder_label(thing.label) for scene in marked.scenes for thing in scene.things if thing.garment)
    _refuse_one_label(labels)
    fit_at, held_at = splits.split_by_sender(photos.photos, validation_split, seed) if photos.photos else ([], [])
    groups = [scene.group for scene in marked.scenes]
    fit_scene, held_scene = splits.split_by_group(groups, validation_split, seed) if groups else ([], [])
    together = _followed(groups, (fit_scene, held_scene), _told([photo.sender for photo in photos.photos], held_at))
    if all(together):
        fit_scene, held_scene = together
    scenes_held = _told(groups, held_scene)
    fit = [photos.photos[i] for i in fit_at if not scenes_held.get(photos.photos[i].sender, False)]
    held = [photos.photos[i] for i in held_at if scenes_held.get(photos.photos[i].sender, True)]
    skipped = [*photos.skipped, *marked.skipped]
    for count, why in ((len(fit_at) - len(fit), "held out"), (len(held_at) - len(held), "learned from")):
        if count:
            skipped.append(f"{count:,} photos left out: the scenes of their senders are {why}")
    return Parts(
        fit, [marked.scenes[i] for i in fit_scene], held, [marked.scenes[i] for i in held_scene], skipped, labels
    )


def part_in_fold(folders: Sequence[Path], scene_folders: Sequence[Path], fold: int) -> Parts:
    """Everything parted with fold ``fold`` of five held out: of each photo folder by itself, so that each is measured
    on as many as it has, by sender, and of the scenes by group. A sender that an earlier folder has is held out as
    there. Fold 0 is what :func:`part` holds out of one folder."""
    fit: list[Photo] = []
    held: list[Photo] = []
    told: dict[str, bool] = {}
    for folder in {folder.resolve(): folder for folder in folders}.values():
        photos = photo_folders.scan(folder).photos
        senders = [photo.sender for photo in photos]
        fit_at, held_at = _followed(senders, splits.in_fold(photos, fold, splits.split_by_sender), told)
        told |= _told(senders, held_at)
        fit += [photos[at] for at in fit_at]
        held += [photos[at] for at in held_at]
    marked = scenes.scan_scenes(*scene_folders).scenes
    groups = [scene.group for scene in marked]
    fit_scene, held_scene = _followed(groups, splits.in_fold(groups, fold, splits.split_by_group), told)
    labels = Counter(photo.label for photo in (*fit, *held))
    return Parts(fit, [marked[at] for at in fit_scene], held, [marked[at] for at in held_scene], [], labels)


def _refuse_one_label(labels: Counter[str]) -> None:
    if len({label for label in labels if label in _KNOWN}) < 2:
        only = ", ".join(f"{label} ({n})" for label, n in labels.items())
        raise BadInputError(
            f"the pictures have one garment's label only: {only}. A network learns differences: add another label"
        )


def _told(names: Sequence[str], held_at: Sequence[int]) -> dict[str, bool]:
    """Whether the senders or groups ``names`` are held out, by name, without those that are a number."""
    held = {names[at] for at in held_at}
    return {name: name in held for name in names if not name.isdecimal()}


def _followed(
    names: Sequence[str], split: tuple[list[int], list[int]], told: dict[str, bool]
) -> tuple[list[int], list[int]]:
    """A ``split`` of things of these senders or groups into (training, held-out) ones, but with what is ``told`` of a
    name for all that have it."""
    held = {names[at] for at in split[1]}
    is_held = [told.get(name, name in held) for name in names]
    return [at for at, out in enumerate(is_held) if not out], [at for at, out in enumerate(is_held) if out]


_KNOWN = frozenset(photo_folders.LABELS[:-2])


def _folder_label(label: str) -> str:
    return "T-shirt" if label == "T-shirt/top" else label


def _as_photo(scene: scenes.Scene, thing: scenes.Thing) -> Photo:
    also = tuple(map(_folder_label, thing.also))
    return Photo(scene.path, _folder_label(thing.label), f"scene {scene.group}", thing.kind or None, also, worn=True)
