"""The gate that proves an IR equal to its original."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import draft, model_files
from edgefashion.bundles.guard import check
from edgefashion.data import fashion_mnist
from edgefashion.errors import GateError
from edgefashion.evaluation import agreement
from edgefashion.evaluation.metrics import EXACTLY
from edgefashion.inference import load

if TYPE_CHECKING:
    from numpy.typing import NDArray


PARITY_LIMIT: Final = {"fp32": 1e-4, "fp16": 3e-2}
"""Largest absolute difference of a probability. FP16 stores each weight to 3 digits, and over 60 layers that adds up
to 1e-2. Its limit finds a broken conversion, not rounding, and its changed top-1 answers are only reported."""

SAME_ANSWERS: Final = 0.97
"""Of an original that rounds to 8 or 16 bits, which two runtimes do differently: the share of answers that must be the
same. Right images near a tie change; a broken conversion changes most."""
ROUNDED_DROP: Final = 0.01
"""And how much accuracy the IR may lose of it, as a share."""

TRYING_S: Final = 20
"""Processor time that trying an IR may take where it is made: a third of what a shop's PC allows, which may be so much
slower."""

AGAIN: Final = 50
"""An original whose answers do not agree is asked once more with so many images, whether it agrees with itself."""


@dataclass(frozen=True)
class Original:
    """What an IR is compared with."""

    expected: NDArray[np.float32]
    """The original's probabilities, float32 (n, classes)."""
    reference: str
    """Who gave them: the name of its runtime, or that they were stored at training."""
    rounded: str = ""
    """What is rounded to 8 or 16 bits in it, as a phrase; empty for an original of 32-bit floats."""
    again: Callable[[], NDArray[np.float32]] | None = None
    """Asks it the first images once more; None where it cannot be asked."""
    elsewhere: bool = False
    """True for a model made elsewhere, whose IRs have to pass the guard here as they will at the shop."""


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
    """True for an original that rounds to 8 or 16 bits itself: it is held to the same answers, not the same numbers."""

    @property
    def limit(self) -> float:
        """The largest difference allowed; 1, which is none, for a quantized original."""
        return 1.0 if self.quantized else PARITY_LIMIT[self.precision]

    @property
    def passed(self) -> bool:
        if self.quantized:
            few = self.changed_top1 <= self.n * (1 - SAME_ANSWERS) + EXACTLY
            lost = self.agreement.accuracy_before - self.agreement.accuracy_after
            return few and lost <= ROUNDED_DROP + EXACTLY
        return self.max_abs_difference < self.limit and not (self.precision == "fp32" and self.changed_top1)


def write_and_compare(
    ir: Any, precision: str, making: draft.Draft, images: NDArray[np.uint8], original: Original
) -> Parity:
    """Write the IR of ``precision`` into the draft and compare its answers with the original's.

    ``images``: uint8 (n, h, w, c). Raises :class:`GateError` if the two differ by more than :data:`PARITY_LIMIT`
    allows, or :data:`SAME_ANSWERS` and :data:`ROUNDED_DROP`; :class:`BadInputError` for an IR that would be refused
    elsewhere.
    """
    path = making.part(precision)
    model_files.save_ir(ir, path, halved=precision == "fp16")
    if original.elsewhere:
        check.check(path, check.Limits(TRYING_S), named=Path(f"the {precision.upper()} IR"))
    else:
        check.vouch(path)
    classifier = load.load(path, precision=precision)
    # In both ways it is called: image by image, and in batches.
    one_by_one = np.concatenate([classifier(images[i : i + 1]) for i in range(len(images))])
    answers, expected = np.stack([one_by_one, classifier(images)]), original.expected
    labels = fashion_mnist.load("test")[1][: len(images)]
    parity = Parity(
        precision=precision,
        reference=original.reference,
        n=len(images),
        max_abs_difference=float(np.abs(answers - expected).max()),
        changed_top1=int((answers.argmax(2) != expected.argmax(1)).any(0).sum()),
        agreement=agreement.compare(expected, answers[1], labels, original.reference),
        quantized=bool(original.rounded),
    )
    if not parity.passed:
        raise GateError(f"parity gate failed for {precision}: {_cause(parity, original)}. No IR was written")
    return parity


def _cause(parity: Parity, original: Original) -> str:
    """Why an IR's answers are not the original's, as far as that can be measured, and what to do."""
    seen = parity.agreement
    facts = (
        f"of {parity.n:,} test images {parity.changed_top1:,} are answered otherwise than by the original, "
        f"{seen.accuracy_before:.1%} right before and {seen.accuracy_after:.1%} after, a probability differs by up to "
        f"{parity.max_abs_difference:.1e}"
    )
    if original.again is not None:
        once_more = original.again()
        itself = float(np.abs(once_more - original.expected[: len(once_more)]).max())
        if itself > PARITY_LIMIT["fp32"]:
            return (
                "the original does not agree with itself: asked the same images twice, its probabilities differ by "
                f"up to {itself:.1e}, so it has a random layer that is at work. Export it for inference, without that "
                f"({facts})"
            )
    if parity.quantized:
        return (
            f"{facts}; of an original that is rounded ({original.rounded}) {SAME_ANSWERS:.0%} must be the same and "
            f"{ROUNDED_DROP:.0%} of accuracy may be lost. Convert the network as it was before it was quantized"
        )
    if parity.changed_top1 <= parity.n // 100:
        return (
            f"{facts} (limit {parity.limit:.0e}). That is rounding, made large inside the network: a layer that "
            "divides by nearly 0, or very large numbers. Look at its normalizations, or train it with smaller ones"
        )
    version = version_of("openvino")
    return (
        f"{facts} (limit {parity.limit:.0e}). OpenVINO {version} computes a layer otherwise than {parity.reference}. "
        "Export it in another form (SavedModel, ONNX of another opset), or try another version of OpenVINO"
    )
