"""Scenes folders looked through before training: unreadable files, duplicates, labels with few things."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgefashion.data import coco_file, photo_folders, scenes
from edgefashion.data.images import perceptual_hash
from edgefashion.data.photo_folders import FEW
from edgefashion.data.scene_labels import SCENE_LABELS
from edgefashion.data.scenes import Scene


@dataclass(frozen=True)
class SceneCheck:
    """What :func:`check_scenes` found."""

    counts: dict[str, int]
    """Things a label in readable pictures, every label named; crowds are not counted."""
    scenes: int
    """Readable pictures."""
    empty: int
    """Pictures without a thing: they teach what is no garment."""
    groups: int
    skipped: tuple[str, ...]
    """Pictures, categories and annotations that training would leave out, and why."""
    duplicates: tuple[tuple[Scene, Scene], ...]
    """Pairs of pictures that look the same."""

    @property
    def few(self) -> dict[str, int]:
        """Labels that are there with too few things."""
        return {label: n for label, n in self.counts.items() if 0 < n < FEW}


def holds_scenes(folder: Path) -> bool:
    """True for a folder with a COCO file and without a label's sub-folder."""
    return folder.is_dir() and bool(coco_file.find(folder)) and not photo_folders.has_labels(folder)


def check_scenes(*folders: Path, on_progress: Callable[[int, int], None] | None = None) -> SceneCheck:
    """Look through scenes folders. Raises :class:`BadInputError` as :func:`scenes.scan_scenes` does."""
    found = scenes.scan_scenes(*folders)
    skipped = list(found.skipped)
    kept, hashes = [], []
    for scene, picture in scenes.read(found.scenes, skipped):
        kept.append(scene)
        hashes.append(perceptual_hash(picture))
        if on_progress:
            on_progress(len(kept), len(found.scenes))
    counts = Counter(thing.label for scene in kept for thing in scene.things if not thing.crowd)
    pairs = photo_folders.same_pairs(np.array(hashes, np.uint64))
    return SceneCheck(
        counts={label: counts[label] for label in SCENE_LABELS},
        scenes=len(kept),
        empty=sum(not scene.things for scene in kept),
        groups=len({scene.group for scene in kept}),
        skipped=tuple(skipped),
        duplicates=tuple((kept[a], kept[b]) for a, b in pairs),
    )
