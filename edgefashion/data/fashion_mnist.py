"""Fashion-MNIST and image files: find, fetch, verify, load, split. Raw uint8 out.

Fashion-MNIST: Xiao, Rasul and Vollgraf, 2017 (MIT licence, Zalando). 60,000 training and 10,000
test images, 28x28 grey, the garment bright on a background of 0.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import http.client
import os
import secrets
import struct
import urllib.error
import urllib.request
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

import numpy as np

from edgefashion.errors import BadInputError, MissingError

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

SIDE_PX: Final = 28
VALIDATION_SPLIT: Final = 0.1
"""Share of the training images held out where a network brings no choice of its own."""
SPLIT_SEED: Final = 0
"""Which they are: the same for every training, whatever its own seed."""

REFERENCE_IMAGES: Final = 1000
"""The parity gate compares on the first so many test images."""

# Both serve the same bytes; the first is the one keras.datasets uses, the second is upstream's.
SOURCES: Final = (
    "https://storage.googleapis.com/tensorflow/tf-keras-datasets",
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
)
TIMEOUT_S: Final = 20.0
_CHUNK_BYTES: Final = 1 << 16

IMAGE_SUFFIXES: Final = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
MAX_PIXELS: Final = 1 << 27
"""Larger pictures are refused before decoding: phones make 108 million pixels, and a few kilobytes
can claim a billion, which decoded would fill a small computer's memory."""

FetchProgress = Callable[[str, int, int], None]
"""Called with a file's name, the bytes there so far and the bytes expected (0 when unknown)."""


@dataclass(frozen=True)
class IdxFile:
    """One of the four files. The hash is of the decompressed bytes: Debian recompresses them."""

    name: str
    sha256: str
    header_bytes: int
    shape: tuple[int, ...]


_FILES: Final = {
    ("train", "images"): IdxFile(
        "train-images-idx3-ubyte",
        "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        16,
        (60_000, SIDE_PX, SIDE_PX, 1),
    ),
    ("train", "labels"): IdxFile(
        "train-labels-idx1-ubyte",
        "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        8,
        (60_000,),
    ),
    ("test", "images"): IdxFile(
        "t10k-images-idx3-ubyte",
        "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        16,
        (10_000, SIDE_PX, SIDE_PX, 1),
    ),
    ("test", "labels"): IdxFile(
        "t10k-labels-idx1-ubyte",
        "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        8,
        (10_000,),
    ),
}
SHA256: Final = {file.name: file.sha256 for file in _FILES.values()}


# --- Fashion-MNIST on disk -------------------------------------------------------------------


def cache_dir() -> Path:
    """Where ``fetch`` puts the files: ``EDGEFASHION_DATA``, else the user's cache."""
    if given := os.environ.get("EDGEFASHION_DATA"):
        return Path(given)
    from platformdirs import user_cache_path

    return user_cache_path("edgefashion", appauthor=False) / "fashion-mnist"


def candidates() -> list[Path]:
    """The folders searched, in order. ``EDGEFASHION_DATA``, when set, is the only one."""
    if os.environ.get("EDGEFASHION_DATA"):
        return [cache_dir()]
    return [
        Path("data/fashion-mnist"),
        cache_dir(),
        Path.home() / ".keras/datasets/fashion-mnist",
        Path("/usr/share/datasets/fashion-mnist"),  # Debian's package dataset-fashion-mnist
    ]


def _on_disk(folder: Path, file: IdxFile) -> Path | None:
    for path in (folder / f"{file.name}.gz", folder / file.name):
        if path.is_file():
            return path
    return None


def find() -> Path:
    """The first folder holding all four files; raises :class:`MissingError` if there is none."""
    for folder in candidates():
        if all(_on_disk(folder, file) for file in _FILES.values()):
            return folder
    searched = ", ".join(str(folder) for folder in candidates())
    raise MissingError(
        f"Fashion-MNIST was not found in: {searched}. Run: edgefashion data fetch "
        "(or on Debian: apt-get install dataset-fashion-mnist)"
    )


def _read_verified(path: Path, file: IdxFile) -> bytes:
    try:
        raw = path.read_bytes()
        if path.suffix == ".gz":
            raw = gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInputError(f"{path} cannot be read ({error}). Delete it and run: edgefashion data fetch") from error
    if hashlib.sha256(raw).hexdigest() != file.sha256:
        raise BadInputError(
            f"{path} is not Fashion-MNIST's {file.name}: its SHA-256 differs. Delete it and run: edgefashion data fetch"
        )
    return raw


