"""Deep pixels, of more than 8 bits or no whole numbers, as 8 bits: what is white in them is told by the file, or found.

Cameras and scanners keep 10, 12 and 14 bits in 16, programs keep floats from 0 to 1. Taken for 16 whole bits they are
black, taken for 8 they are white. What fits nothing is refused: a wrong guess would be a wrong answer.

Of 16 bits with no value above 16383, and nothing in the file or in the steps between its values that tells more, either
may be meant: fewer bits, or a dark picture. They are taken for the fewest that hold them. That is right for the first;
it lifts the second into the light, where a garment looks the same, while in the dark nothing would be seen in either.
The steps tell of 8 bits that were enlarged, of nothing else: steps of 4 or 16 may be 14 or 12 bits moved to the upper
end, or 8 bits in the lower 10 or 12, and the wrong guess would make the second black.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.errors import BadInputError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OVERSHOOT: Final = 0.25
"""Sharpening and enlarging float pictures leaves some pixels so much beyond white, as a share of it."""

_UNDERSHOOT: Final = 0.05
"""And so much below black."""

_WHOLE: Final = 65535.0

_MOVED: Final = 0xFF
"""The lower bits of 16 that stay 0 where 8 were moved to the upper end."""

_SAVE: Final = "Save it with 8 bits a channel"


def in_8_bits(
    values: NDArray[Any], name: str, *, white: float | None = None, black: float | None = None, inverted: bool = False
) -> NDArray[np.uint8]:
    """``values`` (height, width) or (height, width, channels), of any number type, from 0 (black) to 255.

    ``white`` and ``black`` are what the file calls so, if it does. Else black is 0, and white the least of the usual
    ends that no value is above: of whole numbers 8, 10, 12, 14 or 16 bits (a signed type has one bit less; 16 where
    :func:`is_enlarged`), of floats 1 or the same. An alpha channel is of the same range, so it helps to find it.
    ``inverted``: black and white are swapped, as in TIFF's "white is zero".

    Raises :class:`BadInputError` for values that are no numbers, below black, or of no usual range.
    """
    if values.dtype == np.bool_ or values.size == 0:
        raise BadInputError(f"{name} holds no pixels that can be read. {_SAVE}")
    least, largest = float(values.min()), float(values.max())
    if not np.isfinite([least, largest]).all():
        raise BadInputError(f"{name} holds values that are no numbers, so its range is not known. {_SAVE}")
    low, high = black or 0.0, white
    if high is None or high <= low or largest > high + _OVERSHOOT * (high - low):
        low, high = 0.0, _WHOLE if is_enlarged(values) else _white_of(values.dtype, least, largest, name)
    if least < low - _UNDERSHOOT * (high - low):
        raise BadInputError(
            f"{name} holds values below black ({least:g}), and the file does not say what is black. {_SAVE}"
        )
    # In place: a deep picture is large enough once.
    scaled = values.astype(np.float32)
    scaled -= low
    scaled *= 255 / (high - low)
    if inverted:
        np.subtract(255, scaled, out=scaled)
    np.rint(scaled, out=scaled)
    return np.clip(scaled, 0, 255, out=scaled).astype(np.uint8)


def is_enlarged(values: NDArray[Any]) -> bool:
    """True for values of 16 bits, not all 0, that were made of 8: as programs enlarge them (255 becomes 65535), or
    moved to the upper end, so that the lower 8 bits are 0."""
    if values.dtype.kind != "u" or values.dtype.itemsize != 2 or not values.any():
        return False
    moved = not int(np.bitwise_or.reduce(values, axis=None)) & _MOVED
    return moved or bool(np.array_equal(values >> 8, values & 255))


def _white_of(dtype: np.dtype[Any], least: float, largest: float, name: str) -> float:
    whole = dtype.kind in "iu"
    if not whole and largest <= 1 + _OVERSHOOT:
        return 1.0
    if whole or largest >= 16:
        most = min(16, 8 * dtype.itemsize - (dtype.kind == "i"))
        for bits in (*(bits for bits in (8, 10, 12, 14) if bits < most), most):
            if largest <= (1 << bits) - 1:
                return float((1 << bits) - 1)
    raise BadInputError(
        f"{name} holds values from {least:g} to {largest:g}, and the file does not say which of them is white. {_SAVE}"
    )
