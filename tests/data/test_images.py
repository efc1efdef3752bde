"""Pictures of every kind are read, and what is no whole picture is refused."""

from __future__ import annotations

import io
import os
import struct
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from helpers.encoded import (
    GREY,
    GREY_ALPHA,
    LOSS,
    PALETTE,
    RGB,
    RGBA,
    SMOOTH,
    STORED,
    Picture,
    chunk,
    encoded,
    exif,
    png,
    webp_with,
    with_exif,
)
from PIL import Image

from edgefashion.data.images import decode_image, image_paths, is_still, read_image, write_png
from edgefashion.data.picture_walk import LeftOut
from edgefashion.errors import BadInputError


def write(folder: Path, raw: bytes) -> Path:
    path = folder / "picture"  # no suffix: the bytes decide what it is
    path.write_bytes(raw)
    return path


NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)

TWO_COLOURS = chunk(b"PLTE", bytes([30, 20, 10, 60, 50, 40]))

FIRST_TRANSPARENT = chunk(b"tRNS", b"\0")


@pytest.mark.parametrize(
    ("row", "mode", "expected"),
    [
        pytest.param([[7], [200]], (8, GREY), [7, 200], id="grey"),
        pytest.param([[42]], (8, GREY), [42], id="1x1"),
        pytest.param([[0], [1]], (1, GREY), [0, 255], id="black and white"),
        pytest.param([[0], [0x8080], [0xFEFE], [0xFFFF]], (16, GREY), [0, 128, 254, 255], id="grey 16-bit"),
        pytest.param([[30, 20, 10]], (8, RGB), [(10, 20, 30)], id="colour"),
        pytest.param([[0xF0F0, 0x8080, 0x1010]], (16, RGB), [(0x10, 0x80, 0xF0)], id="colour 16-bit"),
        pytest.param([[0], [1]], (8, PALETTE, TWO_COLOURS), [(10, 20, 30), (40, 50, 60)], id="palette"),
        pytest.param(
            [[0], [1]], (8, PALETTE, TWO_COLOURS, FIRST_TRANSPARENT), [255, (40, 50, 60)], id="palette, transparent"
        ),
        *(
            pytest.param(
                [[0], [value], [largest]],
                (depth, kind, chunk(b"tRNS", struct.pack(">H", value) * (3 if kind == RGB else 1))),
                [0, 255, 255],
                id=f"{depth} bits of {'colour' if kind == RGB else 'grey'}, one of them transparent",
            )
            for depth, kind, value, largest in (
                (2, GREY, 1, 3),
                (4, GREY, 5, 15),
                (8, GREY, 5, 255),
                (16, GREY, 5000, 0xFFFF),
                (16, RGB, 5000, 0xFFFF),
            )
        ),
        pytest.param([[100, 0], [100, 255], [0, 51]], (8, GREY_ALPHA), [255, 100, 204], id="grey with alpha"),
        pytest.param(
            [[30, 20, 10, 0], [30, 20, 10, 255], [0, 50, 255, 51]],
            (8, RGBA),
            [255, (10, 20, 30), (255, 214, 204)],
            id="alpha",
        ),
        pytest.param(
            [[0x1010, 0, 0, 0], [0x1E1E, 0x1414, 0x0A0A, 0xFFFF]], (16, RGBA), [255, (10, 20, 30)], id="alpha 16-bit"
        ),
    ],
)
def test_read_modes(
    row: list[list[int]], mode: tuple[Any, ...], expected: list[int | tuple[int, int, int]], tmp_path: Path
) -> None:
    """A PNG of any mode and depth becomes the same BGR uint8, what is transparent white."""
    depth, *rest = mode
    pixels = np.array([row]) if rest[0] != RGB or len(row[0]) == 3 else np.repeat(np.array([row]), 3, axis=2)
    image = read_image(write(tmp_path, png(pixels, *rest, depth=depth)))
    assert image.dtype == np.uint8
    assert image.tolist() == [[[v, v, v] if isinstance(v, int) else list(v) for v in expected]]


