"""What tagging does to one picture: prepared in a worker process, turned into a row once the network has answered.

Nothing here runs a network or imports OpenVINO.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final

from edgefashion.data import images
from edgefashion.data.images import perceptual_hash
from edgefashion.errors import BadInputError
from edgefashion.inference import preprocess
from edgefashion.inference.decision import Rule, decide_all, shows_none
from edgefashion.tagging.row import Garment, Row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.inference.preprocess import Box

LEAST_PX: Final = {True: preprocess.PHOTO_PX, False: preprocess.SEARCH_PX}
"""Pixels of the shorter edge, for a photo network (True) and for another (False). A large JPEG is decoded at a fraction
of its size as long as its shorter edge keeps so many: the network is given a smaller picture anyway.
``benchmarks/tagging/tag.py answers`` counts the answers that this changes."""

MAX_BYTES: Final = 1 << 29
"""A larger file is not read. Every picture that may be decoded is smaller."""

TOP: Final = 3
"""Labels in a row's ``top``."""


@dataclass(frozen=True)
class Prepared:
    """A picture that was read, and all of its row that needs no network."""

    path: str
    pixels: NDArray[np.uint8] | None
    """The network's input, uint8 (h, w, c); None where a search on a plain background found nothing."""
    within: Box
    """Where in the upright picture at its full size the network's input lies."""
    width: int
    """Of the upright picture at its full size, pixels."""
    height: int
    phash: str
    reading_s: float = 0.0
    decoding_s: float = 0.0
    finding_s: float = 0.0


@dataclass(frozen=True)
class Read:
    """A picture that was read, and the seconds that this took."""

    picture: images.Picture
    reading_s: float
    decoding_s: float


def read(file: BinaryIO, name: str, least_px: int | None = None) -> Read:
    """Read a picture, timed by the clock, and decode it, timed by what the processor spends.

    ``least_px``: how long its shorter edge has to stay at least; None for its full size. Raises :class:`BadInputError`
    for what :func:`edgefashion.data.images.decode_image` refuses.
    """
    began_s = time.perf_counter()
    raw = file.read(MAX_BYTES + 1)
    read_s = time.perf_counter()
    if len(raw) > MAX_BYTES:
        raise BadInputError(f"{name} is larger than {MAX_BYTES >> 20} MB. Make it smaller")
    spent_s = time.thread_time()
    picture = images.decode_image(io.BytesIO(raw), name, least_px)
    return Read(picture, read_s - began_s, time.thread_time() - spent_s)


def prepare(file: BinaryIO, name: str, photos: bool) -> Prepared:
    """Read a picture and make a network's input of it, a photo network's or a Fashion-MNIST one's.

    Finding (the network's input and the perceptual hash) is timed by what the processor spends. Raises as :func:`read`
    does.
    """
    found = read(file, name, LEAST_PX[photos])
    decoded_s = time.thread_time()
    image, width, height = found.picture.image, found.picture.width, found.picture.height
    pixels: NDArray[np.uint8] | None
    within: Box = (0, 0, width, height)
    seen = preprocess.view(image)
    if photos:
        pixels = seen
    else:
        garment = preprocess.find(image)
        pixels = None if garment is None else garment.pixels
        if garment is not None:
            within = found.picture.at_full_size(garment.box)
    phash = f"{perceptual_hash(seen[..., ::-1]):016x}"
    times = found.reading_s, found.decoding_s, time.thread_time() - decoded_s
    return Prepared(name, pixels, within, width, height, phash, *times)


def row_of(
    prepared: Prepared,
    probabilities: NDArray[np.float32] | None,
    mask: NDArray[np.float32] | None,
    labels: tuple[str, ...],
    rule: Rule,
) -> Row:
    """The picture's row, as ``predict`` answers for the same pixels.

    ``probabilities``, float32 (classes,), are the network's, None where there was nothing to ask it; ``mask``,
    float32 (rows, columns), is a photo network's.
    """
    if probabilities is None:
        return _without_answer(prepared)
    return rows_of([prepared], probabilities[None], None if mask is None else mask[None], labels, rule)[0]


def rows_of(
    batch: Sequence[Prepared],
    probabilities: NDArray[np.float32],
    masks: NDArray[np.float32] | None,
    labels: tuple[str, ...],
    rule: Rule,
) -> list[Row]:
    """As :func:`row_of` for several pictures, probabilities (n, classes) and masks (n, rows, columns)."""
    answers = decide_all(probabilities, labels, rule, TOP)
    rows = []
    for at, (prepared, answer) in enumerate(zip(batch, answers, strict=True)):
        if shows_none(probabilities[at], labels):
            rows.append(_without_answer(prepared))
            continue
        box = prepared.within if masks is None else preprocess.box_of(masks[at], prepared.within)
        facts = answer.label, answer.confidence, answer.top, answer.accepted
        garments = (Garment(answer.label, answer.confidence, answer.accepted, box),)
        size_wh = prepared.width, prepared.height
        rows.append(Row(prepared.path, *facts, box, *size_wh, prepared.phash, garments=garments))
    return rows


def _without_answer(prepared: Prepared) -> Row:
    return Row(prepared.path, width=prepared.width, height=prepared.height, phash=prepared.phash)
