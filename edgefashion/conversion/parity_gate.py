"""The gate that proves an IR equal to its original."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import draft
from edgefashion.bundles.guard import check
from edgefashion.data import fashion_mnist
from edgefashion.errors import GateError
from edgefashion.evaluation import agreement
from edgefashion.inference import load

if TYPE_CHECKING:
    from numpy.typing import NDArray


PARITY_LIMIT: Final = {"fp32": 1e-4, "fp16": 3e-2, "quantized": 3e-2}
"""Largest absolute difference of a probability. FP16 stores each weight to 3 digits, and over 60 layers that adds up
to 1e-2. Its limit finds a broken conversion, not rounding, and its changed top-1 answers are only reported. The same
holds for an original of 8 bits, which two runtimes may round differently."""


@dataclass(frozen=True)
class Parity:
    """How far an IR's answers are from the original's."""

    precision: str
    reference: str
    """Who gave the original's answers: the name of its runtime, or that they were stored at training."""
    n: int
    max_abs_difference: float
    changed_top1: int
    agreement: agreement.Agreement
    quantized: bool = False
    """True for an original that computes in 8 bits itself."""

    @property
    def limit(self) -> float:
        """The largest difference allowed."""
        return PARITY_LIMIT["quantized" if self.quantized else self.precision]

    @property
    def passed(self) -> bool:
        exact = self.precision == "fp32" and not self.quantized
        return self.max_abs_difference < self.limit and not (exact and self.changed_top1)


def write_and_compare(
    ir: Any,
    precision: str,
    making: draft.Draft,
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    reference: str,
    *,
    quantized: bool,
) -> Parity:
    """Write the IR of ``precision`` into the draft and compare its answers with the ``expected`` ones.

    ``images``: uint8 (n, h, w, c); ``expected``: the original's float32 (n, classes). Raises :class:`GateError`
    if the two differ by more than :data:`PARITY_LIMIT` allows.
    """
    import openvino as ov

    path = making.part(precision)
    ov.save_model(ir, path, compress_to_fp16=precision == "fp16")
    check.vouch(path)
    classifier = load.load(path, precision=precision)
    # In both ways it is called: image by image, and in batches.
    one_by_one = np.concatenate([classifier(images[i : i + 1]) for i in range(len(images))])
    answers = np.stack([one_by_one, classifier(images)])
    parity = Parity(
        precision=precision,
        reference=reference,
        n=len(images),
        max_abs_difference=float(np.abs(answers - expected).max()),
        changed_top1=int((answers.argmax(2) != expected.argmax(1)).any(0).sum()),
        agreement=agreement.compare(expected, answers[1], fashion_mnist.load("test")[1][: len(images)], reference),
        quantized=quantized,
    )
    if not parity.passed:
        raise GateError(
            f"parity gate failed for {precision}: over {parity.n} test images the IR differs from the original by up "
            f"to {parity.max_abs_difference:.2e} (limit {parity.limit:.0e}) and changes "
            f"{parity.changed_top1} answers. No IR was written; check the network for random or unsupported layers"
        )
    return parity
