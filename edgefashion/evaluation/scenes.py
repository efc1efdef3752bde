"""How many garments of annotated scenes a model finds, and how right it names them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefashion.data import scenes
from edgefashion.data.scenes import Scene, Thing
from edgefashion.errors import BadInputError
from edgefashion.evaluation.metrics import wilson95
from edgefashion.evaluation.scene_ap import average_precision
from edgefashion.evaluation.scene_match import SCORED, SeenScene, SeenThing, match
from edgefashion.inference.decision import Answer
from edgefashion.inference.predict import SeenGarment, predict
from edgefashion.inference.scene import with_margin
from edgefashion.labels import UNKNOWN, group_of
from edgefashion.system.extras import need

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier

NOT_FOUND = "not found"
NOTHING = "nothing"


@dataclass(frozen=True)
class Share:
    """How many of how many."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """From 0 to 1; None of nothing."""
        return self.hits / self.n if self.n else None

    @property
    def ci95(self) -> tuple[float, float] | None:
        """Wilson's 95 % interval."""
        return wilson95(self.hits, self.n) if self.n else None


def _share(hits: Iterable[bool]) -> Share:
    told = list(hits)
    return Share(sum(told), len(told))


@dataclass(frozen=True)
class SceneEvaluation:
    """What a model found and named in scenes."""

    model: str
    precision: str
    dataset: str
    threshold: float
    seen: tuple[SeenScene, ...]
    skipped: tuple[str, ...]
    """One line for each picture or annotation left out, and why."""
    ap50_per_label: dict[str, float]
    """COCO's average precision at an overlap of 0.5, of each label that is annotated; kinds of footwear are one."""

    @property
    def ap50(self) -> float | None:
        """The mean over the labels; None where no garment with a name is annotated."""
        return sum(self.ap50_per_label.values()) / len(self.ap50_per_label) if self.ap50_per_label else None

    def things(self, label: str | None = None) -> list[SeenThing]:
        """The annotated garments with a name, of all labels or one; those whose label is unclear left out."""
        return [t for s in self.seen for t in s.things if not t.thing.unclear and label in (None, t.label)]

    @property
    def found(self) -> Share:
        """Garments where an answer's box overlaps theirs by half, whatever it says; with those of an unclear label."""
        return _share(t.garment is not None for s in self.seen for t in s.things)

    @property
    def named(self) -> Share:
        """Of the garments found, those named right, accepted or not."""
        return _share(t.right for t in self.things() if t.garment)

    def alone(self, label: str | None = None) -> Share:
        """Garments that are named right where their own box is cut out, accepted or not."""
        return _share(t.alone_right for t in self.things(label))

    def recall(self, label: str | None = None) -> Share:
        """Garments that are found, named right and accepted."""
        return _share(t.right and t.accepted for t in self.things(label))

    def correct(self, label: str | None = None) -> Share:
        """Accepted answers that are right: precision. Those on crowds and unclear garments do not count."""
        right = {id(t.garment): t.right for t in self.things() if t.garment}
        told = [
            right.get(id(garment), False)
            for s in self.seen
            for garment, role in s.garments
            if garment.answer.accepted
            and label in (None, group_of(garment.answer.label))
            and (role in ("unknown", "nothing") or id(garment) in right)
        ]
        return _share(told)

    @property
    def unknown(self) -> Share:
        """Unknown things that were given a name all the same, accepted."""
        return _share(garment is not None and garment.answer.accepted for s in self.seen for garment in s.unknown)

    @property
    def confusion(self) -> dict[str, dict[str, int]]:
        """True label -> answered label -> how often, accepted or not; ``not found`` is an answer too. Of Unknown
        things, and of ``nothing`` (an answer where no garment is annotated), only accepted answers are counted."""
        table: dict[str, dict[str, int]] = {}

        def count(true: str, garment: SeenGarment | None) -> None:
            answered = group_of(garment.answer.label) if garment else NOT_FOUND
            row = table.setdefault(true, {})
            row[answered] = row.get(answered, 0) + 1

        for thing in self.things():
            # Another name that is as right is no confusion.
            count(group_of(thing.garment.answer.label) if thing.right and thing.garment else thing.label, thing.garment)
        for s in self.seen:
            for garment, role in s.garments:
                if role in ("unknown", "nothing") and garment.answer.accepted:
                    count(UNKNOWN if role == "unknown" else NOTHING, garment)
        return {name: table[name] for name in (*SCORED, UNKNOWN, NOTHING) if name in table}

    def as_json(self) -> dict[str, Any]:
        """The fields ``evaluate --scenes --json`` prints."""
        shares = {
            "found": self.found,
            "named_right": self.named,
            "box_accuracy": self.alone(),
            "accepted_recall": self.recall(),
            "accepted_precision": self.correct(),
            "accepted_unknown": self.unknown,
        }
        return {
            "model": self.model,
            "precision": self.precision,
            "dataset": self.dataset,
            "n": len(self.seen),
            "n_things": self.found.n,
            "n_unknown": self.unknown.n,
            "n_skipped": len(self.skipped),
            "ap50": self.ap50,
            **{name: share.value for name, share in shares.items()},
            **{f"{name}_ci95": share.ci95 and list(share.ci95) for name, share in shares.items()},
            "per_label": {label: self._label_json(label) for label in SCORED if self.things(label)},
            "confusion": self.confusion,
            "accept_threshold": self.threshold,
            "skipped": list(self.skipped),
        }

    def _label_json(self, label: str) -> dict[str, Any]:
        things = self.things(label)
        return {
            "n": len(things),
            "ap50": self.ap50_per_label.get(label),
            "found": _share(t.garment is not None for t in things).value,
            "named_right": _share(t.right for t in things if t.garment).value,
            "box_accuracy": self.alone(label).value,
            "accepted_recall": self.recall(label).value,
            "accepted_precision": self.correct(label).value,
        }


