"""The parity gate holds an original to its numbers, a rounded one to its answers, and names the cause of a failure."""

from __future__ import annotations

import numpy as np
import pytest

from edgefashion.conversion.parity_gate import AGAIN, Original, Parity, _cause
from edgefashion.evaluation.agreement import Agreement


def _parity(precision: str, off: float, changed: int, lost: float, *, quantized: bool) -> Parity:
    seen = Agreement("LiteRT", 1000, off, off / 9, 1 - changed / 1000, 0.8, 0.8 - lost, {}, 0, 0, 1.0)
    return Parity(precision, "LiteRT", 1000, off, changed, seen, quantized)


@pytest.mark.parametrize(
    ("precision", "off", "changed", "lost", "quantized", "passed"),
    [
        ("fp32", 1e-6, 0, 0.0, False, True),
        ("fp32", 1e-3, 0, 0.0, False, False),
        ("fp32", 1e-6, 1, 0.0, False, False),
        ("fp16", 1e-2, 3, 0.0, False, True),
        ("fp16", 0.2, 3, 0.0, False, False),
        ("fp32", 0.2, 9, 0.001, True, True),  # 8-bit weights, which two runtimes round differently
        ("int8", 0.4, 30, 0.01, True, True),
        ("int8", 0.4, 31, 0.0, True, False),
        ("fp16", 0.1, 9, 0.02, True, False),
        ("fp32", 0.9, 700, 0.6, True, False),
    ],
)
def test_what_passes(precision: str, off: float, changed: int, lost: float, quantized: bool, passed: bool) -> None:
    """32-bit originals are compared by their numbers; those of 8 or 16 bits by top-1 agreement and accuracy."""
    assert _parity(precision, off, changed, lost, quantized=quantized).passed is passed


@pytest.mark.parametrize(
    ("parity", "again", "rounded", "says"),
    [
        (_parity("fp32", 0.3, 200, 0.1, quantized=False), 0.3, "", "does not agree with itself"),
        (_parity("fp32", 0.3, 200, 0.1, quantized=False), 0.0, "", "computes a layer otherwise than LiteRT"),
        (_parity("fp32", 0.01, 2, 0.0, quantized=False), 0.0, "", "That is rounding, made large inside the network"),
        (_parity("int8", 0.3, 200, 0.1, quantized=True), 0.0, "it computes in 8 bits", "97% must be the same"),
    ],
)
def test_a_failure_names_its_cause(parity: Parity, again: float, rounded: str, says: str) -> None:
    """A failed gate says what was measured: whether the original agrees with itself, how many answers changed, and what
    is rounded in it. Nothing is guessed of its layers."""
    expected = np.full((1000, 10), 0.1, np.float32)
    original = Original(expected, "LiteRT", rounded, lambda: expected[:AGAIN] + np.float32(again))
    said = _cause(parity, original)
    assert says in said
    assert f"{parity.changed_top1:,} are answered otherwise" in said
    assert "\n" not in said
    assert "unsupported" not in said
