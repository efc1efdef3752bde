"""A conversion's bundle: written if both IRs pass the parity gate, and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.bundles import bundle, card, draft, places, resolve
from edgefashion.bundles.facts import Facts, Measured
from edgefashion.conversion.ir import describe
from edgefashion.conversion.parity_gate import Parity, write_and_compare
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError
from edgefashion.inference import decision, load

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` made and measured."""

    bundle: bundle.Bundle
    parity: tuple[Parity, ...]
    note: str = ""
    """What was found out about an .onnx or .tflite file, as a sentence."""


def default_out(found: resolve.Model) -> Path:
    """Where a conversion goes unless told otherwise: a user's own bundle in place, anything else
    (a shipped bundle, a SavedModel, a .keras file) to ``./models/NAME``.

    Raises :class:`BadInputError` if that would replace a bundle of another network.
    """
    shipped = places.model_dirs()[-1]
    if found.bundle is not None and shipped.absolute() not in found.bundle.path.absolute().parents:
        return found.bundle.path
    out = Path("models") / found.name
    if found.bundle is None and out.exists():
        raise BadInputError(f"{out} is there already, of another network. Name it with --out to replace it")
    return out


def write_gated(
    ir: Any,
    out: Path,
    base: bundle.Bundle | None,
    facts: Callable[[draft.Draft], Facts],
    images: NDArray[np.uint8],
    expected: NDArray[np.float32],
    reference: str,
    *,
    quantized: bool = False,
) -> Conversion:
    """Write FP32 and FP16 IR into the bundle ``out``, made from ``base`` if given, if both answer ``images`` as
    ``expected``. ``facts`` gives the bundle's facts, its name left out of account."""
    with draft.draft(out, base) as making:
        making.facts = facts(making)._replace(name=out.name)
        making.drop_embedded()
        describe(ir, making.facts)
        parity = tuple(
            write_and_compare(ir, precision, making, images, expected, reference, quantized=quantized)
            for precision in ("fp32", "fp16")
        )
        making.add_report("convert", {"parity": [asdict(p) for p in parity]})
        making.facts = making.facts.with_version("openvino", version("openvino"))
        measure_irs(making, *fashion_mnist.load("test"))
        card.write_card(making)
    return Conversion(bundle.open_bundle(out), parity)


def measure_irs(making: draft.Draft, images: NDArray[np.uint8], labels: NDArray[np.int64]) -> None:
    """Put each IR's accuracy on the 10,000 test images into the bundle's facts."""
    for precision in ("fp32", "fp16"):
        classifier = load.load(making.part(precision), precision=precision)
        answers = decision.likeliest(classifier(images))
        making.facts = making.facts.with_measured(precision, Measured(float(np.mean(answers == labels))))
