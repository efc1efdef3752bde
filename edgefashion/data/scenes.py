"""Folders of annotated scenes: pictures with every garment in them outlined and named, as COCO files.

A scene is one picture. Its things are garments, people and heads, each with a label, a box and mostly an outline.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from edgefashion.data import coco_file, images, photo_folders, scene_labels, senders
from edgefashion.data.coco_file import CocoFile, Entry
from edgefashion.data.scene_things import Box, Thing, box_of, outline_of
from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Box", "Scene", "SceneSet", "Thing", "read", "scan_scenes"]


@dataclass(frozen=True)
class Scene:
    """One annotated picture on disk."""

    path: Path
    width: int
    height: int
    group: str
    """Scenes of one group (a camera, a branch, a person) are held out together."""
    things: tuple[Thing, ...]


@dataclass(frozen=True)
class SceneSet:
    """What scenes folders hold."""

    folders: tuple[Path, ...]
    scenes: tuple[Scene, ...]
    skipped: tuple[str, ...]
    """One line for each picture, category or annotation left out, and why."""


def scan_scenes(*folders: Path) -> SceneSet:
    """List the scenes of one or more folders; no picture is opened but where its size is not told.

    A picture counts once, whatever paths lead to it, also where a folder is given twice. Raises :class:`BadInputError`
    for a folder without a COCO file, a file that is none, and where nothing is left.
    """
    scenes: dict[Path, Scene] = {}
    """By the file that its picture is in the end."""
    skipped: list[str] = []
    for folder in folders:
        here: list[Scene] = []
        for path in _files_of(folder):
            here += _scenes_of(coco_file.read(path, folder), skipped)
        if not here:
            raise BadInputError(
                f"{folder} holds no picture that its annotations name: {(skipped or ['none is named'])[-1]}"
            )
        if again := [scene for scene in here if scenes.setdefault(scene.path.resolve(), scene) is not scene]:
            such = f"such as {again[0].path}: each counts once, as the first file has it"
            skipped.append(f"{folder}: {len(again):,} of its pictures were named before, {such}")
    if not any(scene.things for scene in scenes.values()):
        reason = skipped[0] if skipped else "annotate the garments first"
        raise BadInputError(f"{', '.join(map(str, folders))} holds no annotation of a known category: {reason}")
    return SceneSet(folders, tuple(scenes.values()), tuple(dict.fromkeys(skipped)))


def read(scenes: Sequence[Scene], skipped: list[str]) -> Iterator[tuple[Scene, NDArray[np.uint8]]]:
    """Each scene with its BGR picture, one at a time; one that cannot be read, or is of another size than its
    annotations, is added to ``skipped`` with its reason and left out."""
    for scene in scenes:
        try:
            picture = images.read_image(scene.path)
        except BadInputError as error:
            skipped.append(str(error))
            continue
        height, width = picture.shape[:2]
        if (width, height) == (scene.width, scene.height):
            yield scene, picture
        else:
            told = f"its annotations are of {scene.width} x {scene.height}"
            skipped.append(f"{scene.path} is {width} x {height}, {told}. Export both together")


def _files_of(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise BadInputError(f"{folder} is no folder. Give one with pictures and their COCO file")
    found = coco_file.find(folder)
    if not found and photo_folders.has_labels(folder):
        raise BadInputError(f"{folder} is a photo folder: a sub-folder for each label. Use --photos")
    if not found:
        raise BadInputError(f"{folder} holds no COCO file. Export the annotations as COCO, into annotations.json there")
    return found


def _scenes_of(coco: CocoFile, skipped: list[str]) -> list[Scene]:
    things_of = _things_by_image(coco, skipped)
    scenes = []
    seen: set[Any] = set()
    for entry in coco.images:
        number, name = entry.get("id"), entry.get("file_name")
        if not isinstance(number, int | str) or not isinstance(name, str) or not name:
            skipped.append(f"{coco.path}: an image has no id or no file_name")
            continue
        path = coco.picture(name)
        if number in seen or path in seen:
            skipped.append(f"{coco.path}: {name} or its id {number} is there twice; the second is left out")
        elif path is None:
            skipped.append(f"{coco.path}: there is no picture {name} beside it or in images/")
        else:
            seen |= {number, path}
            try:
                size_wh = _size(entry, path)
            except BadInputError as error:
                skipped.append(str(error))
                continue
            things, refused = _inside(things_of.get(number, []), size_wh)
            skipped += [f"{coco.path}: {name}: {reason}" for reason in refused]
            scenes.append(Scene(path, *size_wh, _group(entry, name), things))
    return scenes


_Named = tuple[str, str, Entry]
"""An annotation with its label and its category's name."""