@pytest.mark.parametrize(
    ("raw", "expected", "tolerance"),
    [
        pytest.param(encoded(".bmp", NOISE), NOISE, 0, id="BMP"),
        pytest.param(encoded(".tiff", NOISE), NOISE, 0, id="TIFF"),
        pytest.param(encoded(".tiff", NOISE.astype(np.uint16) * 257), NOISE, 0, id="TIFF 16-bit"),
        pytest.param(encoded(".webp", NOISE, cv2.IMWRITE_WEBP_QUALITY, 101), NOISE, 0, id="WebP lossless"),
        pytest.param(encoded(".webp", SMOOTH, cv2.IMWRITE_WEBP_QUALITY, 95), SMOOTH, LOSS, id="WebP lossy"),
        pytest.param(encoded(".jpg", SMOOTH), SMOOTH, LOSS, id="JPEG"),
        pytest.param(encoded(".jpg", SMOOTH, cv2.IMWRITE_JPEG_PROGRESSIVE, 1), SMOOTH, LOSS, id="JPEG progressive"),
        pytest.param(encoded(".jpg", SMOOTH, cv2.IMWRITE_JPEG_RST_INTERVAL, 1), SMOOTH, LOSS, id="JPEG with restarts"),
        # A phone's moving picture is a JPEG with a film behind its end.
        pytest.param(encoded(".jpg", SMOOTH) + b"\0\xff\xda\0", SMOOTH, LOSS, id="JPEG with a film behind it"),
    ],
)
def test_read_formats(raw: bytes, expected: Picture, tolerance: int, tmp_path: Path) -> None:
    """BMP, TIFF, WebP and JPEG give the picture that was written."""
    image = read_image(write(tmp_path, raw))
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    assert np.abs(image.astype(int) - expected).max() <= tolerance


def alpha_png(image: Picture, orientation: int) -> bytes:
    rgba = np.dstack([image[..., ::-1], np.full(image.shape[:2], 255, np.uint8)])
    return png(rgba, RGBA, chunk(b"eXIf", exif(orientation)))


def alpha_webp(image: Picture, orientation: int) -> bytes:
    return webp_with(image, exif(orientation))


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda image, orientation: with_exif(encoded(".jpg", image), exif(orientation)), id="JPEG"),
        pytest.param(alpha_png, id="PNG with alpha"),
        pytest.param(alpha_webp, id="WebP with alpha"),
    ],
)
def test_read_upright(make: Callable[[Picture, int], bytes], orientation: int, tmp_path: Path) -> None:
    """Each of EXIF's eight orientations is undone, with transparency or without."""
    stored = np.ascontiguousarray(STORED[orientation](SMOOTH))
    image = read_image(write(tmp_path, make(stored, orientation)))
    assert image.shape == SMOOTH.shape
    assert np.abs(image.astype(int) - SMOOTH).max() <= LOSS


def truncations(raw: bytes) -> list[bytes]:
    return [raw[: int(len(raw) * share)] for share in (0.05, 0.3, 0.6, 0.95)]


def corrupted(raw: bytes) -> bytes:
    middle = len(raw) // 2
    return raw[:middle] + bytes([raw[middle] ^ 0xFF]) + raw[middle + 1 :]


NOISE_JPEG = encoded(".jpg", NOISE)


# The thumbnail inside is whole, with an end of its own.
THUMBNAIL_JPEG = with_exif(NOISE_JPEG, exif(1) + encoded(".jpg", NOISE[:8, :8]))


