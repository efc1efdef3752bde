"""What is held out stays out of everything else that is learned from."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from edgefashion.data.photo_folders import Photo
from edgefashion.data.scenes import Scene
from edgefashion.training.held_out import Parts


def test_further_scenes_are_of_nobody_held_out() -> None:
    """Of further scenes to train on, those of a held-out sender and those of a held-out group are left out."""

    def scene(group: str) -> Scene:
        return Scene(Path(f"{group}.jpg"), 64, 64, group, ())

    held = [Photo(Path("a.jpg"), "Coat", "anna")]
    parts = Parts([], [scene("street 1")], held, [scene("street 2")], [], Counter())
    more = [scene(group) for group in ("anna", "ben", "street 1", "street 2")]
    assert [one.group for one in parts.apart(more)] == ["ben", "street 1"]