def verify(folder: Path | None = None) -> Path:
    """Check the SHA-256 of all four files' decompressed bytes; returns the folder."""
    folder = folder or find()
    for file in _FILES.values():
        path = _on_disk(folder, file)
        if path is None:
            raise MissingError(f"{folder} has no {file.name}(.gz). Run: edgefashion data fetch")
        _read_verified(path, file)
    return folder


def load(part: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Read and verify ``"train"`` or ``"test"``.

    Returns images, uint8 (n, 28, 28, 1), garment bright on 0, and labels, int64 (n,).
    Raises :class:`MissingError` if the files are absent, :class:`BadInputError` if altered.
    """
    folder = find()
    arrays = []
    for kind in ("images", "labels"):
        file = _FILES[part, kind]
        path = _on_disk(folder, file)
        assert path is not None  # find() has just seen it
        raw = _read_verified(path, file)
        arrays.append(np.frombuffer(raw, np.uint8, offset=file.header_bytes).reshape(file.shape))
    return arrays[0], arrays[1].astype(np.int64)


def fetch(
    folder: Path | None = None,
    *,
    sources: tuple[str, ...] = SOURCES,
    timeout_s: float = TIMEOUT_S,
    progress: FetchProgress | None = None,
) -> Path:
    """Download the four files (30 MB), verified, each written aside and renamed.

    A broken download leaves ``NAME.gz.part``, which the next call resumes. Files already there
    and right are kept. Raises :class:`MissingError` when no source answers (``timeout_s`` is how
    long it may be silent) or none serves the right bytes.
    """
    folder = folder or cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    for file in _FILES.values():
        present = _on_disk(folder, file)
        if present is not None:
            with contextlib.suppress(BadInputError):
                _read_verified(present, file)
                continue
        target = folder / f"{file.name}.gz"
        _fetch_one(target, file, sources, timeout_s, progress)
        if present is not None and present != target:
            present.unlink()  # the wrong, uncompressed twin
    return folder


def _fetch_one(
    target: Path, file: IdxFile, sources: tuple[str, ...], timeout_s: float, progress: FetchProgress | None
) -> None:
    part = target.with_name(target.name + ".part")
    reasons = []
    for source in sources:
        url = f"{source}/{target.name}"
        # Twice: the first try may resume bytes that turn out wrong; the second starts clean.
        for _ in range(2):
            try:
                _download(url, part, timeout_s, lambda done, total: progress and progress(target.name, done, total))
            except (OSError, http.client.HTTPException) as error:
                reasons.append(f"{url}: {getattr(error, 'reason', None) or error}")
                break
            part_as_gz = part.replace(target.with_name(f".{target.name}.unverified.gz"))
            try:
                _read_verified(part_as_gz, file)
            except BadInputError:
                part_as_gz.unlink()
                reasons.append(f"{url}: not the file it should be")
                continue
            part_as_gz.replace(target)
            return
    raise MissingError(
        f"{target.name} could not be downloaded ({'; '.join(dict.fromkeys(reasons))}). Check the network and run "
        "`edgefashion data fetch` again, or on Debian: apt-get install dataset-fashion-mnist"
    )


def _download(url: str, part: Path, timeout_s: float, progress: Callable[[int, int], Any]) -> None:
    have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and have:
            return  # everything was there already; the hash decides
        raise
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        have = have if resumed else 0
        expected = have + int(response.headers.get("Content-Length") or 0)
        with part.open("ab" if resumed else "wb") as out:
            # Not read(): it waits for a whole chunk and loses what it has when the source stalls.
            while chunk := response.read1(_CHUNK_BYTES):
                out.write(chunk)
                have += len(chunk)
                progress(have, expected)
    if have < expected:
        raise ConnectionError(f"the connection broke after {have:,} of {expected:,} bytes")


# --- Splits ----------------------------------------------------------------------------------


def split(
    labels: NDArray[np.int64], validation_split: float, seed: int = SPLIT_SEED
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Stratified, seeded split of ``labels`` into sorted (training, validation) indices.

    One seed for every training, whatever the run's own: what one network learned from may then be asked of
    another, and runs compare on the same images.
    ``validation_split`` 0.1 of Fashion-MNIST's 60,000 gives 54,000 and 6,000, 600 a class.
    """
    validation = _stratified(labels, round(len(labels) * validation_split), seed)
    return np.setdiff1d(np.arange(len(labels)), validation), validation


def calibration_indices(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """``count`` sorted indices, drawn evenly over the classes, for post-training quantization."""
    return _stratified(labels, min(count, len(labels)), seed)


def _stratified(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    rng = np.random.default_rng(seed)
    # Each class's images in random order, then every class's first, every class's second, ...:
    # a prefix of any length is as even over the classes as it can be.
    order = rng.permutation(len(labels))
    rank = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        rank[members] = np.arange(len(members)) * len(labels) // len(members)
    return np.sort(order[np.argsort(rank[order], kind="stable")][:count])


# --- The parity gate's reference ---------------------------------------------------------------


def save_reference(path: Path, test_probabilities: NDArray[np.float32]) -> None:
    """Keep an original's answers to the first ``REFERENCE_IMAGES`` test images, for the gate on a
    machine that cannot run the original."""
    np.savez_compressed(path, probabilities=test_probabilities[:REFERENCE_IMAGES].astype(np.float32))


def load_reference(path: Path) -> NDArray[np.float32]:
    """The answers :func:`save_reference` kept: float32 (images, classes)."""
    with np.load(path, allow_pickle=False) as stored:
        return np.asarray(stored["probabilities"], np.float32)


# --- Image files -----------------------------------------------------------------------------


def image_paths(path: Path) -> list[Path]:
    """``path`` itself if it is a file, else every image below the folder, sorted.

    Raises :class:`BadInputError` if the path does not exist or the folder holds no image.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BadInputError(f"{path} does not exist. Give an image file or a folder of images")
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not found:
        raise BadInputError(f"{path} holds no image ({' '.join(sorted(IMAGE_SUFFIXES))}). Give a folder with pictures")
    return found


@dataclass(frozen=True)
class Picture:
    """A decoded picture, and how large it was before it was decoded smaller."""

    image: NDArray[np.uint8]
    """BGR (height, width, 3), upright."""
    width: int
    height: int


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a BMP, JPEG, PNG, TIFF or WebP of any mode and depth as BGR uint8 (height, width, 3), upright.

    EXIF rotation is applied, 16 bits become 8, transparency is laid over white. Raises
    :class:`BadInputError` for anything else, a truncated or oversized file included.
    """
    return decode_image(path, str(path)).image


def decode_image(
    file: Path | BinaryIO, name: str, least_px: int | None = None, most_pixels: int = MAX_PIXELS
) -> Picture:
    """As :func:`read_image`, of a file or a stream of one, called ``name`` in what is raised.

    ``least_px``: how long the shorter edge has to be at least. A JPEG four times as large is decoded at a quarter or an
    eighth of its size where that is enough, in a fraction of the time. ``most_pixels``: a picture of more is refused
    before it is decoded.
    """
    # Pillow, not OpenCV: it knows a picture's size before it decodes, turns every format upright,
    # and raises on a truncated file where OpenCV reads grey bars as success.
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with warnings.catch_warnings():
            # Pillow warns of half-broken metadata and large sizes; the picture is what counts.
            warnings.simplefilter("ignore")
            with Image.open(file, formats=_FORMATS) as opened:
                width, height = opened.size
                whole: tuple[int, int, int, int] | None = None
                if width * height > most_pixels:
                    size = f"{width} x {height}"
                    raise BadInputError(f"{name} has more than {most_pixels:,} pixels, {size}. Make it smaller")
                # Smaller ones cost little to decode whole, and then answers are to the digit those of the whole.
                if least_px is not None and min(width, height) >= 4 * least_px:
                    # A no-op but for JPEG. Its scale is the largest of 1, 2, 4 and 8 that leaves both edges as long.
                    factor = least_px / min(width, height)
                    drafted = opened.draft(None, (int(np.ceil(width * factor)), int(np.ceil(height * factor))))
                    if drafted:  # the last row and column of an odd edge are left out, as in halving
                        whole = (0, 0, max(1, int(drafted[1][2])), max(1, int(drafted[1][3])))
                opened.load()
                cut = opened if whole is None or whole[2:] == opened.size else opened.crop(whole)
                turned = opened.getexif().get(_ORIENTATION, 1)
                if turned in _ON_ITS_SIDE:
                    width, height = height, width
                upright = cut if turned == 1 else ImageOps.exif_transpose(cut)
                return Picture(_as_bgr(upright), width, height)
    except UnidentifiedImageError as error:
        raise BadInputError(f"{name} is no BMP, JPEG, PNG, TIFF or WebP. Replace it or leave it out") from error
    except Image.DecompressionBombError as error:
        raise BadInputError(f"{name} has more than {most_pixels:,} pixels. Make it smaller") from error
    except OSError as error:
        if error.errno is not None:
            reason = f"{error.strerror}. Check the path and its permissions"
            raise BadInputError(f"{name} cannot be read: {reason}") from error
        raise BadInputError(f"{name} {_BROKEN}") from error
    except (ValueError, SyntaxError, EOFError, struct.error, zlib.error) as error:  # what its decoders let through
        raise BadInputError(f"{name} {_BROKEN}") from error


_BROKEN: Final = "is not a whole, readable picture. Replace it or leave it out"
_ORIENTATION: Final = 0x0112
"""EXIF's tag of how a picture is to be turned."""
_ON_ITS_SIDE: Final = (5, 6, 7, 8)
_FORMATS: Final = ("BMP", "JPEG", "PNG", "TIFF", "WEBP")


def _as_bgr(picture: Image.Image) -> NDArray[np.uint8]:
    import cv2
    from PIL import Image

    if picture.mode.startswith("I"):  # 16-bit grey, in one of Pillow's four spellings
        grey = np.asarray(picture, np.float32) / 257
        return np.repeat(np.clip(np.rint(grey), 0, 255).astype(np.uint8)[..., None], 3, axis=2)
    if picture.has_transparency_data:
        rgba = picture.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        picture = Image.alpha_composite(white, rgba)
    # Not [..., ::-1] and a copy of it: numpy takes as long for that as the decoder for the picture.
    rgb = picture if picture.mode == "RGB" else picture.convert("RGB")
    return np.asarray(cv2.cvtColor(np.asarray(rgb), cv2.COLOR_RGB2BGR), np.uint8)


@contextlib.contextmanager
def quiet_cv2() -> Iterator[None]:
    """Silence OpenCV's own warnings while it decodes: ours is the one line the user reads."""
    import cv2

    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


def contact_sheet(
    images: NDArray[np.uint8], labels: NDArray[np.int64], names: tuple[str, ...], per_class: int = 12
) -> NDArray[np.uint8]:
    """One row of ``per_class`` examples a class, its name in front: uint8 (height, width)."""
    import cv2

    scale, name_width = 2, 150
    cell = SIDE_PX * scale
    sheet = np.zeros((cell * len(names), name_width + cell * per_class), np.uint8)
    for row, name in enumerate(names):
        top = row * cell
        cv2.putText(sheet, name, (8, top + cell // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.55, 255, 1, cv2.LINE_AA)
        for column, image in enumerate(images[labels == row][:per_class]):
            left = name_width + column * cell
            big = cv2.resize(image[..., 0], (cell, cell), interpolation=cv2.INTER_NEAREST)
            sheet[top : top + cell, left : left + cell] = big
    return sheet


def write_png(path: Path, image: NDArray[np.uint8]) -> None:
    """Write a grey or BGR picture as PNG; raises OSError if the place cannot be written."""
    import cv2

    _, encoded = cv2.imencode(".png", image)
    with written_aside(path) as aside:
        aside.write_bytes(encoded.tobytes())  # not imwrite: it fails silently, and on some Windows paths


@contextlib.contextmanager
def written_aside(path: Path) -> Iterator[Path]:
    """A temporary path of the same suffix, renamed to ``path`` once the block is left well."""
    # Of a name of its own: two processes may write the same file.
    aside = path.with_name(f".{path.stem}.new-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield aside
        aside.replace(path)
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def kept(path: Path, compute: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """The array of the .npy file ``path``, memory-mapped; computed and written there first if need be."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with written_aside(path) as aside:
            np.save(aside, compute())
    array: NDArray[Any] = np.load(path, mmap_mode="r")
    return array
