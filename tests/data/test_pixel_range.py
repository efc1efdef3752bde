"""Deep pixels become what their author meant by them, or are refused; never black or white by accident."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
from helpers import encoded
from helpers.encoded import SMOOTH, STORED, Picture, chunk, exif, png, tiff_turned
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from edgefashion.data.images import decode_image
from edgefashion.data.pixel_range import in_8_bits
from edgefashion.errors import BadInputError

GREY = np.array([[0, 20, 100, 200, 255]], np.uint8)
DARK = np.array([[0, 5, 20, 40, 55]], np.uint8)
BGR = np.dstack([GREY, GREY[:, ::-1], np.full_like(GREY, 128)])
DARK_BGR = np.dstack([DARK, DARK[:, ::-1], np.full_like(DARK, 30)])


def tiff(
    values: NDArray[Any], *, sample_format: int = 1, colours: int = 1, tags: dict[int, float] | None = None
) -> bytes:
    """The least TIFF of grey ``values`` (height, width) or colours (height, width, channels), little-endian."""
    data, (height, width, *more) = values.tobytes(), values.shape
    channels = more[0] if more else 1
    entries: dict[int, tuple[int, Any]] = {
        256: (3, [width]),
        257: (3, [height]),
        258: (3, [8 * values.itemsize] * channels),
        259: (3, [1]),
        262: (3, [colours]),
        273: (4, None),
        277: (3, [channels]),
        278: (3, [height]),
        279: (4, [len(data)]),
        339: (3, [sample_format] * channels),
    }
    kind = {1: 4, 2: 9, 3: 11}[sample_format]
    entries |= {tag: (kind, [value]) for tag, value in (tags or {}).items()}
    aside, start = b"", 8 + 2 + 12 * len(entries) + 4
    size = sum(len(_packed(form, told)) for form, told in entries.values() if told and len(_packed(form, told)) > 4)
    lines = b""
    for tag, (form, told) in sorted(entries.items()):
        packed = _packed(form, [start + size] if told is None else told)
        count = 1 if told is None else len(told)
        if len(packed) > 4:
            packed, aside = struct.pack("<I", start + len(aside)), aside + packed
        lines += struct.pack("<HHI", tag, form, count) + packed.ljust(4, b"\0")
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + lines + bytes(4) + aside + data


def _packed(form: int, told: list[Any]) -> bytes:
    return struct.pack(f"<{len(told)}{ {3: 'H', 4: 'I', 9: 'i', 11: 'f'}[form] }".replace(" ", ""), *told)


def png16(values: NDArray[Any]) -> bytes:
    return bytes(cv2.imencode(".png", values.astype(np.uint16))[1])


def noted(raw: bytes, bits: int, *, channels: int = 1) -> bytes:
    """A PNG with the note that so many bits of each channel count."""
    note = b"sBIT" + bytes([bits]) * channels
    return raw[:33] + struct.pack(">I", channels) + note + struct.pack(">I", zlib.crc32(note)) + raw[33:]


def pfm(values: NDArray[Any]) -> bytes:
    return bytes(cv2.imencode(".pfm", values.astype(np.float32))[1])


def of(values: NDArray[np.uint8], white: float, kind: Any) -> NDArray[Any]:
    """8-bit ``values`` at another range."""
    return np.asarray(np.rint(values / 255 * white) if np.dtype(kind).kind in "iu" else values / 255 * white).astype(
        kind
    )


READ = {
    **{f"PNG {bits} bits in 16": (png16(of(GREY, (1 << bits) - 1, np.uint16)), GREY) for bits in (8, 10, 12, 14, 16)},
    **{f"PNG of colour, {bits} in 16": (png16(of(BGR, (1 << bits) - 1, np.uint16)), BGR) for bits in (8, 10, 12, 16)},
    **{f"TIFF {bits} bits in 16": (tiff(of(GREY, (1 << bits) - 1, np.uint16)), GREY) for bits in (8, 10, 12, 14, 16)},
    **{f"TIFF 12 bits in {np.dtype(kind)}": (tiff(of(GREY, 4095, kind), sample_format=how), GREY)
       for kind, how in ((np.int16, 2), (np.int32, 2), (np.uint32, 1))},
    "TIFF of colour, 12 in 16": (tiff(of(BGR[..., ::-1], 4095, np.uint16), colours=2), BGR),
    "TIFF signed 16": (tiff(of(GREY, 32767, np.int16), sample_format=2), GREY),
    "TIFF signed 8": (tiff(of(GREY, 127, np.int8), sample_format=2), GREY),
    "TIFF 32 bits, 0 to 255": (tiff(of(GREY, 255, np.int32), sample_format=2), GREY),
    **{f"TIFF floats to {white}": (tiff(of(GREY, white, np.float32), sample_format=3), GREY)
       for white in (1, 255, 1023, 4095, 65535)},
    "TIFF doubles": (tiff(of(GREY, 1, np.float64), sample_format=3), GREY),
    "TIFF floats of colour": (tiff(of(BGR[..., ::-1], 1, np.float32), colours=2, sample_format=3), BGR),
    "TIFF white is zero": (tiff(4095 - of(GREY, 4095, np.uint16), colours=0, tags={341: 4095}), GREY),
    "TIFF that tells its white": (tiff(of(GREY, 9999, np.uint16), tags={341: 9999}), GREY),
    "TIFF that tells its white, in floats": (tiff(of(GREY, 40, np.float32), sample_format=3, tags={341: 40}), GREY),
    "TIFF that tells its black": (
        tiff(of(GREY, 2000, np.int16) - 1000, sample_format=2, tags={340: -1000, 341: 1000}), GREY),
    "PFM": (pfm(of(GREY, 1, np.float32)), GREY),
    "PFM of colour": (pfm(of(BGR, 1, np.float32)), BGR),
    "PFM to 255": (pfm(of(GREY, 255, np.float32)), GREY),
    "PGM of 12 bits": (b"P5\n5 1\n4095\n" + of(GREY, 4095, np.uint16).astype(">u2").tobytes(), GREY),
    "PGM of 12 bits, dark": (b"P5\n5 1\n4095\n" + of(DARK, 4095, np.uint16).astype(">u2").tobytes(), DARK),
    # Of 16 bits that are dark: what the file says, or the steps between its values, or the fewest that hold them.
    **{f"PNG {how}, 8 bits enlarged, {share}": (png16(grey.astype(np.uint16) * factor), grey)
       for how, factor in (("repeated", 257), ("moved up", 256))
       for share, grey in (("dark", DARK), ("darker", DARK // 5), ("of colour", DARK_BGR))},
    # What that costs: a dark one of 10, 12 or 14 bits moved to the upper end is lifted into the light, to four times.
    **{f"PNG {bits} bits moved up, dark": (png16(of(DARK, (1 << bits) - 1, np.uint16) << (16 - bits)), DARK * 4)
       for bits in (10, 12, 14)},
    **{f"PNG {bits} bits moved up": (png16(of(GREY, (1 << bits) - 1, np.uint16) << (16 - bits)), GREY)
       for bits in (8, 10, 12, 14)},
    # Steps of 4, 16 or 64 are no sign of that: these are fewer bits in the lower 10, 12 or 14.
    **{f"PNG {what}, {bits} bits in {container} in 16": (
           png16(of(grey, (1 << bits) - 1, np.uint16) << (container - bits)), grey)
       for what, grey in (("grey", GREY), ("of colour", BGR), ("two values", GREY // 200 * 255))
       for bits, container in ((8, 10), (8, 12), (8, 14), (10, 12), (10, 14), (12, 14))},
    "PNG that says 16 bits count": (noted(png16(of(DARK, 65535, np.uint16) + 1), 16), DARK),
    "PNG of colour that says it": (noted(png16(of(DARK_BGR, 65535, np.uint16) + 1), 16, channels=3), DARK_BGR),
    "PNG that says 12 bits count, enlarged": (noted(png16(of(DARK, 4095, np.uint16) << 4), 12), DARK),
    "PNG that says 12 bits count, as they are": (noted(png16(of(DARK, 4095, np.uint16) | 1), 12), DARK),
    "PNG that says junk": (noted(png16(of(GREY, 4095, np.uint16)), 99), GREY),
    "PNG that says nothing": (png16(of(GREY, 16383, np.uint16) | 1), GREY),
    "TIFF 8 bits enlarged, dark": (tiff(DARK.astype(np.uint16) * 257), DARK),
    "PGM of text": (b"P2\n# ours\n5 1\n1023\n0 80 401 802 1023\n", GREY),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_ranges_that_are_read(kind: str) -> None:
    """A picture of any usual depth and number type has the greys it was made of."""
    raw, expected = READ[kind]
    image = decode_image(io.BytesIO(raw), "it").image
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - np.broadcast_to(expected.reshape(1, 5, -1), image.shape)).max() <= 1


REFUSED = {
    "floats to 8": (tiff(of(GREY, 8, np.float32), sample_format=3), "from 0 to 8"),
    "floats to a million": (tiff(of(GREY, 1e6, np.float32), sample_format=3), "which of them is white"),
    "floats from -1 to 1": (tiff(of(GREY, 2, np.float32) - 1, sample_format=3), "below black"),
    "not a number": (tiff(np.array([[0, np.nan]], np.float32), sample_format=3), "no numbers"),
    "infinite": (tiff(np.array([[0, np.inf]], np.float32), sample_format=3), "no numbers"),
    "signed 16 around 0": (tiff(of(GREY, 2000, np.int16) - 1000, sample_format=2), "below black"),
    "signed 8 around 0": (tiff((GREY.astype(int) - 128).astype(np.int8), sample_format=2), "below black"),
    "32 bits to a million": (tiff(of(GREY, 1e6, np.uint32)), "which of them is white"),
    "lab of 16 bits": (tiff(of(BGR, 65535, np.uint16), colours=8), "colours that are not read"),
    "cut off": (tiff(of(GREY, 4095, np.uint16))[:-2], "not a whole"),
    "PFM cut off": (pfm(of(GREY, 1, np.float32))[:-2], "not a whole"),
    "PFM of half the head": (b"PF\n5", "not a whole"),
    "EXR": (b"v/1\x01" + bytes(60), "OpenEXR"),
    "HDR": (bytes(cv2.imencode(".hdr", BGR.astype(np.float32))[1]), "Radiance HDR"),
    "JPEG XL": (b"\xff\x0a" + bytes(60), "JPEG XL"),
    "raw": (b"II*\0\x10\0\0\0CR\2\0" + bytes(60), "raw file"),
    "a preview of a raw": (tiff(GREY, tags={254: 1}), "raw file"),
    "Photoshop's": (b"8BPS\0\1" + bytes(60), "Photoshop"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_ranges_that_are_refused(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    """What fits no usual range, and what is not read at all, is refused in one sentence with the reason."""
    raw, told = REFUSED[kind]
    with pytest.raises(BadInputError, match=f"^it .*{told}") as caught:
        decode_image(io.BytesIO(raw), "it")
    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def pillow_tiff(image: Picture, orientation: int, mode: str = "RGB", **options: Any) -> bytes:
    values = image[..., ::-1] if mode == "RGB" else image[..., 0].astype(">u2" if mode == "I;16B" else "<u2") * 257
    out = io.BytesIO()
    made = PIL.Image.frombytes(mode, image.shape[1::-1], values.tobytes())
    made.save(out, "TIFF", tiffinfo={274: orientation}, **options)
    return out.getvalue()


DEEP: dict[str, Callable[[Picture, int], bytes]] = {
    "TIFF of 8 bits": pillow_tiff,
    "TIFF of 8 bits by OpenCV": tiff_turned,
    "TIFF of colour, 16": lambda image, orientation: tiff_turned(image.astype(np.uint16) * 257, orientation),
    "TIFF of grey, 16": lambda image, orientation: tiff_turned(image[..., 0].astype(np.uint16) * 257, orientation),
    "TIFF of floats": lambda image, orientation: tiff_turned(image[..., 0].astype(np.float32) / 255, orientation),
    "TIFF of floats of colour": lambda image, orientation: tiff_turned(image.astype(np.float32) / 255, orientation),
    "TIFF of 16, big-endian": lambda image, orientation: pillow_tiff(image, orientation, "I;16B"),
    "BigTIFF of 16": lambda image, orientation: pillow_tiff(image, orientation, "I;16", big_tiff=True),
    "PNG of grey, 16": lambda image, orientation: png(
        image[..., :1].astype(np.uint16) * 257, encoded.GREY, chunk(b"eXIf", exif(orientation)), depth=16
    ),
    "PNG of colour, 16": lambda image, orientation: png(
        image[..., ::-1].astype(np.uint16) * 257, encoded.RGB, chunk(b"eXIf", exif(orientation)), depth=16
    ),
}


@pytest.mark.parametrize("kind", DEEP)
def test_deep_pictures_and_tiffs_are_upright(kind: str) -> None:
    """TIFFs and pictures of more than 8 bits are turned once, by each of the eight orientations and by no other
    number, and their size is that of the upright picture."""
    for orientation in (0, *STORED, 9):
        stored = np.ascontiguousarray(STORED[orientation if orientation in STORED else 1](SMOOTH))
        seen = decode_image(io.BytesIO(DEEP[kind](stored, orientation)), "it")
        assert (seen.image.shape, seen.width, seen.height) == (SMOOTH.shape, SMOOTH.shape[1], SMOOTH.shape[0])
        is_grey = (seen.image == seen.image[..., :1]).all()
        expected = SMOOTH[..., :1] if is_grey else SMOOTH
        assert np.abs(seen.image.astype(int) - expected).max() <= 1, orientation


def modes() -> dict[str, Any]:
    from PIL import Image, ImageCms

    grey = Image.fromarray(np.tile(GREY, (8, 8)))
    colour = Image.merge("RGB", [grey, grey.rotate(180), grey])
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return {
        "1-bit TIFF": (grey.convert("1"), "TIFF", {}),
        "palette PNG": (colour.quantize(), "PNG", {}),
        "palette GIF": (colour.quantize(), "GIF", {}),
        "CMYK TIFF": (colour.convert("CMYK"), "TIFF", {}),
        "CMYK JPEG": (colour.convert("CMYK"), "JPEG", {"quality": 95}),
        "grey with alpha PNG": (grey.convert("LA"), "PNG", {}),
        "YCbCr TIFF": (colour.convert("YCbCr"), "TIFF", {}),
        "LAB TIFF": (ImageCms.applyTransform(colour, ImageCms.buildTransform(srgb, lab, "RGB", "LAB")), "TIFF", {}),
    }


@pytest.mark.parametrize("mode", modes())
def test_modes_keep_their_look(mode: str, tmp_path: Path) -> None:
    """A picture in any of Pillow's colour spaces is as bright, place by place, as it was made."""
    made, kind, options = modes()[mode]
    made.save(tmp_path / "it", kind, **options)
    seen = decode_image(tmp_path / "it", "it").image
    expected = np.tile(GREY, (8, 8)).astype(int)
    if mode.startswith("1-bit"):
        expected = np.where(np.asarray(made), 255, 0)
    assert np.abs(seen[..., 2].astype(int) - expected).mean() < 6


@settings(deadline=None, derandomize=True, max_examples=60)
@given(
    st.sampled_from([np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.uint64, np.float32, np.float64]),
    st.floats(0, 2**33),
    st.booleans(),
)
def test_whatever_is_read_is_neither_black_nor_white(kind: Any, white: float, inverted: bool) -> None:
    """Of any number type and any largest value: either refused, or a ramp stays a ramp that reaches far up."""
    white = min(white, float(np.iinfo(kind).max)) if np.dtype(kind).kind in "iu" else white
    ramp = np.linspace(0, white, 64).astype(kind).reshape(8, 8)
    try:
        seen = in_8_bits(ramp, "it", inverted=inverted)
    except BadInputError:
        return
    if np.unique(ramp).size < 64 or (np.dtype(kind).kind == "f" and white < 1):
        return  # too few steps to be a ramp, or a dark picture of floats
    steps = np.diff(seen.ravel().astype(int)) * (-1 if inverted else 1)
    assert (steps >= 0).all()
    assert int(seen.max()) - int(seen.min()) >= 50
