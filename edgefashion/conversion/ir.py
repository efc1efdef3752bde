"""A SavedModel as OpenVINO's intermediate representation, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgefashion.bundles.facts import takes_photos
from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError
from edgefashion.inference import preprocess
from edgefashion.labels import LABELS
from edgefashion.system.text import openvino_reason


def to_ir(saved_model: Path, named: Path) -> Any:
    """A SavedModel as an ``openvino.Model`` of static batch 1.

    Raises :class:`BadInputError`, calling it ``named``, for what is neither a Fashion-MNIST network nor a photo
    network of ours, or cannot be converted.
    """
    import openvino as ov

    try:
        ir = ov.convert_model(saved_model)
    except Exception as error:  # the frontends raise bare Exceptions of many kinds
        raise BadInputError(
            f"{named} cannot be converted ({openvino_reason(error)}). Export the network as a SavedModel again"
        ) from error
    refuse_half(ir, named)
    if is_photo_network(ir):
        if len(ir.inputs) != 1 or [port.any_name for port in ir.outputs] != ["mask", "probabilities"]:
            raise BadInputError(f"{named} takes colour pictures, but is not one of our photo networks. Use `kiosk`")
        ir.reshape([1, preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3])
        return ir
    if len(ir.inputs) != 1 or len(ir.outputs) != 1:
        raise BadInputError(
            f"{named} has {len(ir.inputs)} inputs and {len(ir.outputs)} outputs; one of each is expected"
        )
    image, answer = ir.input(0).get_partial_shape(), ir.output(0).get_partial_shape()
    if image.rank.is_dynamic or any(d.is_dynamic for d in list(image)[1:]):
        raise BadInputError(f"{named} takes {image}: its image size is not fixed. Export it with a fixed one")
    if int(np.prod([d.get_length() for d in list(image)[1:]])) != fashion_mnist.SIDE_PX**2:
        raise BadInputError(
            f"{named} takes {image}, not 28x28 grey images. Only Fashion-MNIST networks can be converted"
        )
    if (
        answer.rank.is_dynamic
        or answer.rank.get_length() != 2
        or answer[1].is_dynamic
        or answer[1].get_length() != len(LABELS)
    ):
        raise BadInputError(f"{named} answers {answer}, not one probability for each of the {len(LABELS)} garments")
    # Static: the fast way to call it, and INT8 with a dynamic dimension has crashed on AMX.
    ir.reshape([1, *(d.get_length() for d in list(image)[1:])])
    return ir


def refuse_half(ir: Any, named: Path) -> None:
    """Raise :class:`BadInputError` for a network that computes in 16 bits.

    Converted as it is, its gate would compare one 16-bit rounding with another, and its INT8 would be no faster.
    """
    if half := sorted({_element(op) for op in ir.get_ops() if op.get_type_name() != "Constant"} & {"bf16", "f16"}):
        raise BadInputError(
            f"{named} computes in {half[0]}, as training in mixed precision leaves it: its INT8 would be slower than "
            "FP32. Give its .keras file, which is rebuilt in float32, or export it from a float32 network"
        )


def _element(op: Any) -> str:
    """The element type of an operation's output, like ``f32``; empty where it has none."""
    return str(op.get_output_element_type(0).get_type_name()) if op.get_output_size() else ""


def is_photo_network(ir: Any) -> bool:
    """True for an IR that takes photos of any size and has a mask to answer with."""
    image = ir.input(0).get_partial_shape()
    return (
        len(ir.outputs) == 2
        and not image.rank.is_dynamic
        and image.rank.get_length() == 4
        and not image[3].is_dynamic
        and takes_photos([image[3].get_length()])
    )
