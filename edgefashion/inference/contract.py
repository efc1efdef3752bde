"""The contract of a model made elsewhere: what it is fed for a byte of a picture, and how its answers are read.

One contract serves all: numpy feeds the model's own runtime by it (here), and it is written into the IR
(:mod:`edgefashion.inference.contract_graph`). It is measured (:mod:`edgefashion.inference.contract_measure`) or told.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.told import Told

SIDE_PX: Final = 28
PIXELS: Final = SIDE_PX * SIDE_PX

Quantized = tuple[float, int]
"""Scale and zero point of a tensor of whole numbers; (0, 0) for one of plain numbers."""

PLAIN: Final[Quantized] = (0.0, 0)

PROBABILITIES: Final = "probabilities"
ROUNDED: Final = "rounded probabilities"
LOGITS: Final = "logits"
LOGARITHMS: Final = "log-probabilities"
SIGMOIDS: Final = "sigmoids"
ANSWERS: Final = {
    PROBABILITIES: "",
    ROUNDED: "its answers are shares of a sum that is not quite 1, such as per cent: they are divided by their sum",
    LOGITS: "it answers logits: a softmax is added",
    LOGARITHMS: "it answers logarithms of probabilities: their exponential is added",
    SIGMOIDS: "it answers a sigmoid for each label: where they add up to more than 1 they are divided by their sum",
}
"""Kinds of answers, and what is done about each, as a phrase."""

_EXACT: Final = 1e-3
"""By how much the sum of float probabilities may differ from 1."""
_ROUNDING: Final = 0.1
"""By how much that of ten probabilities of 8 bits may; also by how much sums of per cent differ, as a share of them."""


@dataclass(frozen=True)
class Feed:
    """What a network's numbers are made of: byte * factor + offset, the same for all channels or one for each."""

    name: str
    """Like ``0-1``, ``0-255``, or ``0-1, mean 0.5, std 0.5``."""
    factor: tuple[float, ...]
    offset: tuple[float, ...]

    def inverted(self) -> Feed:
        """The same with the garment dark on a bright background: fed 255 less the byte."""
        offset = tuple(o + 255 * f for f, o in zip(self.factor, self.offset, strict=True))
        return Feed(f"{self.name}, inverted", tuple(-f for f in self.factor), offset)


def ranged(low: float, high: float) -> Feed:
    """Pixels from ``low`` for the darkest to ``high`` for the brightest."""
    return Feed(f"{low:g}-{high:g}", ((high - low) / 255,), (low,))


def normalised(low: float, high: float, mean: tuple[float, ...], std: tuple[float, ...], whose: str = "") -> Feed:
    """Pixels of a range, less ``mean``, divided by ``std``; one number each, or one for each of three channels."""
    count = max(len(mean), len(std))
    means, stds = (values * (count if len(values) == 1 else 1) for values in (mean, std))
    said = ("/".join(f"{value:g}" for value in values) for values in (mean, std))
    name = "{:g}-{:g}, mean {}, std {}".format(low, high, *said) + (f" ({whose})" if whose else "")
    factor = tuple((high - low) / 255 / s for s in stds)
    return Feed(name, factor, tuple((low - m) / s for m, s in zip(means, stds, strict=True)))


def told_feed(told: Told) -> Feed | None:
    """What ``told`` says of the pixels; None where it says nothing."""
    if not told.feeds:
        return None
    low, high = told.range()
    if told.mean is None and told.std is None:
        return ranged(low, high)
    return normalised(low, high, *told.means())


def usual(channels: int) -> list[Feed]:
    """The feeds that people use, the commonest first. Those of one mean each are near one another on purpose: a network
    is right with its neighbour's too, but less so."""
    grey = [
        ranged(0, 255),
        ranged(0, 1),
        ranged(-1, 1),
        normalised(0, 1, (0.2860,), (0.3530,), "Fashion-MNIST's"),
        normalised(0, 1, (0.1307,), (0.3081,), "MNIST's"),
        normalised(0, 1, (0.449,), (0.226,), "ImageNet's, grey"),
        ranged(-0.5, 0.5),
        ranged(-128, 127),
    ]
    if channels == 3:
        grey += [
            normalised(0, 1, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), "ImageNet's"),
            normalised(0, 255, (103.939, 116.779, 123.68), (1.0,), "ImageNet's, BGR"),
        ]
    return [*grey, *(feed.inverted() for feed in grey)]


