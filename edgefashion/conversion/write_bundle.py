"""A conversion's bundle: written if both IRs pass the parity gate, and measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.bundles import bundle, card, draft, places, resolve
from edgefashion.bundles.current import folder_of
from edgefashion.bundles.facts import Facts, Measured
from edgefashion.conversion.parity_gate import Original, Parity, write_and_compare
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError
from edgefashion.inference import decision, load
from edgefashion.inference.rt_info import describe

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Conversion:
    """What :func:`convert` made and measured."""

    bundle: bundle.Bundle
    parity: tuple[Parity, ...]
    note: str = ""
    """What was found out about a model made elsewhere, as a sentence."""


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
    original: Original,
    precisions: Sequence[str] = ("fp32", "fp16"),
) -> Conversion:
    """Write IRs of the ``precisions`` into the bundle ``out``, made from ``base`` if given, if all answer ``images`` as
    the ``original`` did. ``facts`` gives the bundle's facts, its name left out of account."""
    with draft.draft(out, base) as making:
        making.facts = facts(making)._replace(name=folder_of(out).name)
        making.drop_embedded()
        describe(ir, making.facts)
        if "fp32" not in precisions:
            for precision in ("fp32", "fp16"):  # of another network that the bundle held
                making.drop(precision)
                making.facts = making.facts.without_measured(precision)
        parity = tuple(write_and_compare(ir, precision, making, images, original) for precision in precisions)
        making.add_report("convert", {"parity": [asdict(p) for p in parity]})
        making.facts = making.facts.with_version("openvino", version("openvino"))
        measure_irs(making, *fashion_mnist.load("test"), precisions)
        card.write_card(making)
    return Conversion(bundle.open_bundle(out), parity)


def measure_irs(
    making: draft.Draft,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    precisions: Sequence[str] = ("fp32", "fp16"),
) -> None:
    """Put each IR's accuracy on the 10,000 test images into the bundle's facts."""
    for precision in precisions:
        classifier = load.load(making.part(precision), precision=precision)
        answers = decision.likeliest(classifier(images))
        making.facts = making.facts.with_measured(precision, Measured(float(np.mean(answers == labels))))
