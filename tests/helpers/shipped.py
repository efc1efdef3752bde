"""What the shipped bundles state of themselves."""

from __future__ import annotations

from edgefashion.bundles import resolve


def accuracy(name: str, form: str) -> float:
    """Share of the 10,000 test images that a shipped network is right on in a form (``original``, ``int8``)."""
    made = resolve.resolve(name).bundle
    assert made is not None
    stated = made.test_accuracy(form)
    assert stated is not None
    return stated
