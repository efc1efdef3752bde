"""The finder's training frames: scenes as they are, and people, garments and grounds put together anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.data.drawn import wall
from edgefashion.inference.finder import FINDER_PX, KINDS
from edgefashion.training.finder_material import Cut, Material, Placed
from edgefashion.training.photo_augment import spoiled, toned

if TYPE_CHECKING:
    from numpy.typing import NDArray

HIDDEN: Final = 0.6
"""Share of a thing's box from which it counts as hidden by what was put before it."""

CUT_OFF: Final = 0.35
"""Share of a thing's box that has to be inside the frame, or the thing is not in view."""

SMALLEST_PX: Final = 7
"""A thing of fewer pixels an edge is not in view."""

_SHARES: Final = {"scene": 0.34, "people": 0.2, "photo": 0.13, "side by side": 0.11, "cut out": 0.1, "empty": 0.12}
"""How often each sort of frame is made."""

HELD_SHARE: Final = 0.35
"""Share of the frames with people before whom a garment is held."""


class Frame:
    """A frame that is being put together."""

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        self.picture = picture
        """BGR (192, 192, 3)."""
        self.things: list[Placed] = []
        self.tells: NDArray[np.float32] = np.ones(len(KINDS), np.float32)

    def put(self, cut: Cut, move: NDArray[np.float32], *, whole: bool) -> None:
        """Put a cut's picture, or only its shape, where ``move`` (2, 3) takes it, and its things with it."""
        import cv2

        size = (FINDER_PX, FINDER_PX)
        moved = _moved_picture(cut.picture, move)
        if whole:
            alpha = np.full(cut.picture.shape[:2], 255, np.uint8)
        else:
            assert cut.shape is not None
            alpha = cut.shape
        covers: NDArray[Any] = cv2.warpAffine(alpha, move, size, flags=cv2.INTER_LINEAR).astype(np.float32) / 255
        if not whole:
            covers = cv2.GaussianBlur(covers, (3, 3), 0)
        self.things = [thing for thing in self.things if _covered(covers, thing) < HIDDEN]
        blend = covers[..., None]
        self.picture = (moved * blend + self.picture * (1 - blend)).astype(np.uint8)
        self.things += [placed for thing in cut.things if (placed := _moved(thing, move)) is not None]
        self.tells = self.tells * cut.tells


def _moved_picture(picture: NDArray[np.uint8], move: NDArray[np.float32]) -> NDArray[np.uint8]:
    import cv2

    size = (FINDER_PX, FINDER_PX)
    moved = cv2.warpAffine(picture, move, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, np.uint8)


def _covered(covers: NDArray[np.float32], thing: Placed) -> float:
    x0, y0, x1, y1 = (round(v) for v in thing.box)
    under = covers[y0:y1, x0:x1]
    return float(under.mean()) if under.size else 1.0


def _moved(thing: Placed, move: NDArray[np.float32]) -> Placed | None:
    x0, y0, x1, y1 = thing.box
    corners = np.array([[x0, y0], [x1, y0], [x0, y1], [x1, y1]]) @ move[:, :2].T + move[:, 2]
    low, high = corners.min(0), corners.max(0)
    inside_low, inside_high = low.clip(0, FINDER_PX), high.clip(0, FINDER_PX)
    edges = inside_high - inside_low
    if (edges < SMALLEST_PX).any() or edges.prod() < CUT_OFF * (high - low).prod():
        return None
    return Placed(thing.kind, (*map(float, inside_low), *map(float, inside_high)), thing.worn)  # type: ignore[arg-type]


def compose(of: Material, rng: np.random.Generator) -> Frame:
    """A random training frame."""
    names = [name for name in _SHARES if of.scenes or name not in ("scene", "people")]
    share = np.array([_SHARES[name] for name in names])
    kind = str(rng.choice(names, p=share / share.sum()))
    frame = {
        "scene": _scene,
        "people": _people,
        "photo": _photo,
        "side by side": _side_by_side,
        "cut out": _cut_out,
        "empty": _empty,
    }[kind](of, rng)
    if rng.random() < 0.5:
        frame = _mirrored(frame)
    frame.picture = toned(frame.picture, rng)
    return frame


