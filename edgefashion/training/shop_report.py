"""What a teaching changed: the network that the shop has beside the new one, on pictures that neither learned from."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import resolve
from edgefashion.bundles.facts import PhotoFigures, Thresholds
from edgefashion.data.photo_folders import FEW
from edgefashion.data.senders import hashed
from edgefashion.errors import BadInputError
from edgefashion.evaluation import before_after
from edgefashion.evaluation.before_after import Compared, Verdict, answered
from edgefashion.inference.decision import Rule
from edgefashion.inference.head import Head, read_head
from edgefashion.labels import NAMELESS, stands_for
from edgefashion.training import shop_bundle, shop_kinds, shop_material, shop_rule
from edgefashion.training.shop_rule import ShopRule
from edgefashion.training.shop_school import School

if TYPE_CHECKING:
    from numpy.typing import NDArray


NONE: Final = np.zeros((0, 0), np.float32)


@dataclass(frozen=True)
class Report:
    """Before and after, and what is to be done."""

    verdict: Verdict
    compared_with: str
    """The network before."""
    own: Compared
    """On the shop's pictures, each answered by a network that has not learned from its place and day."""
    own_labels: dict[str, Compared]
    kept: Compared
    """On pictures of what the shop did not teach, none of which was learned from."""
    kept_labels: dict[str, Compared]
    rule: ShopRule
    notes: tuple[str, ...]
    """What else is to be known, a sentence each."""
    of_the_one_in_force: bool
    """True where the network before is the one that is there; False where that could not be compared."""

    @property
    def figures(self) -> PhotoFigures:
        """What is stated in the bundle of the shop's pictures."""
        shares = {name: of.after.right for name, of in self.own_labels.items()}
        per_label = {name: share for name, share in shares.items() if share is not None}
        return PhotoFigures(n=self.own.after.n, accuracy=self.own.after.right, per_label=per_label)

    def as_json(self) -> dict[str, Any]:
        """For the bundle's report."""
        return {
            "verdict": self.verdict.word,
            "words": self.verdict.words,
            "compared_with": self.compared_with,
            "own": self.own.as_json(),
            "own_labels": {name: of.as_json() for name, of in self.own_labels.items()},
            "not_taught": self.kept.as_json(),
            "not_taught_labels": {name: of.as_json() for name, of in self.kept_labels.items()},
            "rule": self.rule.words,
            "notes": list(self.notes),
        }


def kept_rule(school: School) -> Thresholds:
    """The rule of a network for which no held-out picture chooses one: its start's, whose floors serve new labels as
    well."""
    start = school.start.facts.thresholds
    kept = shop_rule.choose(start, school.taken_for, school.labels, NONE, [], 0).thresholds
    return kept._replace(chosen_on=start.chosen_on)


def report(school: School, heads: list[Head], out: Path) -> Report:
    """Compare what was learned with the network at ``out``, or with the start where there is none."""
    shop, folds = school.shop, school.folds
    whole, kept = shop.features[:, 0], school.pinned.features
    after, kept_after = heads[0](whole), heads[0](kept)
    for fold, head in enumerate(heads):
        at = folds.fold == fold
        after[at] = head(whole[at])
    twins = shop_material.twins(shop, folds)
    measured = (folds.fold >= 0) & ~twins
    truths = [(photo.label, *photo.also) for photo in shop.photos]
    kept_truths = [(name,) for name in school.pinned.labels]
    chosen = shop_rule.choose(
        school.start.facts.thresholds,
        school.taken_for,
        school.labels,
        np.concatenate([after[measured], kept_after]),
        [*(truth for truth, keep in zip(truths, measured, strict=True) if keep), *kept_truths],
        int(measured.sum()),
    )
    rule, before = Rule.of(chosen.thresholds), _Before.of(school, out)
    if not (seen := measured & before.new_to_it).any():
        before, seen = _Before.start(school), measured
    there = shop_bundle.is_there(out)
    of_it = not there or before.name == str(out)
    own_pair = before.answered(whole, truths), answered(after, truths, school.labels, rule)
    kept_pair = before.answered(kept, kept_truths), answered(kept_after, kept_truths, school.labels, rule)

    def of_own(which: NDArray[np.bool_]) -> Compared:
        return Compared.of(*(each.part(seen & which) for each in own_pair))

    def of_kept(which: NDArray[np.bool_]) -> Compared:
        return Compared.of(*(each.part(which) for each in kept_pair))

    names, kept_names = np.array(shop.labels), np.array(school.pinned.labels)
    again = frozenset[str]().union(*map(stands_for, set(shop.labels)))
    untaught = np.array([stands_for(str(name)).isdisjoint(again) for name in kept_names], np.bool_)
    untaught |= np.isin(kept_names, NAMELESS)
    renamed, kinds = shop_kinds.renamed(school, kept_after, kept_pair[1].named)
    own, of_others = of_own(np.ones(len(names), np.bool_)), of_kept(untaught & ~renamed)
    kept_labels = {str(name): of_kept(kept_names == name) for name in sorted(set(kept_names[untaught]))}
    counted = {name: of_kept((kept_names == name) & ~renamed) for name in kept_labels}
    own_labels = {str(name): of_own(names == name) for name in sorted(set(shop.labels))}
    notes = [*_notes(school, twins, measured), *silent(own_labels), f"what an answer needs: {chosen.words}"]
    return Report(
        before_after.verdict(own, of_others, counted),
        before.name,
        own,
        own_labels,
        of_others,
        kept_labels,
        chosen,
        (*notes, *kinds, *([] if of_it else [_STAYS.format(out=out)])),
        of_it,
    )


