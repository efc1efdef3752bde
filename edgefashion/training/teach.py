"""A shop's own labels: a network that is taught them from folders of the shop's pictures, in minutes on a PC.

The backbone stays the start's; a new last layer is trained on features of the shop's pictures and of the start's own,
which travel in its bundle. It needs neither TensorFlow nor Fashion-MNIST.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import draft, places, resolve
from edgefashion.bundles.bundle import Bundle
from edgefashion.bundles.facts import PhotoFigures
from edgefashion.data.photo_folders import Photo
from edgefashion.errors import BadInputError
from edgefashion.evaluation import before_after
from edgefashion.evaluation.before_after import Compared, Verdict, answered
from edgefashion.inference import taught
from edgefashion.inference.decision import Rule
from edgefashion.inference.features import Features
from edgefashion.inference.head import Head, read_head
from edgefashion.labels import NO_GARMENT, PHOTO_LABELS, UNKNOWN, stands_for
from edgefashion.training import shop_bundle, shop_check, shop_head, shop_material, shop_rule
from edgefashion.training.shop_head import HeadOptions, Lessons
from edgefashion.training.shop_material import Folds, Shop
from edgefashion.training.shop_progress import Kept

if TYPE_CHECKING:
    from numpy.typing import NDArray

UNKNOWN_COUNTS: Final = 3.0
"""What the start's pictures of Unknown count beside those of any other label: it is most of the world."""


@dataclass(frozen=True)
class Teaching:
    """What a run learned, and whether it is of use."""

    bundle: Bundle | None
    """None where it got worse: nothing was written."""
    labels: tuple[str, ...]
    verdict: Verdict
    before_is: str
    """The network that it is compared with."""
    own: Compared
    """On the shop's pictures, each answered by a network that has not learned from its place and day."""
    own_labels: dict[str, Compared]
    kept: Compared
    """On pictures of what the shop did not teach, none of which was learned from."""
    kept_labels: dict[str, Compared]
    notes: tuple[str, ...]
    """What else is to be known, a sentence each."""
    skipped: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """What ``train shop --json`` prints."""
        per_label = {name: {"taught": True, **of.as_json()} for name, of in self.own_labels.items()}
        per_label |= {
            (name if name not in per_label else f"{name} (not the shop's)"): {"taught": False, **of.as_json()}
            for name, of in self.kept_labels.items()
        }
        return {
            "bundle": None if self.bundle is None else str(self.bundle.path),
            "labels": list(self.labels),
            "verdict": self.verdict.word,
            "words": self.verdict.words,
            "compared_with": self.before_is,
            "before": self.own.before.as_json(),
            "after": self.own.after.as_json(),
            "p_value": self.own.p_value,
            "not_taught": self.kept.as_json(),
            "per_label": per_label,
            "notes": list(self.notes),
            "skipped": list(self.skipped),
        }


DEFAULT_OPTIONS: Final = HeadOptions()