def _scene(of: Material, rng: np.random.Generator) -> Frame:
    """A part of a street scene, as near or far as a camera may stand."""
    scene = of.scenes[rng.choice(len(of.scenes), p=of.scene_weight)]
    height, width = scene.picture.shape[:2]
    share = np.exp(rng.uniform(np.log(0.4), np.log(1.25)))
    # The part's own shape varies as frames do, from upright to wide, and is squeezed to the square.
    stretch = np.exp(rng.uniform(-0.45, 0.45))
    part_w, part_h = width * share * stretch, height * share / stretch
    x = rng.uniform(min(0, width - part_w), max(0, width - part_w))
    y = rng.uniform(min(0, height - part_h), max(0, height - part_h))
    frame = Frame(_ground(of, rng))
    frame.put(scene, _onto(x, y, part_w, part_h), whole=True)
    if rng.random() < HELD_SHARE:
        _hold(frame, of, rng)
    return frame


def _people(of: Material, rng: np.random.Generator) -> Frame:
    """One to three people, cut out, before a ground."""
    frame = Frame(_ground(of, rng))
    aspect = np.exp(rng.uniform(np.log(0.6), np.log(1.78)))  # the frame's width over its height, before the squeeze
    able = np.array([scene.shape is not None for scene in of.scenes]) * of.scene_weight
    for _ in range(int(rng.choice([1, 2, 3], p=[0.55, 0.3, 0.15]))):
        if not able.any():
            break
        scene = of.scenes[rng.choice(len(of.scenes), p=able / able.sum())]
        height, width = scene.picture.shape[:2]
        tall = np.exp(rng.uniform(np.log(0.5), np.log(2.2))) * FINDER_PX
        down = tall / height
        across = down / aspect
        x = rng.uniform(-0.2, 1.0) * FINDER_PX - 0.4 * width * across
        top = rng.uniform(-0.05, 0.3) * FINDER_PX if tall > FINDER_PX else rng.uniform(0, FINDER_PX - tall * 0.9)
        frame.put(scene, np.array([[across, 0, x], [0, down, top]], np.float32), whole=False)
    if rng.random() < HELD_SHARE:
        _hold(frame, of, rng)
    return frame


def _photo(of: Material, rng: np.random.Generator) -> Frame:
    """A photo of one garment, as it is or farther away."""
    cut = _drawn(of, rng)
    frame = Frame(_ground(of, rng))
    height, width = cut.picture.shape[:2]
    share = np.exp(rng.uniform(np.log(0.75), np.log(1.6)))
    stretch = np.exp(rng.uniform(-0.25, 0.25))
    part_w, part_h = width * share * stretch, height * share / stretch
    x, y = (
        rng.uniform(min(0.0, full - part), max(0.0, full - part)) for full, part in ((width, part_w), (height, part_h))
    )
    move = _turned(_onto(x, y, part_w, part_h), rng)
    frame.picture = _moved_picture(cut.picture, move)
    # What the mirror at the rim shows is marked nowhere, so the garment's rim stays inside.
    frame.things = [placed for thing in cut.things if (placed := _moved(thing, move)) is not None]
    return frame


def _side_by_side(of: Material, rng: np.random.Generator) -> Frame:
    """Two to four photos next to each other."""
    frame = Frame(_ground(of, rng))
    columns, rows = [(2, 1), (2, 1), (3, 1), (1, 2), (2, 2)][rng.integers(5)]
    wide, tall = FINDER_PX / columns, FINDER_PX / rows
    for column in range(columns):
        for row in range(rows):
            cut = _drawn(of, rng)
            height, width = cut.picture.shape[:2]
            scale_x, scale_y = wide / width, tall / height
            if rng.random() < 0.5:  # in its own proportions, with a gap
                scale_x = scale_y = min(scale_x, scale_y) * rng.uniform(0.8, 1)
            x = column * wide + (wide - width * scale_x) / 2
            y = row * tall + (tall - height * scale_y) / 2
            frame.put(cut, np.array([[scale_x, 0, x], [0, scale_y, y]], np.float32), whole=True)
    return frame


