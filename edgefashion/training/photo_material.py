"""The photo network's training material in memory: photos, garments cut out of scenes, pieces of background."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.data import photo_folders, scenes
from edgefashion.data.drawn import STORED_PX, wall
from edgefashion.errors import BadInputError
from edgefashion.inference.scene import MARGIN
from edgefashion.labels import GROUPS, NO_GARMENT, PHOTO_LABELS, groups
from edgefashion.training import photo_augment

if TYPE_CHECKING:
    from numpy.typing import NDArray

TARGETS: Final[dict[str, tuple[int, ...]]] = {
    **groups(PHOTO_LABELS),
    **{member: (PHOTO_LABELS.index(member),) for members in GROUPS.values() for member in members},
}
"""What a picture can be taught as: the groups of labels, and the members of groups, each with its positions among the
network's answers."""

ALSO_SHARE: Final = 0.35
"""What the other labels that are as right for a picture get of its target, all together."""

SCENE_MARGIN: Final = 0.35
"""Share of its box that a garment cut out of a scene is stored with on each side."""

SMALLEST: Final = 0.002
"""Share of a scene that a garment covers at least, or it tells nothing."""

WHITE: Final = 243
"""Grey level from which a studio's ground is white."""

NEW_GROUND: Final = 0.6
"""How often a studio's white ground is replaced."""

STREETS: Final = 600
"""Scenes that are kept whole, as what may be behind a garment that somebody holds."""

SOURCES: Final = {"lying": 0.32, "cut": 0.2, "scene": 0.3, "worn": 0.18}
"""Share of the garments of a batch: photos of garments lying or hanging, and the same garments cut out as a finder cuts
them out; garments cut out of scenes; and photos of which ``photos.csv`` says that the garment is worn. A source that is
missing leaves its share to the others."""


@dataclass(frozen=True, eq=False)
class Item:
    """One picture of a garment to train on."""

    picture: NDArray[np.uint8]
    """BGR (224, 224, 3)."""
    mask: NDArray[np.uint8] | None
    """Where the garment is, (56, 56), 0 to 255; None where nobody knows."""
    target: NDArray[np.float32]
    """Over :data:`TARGETS`."""
    label: str
    sender: str
    kind: str | None = None
    source: str = "lying"
    """One of :data:`SOURCES`."""
    close: float = 1.0
    ground: NDArray[np.uint8] | None = None
    """Where its ground is, (224, 224), 0 to 255: a studio's white one, or all around what is cut out."""

    @property
    def worn(self) -> bool:
        """True for a garment that hangs on somebody as it does on everybody."""
        return self.source in ("scene", "worn")


def target_of(label: str, also: Iterable[str] = ()) -> NDArray[np.float32]:
    """What a picture with a photo folder's label teaches, over :data:`TARGETS`. A kind of shoe is taught as the group
    and as the kind."""
    target = np.zeros(len(TARGETS), np.float32)
    names = list(TARGETS)

    def add(one: str, share: float) -> None:
        plain = "T-shirt/top" if one == "T-shirt" else one
        group = next((group for group, members in GROUPS.items() if plain in members), None)
        if group is None:
            target[names.index(plain)] += share
        else:
            target[names.index(group)] += share / 2
            target[names.index(plain)] += share / 2

    others = [name for name in also if name != label]
    add(label, 1 - ALSO_SHARE if others else 1.0)
    for name in others:
        add(name, ALSO_SHARE / len(others))
    return target


