"""What a v2 request's one input holds, checked: images for the network as they are, or encoded pictures."""

from __future__ import annotations

import base64
import binascii
import io
import math
import string
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from kserve.errors import InvalidInput
from kserve.protocol.infer_type import InferInput

from edgefashion.data import images
from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

IMAGES: Final = "images"
PICTURES: Final = "pictures"

MOST_SCANS: Final = 100
"""Scans of a JPEG. A progressive JPEG has about ten."""

_JPEG: Final = b"\xff\xd8"
_SCAN: Final = b"\xff\xda"
_BASE64: Final = frozenset((string.ascii_letters + string.digits + "+/=").encode())


def the_input(inputs: list[Any]) -> Any:
    """The one input of a request. Raises ``InvalidInput`` for none, several or one of another name."""
    names = [given.name for given in inputs]
    if len(names) != 1 or names[0] not in (IMAGES, PICTURES):
        got = ", ".join(repr(name) for name in names[:4]) or "none"
        raise InvalidInput(f"one input is wanted, {IMAGES!r} or {PICTURES!r}, not {got}")
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
    """uint8 (n, h, w, c) of the input ``images``, (h, w, c) being one of ``shapes``.

    Raises ``InvalidInput`` for another type or shape, and for data that are not what the shape says.
    """
    _check_type(given, "UINT8")
    check_count(given.shape, most)
    shape = tuple(given.shape)
    if shape[1:] not in shapes:
        wanted = " or ".join(str(["n", *known]).replace("'", "") for known in shapes)
        raise InvalidInput(f"{IMAGES!r} has the shape {wanted}, not {list(shape)}")
    if is_binary(given):
        flat: NDArray[np.uint8] = _flat(given)
        if flat.size != math.prod(shape):
            raise InvalidInput(f"{IMAGES!r}: {flat.size} bytes are not the {math.prod(shape)} of its shape")
        return flat.reshape(shape)
    try:
        values = np.asarray(given.data)
    except (ValueError, TypeError, OverflowError) as error:  # ragged lists
        raise InvalidInput(f"{IMAGES!r}: the data are no tensor of numbers") from error
    if values.size != math.prod(shape) or values.shape not in (shape, (values.size,)):
        raise InvalidInput(f"{IMAGES!r}: data of shape {list(values.shape)} are not of the shape {list(shape)}")
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > 255:
        raise InvalidInput(f"{IMAGES!r}: UINT8 data are whole numbers from 0 to 255")
    return values.astype(np.uint8).reshape(shape)


def encoded_of(given: InferInput, most: int) -> list[bytes]:
    """The encoded pictures of the input ``pictures``. Raises ``InvalidInput`` as :func:`images_of` does."""
    _check_type(given, "BYTES")
    count = check_count(given.shape, most)
    if len(given.shape) != 1:
        raise InvalidInput(f"{PICTURES!r} has the shape [n], not {given.shape}")
    if is_binary(given):
        try:
            found = list(_flat(given))
        except Exception as error:  # of any kind: it decodes whatever bytes came
            raise InvalidInput(f"{PICTURES!r}: the bytes are no BYTES tensor, each length in front") from error
    else:
        found = given.data if isinstance(given.data, list) else []
    if len(found) != count:
        raise InvalidInput(f"{PICTURES!r}: {len(found)} elements are not the {count} of its shape")
    return [_bytes_of(one, number) for number, one in enumerate(found)]


def decoded(encoded: bytes, number: int, most_pixels: int) -> NDArray[np.uint8]:
    """One picture as BGR uint8 (h, w, 3), as :func:`edgefashion.data.images.read_image` reads a file of these bytes."""
    name = f"{PICTURES}[{number}]"
    # Each scan passes over all pixels, and nothing stops the decoder once it has begun. The mark of a scan's start
    # never occurs in a scan's data, so it can be counted.
    if encoded.startswith(_JPEG) and encoded.count(_SCAN) > MOST_SCANS:
        raise InvalidInput(f"{name} is a JPEG of more than {MOST_SCANS} scans. Save it anew")
    try:
        return images.decode_image(io.BytesIO(encoded), name, most_pixels=most_pixels).image
    except BadInputError as error:
        raise InvalidInput(str(error)) from error


def _flat(given: InferInput) -> NDArray[Any]:
    """A binary tensor as KServe decodes it, in one dimension: whether it is of its shape is for the caller to say."""
    shape, given.shape = given.shape, [-1]
    try:
        return np.asarray(given.as_numpy())
    finally:
        given.shape = shape


def _check_type(given: InferInput, wanted: str) -> None:
    if given.datatype != wanted:
        raise InvalidInput(f"{given.name!r} is {wanted}, not {given.datatype[:20]}")


def _bytes_of(one: Any, number: int) -> bytes:
    """An element of a BYTES tensor: the picture, or its base64 text."""
    if isinstance(one, str):
        try:
            return base64.b64decode(one, validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidInput(f"{PICTURES}[{number}] is no base64 text, which JSON needs") from error
    if not isinstance(one, bytes):
        raise InvalidInput(f"{PICTURES}[{number}] is no bytes and no base64 text")
    if one and _BASE64.issuperset(one[:64]):  # no picture's file begins with 64 such letters
        try:
            return base64.b64decode(one, validate=True)
        except binascii.Error:
            return one
    return one
