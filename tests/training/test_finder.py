"""The finder's training: what frames are put together from, what they teach, and that it is learned."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import scenes as scene_files

from edgefashion.data import scenes
from edgefashion.inference.finder import CHANNELS, FINDER_PX, KINDS, regions
from edgefashion.training import finder_compose, finder_fit, finder_material
from edgefashion.training.finder_fit import CELLS
from edgefashion.training.finder_material import Cut, Material, Placed


def blob(kind: str, size: int = 120, worn: float = 0.0) -> Cut:
    """A picture of a dark square on a light ground: the thing, and where it is."""
    picture = np.full((size, size, 3), 220, np.uint8)
    low, high = size // 4, 3 * size // 4
    picture[low:high, low:high] = (40, 60, 160)
    shape = np.zeros((size, size), np.uint8)
    shape[low:high, low:high] = 255
    return Cut(picture, (Placed(KINDS.index(kind), (low, low, high, high), worn),), shape)


@pytest.fixture
def material() -> Material:
    rng = np.random.default_rng(0)
    grounds = [rng.integers(100, 255, (60, 80, 3), np.uint8) for _ in range(3)]
    street = Cut(
        np.full((320, 200, 3), 200, np.uint8),
        (Placed(KINDS.index("upper"), (60, 80, 140, 160), 1.0), Placed(KINDS.index("person"), (50, 20, 150, 310), 1.0)),
        np.pad(np.full((290, 100), 255, np.uint8), ((20, 10), (50, 50))),
    )
    photos = [blob("upper"), blob("bag")]
    return Material([street], np.ones(1), photos, np.array([0.5, 0.5]), grounds, grounds)


def test_frames_hold_what_they_say(material: Material) -> None:
    """Every thing of a frame lies inside it and is large enough to be seen, whatever sort of frame it is."""
    rng = np.random.default_rng(1)
    frames = [finder_compose.compose(material, rng) for _ in range(150)]
    boxes = np.array([thing.box for frame in frames for thing in frame.things])
    assert all(frame.picture.shape == (FINDER_PX, FINDER_PX, 3) for frame in frames)
    assert boxes.min() >= 0
    assert boxes.max() <= FINDER_PX
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= finder_compose.SMALLEST_PX
    counts = [len(frame.things) for frame in frames]
    assert min(counts) == 0  # of nothing too
    assert max(counts) >= 3


def test_what_is_covered_is_not_in_view() -> None:
    """A garment that is put before another hides it; one that is put beside it does not."""
    frame = finder_compose.Frame(np.full((FINDER_PX, FINDER_PX, 3), 255, np.uint8))
    at = np.array([[1, 0, 20], [0, 1, 20]], np.float32)
    frame.put(blob("upper"), at, whole=False)
    frame.put(blob("bag"), np.array([[1, 0, 120], [0, 1, 20]], np.float32), whole=False)
    assert [KINDS[thing.kind] for thing in frame.things] == ["upper", "bag"]
    frame.put(blob("lower"), at, whole=False)
    assert [KINDS[thing.kind] for thing in frame.things] == ["bag", "lower"]


def test_what_frames_teach_is_what_the_decoder_reads() -> None:
    """Targets, taken for the network's answer, give back the frame's things."""
    frame = finder_compose.Frame(np.zeros((FINDER_PX, FINDER_PX, 3), np.uint8))
    frame.things = [
        Placed(KINDS.index("upper"), (40, 30, 120, 140), 1.0),
        Placed(KINDS.index("outer"), (30, 20, 130, 190), 1.0),
        Placed(KINDS.index("bag"), (120, 110, 190, 190), 0.0),
    ]
    heat, edges, _, worn = finder_fit.targets(frame)
    cells = np.concatenate([heat, worn[..., :1], edges.reshape(CELLS, CELLS, -1)], -1)
    assert cells.shape == (CELLS, CELLS, CHANNELS)
    found = {region.kind: region for region in regions(cells, 0.9)}
    for thing in frame.things:
        x0, y0, x1, y1 = thing.box
        region = found[KINDS[thing.kind]]
        assert [edge * FINDER_PX for edge in region.box] == pytest.approx((x0, y0, x1 - x0, y1 - y0), abs=1e-3)
        assert region.worn == thing.worn


def test_a_photo_with_a_doubtful_mask_is_left_out() -> None:
    """Of a photo whose garment GrabCut has not found (a speck, or everything) no box is learned."""
    picture = np.zeros((100, 100, 3), np.uint8)
    speck, everything, good = (np.zeros((56, 56), np.uint8) for _ in range(3))
    speck[27:30, 27:30] = everything[:] = good[14:42, 14:42] = 255
    assert finder_material.of_photo(picture, speck, 0) is None
    assert finder_material.of_photo(picture, everything, 0) is None
    cut = finder_material.of_photo(picture, good, 0)
    assert cut is not None
    assert cut.things[0].box == pytest.approx((25, 25, 75, 75), abs=2)


def test_scenes_are_read(tmp_path: Path) -> None:
    """A scene's garments become things of their kinds; what no scene marks, people here, is not taught as absent."""
    things = [scene_files.thing(n, 1, category, (4, 4, 40, 40)) for n, category in enumerate((1, 2, 3), 1)]
    folder = scene_files.put_scenes(tmp_path, scene_files.coco(*things))
    ((scene, picture),) = scenes.read(scenes.scan_scenes(folder).scenes, [])
    cut = finder_material.of_scene(scene, picture)
    assert sorted(KINDS[thing.kind] for thing in cut.things) == ["lower", "outer"]
    assert cut.tells[KINDS.index("person")] == 0
    assert cut.tells[KINDS.index("outer")] == 1