class TrainingPhotos:
    """Everything a batch is drawn from."""

    def __init__(
        self,
        chosen: Sequence[photo_folders.Photo],
        skipped: list[str],
        marked: Sequence[scenes.Scene] = (),
        *,
        without: Collection[str] = (),
    ) -> None:
        """``without``: :data:`SOURCES` that are not used, to measure what each is worth."""
        rng = np.random.default_rng(0)
        photos, pictures, small = [], [], []
        self.empty: list[NDArray[np.uint8]] = []
        for photo, picture in photo_folders.read(chosen, skipped):
            squared = _resized(picture, (STORED_PX, STORED_PX))
            if photo.label == NO_GARMENT:
                self.empty.append(squared)
                continue
            photos.append(photo)
            pictures.append(squared)
            shrink = min(1.0, 400 / max(picture.shape[:2]))
            size_wh = max(1, round(picture.shape[1] * shrink)), max(1, round(picture.shape[0] * shrink))
            small.append(_resized(picture, size_wh))
        with ThreadPoolExecutor() as pool:
            masks = list(pool.map(photo_augment.garment_mask, small))
        self.items = [_of_photo(*each) for each in zip(photos, pictures, masks, strict=True)]
        cut = [cut_out(*each) for each in zip(self.items, small, masks, strict=True)]
        self.streets: list[NDArray[np.uint8]] = []
        self.items += [item for item in cut if item is not None]
        for scene, picture in scenes.read(marked, skipped):
            self.items += of_scene(scene, picture)
            if len(self.streets) < STREETS:
                self.streets.append(_resized(picture, (STORED_PX, STORED_PX)))
        if not self.items:
            raise BadInputError("no training photo could be read")
        self.photos = sum(item.source != "cut" for item in self.items)
        self.background = [
            piece
            for item, mask in zip(self.items, masks, strict=False)
            if not item.worn
            for piece in photo_augment.backgrounds(item.picture, mask, rng)
        ]
        self.items = [item for item in self.items if item.source not in without]
        self._weigh()
        self.kinds = sorted({item.kind for item in self.items if item.kind})

    def _weigh(self) -> None:
        there = [name for name in SOURCES if any(item.source == name for item in self.items)]
        self._weights = np.zeros(len(self.items))
        for name in there:
            at = [i for i, item in enumerate(self.items) if item.source == name]
            labels = Counter(self.items[i].label for i in at)
            senders = Counter(self.items[i].sender for i in at)
            # Rare labels oftener, prolific senders seldomer, both by less than would make them equal.
            weight = np.array([labels[self.items[i].label] ** -0.5 * senders[self.items[i].sender] ** -0.3 for i in at])
            self._weights[at] = SOURCES[name] * weight / weight.sum()
        self._weights /= self._weights.sum()

    def draw(self, count: int, rng: np.random.Generator) -> list[Item]:
        """So many pictures of garments, at random."""
        return [self.items[at] for at in rng.choice(len(self.items), count, p=self._weights)]

    def before_a_ground(self, item: Item, rng: np.random.Generator) -> NDArray[np.uint8]:
        """The item's picture (224, 224, 3); of a studio picture mostly before another ground than white."""
        if item.ground is None or rng.random() >= NEW_GROUND:
            return item.picture
        of = self.empty if self.empty and (rng.random() < 0.4 or not self.background) else self.background
        if item.source == "cut" and self.streets and rng.random() < 0.3:  # held before people
            of = self.streets
        ground = of[rng.integers(len(of))] if of and rng.random() < 0.8 else _resized(wall(rng), (STORED_PX, STORED_PX))
        white = item.ground[..., None].astype(np.float32) / 255
        return np.asarray(item.picture * (1 - white) + ground * white, np.uint8)

    def none(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        """A picture (160, 160, 3) without a garment."""
        drawn = rng.random()
        if drawn < 0.15:
            return photo_augment.spoiled(self.items[rng.integers(len(self.items))].picture, rng)
        if drawn < 0.25 or not (self.background or self.empty):
            picture = wall(rng)
        else:
            of = self.empty if self.empty and (drawn < 0.75 or not self.background) else self.background
            picture = of[rng.integers(len(of))]
        return photo_augment.augment(picture, None, rng)[0]


def _of_photo(photo: photo_folders.Photo, picture: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Item:
    return Item(
        picture,
        None if photo.worn else mask,
        target_of(photo.label, photo.also),
        photo.label,
        photo.sender,
        photo.kind,
        source="worn" if photo.worn else "lying",
        ground=white_ground(picture),
    )


def cut_out(item: Item, picture: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Item | None:
    """A garment that lies or hangs, cut out of its ``picture`` (h, w, 3) as it is when a finder has found it; None
    where its ``mask`` (56, 56) looks wrong."""
    import cv2

    height, width = picture.shape[:2]
    shape = None if item.worn else photo_augment.garment_shape(mask, width, height)
    if shape is None:
        return None
    rows, columns = np.flatnonzero((shape > 127).any(1)), np.flatnonzero((shape > 127).any(0))
    x, y, w, h = columns[0], rows[0], columns[-1] + 1 - columns[0], rows[-1] + 1 - rows[0]
    near, around = _with_rim(picture, shape, (float(x), float(y), float(w), float(h)))
    wide = cv2.GaussianBlur(cv2.dilate(around, np.ones((5, 5), np.uint8)), (5, 5), 0)
    return replace(
        item,
        picture=near,
        mask=_resized(around, (56, 56)),
        source="cut",
        close=(1 + 2 * SCENE_MARGIN) / (1 + 2 * MARGIN),
        ground=np.asarray(255 - wide, np.uint8),
    )


def white_ground(picture: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Where the white ground of a studio picture (224, 224, 3) is, 0 to 255, reached from its rim; None where there is
    none to speak of."""
    import cv2

    white = np.asarray(picture.min(2) >= WHITE, np.uint8)
    count, patches = cv2.connectedComponents(white, connectivity=4)
    rim = np.unique(np.concatenate([patches[0], patches[-1], patches[:, 0], patches[:, -1]]))
    ground = np.isin(patches, rim[rim > 0]) if count > 1 else np.zeros_like(white, bool)
    if ground.mean() < 0.15:
        return None
    wide = cv2.dilate(ground.astype(np.uint8) * 255, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.GaussianBlur(wide, (3, 3), 0), np.uint8)


def of_scene(scene: scenes.Scene, picture: NDArray[np.uint8]) -> list[Item]:
    """The garments of a scene, each cut out with what is around it, as it is when a finder has found it."""
    items = []
    for thing in scene.things:
        if (
            not thing.garment
            or thing.crowd
            or thing.unclear
            or thing.box[2] * thing.box[3] < SMALLEST * scene.width * scene.height
        ):
            continue
        near, around = _with_rim(picture, thing.mask(scene.height, scene.width) * np.uint8(255), thing.box)
        items.append(
            Item(
                near,
                _resized(around, (56, 56)) if thing.segmentation else None,
                target_of(thing.label, thing.also),
                "T-shirt" if thing.label == "T-shirt/top" else thing.label,
                f"scene {scene.group}",
                source="scene",
                close=(1 + 2 * SCENE_MARGIN) / (1 + 2 * MARGIN),
            )
        )
    return items


def _with_rim(
    picture: NDArray[np.uint8], mask: NDArray[np.uint8], box: tuple[float, float, float, float]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """What is in a box (x, y, w, h) and around it, (224, 224, 3), and the mask of it, (224, 224)."""
    import cv2

    (height, width), (x, y, w, h) = picture.shape[:2], box
    x0, y0 = round(x - SCENE_MARGIN * w), round(y - SCENE_MARGIN * h)
    x1, y1 = round(x + (1 + SCENE_MARGIN) * w), round(y + (1 + SCENE_MARGIN) * h)
    rim = max(0, -x0, -y0, x1 - width, y1 - height)
    within = slice(y0 + rim, y1 + rim), slice(x0 + rim, x1 + rim)
    wide = cv2.copyMakeBorder(picture, rim, rim, rim, rim, cv2.BORDER_REPLICATE)[within]
    size = (STORED_PX, STORED_PX)
    return _resized(np.asarray(wide, np.uint8), size), _resized(np.pad(mask, rim)[within], size)


def _resized(picture: NDArray[np.uint8], size_wh: tuple[int, int]) -> NDArray[np.uint8]:
    import cv2

    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)