_STAYS: Final = (
    "{out} stays in force: it is another network, or has learned from every place and day of these photos, so nothing "
    "says which of the two is better"
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

    def answered(self, features: NDArray[np.float32], truths: Sequence[Collection[str]]) -> before_after.Answered:
        """What it makes of pictures with ``features`` (n, size)."""
        return answered(self.head(features), truths, self.labels, self.rule)

    @classmethod
    def start(cls, school: School) -> _Before:
        all_of = np.ones(len(school.shop.photos), np.bool_)
        return cls(school.start.name, school.head, school.start.labels, Rule.of(school.start.facts.thresholds), all_of)

    @classmethod
    def of(cls, school: School, out: Path) -> _Before:
        """The network at ``out`` where that was taught too and has the same features; else the start. One that
        ``--deep`` fine-tuned has others, and states no start: its last layer says nothing on the start's features."""
        try:
            # A path: no other of this name in ./models.
            there = resolve.resolve(out.absolute()).bundle if out.exists() else None
        except BadInputError:
            there = None
        if there is not None and there.sha256 == school.start.sha256:  # its copy, as `models install kiosk` makes
            return replace(cls.start(school), name=str(out))
        told = None if there is None else shop_bundle.taught_facts(there)
        if there is None or told is None or told.get("start_sha256") != school.start.sha256_of("fp16"):
            return cls.start(school)
        learned = there.facts.learned_from
        known = frozenset(there.labels)
        new = np.array(
            [
                hashed(photo.sender) not in learned or stands_for(photo.label).isdisjoint(known)
                for photo in school.shop.photos
            ],
            np.bool_,
        )
        head = read_head(there.verified("fp16"))
        return cls(str(out), head, there.labels, Rule.of(there.facts.thresholds), new)


def silent(labels: Mapping[str, Compared]) -> list[str]:
    """A sentence for each label that is known and hardly ever named, which the table alone shows and does not explain.
    ``labels``: the shop's own, before and after."""
    return [
        f"{name}: {right:.0%} are known, and only {named:.0%} are named: it is said only where the network is very "
        f"sure, for other garments are taken for {name} too. Add photos of {name} of other days, and look at "
        "Likely mistakes (edgefashion review)"
        for name, of in labels.items()
        if name not in NAMELESS
        and of.after.n >= FEW
        and (right := of.after.right or 0.0) - (named := of.after.named or 0.0) >= _SILENT
        and named < _HALF
    ]


_SILENT: Final = 0.3
_HALF: Final = 0.5
"""A label of which fewer than half are named, and so many fewer than are known, is told of."""


def _notes(school: School, twins: NDArray[np.bool_], measured: NDArray[np.bool_]) -> list[str]:
    photos = school.shop.photos
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
    if pairs := shop_material.contradicted(school.shop):
        first, second = (photo.path for photo in pairs[0])
        times = f"{len(pairs):,} time{'s' * (len(pairs) != 1)}"
        notes.append(f"one picture, two labels: {times}, such as {first} and {second}. Delete the wrong one")
    if few := [f"{name} ({count})" for name, count in school.counts.items() if count < FEW]:
        notes.append(f"few photos: {', '.join(few)}. {FEW} of each are wanted at least")
    return notes