@pytest.mark.parametrize(
    "raw",
    [
        *(pytest.param(raw, id=f"JPEG {len(raw)} bytes") for raw in truncations(NOISE_JPEG)),
        *(pytest.param(raw, id=f"JPEG with thumbnail {len(raw)} bytes") for raw in truncations(THUMBNAIL_JPEG)),
        *(pytest.param(raw, id=f"PNG {len(raw)} bytes") for raw in truncations(encoded(".png", NOISE))),
        *(pytest.param(raw, id=f"TIFF {len(raw)} bytes") for raw in truncations(encoded(".tiff", NOISE))),
        *(pytest.param(raw, id=f"BMP {len(raw)} bytes") for raw in truncations(encoded(".bmp", NOISE))),
        *(pytest.param(raw, id=f"WebP {len(raw)} bytes") for raw in truncations(encoded(".webp", NOISE))),
        pytest.param(corrupted(encoded(".png", NOISE)), id="PNG with a wrong byte"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="PNG of a signature"),
        pytest.param(b"\xff\xd8\xff\xd9", id="JPEG of a start and an end"),
        pytest.param(b"II*\0\xff\xff\xff\xff", id="TIFF pointing past its end"),
        pytest.param(b"", id="empty"),
        pytest.param(b"garment,price\nshirt,12\n", id="text"),
        pytest.param(b"%PDF-1.7\n" + bytes(100), id="another format"),
        pytest.param(b"GIF89a" + bytes(100), id="GIF of zeros"),
    ],
)
def test_read_refuses(raw: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A truncated, damaged, empty or foreign file is refused by name with what to do, and no library writes to the
    user's screen meanwhile."""
    path = write(tmp_path, raw)
    with pytest.raises(BadInputError) as caught:
        read_image(path)
    assert str(path) in str(caught.value)
    assert str(caught.value).endswith("Replace it or leave it out")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", ["missing.png", "."])
def test_read_refuses_path(name: str, tmp_path: Path) -> None:
    """A path with no file at it is refused by name."""
    with pytest.raises(BadInputError, match="cannot be read") as caught:
        read_image(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def png_bomb(side: int) -> bytes:
    """A whole, right PNG of black pixels; of 20,000 by 20,000 it has 60 kB and takes 1.2 GB decoded."""
    packer = zlib.compressobj(9)
    lines = b"".join(packer.compress(bytes(1 + side // 8)) for _ in range(side)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, GREY, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def jpeg_claiming(height: int, width: int) -> bytes:
    raw = bytearray(THUMBNAIL_JPEG)
    frame = raw.rindex(b"\xff\xc0")  # the picture's own, behind the thumbnail's
    struct.pack_into(">HH", raw, frame + 5, height, width)
    return bytes(raw)


def bmp_claiming(height: int, width: int) -> bytes:
    raw = bytearray(encoded(".bmp", NOISE))
    struct.pack_into("<ii", raw, 18, width, height)
    return bytes(raw)


def webp_claiming(height: int, width: int, kind: bytes) -> bytes:
    if kind == b"VP8L":
        content = b"\x2f" + struct.pack("<I", (height - 1) << 14 | (width - 1))
    elif kind == b"VP8 ":
        content = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
    else:
        content = bytes(4) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    body = b"WEBP" + kind + struct.pack("<I", len(content)) + content
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda: png_bomb(20_000), id="PNG that decodes"),
        pytest.param(lambda: png_bomb(11_600), id="PNG just above the limit"),  # 2 ** 27 is 11,585 squared
        pytest.param(lambda: jpeg_claiming(20_000, 30_000), id="JPEG"),
        pytest.param(lambda: bmp_claiming(20_000, 30_000), id="BMP"),
        pytest.param(lambda: bmp_claiming(-20_000, 30_000), id="BMP from the top"),
        pytest.param(lambda: webp_claiming(15_000, 16_000, b"VP8L"), id="WebP lossless"),
        pytest.param(lambda: webp_claiming(15_000, 16_000, b"VP8 "), id="WebP lossy"),
        pytest.param(lambda: webp_claiming(15_000, 160_000, b"VP8X"), id="WebP extended"),
    ],
)
def test_read_refuses_enormous(make: Callable[[], bytes], tmp_path: Path) -> None:
    """A size beyond the limit is refused from the header alone, before any memory is taken for the pixels."""
    with pytest.raises(BadInputError, match="more than 134,217,728 pixels") as caught:
        read_image(write(tmp_path, make()))
    assert str(caught.value).endswith("Make it smaller")


def test_image_paths(tmp_path: Path) -> None:
    """A folder gives its pictures at any depth in order, whatever they are called, and counts what is none; a file
    gives itself."""
    for name in ("b.png", "a.JPG", "sub/c.webp", "notes.txt", "sub/d.tiff", "e.jpeg.bak", "._a.JPG"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "no suffix").write_bytes(NOISE_JPEG)
    expected = [tmp_path / name for name in ("a.JPG", "b.png", "folder.png/no suffix", "sub/c.webp", "sub/d.tiff")]
    left_out = LeftOut()
    assert image_paths(tmp_path, left_out) == expected
    assert left_out.as_json() == {"hidden": 1, "no_picture": 2}
    assert image_paths(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "does not exist"),
        ("empty", "holds no image"),
        ("texts", r"holds no image \(left out: 1 file that is no picture \(.txt\)\)"),
    ],
)
def test_image_paths_refuses(name: str, message: str, tmp_path: Path) -> None:
    """A path that is not there and a folder without pictures are refused by name."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "a.txt").touch()
    with pytest.raises(BadInputError, match=message) as caught:
        image_paths(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_gif_of_several_frames_is_a_film(frames: int, tmp_path: Path) -> None:
    """A camera plays a GIF that moves and shows one that does not; elsewhere its first frame counts."""
    from PIL import Image

    stills = [Image.new("L", (9, 9), 40 * n) for n in range(1, 1 + frames)]
    stills[0].save(tmp_path / "a.gif", save_all=True, append_images=stills[1:])
    assert is_still(tmp_path / "a.gif") == (frames == 1)
    assert np.abs(read_image(tmp_path / "a.gif").astype(int) - 40).max() <= 1


@pytest.mark.parametrize("image", [NOISE, NOISE[..., 0]], ids=["BGR", "grey"])
def test_write_png(image: Picture, tmp_path: Path) -> None:
    """A picture written is read back to the bit, also from a path with letters outside ASCII."""
    path = tmp_path / "Jäckchen größe 38.png"
    write_png(path, image)
    assert np.array_equal(read_image(path), np.broadcast_to(image.reshape(60, 80, -1), (60, 80, 3)))


def test_write_png_fails_loudly(tmp_path: Path) -> None:
    """A place that cannot be written raises OSError, where OpenCV's own writer would only return False."""
    with pytest.raises(OSError, match=r"missing"):
        write_png(tmp_path / "missing" / "x.png", NOISE)