def _cut_out(of: Material, rng: np.random.Generator) -> Frame:
    """One to three garments, cut out, before a ground."""
    frame = Frame(_ground(of, rng))
    for _ in range(int(rng.integers(1, 4))):
        _hold(frame, of, rng, large=(0.25, 0.85))
    return frame


def _empty(of: Material, rng: np.random.Generator) -> Frame:
    """Nothing to find."""
    if rng.random() < 0.12 and of.photos:
        picture = _drawn(of, rng).picture
        import cv2

        square = np.asarray(cv2.resize(picture, (224, 224), interpolation=cv2.INTER_AREA), np.uint8)
        return Frame(np.asarray(cv2.resize(spoiled(square, rng), (FINDER_PX, FINDER_PX)), np.uint8))
    return Frame(_ground(of, rng, empty=0.7))


def _hold(frame: Frame, of: Material, rng: np.random.Generator, large: tuple[float, float] = (0.3, 0.7)) -> None:
    """Put a garment, cut out or as a photo, before what is in the frame."""
    cut = _drawn(of, rng)
    (x0, y0, x1, y1), height = cut.things[0].box, cut.picture.shape[0]
    tall = FINDER_PX * np.exp(rng.uniform(np.log(large[0]), np.log(large[1])))
    down = tall / max(8.0, y1 - y0)
    across = down * np.exp(rng.uniform(-0.45, 0.25))
    whole = rng.random() < 0.25
    if whole:
        down, across = tall / height, across * (tall / height) / down
    centre = FINDER_PX * np.array([rng.uniform(0.2, 0.8), rng.uniform(0.3, 0.75)])
    move = np.array([[across, 0, centre[0] - across * (x0 + x1) / 2], [0, down, centre[1] - down * (y0 + y1) / 2]])
    frame.put(cut, move.astype(np.float32) if whole else _turned(move.astype(np.float32), rng), whole=whole)


def _drawn(of: Material, rng: np.random.Generator) -> Cut:
    return of.photos[rng.choice(len(of.photos), p=of.photo_weight)]


def _ground(of: Material, rng: np.random.Generator, empty: float = 0.35) -> NDArray[np.uint8]:
    """A picture (192, 192, 3) without a garment."""
    import cv2

    drawn = rng.random()
    if of.groundless and drawn < empty:
        picture = of.groundless[rng.integers(len(of.groundless))]
    elif of.grounds and drawn < 0.85:
        picture = of.grounds[rng.integers(len(of.grounds))]
    else:
        picture = wall(rng)
    height, width = picture.shape[:2]
    share = rng.uniform(0.6, 1)
    top, left = rng.uniform(0, 1 - share, 2)
    part = picture[
        int(top * height) : max(int(top * height) + 8, int((top + share) * height)),
        int(left * width) : max(int(left * width) + 8, int((left + share) * width)),
    ]
    if rng.random() < 0.5:
        part = part[:, ::-1]
    return np.asarray(cv2.resize(part, (FINDER_PX, FINDER_PX), interpolation=cv2.INTER_LINEAR), np.uint8)


def _onto(x: float, y: float, width: float, height: float) -> NDArray[np.float32]:
    """The move that makes a part of a picture the whole frame."""
    across, down = FINDER_PX / width, FINDER_PX / height
    return np.array([[across, 0, -x * across], [0, down, -y * down]], np.float32)


def _turned(move: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A move, turned a little around the frame's middle."""
    angle = np.deg2rad(rng.normal(0, 7))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    middle = np.full(2, FINDER_PX / 2)
    return np.hstack([turn @ move[:, :2], (turn @ (move[:, 2] - middle) + middle)[:, None]]).astype(np.float32)


def _mirrored(frame: Frame) -> Frame:
    frame.picture = np.ascontiguousarray(frame.picture[:, ::-1])
    frame.things = [
        Placed(thing.kind, (FINDER_PX - thing.box[2], thing.box[1], FINDER_PX - thing.box[0], thing.box[3]), thing.worn)
        for thing in frame.things
    ]
    return frame