def test_a_crowd_is_taught_neither_way(tmp_path: Path) -> None:
    """Where a kind is somewhere in the picture and nobody knows where, neither its place nor its absence is learned."""
    things = [
        scene_files.thing(1, 1, 1, (4, 4, 40, 40)),
        scene_files.thing(2, 1, 2, (0, 0, 60, 60), iscrowd=1),
    ]
    folder = scene_files.put_scenes(tmp_path, scene_files.coco(*things))
    ((scene, picture),) = scenes.read(scenes.scan_scenes(folder).scenes, [])
    cut = finder_material.of_scene(scene, picture)
    assert [KINDS[thing.kind] for thing in cut.things] == ["outer"]
    assert cut.tells[KINDS.index("lower")] == 0
    assert cut.tells[KINDS.index("outer")] == cut.tells[KINDS.index("bag")] == 1


def test_scenes_that_a_finder_marked_count_half(tmp_path: Path) -> None:
    """However many scenes a finder marked, they are drawn half as often, all together, as those that people marked."""
    marked, more = (
        scenes.scan_scenes(
            scene_files.put_scenes(tmp_path / name, scene_files.coco(scene_files.thing(1, 1, 1, (4, 4, 40, 40))))
        ).scenes
        for name in ("marked", "more")
    )
    of = finder_material.gather(marked, [], [], [list(more) * 7])
    assert of.scene_weight.sum() == pytest.approx(1)
    assert of.scene_weight[1:8].sum() == pytest.approx(of.scene_weight[0] / 2)


@pytest.mark.long
def test_it_learns(finder_of_squares: Any, plain_graphs: None) -> None:
    """In a few steps it learns to find a square where it is, and what kind of thing that is."""
    picture = np.full((FINDER_PX, FINDER_PX, 3), 220, np.uint8)
    picture[45:135, 75:165] = (40, 60, 160)
    answered = np.asarray(finder_of_squares.predict(picture[None, ..., ::-1], verbose=0))[0]
    assert answered.shape == (CELLS, CELLS, CHANNELS)
    best = max(regions(answered, 0.05), key=lambda region: region.score)
    x, y, w, h = (edge * FINDER_PX for edge in best.box)
    assert best.kind == "bag"
    assert (x, y, x + w, y + h) == pytest.approx((75, 45, 165, 135), abs=24)