def own_range(dtype: np.dtype[Any], stored: Quantized) -> Feed | None:
    """The feed of a file that takes bytes as they are: as real numbers, which its own quantization names."""
    if not np.issubdtype(dtype, np.integer):
        return None
    step, zero = stored[0] or 1.0, stored[1]
    lowest = int(np.iinfo(dtype).min) if dtype.itemsize == 1 else 0
    low, high = step * (lowest - zero), step * (lowest + 255 - zero)
    name = f"{low:.3g}-{high:.3g}" if stored[0] or lowest else "0-255"
    return Feed(name, (step,), (low,))


@dataclass(frozen=True)
class Contract:
    """How a model made elsewhere is fed and read."""

    scale: str
    """The feed's name."""
    factor: tuple[float, ...]
    offset: tuple[float, ...]
    shape: tuple[int, ...]
    """Of one image as the model takes it: (28, 28, 1), (1, 28, 28), (28, 28), (784,), (3, 28, 28), ..."""
    answer: str = PROBABILITIES
    """A key of :data:`ANSWERS`."""
    order: tuple[int, ...] = ()
    """The place of each of Fashion-MNIST's labels among the answers; empty where they stand in their order."""
    output: str = ""
    """The name of the output that has the answers, and its number among all."""
    output_at: int = 0
    chosen: str = ""
    """How all this came about, as a phrase."""
    doubt: str = ""
    """What of it was told and is contradicted by training images, as sentences; empty if nothing is."""

    @property
    def channels(self) -> int:
        return channels_of(self.shape)

    @property
    def layout(self) -> str:
        """Like ``NCHW``, with what is particular about it."""
        return layout_of(self.shape)

    def in_short(self, name: str) -> str:
        """One line on what was found or told, and what is added for it."""
        line = f"{name} takes pixels of {self.scale} ({self.chosen}), {self.layout}"
        if self.order:
            names = [LABELS[self.order.index(place)] for place in range(len(self.order))]
            line += f"; its labels are in the order {', '.join(names)}"
        return f"{line}; {ANSWERS[self.answer]}" if ANSWERS[self.answer] else line

    def table(self, dtype: np.dtype[Any], stored: Quantized = PLAIN) -> NDArray[Any]:
        """What stands for each byte in a tensor of ``dtype``: (256, 1), or (256, 3) where the channels differ."""
        every = np.arange(256, dtype=np.float32)[:, None]
        real = every * np.array(self.factor, np.float32) + np.array(self.offset, np.float32)
        if not np.issubdtype(dtype, np.integer):
            return real.astype(dtype)
        kept = np.iinfo(dtype)
        real = real / np.float32(stored[0] or 1) if stored[0] else real
        return np.asarray(np.clip(np.rint(real) + stored[1], kept.min, kept.max), dtype)

    def pixels(self, images: NDArray[np.uint8], table: NDArray[Any]) -> NDArray[Any]:
        """Images (n, 28, 28, 1) as the model takes them, (n, *shape). ``table`` is what :meth:`table` gave."""
        if self.channels == 1:
            return table[:, 0].take(images).reshape(len(images), *self.shape)
        wide = np.broadcast_to(table, (256, 3))[images[..., 0]]
        return np.ascontiguousarray(wide.transpose(0, 3, 1, 2) if self.shape[0] == 3 else wide)

    def probabilities(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        """Probabilities (n, 10) in the order of Fashion-MNIST's labels, of the model's real answers (n, 10, ...)."""
        return ordered(as_probabilities(raw, self.answer), self.order)

    def as_json(self) -> dict[str, Any]:
        """The contract's fields as JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, told: Any) -> Contract:
        """Raises ValueError for what :meth:`as_json` did not write."""
        try:
            lists = {name: tuple(told[name]) for name in ("factor", "offset", "shape", "order")}
            made = cls(**{**told, **lists})
            sound = (
                made.answer in ANSWERS
                and made.shape
                and all(isinstance(value, int) for value in (*made.shape, *made.order, made.output_at))
                and all(isinstance(value, int | float) for value in (*made.factor, *made.offset))
                and len(made.factor) == len(made.offset) in (1, 3)
                and (not made.order or sorted(made.order) == list(range(len(LABELS))))
                and is_image(made.shape)
            )
        except (TypeError, KeyError) as error:
            raise ValueError(f"contract is no such ({error})") from error
        if not sound:
            raise ValueError("contract holds what cannot be meant")
        return made


def is_image(shape: tuple[int, ...]) -> bool:
    """True for the shape of one 28x28 image, grey or in three channels."""
    pixels = int(np.prod(shape))
    return pixels == PIXELS or (shape in ((SIDE_PX, SIDE_PX, 3), (3, SIDE_PX, SIDE_PX)))


def channels_of(shape: tuple[int, ...]) -> int:
    """1 or 3."""
    return 1 if int(np.prod(shape)) == PIXELS else 3


def layout_of(shape: tuple[int, ...]) -> str:
    """The usual name of a shape of one image."""
    if channels_of(shape) == 3:
        return "NCHW, grey in three channels" if shape[0] == 3 else "NHWC, grey in three channels"
    if len(shape) == 1:
        return f"flat rows of {PIXELS}"
    if len(shape) == 2:
        return "without channels" if shape == (SIDE_PX, SIDE_PX) else "x".join(map(str, shape))
    return "NHWC" if shape == (SIDE_PX, SIDE_PX, 1) else "NCHW" if shape == (1, SIDE_PX, SIDE_PX) else str(shape)


# --- Answers ---------------------------------------------------------------------------------


def rows(raw: NDArray[Any]) -> NDArray[np.float32]:
    """Answers (n, 10, 1, ...) as float32 (n, 10)."""
    return np.asarray(raw, np.float32).reshape(len(raw), -1)


def kind_of(raw: NDArray[Any]) -> str:
    """What kind of answers (n, 10) these are. Only finite ones can be told; others count as logits."""
    given = rows(raw).astype(np.float64)
    if not np.isfinite(given).all():
        with np.errstate(all="ignore"):
            logs = np.exp(given)
        # A logarithm of nothing is minus infinite.
        return LOGARITHMS if not np.isnan(given).any() and np.abs(logs.sum(1) - 1).max() < _EXACT else LOGITS
    sums = given.sum(1)
    off = float(np.abs(sums - 1).max())
    if given.min() >= 0 and given.max() <= 1 + _EXACT:
        return PROBABILITIES if off < _EXACT else ROUNDED if off < _ROUNDING else SIGMOIDS
    # Per cent, or bytes that no quantization makes shares of 1: a softmax upon them would be sure of everything.
    if given.min() >= 0 and np.ptp(sums) < _ROUNDING * sums.mean():
        return ROUNDED
    if given.max() <= _EXACT and float(np.abs(np.exp(given).sum(1) - 1).max()) < _EXACT:
        return LOGARITHMS
    return LOGITS


def as_probabilities(raw: NDArray[Any], kind: str) -> NDArray[np.float32]:
    """Answers (n, 10) of a kind as probabilities."""
    given = rows(raw)
    if kind == LOGITS:
        # The ufuncs themselves: max() and sum() cost a single image 2 us more.
        raised = np.exp(given - np.maximum.reduce(given, 1, keepdims=True))
        return np.asarray(raised / np.add.reduce(raised, 1, keepdims=True), np.float32)
    if kind == LOGARITHMS:
        return np.asarray(np.exp(given), np.float32)
    if kind in (SIGMOIDS, ROUNDED):
        least = np.float32(1 if kind == SIGMOIDS else 1e-6)
        return np.asarray(given / np.maximum(np.add.reduce(given, 1, keepdims=True), least), np.float32)
    return given


def ordered(probabilities: NDArray[np.float32], order: tuple[int, ...]) -> NDArray[np.float32]:
    """Probabilities (n, 10) in the order of Fashion-MNIST's labels."""
    return probabilities[:, list(order)] if order else probabilities


def check_channels(feed: Feed, shape: tuple[int, ...], named: object) -> None:
    """Raise :class:`BadInputError` for three means and a network of one channel."""
    if len(feed.factor) == 3 and channels_of(shape) == 1:
        raise BadInputError(f"{named} takes grey images: give --mean and --std one number each")


_SHAPES: Final = ((28, 28, 1), (1, 28, 28), (28, 28), (784,), (28, 28, 3), (3, 28, 28))


def shapes_for(stated: tuple[int | None, ...] | None) -> list[tuple[int, ...]]:
    """The shapes of one 28x28 image that a network's stated one allows, the commonest first.

    ``stated``: of one image, None in it for an open size; None for an open rank.
    """
    if stated is not None and None not in stated:
        known = tuple(int(size) for size in stated if size is not None)
        return [known] if is_image(known) else []
    return [
        shape
        for shape in _SHAPES
        if stated is None
        or (len(shape) == len(stated) and all(want in (None, size) for want, size in zip(stated, shape, strict=True)))
    ]
