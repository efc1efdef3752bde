"""What a network's own report says of how often it is not sure.

A network that a shop has taught says nothing of that: it was measured on pictures of which most were kept because it
was not sure of them. Its own first days are what the later ones are held against.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgefashion.bundles.bundle import open_bundle
from edgefashion.camera.drift.days import Expected
from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier


def expected_of(classifier: Classifier) -> Expected | None:
    """What the report of its bundle says of pictures held out; None where there is no bundle, or it says nothing."""
    if classifier.source is None:
        return None
    try:
        report = open_bundle(classifier.source.parent).report()
    except (BadInputError, OSError, ValueError, RecursionError):
        return None
    measured = _at(report, "acceptance", "measured_on_the_other_half", "held or lying")
    pictures, accepted = _at(measured, "n"), _at(measured, "accepted")
    if not isinstance(pictures, int) or not isinstance(accepted, int) or not 0 <= accepted <= pictures or not pictures:
        return None
    return Expected(pictures, pictures - accepted)


def _at(report: Any, *keys: str) -> Any:
    for key in keys:
        report = report.get(key) if isinstance(report, dict) else None
    return report