EpochDone = Callable[[int, int, float, float], None]
"""Takes the epochs done, their number in all, the share of the pictures that are right, and the seconds left."""


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
        out: The bundle to write. It is not touched where the network got worse.
        options: How to train.
        start: The bundle to start from.
        resume: Go on where a run was interrupted.
        on_stage: Called with what is done next, in words.
        on_progress: Called with the views done and their number while features are computed.
        on_epoch: Called after each epoch.

    Returns:
        The bundle, and the report of before and after.

    Raises:
        BadInputError: Folders that cannot be learned from, all faults of all folders in one error; a start without the
            features of its own pictures; nothing to resume.

    Example:
        >>> from edgefashion import teach
        >>> done = teach(["shop/"], "models/shop")
        >>> done.verdict.word, "Polo" in done.labels
        ('better', True)
    """
    out, where = Path(out), [Path(folder) for folder in folders]
    tell = on_stage or (lambda _: None)
    draft.check_target(out)
    began = _start(start)
    shop_check.refuse(where)
    features = Features(began)
    own = taught.read(began, features.network)
    tell("looking at the photos")
    shop = shop_material.gather(where, features, on_progress)
    shop_check.refuse_few(shop.labels)
    folds = shop_material.folds_of(shop.photos)
    labels = shop_material.network_labels(shop.labels)
    school = _School(began, shop, folds, own, labels, options)
    tell("learning")
    heads, history = school.heads(Kept.at(out, school.key(), resume=resume), on_epoch)
    tell("comparing before and after")
    return _finish(school, heads, history, out, tell)


def _start(start: str) -> Bundle:
    found = resolve.resolve(start).bundle
    if found is None or found.labels != PHOTO_LABELS or not found.takes_photos:
        raise BadInputError(f"{start} is no bundle of the photo network. Start from {places.PHOTO_MODEL}")
    if not found.has("fp16"):
        raise BadInputError(f"{start} has no FP16 IR. {found.how_to_make('fp16')}")
    return found


class _School:
    """What is taught, to whom, and by what."""

    def __init__(
        self,
        start: Bundle,
        shop: Shop,
        folds: Folds,
        own: taught.Taught,
        labels: tuple[str, ...],
        options: HeadOptions,
    ) -> None:
        self.start, self.shop, self.folds, self.labels, self.options = start, shop, folds, labels, options
        self.head = read_head(start.verified("fp16"))
        self.anchors, self.pinned = own.part(~own.held), own.part(own.held)
        self.right = shop_material.right_table(shop.labels, labels)
        likely = self.head(shop.features[:, 0])
        self.new = [label for label in labels if label not in PHOTO_LABELS]
        self._means = {label: likely[[name == label for name in shop.labels]].mean(0) for label in self.new}
        self.taken_for = {label: PHOTO_LABELS[int(mean[:-2].argmax())] for label, mean in self._means.items()}

    def key(self) -> str:
        """What a run is known by again: other pictures, labels or options are another run."""
        told = hashlib.sha256(repr((self.options, self.labels, self.start.sha256_of("fp16"))).encode())
        told.update(self.shop.features[:, 0].tobytes())
        told.update("\\n".join(self.shop.labels).encode())
        return told.hexdigest()

    def heads(self, kept: Kept, on_epoch: EpochDone | None) -> tuple[list[Head], list[dict[str, float]]]:
        """A head for each fold, which has not learned from it; the first is the one that ships."""
        begin = self.head
        if self.new:
            begin = shop_head.widened(self.head, np.stack([self._means[label] for label in self.new]))
        total, history = self.folds.count * self.options.epochs, list[dict[str, float]]()
        while len(kept.heads) < self.folds.count:
            fold = len(kept.heads)
            state = kept.state or shop_head.State.begin(begin)
            kept.state = state

            def told(done: int, _: int, right: float, left_s: float, fold: int = fold) -> None:
                if fold == 0:
                    history.append({"epoch": float(done), "accuracy": right})
                kept.save_now_and_then()
                if on_epoch:
                    rest = (self.folds.count - fold - 1) * self.options.epochs
                    here = self.options.epochs - done
                    on_epoch(
                        fold * self.options.epochs + done,
                        total,
                        right,
                        left_s * (1 + rest / here) if here else left_s,
                    )

            try:
                shop_head.fit(begin, self._lessons(fold), self.options, state, told)
            except BaseException:  # Ctrl-C: what was learned is kept
                kept.save()
                raise
            kept.heads.append(state.head)
            kept.state = None
            kept.save_now_and_then()
        return kept.heads, history or [{"epoch": float(self.options.epochs)}]

    def _lessons(self, fold: int) -> Lessons:
        """The shop's pictures but for a fold, and the start's. Each label counts the same, however many pictures it
        has; the start's Unknown counts more."""
        teaches = self.folds.fold != fold
        views = self.shop.features[teaches]
        count, many = views.shape[:2]
        names = [name for name, keep in zip(self.shop.labels, teaches, strict=True) if keep]
        here = {name: names.count(name) for name in set(names)}
        anchors = {name: self.anchors.labels.count(name) for name in set(self.anchors.labels)}
        weight = np.repeat([1 / (here[name] * many) for name in names], many)
        of_start = [
            self.options.anchors * (UNKNOWN_COUNTS if name == UNKNOWN else 1.0) / anchors[name]
            for name in self.anchors.labels
        ]
        return Lessons(
            np.concatenate([views.reshape(count * many, -1), self.anchors.features]),
            np.concatenate(
                [
                    np.repeat(self.right[teaches], many, 0),
                    shop_material.right_table(self.anchors.labels, self.labels),
                ]
            ),
            np.concatenate([weight, of_start]).astype(np.float32),
        )


