"""Average precision on scenes, by COCO's own evaluation."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from edgefashion.evaluation.scene_match import SAME_BOX, SCORED, SeenScene, SeenThing
from edgefashion.labels import group_of
from edgefashion.system.extras import need


def average_precision(seen: Sequence[SeenScene]) -> dict[str, float]:
    """AP50 (0 to 1) of each label that is annotated in ``seen``, in the order of ``SCORED``.

    An answer's score is the finder's times its confidence, and every answer counts, accepted or not. But those on an
    Unknown or unclear thing are left out where they are not accepted. Raises :class:`MissingError` without pycocotools.
    """
    need("pycocotools", "to measure scenes")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    pictures = [{"id": number} for number in range(len(seen))]
    categories = [{"id": number, "name": name} for number, name in enumerate(SCORED, 1)]
    true, answered = COCO(), COCO()
    with contextlib.redirect_stdout(io.StringIO()):  # it tells how long each step took
        for told, annotations in ((true, _truth(seen)), (answered, _answers(seen))):
            numbered = [{"id": number, **each} for number, each in enumerate(annotations, 1)]
            told.dataset = {"images": pictures, "annotations": numbered, "categories": categories}
            told.createIndex()
        measured = COCOeval(true, answered, "bbox")
        measured.params.iouThrs = np.array([SAME_BOX])
        measured.params.areaRng, measured.params.areaRngLbl = [[0, 1e10]], ["all"]
        measured.params.maxDets = [100]
        measured.evaluate()
        measured.accumulate()
    # (thresholds, recalls, labels, areas, numbers of answers); -1 where a label is not annotated.
    precision = measured.eval["precision"][0, :, :, 0, 0]
    annotated = {name: precision[:, at] for at, name in enumerate(SCORED) if (precision[:, at] > -1).any()}
    # Where all is right COCO's sums are short of 1 by a rounding.
    return {name: round(float(of.mean()), 9) for name, of in annotated.items()}


def _truth(seen: Sequence[SeenScene]) -> list[dict[str, Any]]:
    clear = [(number, _name(each), each.thing) for number, s in enumerate(seen) for each in s.things if _clear(each)]
    crowds = [
        (number, group_of(thing.label), thing)
        for number, s in enumerate(seen)
        for thing in s.scene.things
        if thing.known and thing.crowd
    ]
    return [{**_entry(number, name, thing.box), "iscrowd": int(thing.crowd)} for number, name, thing in clear + crowds]


def _answers(seen: Sequence[SeenScene]) -> list[dict[str, Any]]:
    found = []
    for number, s in enumerate(seen):
        unclear = [each.garment for each in s.things if not _clear(each)]
        for garment, role in s.garments:
            if garment in unclear or (role == "unknown" and not garment.answer.accepted):
                continue
            entry = _entry(number, group_of(garment.answer.label), garment.box)
            found.append({**entry, "iscrowd": 0, "score": garment.score * garment.answer.confidence})
    return found


def _clear(each: SeenThing) -> bool:
    return not each.thing.unclear


def _name(each: SeenThing) -> str:
    """Where an answer gave another name that is as right, that one."""
    return group_of(each.garment.answer.label) if each.right and each.garment else each.label


def _entry(picture: int, name: str, box: tuple[float, float, float, float]) -> dict[str, Any]:
    return {"image_id": picture, "category_id": SCORED.index(name) + 1, "bbox": list(box), "area": box[2] * box[3]}