def _things_by_image(coco: CocoFile, skipped: list[str]) -> dict[Any, list[_Named]]:
    """The annotations of known categories by the id of their image."""
    labels: dict[Any, str | None] = {}
    names: dict[Any, str] = {}
    for category in coco.categories:
        if category.get("id") is None:  # else it would be that of annotations without a category
            continue
        labels[category.get("id")] = scene_labels.label_of(category)
        names[category.get("id")] = str(category.get("name"))
    images_there = {entry.get("id") for entry in coco.images} - {None}
    left_out: dict[str, int] = defaultdict(int)
    unknown: dict[str, int] = defaultdict(int)
    found: dict[Any, list[_Named]] = defaultdict(list)
    copies: set[tuple[Any, ...]] = set()
    for entry in coco.annotations:
        label = labels.get(entry.get("category_id"))
        copy = entry.get("id"), entry.get("image_id"), entry.get("category_id"), str(entry.get("bbox"))
        if entry.get("image_id") not in images_there:
            left_out["of an image that is not in the list"] += 1
        elif entry.get("category_id") not in labels:
            left_out["of a category that is not in the list"] += 1
        elif label is None:
            unknown[names[entry["category_id"]]] += 1
        elif copy[0] is not None and copy in copies:
            left_out["that are there twice"] += 1
        else:
            copies.add(copy)
            found[entry["image_id"]].append((label, names[entry["category_id"]], entry))
    left_out |= {scene_labels.unknown_category(name): count for name, count in unknown.items()}
    skipped += [f"{coco.path}: {reason}; {count:,} annotations left out" for reason, count in left_out.items()]
    return found


def _size(entry: Entry, path: Path) -> tuple[int, int]:
    """(width, height) as the file tells it, else of the picture, upright."""
    told = entry.get("width"), entry.get("height")
    if all(isinstance(edge, int | float) and 1 <= edge < MOST_PX for edge in told):
        return int(told[0]), int(told[1])  # type: ignore[arg-type]
    height, width = images.read_image(path).shape[:2]
    return width, height


MOST_PX = 1_000_000
"""No picture has an edge of so many pixels; a file may say infinity."""

_PREFIX = re.compile(r"^(?=[0-9]*[a-f])[0-9a-f]{8}-(?=.)")
"""What Label Studio puts before the name of an uploaded file."""


def _group(entry: Entry, name: str) -> str:
    if entry.get("group") not in (None, ""):
        return str(entry["group"])
    stem = PurePosixPath(name.replace("\\", "/")).stem
    return senders.prefix_of(_PREFIX.sub("", stem, count=1))


def _inside(given: list[_Named], size_wh: tuple[int, int]) -> tuple[tuple[Thing, ...], list[str]]:
    """The things of one picture, cut at its edges, and a line for each that is not in it or cannot be used."""
    things, refused = [], []
    for label, name, entry in given:
        try:
            outline = outline_of(entry, size_wh)
            box = box_of(entry, outline, size_wh)
        except BadInputError as error:
            refused.append(f"{name} {entry.get('id', '')} {error}")
            continue
        told = _attributes(entry)
        also = _others(told["also"]) if told.get("also") else ()
        kind = str(told.get("kind") or name)
        things.append(Thing(label, box, outline, _crowd(entry, told), also, kind, _is_true(told.get("unclear"))))
    return tuple(things), refused


def _attributes(entry: Entry) -> Entry:
    """What an annotation tells besides: CVAT puts what a user may add into ``attributes``."""
    below = entry.get("attributes")
    return {**below, **entry} if isinstance(below, dict) else entry


def _crowd(entry: Entry, told: Entry) -> bool:
    # CVAT marks every brush mask as a crowd. Its files are known by their attribute "occluded".
    from_cvat = told is not entry and "occluded" in told
    return _is_true(told.get("crowd")) or (not from_cvat and _is_true(entry.get("iscrowd")))


def _is_true(told: object) -> bool:
    return told in (1, "1", "true", "True")


def _others(told: object) -> tuple[str, ...]:
    names = told if isinstance(told, list) else str(told).split("|")
    return tuple(label for label in map(scene_labels.label_named, names) if label)
