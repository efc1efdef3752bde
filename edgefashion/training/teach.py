"""A shop's own labels: a network that is taught them from folders of the shop's pictures, in minutes on a PC.

The backbone stays the start's; a new last layer is trained on features of the shop's pictures and of the start's own,
which travel in its bundle. It needs neither TensorFlow nor Fashion-MNIST.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles import places, resolve
from edgefashion.bundles.bundle import Bundle
from edgefashion.bundles.facts import Thresholds
from edgefashion.data.photo_folders import Photo
from edgefashion.data.senders import hashed
from edgefashion.errors import BadInputError
from edgefashion.evaluation import before_after
from edgefashion.evaluation.before_after import Verdict
from edgefashion.inference import taught
from edgefashion.inference.features import Features
from edgefashion.labels import PHOTO_LABELS
from edgefashion.training import shop_bundle, shop_check, shop_material, shop_report
from edgefashion.training.shop_bundle import Made
from edgefashion.training.shop_head import HeadOptions
from edgefashion.training.shop_progress import Kept
from edgefashion.training.shop_report import Report
from edgefashion.training.shop_school import EpochDone, School

DEFAULT_OPTIONS: Final = HeadOptions()


@dataclass(frozen=True)
class Teaching:
    """What a run learned, and whether it is of use."""

    bundle: Bundle | None
    """None where it got worse: nothing was written."""
    revision: str | None
    """Its name among the revisions of the network that was there before; None where there was none."""
    in_force: bool
    """True where whoever names the model gets the new network."""
    labels: tuple[str, ...]
    report: Report
    notes: tuple[str, ...]
    """What else is to be known, a sentence each."""
    skipped: tuple[str, ...]
    learned_from: tuple[Photo, ...]
    """The photos that the network which is written has learned from."""
    held_out: tuple[Photo, ...]
    """Those that it has not learned from, nor from one that looks the same."""
    floors_kept: Thresholds
    """The start's rule for its labels: for one that no photo has chosen a floor for."""

    @property
    def verdict(self) -> Verdict:
        return self.report.verdict

    def as_json(self) -> dict[str, Any]:
        """What ``train shop --json`` prints."""
        own = self.report.own_labels
        per_label = {name: {"taught": True, **of.as_json()} for name, of in own.items()}
        for name, of in self.report.kept_labels.items():
            per_label[f"{name} (not the shop's)" if name in own else name] = {"taught": False, **of.as_json()}
        return {
            "bundle": None if self.bundle is None else str(self.bundle.path),
            "revision": self.revision,
            "in_force": self.in_force,
            "labels": list(self.labels),
            "verdict": self.verdict.word,
            "words": self.verdict.words,
            "compared_with": self.report.compared_with,
            "before": self.report.own.before.as_json(),
            "after": self.report.own.after.as_json(),
            "p_value": self.report.own.p_value,
            "not_taught": self.report.kept.as_json(),
            "per_label": per_label,
            "notes": list(self.notes),
            "skipped": list(self.skipped),
        }


def teach(
    folders: Sequence[str | Path],
    out: str | Path,
    options: HeadOptions = DEFAULT_OPTIONS,
    *,
    start: str = places.PHOTO_MODEL,
    resume: bool = False,
    on_stage: Callable[[str], None] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    on_epoch: EpochDone | None = None,
) -> Teaching:
    """Teach the photo network a shop's own labels, and write its bundle.

    Args:
        folders: Photo folders, a sub-folder a label. Any name is a label, two to two hundred of them.
        out: The bundle to write. Where one is there already the new one is its next revision, which is put in force
            only if it is better.
        options: How to train.
        start: The bundle to start from.
        resume: Go on where a run was interrupted. Where that had learned nothing yet it begins.
        on_stage: Called with what is done next, in words.
        on_progress: Called with the photos done and their number while features are computed.
        on_epoch: Called after each epoch.

    Returns:
        The bundle, and the report of before and after.

    Raises:
        BadInputError: Folders that cannot be learned from, all faults of all folders in one error; a start without the
            features of its own pictures; with ``resume``, a run of other photos, labels, places and days or
            settings.

    Example:
        >>> from edgefashion import teach
        >>> done = teach(["shop/"], "models/shop")
        >>> done.bundle.path.name, done.report.own.after.n > 0
        ('shop', True)
    """
    out, where = Path(out), [Path(folder) for folder in folders]
    tell = on_stage or (lambda _: None)
    shop_bundle.check_target(out)
    began = _start(start)
    shop_check.refuse(where)
    features = Features(began)
    own = taught.read(began, features.network, features.size)
    tell("looking at the photos")
    shop = shop_material.gather(where, features, on_progress)
    folds = shop_material.folds_of(shop.photos)
    school = School(began, shop, folds, own, shop_material.network_labels(shop.labels), options)
    tell("learning")
    kept = Kept.at(out, school.key(), resume=resume)
    heads, history = school.heads(kept, on_epoch)
    tell("comparing before and after")
    there = shop_bundle.in_force(out)
    found = shop_report.report(school, heads, out)
    notes = (*found.notes, *([kept.note] if kept.note else []))
    floors_kept = shop_report.kept_rule(school)
    if found.verdict.word == before_after.WORSE:
        Kept.forget(out)
        return Teaching(None, None, False, school.labels, found, notes, tuple(shop.skipped), (), (), floors_kept)
    tell("writing the network")
    made = Made(
        head=heads[0],
        labels=school.labels,
        thresholds=found.rule.thresholds,
        figures=found.figures,
        taught={
            "start": began.name,
            "start_sha256": began.sha256_of("fp16"),
            "photos": len(shop.photos),
            "data_sha256": school.key(),
            "learned_from": sorted(
                {hashed(p.sender) for p, at in zip(shop.photos, folds.fold, strict=True) if at != 0}
            ),
        },
        report={"options": asdict(options), "labels": school.counts, **found.as_json()},
        history=history,
        seed=options.seed,
    )
    taught_by = folds.fold != 0
    apart = ~taught_by & ~shop_material.twins(shop, folds)
    take = found.verdict.word == before_after.BETTER and found.of_the_one_in_force
    written, told = shop_bundle.write(out, began, made, shop, folds.fold == 0, found.verdict, there, take=take)
    Kept.forget(out)
    return Teaching(
        written.bundle,
        written.revision,
        written.in_force,
        school.labels,
        found,
        (*notes, *told),
        tuple(shop.skipped),
        tuple(photo for photo, at in zip(shop.photos, taught_by, strict=True) if at),
        tuple(photo for photo, at in zip(shop.photos, apart, strict=True) if at),
        floors_kept,
    )


def _start(start: str) -> Bundle:
    found = resolve.resolve(start).bundle
    if start == places.PHOTO_MODEL and found is not None and found.facts.taught is not None:
        # ./models has one of this name that a teaching made: the next one begins where that began.
        found = resolve.resolve(places.model_dirs()[-1] / places.PHOTO_MODEL).bundle
    if found is not None and found.facts.taught is not None:
        raise BadInputError(
            f"{start} is a network that was taught, and a teaching begins from one that was not: it learns all labels "
            "anew. Put the new photos beside the old ones, and give that folder with --start "
            f"{places.shipped(places.PHOTO_MODEL)}"
        )
    if found is None or found.labels != PHOTO_LABELS or not found.takes_photos:
        raise BadInputError(
            f"{start} is no bundle of the photo network. Give --start {places.shipped(places.PHOTO_MODEL)}"
        )
    if not found.has("fp16"):
        raise BadInputError(f"{start} has no FP16 IR. {found.how_to_make('fp16')}")
    return found