@pytest.mark.parametrize("turned", [1, 6])
def test_decode_smaller(tmp_path: Path, turned: int) -> None:
    """A JPEG four times as large as need be is decoded smaller, another whole; upright, and its full size is told."""
    from PIL import Image

    picture = np.zeros((640, 1000, 3), np.uint8)
    picture[:, 500:] = 255
    exif = Image.Exif()
    exif[0x0112] = turned
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "JPEG", exif=exif)
    whole, quarter = (decode_image(io.BytesIO(encoded.getvalue()), "it", least_px=least) for least in (161, 160))
    size_wh = (1000, 640) if turned == 1 else (640, 1000)
    assert (whole.width, whole.height) == (quarter.width, quarter.height) == size_wh
    assert whole.image.shape == (*size_wh[::-1], 3)
    assert quarter.image.shape == (size_wh[1] // 4, size_wh[0] // 4, 3)
    left_dark = quarter.image[:, :10].mean() < quarter.image[:, -10:].mean()
    assert left_dark == (turned == 1)


def test_pillows_warnings_are_silenced_and_nobody_elses() -> None:
    """Of a picture with a note that Pillow warns of, nothing is said; what other threads warn of meanwhile is."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            warnings.warn("another thread's", stacklevel=1)
            return super().read(size)

    raw = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 1
    Image.new("RGB", (40, 40), "red").save(raw, "JPEG", exif=exif.tobytes()[:-9])  # cut short in its one entry
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        Image.open(io.BytesIO(raw.getvalue())).getexif()
    assert [one for one in said if "PIL" in one.filename], "Pillow warns of it by itself"
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert decode_image(Slow(raw.getvalue()), "a red one").image.shape == (40, 40, 3)
    assert {str(one.message) for one in said} == {"another thread's"}


def test_decode_names_its_stream() -> None:
    """What cannot be decoded is told by the name it was given."""
    with pytest.raises(BadInputError, match="the third picture is no BMP"):
        decode_image(io.BytesIO(b"%PDF-1.7"), "the third picture")


@pytest.mark.parametrize("kept", [0.3, 0.5, 0.7, 0.9, 0.97])
def test_a_damaged_film_is_left_to_its_reader(tmp_path: Path, kept: float) -> None:
    """A GIF that was cut short anywhere, or that claims to be huge, is no crash: it is told by whoever reads it."""
    frames = [Image.fromarray(np.full((40, 40), level, np.uint8)) for level in (0, 120, 250)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    whole = (tmp_path / "a.gif").read_bytes()
    (tmp_path / "cut.gif").write_bytes(whole[: round(kept * len(whole))])
    assert is_still(tmp_path / "cut.gif") in (True, False)
    (tmp_path / "huge.gif").write_bytes(b"GIF89a" + b"\xff" * 4 + whole[10:])
    assert is_still(tmp_path / "huge.gif") in (True, False)


@pytest.mark.linux_only("a named pipe in the file system")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Of a named pipe nothing is read to see what it is: it would be waited for, and what comes would be lost."""
    os.mkfifo(tmp_path / "cam.ts")
    assert not is_still(tmp_path / "cam.ts")
