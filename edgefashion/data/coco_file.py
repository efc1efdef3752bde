"""COCO files of instance annotations: where in a folder they are, what they hold, where their pictures are."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edgefashion.errors import BadInputError

NAMES: Final = ("annotations.json", "_annotations.coco.json", "result.json", "instances_default.json")
"""What the exports of annotation programs are called: the last three are Roboflow's, Label Studio's and CVAT's."""

Entry = dict[str, Any]


def find(folder: Path) -> list[Path]:
    """The COCO files of a scenes folder, none where there is no JSON file.

    In ``annotations/`` those that are called ``instances_...``, if any are: COCO's own set has other kinds beside them.
    Roboflow writes one into each of ``train``, ``valid`` and ``test``.
    """
    for name in NAMES:
        if (folder / name).is_file():
            return [folder / name]
    below = sorted((folder / "annotations").glob("*.json"))
    instances = [path for path in below if path.name.startswith("instances")]
    parts = sorted(path for name in NAMES for path in folder.glob(f"*/{name}"))
    return instances or below or parts or sorted(folder.glob("*.json"))


@dataclass
class CocoFile:
    """What one file holds, not looked at yet."""

    path: Path
    images: list[Entry]
    annotations: list[Entry]
    categories: list[Entry]
    _places: list[tuple[Path, bool]] = field(default_factory=list)

    def picture(self, file_name: str) -> Path | None:
        """The picture's path: where the name says, in ``images/``, or in the folder of its part; None if in none."""
        name = file_name.replace("\\", "/")
        for at, (root, base_only) in enumerate(self._places):
            found = root / (name.rsplit("/", 1)[-1] if base_only else name)
            if _is_file(found):
                # Where one picture was the next one will be, too, and there may be 100,000.
                self._places.insert(0, self._places.pop(at))
                return found
        return None


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for any file
        return False


def read(path: Path, folder: Path) -> CocoFile:
    """Read one of a scenes folder's COCO files.

    Raises :class:`BadInputError` for a file that cannot be read or is no COCO file of instances.
    """
    export = "Export the annotations as COCO"
    try:
        told = json.loads(path.read_bytes())
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {error.strerror}. Check its permissions") from None
    except (ValueError, RecursionError):
        raise BadInputError(f"{path} is no whole JSON file. {export} again") from None
    parts = ("images", "annotations", "categories")
    missing = [part for part in parts if not (isinstance(told, dict) and isinstance(told.get(part), list))]
    if missing:
        raise BadInputError(f"{path} is no COCO file: it has no list of {' and of '.join(missing)}. {export}")
    images, annotations, categories = (told[part] for part in parts)
    if not all(isinstance(entry, dict) for entry in (*images, *annotations, *categories)):
        raise BadInputError(f"{path} is no COCO file: an entry of its lists is no object. {export}")
    ids = (
        entry.get(key) for entry in (*images, *annotations, *categories) for key in ("id", "image_id", "category_id")
    )
    if any(isinstance(number, dict | list) for number in ids):
        raise BadInputError(f"{path} is no COCO file: an id in it is a list. {export}")
    subset = path.stem.removeprefix("instances_")
    roots = (
        path.parent,
        path.parent / "images",
        folder,
        folder / "images",
        folder / "images" / subset,
        folder / subset,
    )
    places = [(root, base_only) for base_only in (False, True) for root in dict.fromkeys(roots)]
    return CocoFile(path, images, annotations, categories, places)
