"""The input ``pictures`` of a request: encoded pictures, bounded before they are decoded."""

from __future__ import annotations

import base64
import binascii
import io
import re
import string
from typing import Any, Final

from kserve.errors import InvalidInput
from kserve.protocol.infer_type import InferInput

from edgefashion.data import images
from edgefashion.errors import BadInputError
from edgefashion.serving.request_input import PICTURES, check_count, check_type, flat_of, is_binary

MOST_SCANS: Final = 100
"""Scans of a JPEG. A progressive JPEG has about ten."""


_JPEG: Final = b"\xff\xd8"


_SCAN: Final = b"\xff\xda"


_BASE64: Final = frozenset((string.ascii_letters + string.digits + "+/=").encode())


def encoded_of(given: InferInput, most: int) -> list[bytes]:
    """The encoded pictures of the input ``pictures``. Raises ``InvalidInput`` as :func:`images_of` does."""
    check_type(given, "BYTES")
    count = check_count(given.shape, most)
    if len(given.shape) != 1:
        raise InvalidInput(f"{PICTURES!r} has the shape [n], not {given.shape}")
    if is_binary(given):
        try:
            found = list(flat_of(given))
        except Exception as error:  # of any kind: it decodes whatever bytes came
            raise InvalidInput(f"{PICTURES!r}: the bytes are no BYTES tensor, each length in front") from error
    else:
        found = given.data if isinstance(given.data, list) else []
    if len(found) != count:
        raise InvalidInput(f"{PICTURES!r}: {len(found)} elements are not the {count} of its shape")
    return [_bytes_of(one, number) for number, one in enumerate(found)]


def decoded(encoded: bytes, number: int, most_pixels: int) -> images.Picture:
    """One picture, as :func:`edgefashion.data.images.read_image` reads a file of these bytes."""
    name = f"{PICTURES}[{number}]"
    # Each scan passes over all pixels, and nothing stops the decoder once it has begun. The mark of a scan's start
    # never occurs in a scan's data, so it can be counted.
    if encoded.startswith(_JPEG) and encoded.count(_SCAN) > MOST_SCANS:
        raise InvalidInput(f"{name} is a JPEG of more than {MOST_SCANS} scans. Save it anew")
    try:
        return images.decode_image(io.BytesIO(encoded), name, most_pixels=most_pixels)
    except BadInputError as error:
        raise InvalidInput(str(error)) from error


_DATA_URL: Final = re.compile(r"data:image/[\w.+-]{1,40};base64,")
_BLANKS: Final = re.compile(r"[\r\n\t ]+")
"""Many a program writes base64 in lines of 76 letters."""


def _bytes_of(one: Any, number: int) -> bytes:
    """An element of a BYTES tensor: the picture, or its base64 text."""
    if isinstance(one, str):
        if found := _DATA_URL.match(one):  # as a browser's canvas gives it
            one = one[found.end() :]
        try:
            return base64.b64decode(_BLANKS.sub("", one), validate=True)
        except (binascii.Error, ValueError) as error:
            raise InvalidInput(f"{PICTURES}[{number}] is no base64 text, which JSON needs") from error
    if not isinstance(one, bytes):
        raise InvalidInput(f"{PICTURES}[{number}] is no bytes and no base64 text")
    if one and _BASE64.issuperset(one[:64]):  # no picture's file begins with 64 such letters
        try:
            return base64.b64decode(b"".join(one.split()), validate=True)
        except binascii.Error:
            return one
    return one
