"""The photo network's training material: targets, studio grounds, garments cut out of scenes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers import scenes as scene_files

from edgefashion.data import scenes
from edgefashion.data.photo_folders import Photo
from edgefashion.training import photo_material
from edgefashion.training.photo_material import TARGETS, TrainingPhotos, target_of


@pytest.mark.parametrize(
    ("label", "also", "shares"),
    [
        ("Coat", (), {"Coat": 1.0}),
        ("T-shirt", (), {"T-shirt/top": 1.0}),
        ("Footwear", (), {"Footwear": 1.0}),
        ("Sneaker", (), {"Footwear": 0.5, "Sneaker": 0.5}),
        ("Pullover", ("Coat",), {"Pullover": 0.65, "Coat": 0.35}),
        ("Pullover", ("Coat", "Shirt"), {"Pullover": 0.65, "Coat": 0.175, "Shirt": 0.175}),
        ("Coat", ("Coat",), {"Coat": 1.0}),
        ("Unknown", (), {"Unknown": 1.0}),
    ],
)
def test_targets(label: str, also: tuple[str, ...], shares: dict[str, float]) -> None:
    """A label is taught as itself, a kind of shoe as its group and as itself, and another label that is as right gets
    a share."""
    target = dict(zip(TARGETS, target_of(label, also).tolist(), strict=True))
    assert {name: value for name, value in target.items() if value} == pytest.approx(shares)


def test_a_studio_picture_gets_another_ground(tmp_path: Path) -> None:
    """A garment on white keeps its own pixels before another ground; on a coloured ground nothing is replaced."""
    white = np.full((224, 224, 3), 255, np.uint8)
    white[60:170, 60:170] = (30, 90, 40)
    ground = photo_material.white_ground(white)
    assert ground is not None
    assert ground[100, 100] == 0
    assert ground[5, 5] == 255
    coloured = np.where(white == 255, np.uint8(150), white)
    assert photo_material.white_ground(coloured) is None
    inside = np.full((224, 224, 3), (30, 90, 40), np.uint8)
    inside[60:170, 60:170] = 255  # a white print is no ground: nothing reaches it from the rim
    assert photo_material.white_ground(inside) is None

    for name, picture in (("white", white), ("plain", coloured)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture)
    photos = [Photo(tmp_path / "white.png", "Coat", "a"), Photo(tmp_path / "plain.png", "Bag", "b")]
    of = TrainingPhotos(photos, [])
    studio = next(item for item in of.items if item.label == "Coat")
    seen = [of.before_a_ground(studio, np.random.default_rng(seed)) for seed in range(12)]
    assert all((picture[100:130, 100:130] == (30, 90, 40)).all() for picture in seen)
    assert {bool((picture[5, 5] == 255).all()) for picture in seen} == {True, False}


def test_garments_are_cut_out_of_scenes(tmp_path: Path) -> None:
    """Each garment of a scene becomes a picture of it with what is around it; people, crowds and what nobody can name
    do not. Where only a box was drawn, what belongs to the garment is not learned."""
    things = [
        scene_files.thing(1, 1, 1, (20, 20, 24, 24), segmentation=[[20, 20, 44, 20, 44, 44, 20, 44]]),
        scene_files.thing(2, 1, 2, (0, 0, 30, 30), iscrowd=1),
        scene_files.thing(3, 1, 2, (0, 30, 30, 30), unclear=1),
        scene_files.thing(4, 1, 3, (40, 0, 20, 20)),
        scene_files.thing(5, 1, 4, (0, 0, 60, 60)),
    ]
    folder = scene_files.put_scenes(tmp_path, scene_files.coco(*things))
    (scene,) = scenes.scan_scenes(folder).scenes
    ((_, picture),) = scenes.read([scene], [])
    items = photo_material.of_scene(scene, picture)
    assert [item.label for item in items] == ["Coat", "Unknown"]
    assert all(item.picture.shape == (224, 224, 3) for item in items)
    assert items[0].mask is not None
    # The box fills 1 / 1.7 of what is stored, in its middle.
    assert items[0].mask[28, 28] == 255
    assert items[0].mask[2, 2] == 0
    assert items[1].mask is None
    assert np.mean(items[0].mask > 127) == pytest.approx((1 / 1.7) ** 2, abs=0.06)


def test_lying_garments_are_cut_out_too(tmp_path: Path) -> None:
    """A garment that lies in the middle of its photo is learned once more as a finder would cut it out, before other
    grounds; one that nobody can tell from its ground, or that is worn, is not."""
    rng = np.random.default_rng(0)
    picture = np.asarray(rng.normal(200, 6, (240, 240, 3)).clip(0, 255), np.uint8)
    picture[80:160, 90:170] = (40, 60, 160)
    blank = np.full((240, 240, 3), 200, np.uint8)
    for name, drawn in (("lies", picture), ("blank", blank)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), drawn)
    photos = [
        Photo(tmp_path / "lies.png", "Coat", "a", kind="Blazer", also=("Shirt",)),
        Photo(tmp_path / "lies.png", "Dress", "b", worn=True),
        Photo(tmp_path / "blank.png", "Bag", "c"),
    ]
    of = TrainingPhotos(photos, [])
    (cut,) = (item for item in of.items if item.source == "cut")
    assert (cut.label, cut.kind, cut.sender) == ("Coat", "Blazer", "a")
    assert cut.target.tolist() == of.items[0].target.tolist()
    assert not cut.worn
    # The garment fills 1 / 1.7 of each edge, in the middle.
    red = (cut.picture[..., 2].astype(int) - cut.picture[..., 1] > 60).mean()
    assert red == pytest.approx((1 / 1.7) ** 2, abs=0.06)
    assert cut.ground is not None
    assert cut.ground[112, 112] == 0
    assert cut.ground[4, 4] == 255
    assert of.photos == 3
    assert not any(item.source == "cut" for item in TrainingPhotos(photos, [], without=("cut",)).items)


def test_every_source_has_its_share(tmp_path: Path) -> None:
    """Photos of garments lying, photos of worn ones and garments cut out of scenes are drawn in their shares, however
    many there are of each."""
    paths = []
    for number in range(6):
        path = tmp_path / f"{number}-a.png"
        cv2.imwrite(str(path), np.full((64, 64, 3), 40 * number, np.uint8))
        paths.append(path)
    photos = [Photo(path, "Coat", str(n)) for n, path in enumerate(paths[:5])]
    photos.append(Photo(paths[5], "Shirt", "5", worn=True))
    drawn = TrainingPhotos(photos, []).draw(4000, np.random.default_rng(0))
    worn = np.mean([item.worn for item in drawn])
    wanted = photo_material.SOURCES["worn"] / (photo_material.SOURCES["worn"] + photo_material.SOURCES["lying"])
    assert worn == pytest.approx(wanted, abs=0.03)
