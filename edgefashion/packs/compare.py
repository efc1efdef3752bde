"""``edgefashion models diff`` as a function: what is other in one revision than in another."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgefashion.bundles import current, revisions
from edgefashion.bundles.bundle import PARTS, Bundle, open_bundle
from edgefashion.bundles.revisions import Revision
from edgefashion.packs.listing import accuracy_of

Pair = tuple[Any, Any]
"""What the older and what the newer has; None where it has none."""


@dataclass(frozen=True)
class Difference:
    """Two revisions of a model side by side; what both have alike is left out, but for the totals."""

    model: str
    old: str
    new: str
    labels_added: tuple[str, ...]
    labels_removed: tuple[str, ...]
    thresholds: dict[str, Pair]
    """By name: the thresholds, and the floors as ``floors.Coat``."""
    accuracy: Pair
    """0 to 1, as each one's report has it."""
    measured_on: Pair
    """On which pictures."""
    same_pictures: bool
    """Whether both were measured on the same ones; else the two accuracies say nothing about each other."""
    per_label: dict[str, Pair]
    """By label, every label that either one measured."""
    data_sha256: Pair
    """Of what each was trained on."""
    size_bytes: Pair
    parts: dict[str, Pair]
    """Bytes of each part of the bundle that is other."""

    def as_json(self) -> dict[str, Any]:
        """Its fields, for ``--json``."""
        return asdict(self)


def compare(model: str | Path, old: str | None = None, new: str | None = None) -> Difference:
    """Two revisions of a model: ``old``, by default the one to go back to, and ``new``, by default the one in force.

    Raises :class:`BadInputError` for what is no model or none of its revisions.
    """
    folder = revisions.folder(model)
    later = revisions.find(folder, new or current.current_id(folder))
    earlier = revisions.find(folder, old) if old else revisions.before(folder)
    first, second = open_bundle(earlier.path), open_bundle(later.path)
    labels = (_per_label(first), _per_label(second))
    sizes = (_sizes(first), _sizes(second))
    (first_right, first_on), (second_right, second_on) = accuracy_of(first), accuracy_of(second)
    data = _data(first, earlier), _data(second, later)
    taught = any(
        each.facts.taught is not None for each in (first, second)
    )  # each is measured on pictures of its own teaching
    return Difference(
        model=folder.absolute().name,
        old=earlier.id,
        new=later.id,
        labels_added=tuple(label for label in second.labels if label not in first.labels),
        labels_removed=tuple(label for label in first.labels if label not in second.labels),
        thresholds=_pairs(_thresholds(first), _thresholds(second), alike=False),
        accuracy=(first_right, second_right),
        measured_on=(first_on, second_on),
        same_pictures=first_on == second_on and not (taught and data[0] != data[1]),
        per_label=_pairs(*labels, alike=True),
        data_sha256=data,
        size_bytes=(sum(sizes[0].values()), sum(sizes[1].values())),
        parts=_pairs(*sizes, alike=False),
    )


def _pairs(first: dict[str, Any], second: dict[str, Any], *, alike: bool) -> dict[str, Pair]:
    """By name what both have; where they have the same only with ``alike``."""
    found = {name: (first.get(name), second.get(name)) for name in (*first, *second)}
    return {name: pair for name, pair in found.items() if alike or pair[0] != pair[1]}


def _thresholds(of: Bundle) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in of.facts.thresholds.as_json().items():
        flat |= {f"{name}.{inner}": each for inner, each in value.items()} if isinstance(value, dict) else {name: value}
    return flat


def _per_label(of: Bundle) -> dict[str, Any]:
    for figures in (of.facts.photos or {}).values():
        if figures.per_label:
            return dict(figures.per_label)
    return {}


def _data(of: Bundle, revision: Revision) -> str | None:
    """One hash, in hex, for all that it was trained on."""
    if revision.origin.data_sha256 or not of.facts.data_sha256:
        return revision.origin.data_sha256
    files = sorted(f"{name} {digest}\n" for name, digest in of.facts.data_sha256.items())
    return hashlib.sha256("".join(files).encode()).hexdigest()


def _sizes(of: Bundle) -> dict[str, Any]:
    return {part: of.size_bytes(part) for part in PARTS if of.has(part)}