def evaluate_scenes(
    classifier: Classifier, *folders: str | Path, on_progress: Callable[[int, int], None] | None = None
) -> SceneEvaluation:
    """Measure a classifier on annotated scenes: what it finds and names in the whole picture, as ``predict`` does, and
    how it names each annotated garment cut out by itself.

    Args:
        classifier: What :func:`edgefashion.load` gave.
        folders: Scenes folders, each with pictures and a COCO file. Pictures that cannot be read are left out and
            listed.
        on_progress: Called with the scenes done and their number.

    Returns:
        ``ap50`` is COCO's average precision at an overlap of 0.5, from 0 to 1, the mean over the labels. ``found``,
        ``named``, ``alone()``, ``recall()`` and ``correct()`` have a ``value`` from 0 to 1 and its ``ci95``.

    Raises:
        BadInputError: Folders without an annotated picture that can be read.
        MissingError: pycocotools is not installed.

    Example:
        >>> from edgefashion import evaluate_scenes, load
        >>> result = evaluate_scenes(load("kiosk"), "scenes/")
        >>> sorted(result.ap50_per_label)
        ['Coat', 'Trouser']
    """
    need("pycocotools", "to measure scenes")
    found = scenes.scan_scenes(*map(Path, folders))
    skipped: list[str] = list(found.skipped)
    seen = []
    for scene, picture in scenes.read(found.scenes, skipped):
        seen.append(see(classifier, scene, picture))
        if on_progress:
            on_progress(len(seen), len(found.scenes))
    if not seen:
        raise BadInputError(f"none of the {len(found.scenes):,} pictures can be read. The first: {skipped[-1]}")
    return evaluation_of(
        seen,
        model=classifier.name,
        precision=classifier.precision,
        dataset=", ".join(str(folder) for folder in folders),
        threshold=classifier.accept_threshold,
        skipped=tuple(skipped),
    )


def evaluation_of(seen: Iterable[SeenScene], **facts: Any) -> SceneEvaluation:
    """What follows from scenes that a model has looked at; ``facts`` are the other fields."""
    told = tuple(seen)
    return SceneEvaluation(seen=told, ap50_per_label=average_precision(told), **facts)


def see(classifier: Classifier, scene: Scene, picture: NDArray[np.uint8]) -> SeenScene:
    """What a model makes of a scene's BGR picture (h, w, 3), and of each known garment of it cut out by its true box,
    with the margin that a found one is looked at with."""

    def alone(thing: Thing) -> Answer | None:
        if not thing.known or thing.crowd:
            return None
        left, top = math.floor(thing.box[0]), math.floor(thing.box[1])
        right, bottom = math.ceil(thing.box[0] + thing.box[2]), math.ceil(thing.box[1] + thing.box[3])
        within = with_margin((left, top, right - left, bottom - top), scene.width, scene.height)
        return predict(classifier, picture, within=within, single=True).answer

    return match(scene, predict(classifier, picture).garments, [alone(thing) for thing in scene.things])
