"""Folders of annotated scenes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from helpers.photos import put

CATEGORIES = [
    {"id": 1, "name": "coat"},
    {"id": 2, "name": "jeans"},
    {"id": 3, "name": "hat"},
    {"id": 4, "name": "person"},
]


def thing(number: int, image: int, category: int, box: tuple[float, ...], **more: Any) -> dict[str, Any]:
    """An annotation with a box."""
    return {"id": number, "image_id": image, "category_id": category, "bbox": list(box), **more}


def coco(*annotations: dict[str, Any], pictures: int = 1, **more: Any) -> dict[str, Any]:
    """A COCO file of ``cam-1.png``, ``cam-2.png``, ... of 64 x 64, and a few categories."""
    images = [{"id": n, "file_name": f"cam-{n}.png", "width": 64, "height": 64} for n in range(1, pictures + 1)]
    return {"images": images, "annotations": list(annotations), "categories": CATEGORIES, **more}


def put_scenes(folder: Path, told: Any, name: str = "annotations.json", under: str = "") -> Path:
    """A scenes folder: the COCO file (as it is where it is text) and the pictures that it names, below ``under``."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(told if isinstance(told, str) else json.dumps(told))
    if isinstance(told, dict):
        put(folder / under, *(entry["file_name"] for entry in told.get("images") or () if entry.get("file_name")))
    return folder
