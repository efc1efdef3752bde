"""What a v2 request's one input holds, checked: images for the network, frames for its finder, or encoded pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from kserve.errors import InvalidInput
from kserve.protocol.infer_type import InferInput

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGES: Final = "images"
PICTURES: Final = "pictures"
FRAMES: Final = "frames"


def the_input(inputs: list[Any], known: Sequence[str]) -> Any:
    """The one input of a request. Raises ``InvalidInput`` for none, several or one whose name is not ``known``."""
    names = [given.name for given in inputs]
    if len(names) != 1 or names[0] not in known:
        got = ", ".join(repr(name) for name in names[:4]) or "none"
        raise InvalidInput(f"one input is wanted, {' or '.join(map(repr, known))}, not {got}")
    return inputs[0]


def check_count(shape: Any, most: int) -> int:
    """How many images a tensor of this shape holds: 1 to ``most``."""
    if not isinstance(shape, list) or not shape or not all(type(n) is int and n >= 0 for n in shape):
        raise InvalidInput(f"a shape is a list of whole numbers, not {str(shape)[:80]}")
    if not 1 <= shape[0] <= most:
        raise InvalidInput(f"a request holds 1 to {most} images, not {shape[0]}")
    count: int = shape[0]
    return count


def is_binary(given: InferInput) -> bool:
    """True if the tensor came as bytes, False if it came as a list of values."""
    return not given.data


def images_of(given: InferInput, shapes: list[tuple[int, ...]], most: int) -> NDArray[np.uint8]:
    """uint8 (n, h, w, c) of the input ``images`` or ``frames``, (h, w, c) being one of ``shapes``.

    Raises ``InvalidInput`` for another type or shape, and for data that are not what the shape says.
    """
    check_type(given, "UINT8")
    check_count(given.shape, most)
    shape = tuple(given.shape)
    if shape[1:] not in shapes:
        wanted = " or ".join(str(["n", *known]).replace("'", "") for known in shapes)
        raise InvalidInput(f"{given.name!r} has the shape {wanted}, not {list(shape)}")
    if is_binary(given):
        flat: NDArray[np.uint8] = flat_of(given)
        if flat.size != math.prod(shape):
            raise InvalidInput(f"{given.name!r}: {flat.size} bytes are not the {math.prod(shape)} of its shape")
        return flat.reshape(shape)
    try:
        values = np.asarray(given.data)
    except (ValueError, TypeError, OverflowError) as error:  # ragged lists
        raise InvalidInput(f"{given.name!r}: the data are no tensor of numbers") from error
    if values.size != math.prod(shape) or values.shape not in (shape, (values.size,)):
        raise InvalidInput(f"{given.name!r}: data of shape {list(values.shape)} are not of the shape {list(shape)}")
    # JSON has one kind of number: clients made of the protocol's OpenAPI document write 255 as 255.0.
    whole = values.dtype.kind in "iu" or (values.dtype.kind == "f" and bool((values == np.floor(values)).all()))
    if not whole or values.min() < 0 or values.max() > 255:
        raise InvalidInput(f"{given.name!r}: UINT8 data are whole numbers from 0 to 255")
    return values.astype(np.uint8).reshape(shape)


def flat_of(given: InferInput) -> NDArray[Any]:
    """A binary tensor as KServe decodes it, in one dimension: whether it is of its shape is for the caller to say."""
    shape, given.shape = given.shape, [-1]
    try:
        return np.asarray(given.as_numpy())
    finally:
        given.shape = shape


def check_type(given: InferInput, wanted: str) -> None:
    """Raise ``InvalidInput`` unless the tensor's type is ``wanted``."""
    if given.datatype != wanted:
        raise InvalidInput(f"{given.name!r} is {wanted}, not {given.datatype[:20]}")
