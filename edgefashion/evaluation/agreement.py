"""How a converted network's answers differ from the original's, and whether that can be chance."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.evaluation.metrics import mcnemar
from edgefashion.inference import decision
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Agreement:
    """Two networks' answers to the same labelled Fashion-MNIST images, the original's and the converted one's."""

    reference: str
    """Who gave the original's answers."""
    n: int
    max_abs_difference: float
    """Of a probability."""
    mean_abs_difference: float
    top1_agreement: float
    """Share of the images that both name the same, right or wrong."""
    accuracy_before: float
    accuracy_after: float
    per_class_drop: dict[str, float]
    """Of each class, the share of its images the original names right less the converted one's share."""
    only_original_right: int
    only_converted_right: int
    p_value: float
    """McNemar's, exact and two-sided: small where the two differ by more than chance."""

    def in_short(self) -> str:
        """One phrase for a table: how many answers are the same, and McNemar's test."""
        return (
            f"{self.top1_agreement:.2%} of {self.n:,} test images answered as by {self.reference}, McNemar p "
            f"{self.p_value:.2g} ({self.only_original_right} lost, {self.only_converted_right} gained)"
        )

    def as_json(self) -> dict[str, Any]:
        """The fields of the bundle's report."""
        return asdict(self)


def compare(
    expected: NDArray[np.float32], answers: NDArray[np.float32], labels: NDArray[np.int64], reference: str
) -> Agreement:
    """Compare two networks' probabilities (n, classes) for images of the true ``labels`` (n,).

    ``expected`` are the original's, which ``reference`` gave. A photo network's further classes count in the
    differences; its answers are those among the ten garments.
    """
    before, after = decision.likeliest(expected), decision.likeliest(answers)
    difference = np.abs(answers - expected)
    right_before, right_after = before == labels, after == labels
    lost, gained = int((right_before & ~right_after).sum()), int((right_after & ~right_before).sum())
    return Agreement(
        reference=reference,
        n=len(labels),
        max_abs_difference=float(difference.max()),
        mean_abs_difference=float(difference.mean()),
        top1_agreement=float(np.mean(before == after)),
        accuracy_before=float(right_before.mean()),
        accuracy_after=float(right_after.mean()),
        per_class_drop={
            LABELS[i]: float(right_before[labels == i].mean() - right_after[labels == i].mean())
            for i in np.unique(labels)
        },
        only_original_right=lost,
        only_converted_right=gained,
        p_value=mcnemar(lost, gained),
    )
