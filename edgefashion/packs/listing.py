"""``edgefashion models list`` as a function: every known model with what is in force of it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgefashion.bundles import current, probation, resolve, revisions
from edgefashion.bundles.bundle import IR_PRECISIONS, Bundle


@dataclass(frozen=True)
class Listed:
    """A model as the list has it."""

    model: str
    path: str
    """Its folder."""
    revision: str
    """The one in force; ``.`` for the bundle in the folder itself."""
    sha256: str
    """Of its bundle.json, in hex: the same wherever the same bundle is in force."""
    revisions: int
    labels: int
    accuracy: float | None
    """0 to 1, as its report has it; None where it was not measured."""
    measured_on: str | None
    since: str
    """UTC, ISO 8601: when the revision was made here."""
    age_days: float
    probation: str | None
    """``running``, or how the latest one of this revision ended; None where it had none."""

    def as_json(self) -> dict[str, Any]:
        """Its fields, for ``--json``."""
        return asdict(self)


def models() -> list[Listed]:
    """Every model of ``./models`` and those shipped, by name.

    Example:
        >>> from edgefashion.packs.listing import models
        >>> {"edge", "kiosk"} <= {each.model for each in models()}
        True
    """
    listed = (_listed(found) for found in resolve.known())
    return sorted((each for each in listed if each is not None), key=lambda each: each.model)


def accuracy_of(found: Bundle) -> tuple[float | None, str | None]:
    """The accuracy that a bundle's report tells first, and on what it was measured."""
    for name, figures in (found.facts.photos or {}).items():
        if figures.accuracy is not None:
            return figures.accuracy, name.replace("_", " ")
    for form in (*IR_PRECISIONS, "original"):
        if (measured := found.test_accuracy(form)) is not None:
            return measured, "Fashion-MNIST's test images"
    return None, None


def _listed(found: Bundle) -> Listed | None:
    """A line of the list; None for a revision that another process has removed meanwhile."""
    folder: Path = current.folder_of(found.path)
    known = revisions.history(folder)
    here = next((each for each in known if each.path == found.path), None)
    if here is None:
        return None
    accuracy, measured_on = accuracy_of(found)
    last = probation.last(folder)
    return Listed(
        model=folder.absolute().name,
        path=str(folder),
        revision=here.id,
        sha256=here.sha256,
        revisions=len(known),
        labels=len(found.labels),
        accuracy=accuracy,
        measured_on=measured_on,
        since=here.origin.when,
        age_days=round(age_days(here.origin.when), 2),
        probation=last.state if last and last.revision == here.id else None,
    )


def age_days(when: str) -> float:
    """Days since ``when``, an ISO 8601 time; 0 for what is none."""
    try:
        then = datetime.fromisoformat(when)
        return max(0.0, (datetime.now(UTC) - then).total_seconds() / 86400)
    except (ValueError, TypeError):
        return 0.0
