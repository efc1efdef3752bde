"""A garment cut out of its picture to be kept: with a margin, no face, and what the network said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from edgefashion.bundles.current import model_dir_of
from edgefashion.data.collected import Facts
from edgefashion.data.heads import hidden_share, hide_heads
from edgefashion.inference import preprocess, scene
from edgefashion.inference.decision import HELD_WORN

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier
    from edgefashion.inference.predict import SeenGarment
    from edgefashion.inference.preprocess import Box

SMALLEST_PX: Final = 48
"""A garment whose box has a shorter edge shows too little to be told, by a person too."""

MOST_HIDDEN: Final = 0.4
"""A picture of which more than this is hidden teaches nothing."""

UPPER: Final = 1 / 3
"""The part of a person's box in which the head may be, at its top."""

LEEWAY: Final = 0.1
"""The share of its size by which a person's box may be off."""

UNSURE: Final = "unsure"
CHANGED: Final = "changed"
SAMPLE: Final = "sample"
"""Why a picture is kept: :attr:`~edgefashion.data.collected.Facts.why`."""


@dataclass(frozen=True, eq=False)
class GarmentPicture:
    """What is kept of a garment."""

    image: NDArray[np.uint8]
    """BGR (h, w, 3): the garment with its margin or, where that was asked for, all of the picture."""
    box: Box
    """Where in it the garment is."""
    garment: NDArray[np.uint8]
    """The garment with its margin, by which two pictures are compared."""
    hidden: float
    """The part of that, 0 to 1, that is hidden with heads."""


def cut_out(image: NDArray[np.uint8], box: Box, heads: Sequence[Box], *, whole: bool = False) -> GarmentPicture:
    """The garment in the ``box`` of ``image``, BGR (h, w, 3), with the margin that a network sees of it.

    ``heads``, boxes in ``image``, are hidden in what comes. With ``whole`` that is all of the picture.
    """
    height, width = image.shape[:2]
    x, y, w, h = scene.with_margin(box, width, height)
    inside = [(left - x, top - y, across, down) for left, top, across, down in heads]
    hidden = hidden_share((w, h), inside)
    if whole:
        shown = hide_heads(image, heads)
        return GarmentPicture(shown, _inside(box, (width, height)), preprocess.part(shown, (x, y, w, h)), hidden)
    shown = hide_heads(preprocess.part(image, (x, y, w, h)), inside)
    return GarmentPicture(shown, _inside((box[0] - x, box[1] - y, *box[2:]), (w, h)), shown, hidden)


def may_be_kept(garment: SeenGarment, people: Sequence[Box], heads: Sequence[Box], kept: Box) -> bool:
    """Whether a garment is large enough, and no face is in the picture of it as far as can be told.

    ``people`` and ``heads`` are boxes in the frame, as is ``kept``, the part of it that the picture shows. The head of
    whoever wears the garment, and of everybody whose upper part is in the picture, has to be known: the finder
    overlooks heads of people who stand far away, or at the rim.
    """
    if min(garment.box[2:]) < SMALLEST_PX:
        return False
    faceless = [person for person in people if not any(_holds(person, _middle(head), LEEWAY) for head in heads)]
    if any(_overlap((left, top, across, down * UPPER), kept) for left, top, across, down in faceless):
        return False
    worn = garment.worn is not None and garment.worn >= HELD_WORN
    return not worn or any(_holds(person, _middle(garment.box), LEEWAY) for person in people)


def kept_part(box: Box, size_wh: tuple[int, int], *, whole: bool) -> Box:
    """The part of a picture of (width, height) that is kept of a garment in ``box``."""
    return (0, 0, *size_wh) if whole else scene.with_margin(box, *size_wh)


def _overlap(one: tuple[float, float, float, float], other: Box) -> bool:
    across = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    down = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return across > 0 and down > 0


def _holds(box: Box, point: tuple[float, float], leeway: float) -> bool:
    x, y, w, h = box
    across, down = leeway * w, leeway * h
    return x - across <= point[0] <= x + w + across and y - down <= point[1] <= y + h + down


def _middle(box: Box) -> tuple[float, float]:
    return box[0] + box[2] / 2, box[1] + box[3] / 2


def facts_of(
    garment: SeenGarment, classifier: Classifier, *, why: str, time: str, camera: str, box: Box | None = None
) -> Facts:
    """What a picture of ``garment`` is kept with. ``box``: where in that picture it is."""
    answer = garment.answer
    return Facts(
        time=time,
        camera=camera,
        why=why,
        label=answer.label,
        confidence=round(answer.confidence, 4),
        accepted=answer.accepted,
        top=tuple((label, round(share, 4)) for label, share in answer.top),
        model=classifier.name,
        revision=revision_of(classifier),
        worn=garment.worn is not None and garment.worn >= HELD_WORN,
        box=box,
    )


def revision_of(classifier: Classifier) -> str:
    """The revision of the model that ``classifier`` was loaded from; empty where it has none."""
    if classifier.source is None:
        return ""
    place = classifier.source.absolute().parent
    return "" if model_dir_of(place) in (None, place) else place.name


def _inside(box: Box, size_wh: tuple[int, int]) -> Box:
    """What of a box lies in a picture of a size, a pixel at least."""
    x, y, w, h = box
    x0, y0 = min(max(0, x), size_wh[0] - 1), min(max(0, y), size_wh[1] - 1)
    return x0, y0, max(1, min(x + w, size_wh[0]) - x0), max(1, min(y + h, size_wh[1]) - y0)