def _finish(
    school: _School, heads: list[Head], history: list[dict[str, float]], out: Path, tell: Callable[[str], None]
) -> Teaching:
    shop, folds, start = school.shop, school.folds, school.start
    whole = shop.features[:, 0]
    after = heads[0](whole)
    for fold, head in enumerate(heads):
        at = folds.fold == fold
        after[at] = head(whole[at])
    twins = shop_material.twins(shop, folds)
    measured = (folds.fold >= 0) & ~twins
    truths = [(photo.label, *photo.also) for photo in shop.photos]
    pinned_truths = [(name,) for name in school.pinned.labels]
    pinned_after = heads[0](school.pinned.features)
    chosen = shop_rule.choose(
        start.facts.thresholds,
        school.taken_for,
        school.labels,
        np.concatenate([after[measured], pinned_after]),
        [*(truth for truth, keep in zip(truths, measured, strict=True) if keep), *pinned_truths],
        int(measured.sum()),
    )
    rule = Rule.of(chosen.thresholds)
    before = _Before.of(school, out)
    seen = measured & before.new_to_it
    if not seen.any():
        before = _Before.start(school)
        seen = measured
    own_before = answered(before.head(whole), truths, before.labels, before.rule)
    own_after = answered(after, truths, school.labels, rule)
    kept_before = answered(before.head(school.pinned.features), pinned_truths, before.labels, before.rule)
    kept_after = answered(pinned_after, pinned_truths, school.labels, rule)
    names = np.array(shop.labels)
    kept_names = np.array(school.pinned.labels)
    untaught = np.array(
        [not any(stands_for(name) & stands_for(own) for own in set(shop.labels)) for name in kept_names]
    )
    untaught |= np.isin(kept_names, (UNKNOWN, NO_GARMENT))
    own = Compared.of(own_before.part(seen), own_after.part(seen))
    kept = Compared.of(kept_before.part(untaught), kept_after.part(untaught))
    found = before_after.verdict(own, kept)
    notes = _notes(school, twins, chosen.words, measured)
    own_labels = {
        str(name): Compared.of(own_before.part(seen & (names == name)), own_after.part(seen & (names == name)))
        for name in sorted(set(shop.labels))
    }
    kept_labels = {
        str(name): Compared.of(kept_before.part(kept_names == name), kept_after.part(kept_names == name))
        for name in sorted(set(kept_names[untaught]))
    }
    made, more = None, ""
    if found.word != before_after.WORSE:
        tell("writing the network")
        figures = own.after
        made, more = shop_bundle.write(
            out,
            start,
            shop_bundle.Made(
                head=heads[0],
                labels=school.labels,
                thresholds=chosen.thresholds,
                figures=PhotoFigures(
                    n=figures.n,
                    accuracy=figures.right,
                    per_label={name: of.after.right for name, of in own_labels.items() if of.after.right is not None},
                ),
                taught={
                    "start": start.name,
                    "start_sha256": start.sha256_of("fp16"),
                    "photos": len(shop.photos),
                    "data_sha256": school.key(),
                    "learned_from": sorted({p.sender for p, f in zip(shop.photos, folds.fold, strict=True) if f != 0}),
                },
                report={
                    "options": asdict(school.options),
                    "labels": {name: shop.labels.count(name) for name in sorted(set(shop.labels))},
                    "verdict": found.word,
                    "words": found.words,
                    "compared_with": before.name,
                    "own": own.as_json(),
                    "own_labels": {name: of.as_json() for name, of in own_labels.items()},
                    "not_taught": kept.as_json(),
                    "not_taught_labels": {name: of.as_json() for name, of in kept_labels.items()},
                    "rule": chosen.words,
                    "notes": notes,
                },
                history=history,
                seed=school.options.seed,
            ),
            shop,
            folds.fold == 0,
        )
    Kept.forget(out)
    return Teaching(
        made,
        school.labels,
        found,
        before.name,
        own,
        own_labels,
        kept,
        kept_labels,
        (*notes, *([more] if more else [])),
        tuple(shop.skipped),
    )


@dataclass(frozen=True, eq=False)
class _Before:
    """The network that the shop has, and what of the pictures it has not learned from."""

    name: str
    head: Head
    labels: tuple[str, ...]
    rule: Rule
    new_to_it: NDArray[np.bool_]
    """(n,)"""

    @classmethod
    def start(cls, school: _School) -> _Before:
        all_of = np.ones(len(school.shop.photos), np.bool_)
        return cls(school.start.name, school.head, school.start.labels, Rule.of(school.start.facts.thresholds), all_of)

    @classmethod
    def of(cls, school: _School, out: Path) -> _Before:
        """The network at ``out`` where that was taught too and has the same features; else the start."""
        try:
            there = resolve.resolve(out).bundle if out.exists() else None
        except BadInputError:
            there = None
        told = None if there is None else shop_bundle.taught_facts(there)
        if there is None or told is None or told.get("start_sha256") != school.start.sha256_of("fp16"):
            return cls.start(school)
        learned = set(told.get("learned_from", ()))
        new = np.array([photo.sender not in learned for photo in school.shop.photos], np.bool_)
        head = read_head(there.verified("fp16"))
        return cls(str(out), head, there.labels, Rule.of(there.facts.thresholds), new)


def _notes(school: _School, twins: NDArray[np.bool_], rule: str, measured: NDArray[np.bool_]) -> list[str]:
    photos: list[Photo] = school.shop.photos
    notes = [
        f"{int(measured.sum()):,} of {len(photos):,} photos were held out in one of {school.folds.count} trainings"
    ]
    if school.folds.one_sender:
        notes.append(
            f"{', '.join(school.folds.one_sender)}: all photos are of one place and day, so nobody can say how well it "
            "is known elsewhere. Add photos of another day"
        )
    if count := int(twins.sum()):
        first = photos[int(np.flatnonzero(twins)[0])].path
        notes.append(
            f"{count:,} photos look the same as one of another place or day, such as {first}: they are not measured"
        )
    few = {
        name: n for name in sorted(set(school.shop.labels)) if (n := school.shop.labels.count(name)) < shop_check.FEW
    }
    if few:
        told = ", ".join(f"{name} ({n})" for name, n in few.items())
        notes.append(f"few photos: {told}. {shop_check.FEW} of each are wanted at least")
    notes.append(f"what an answer needs: {rule}")
    return notes
