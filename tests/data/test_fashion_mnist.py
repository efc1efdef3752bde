"""Fashion-MNIST found, fetched, verified and split; pictures of every kind read."""

from __future__ import annotations

import gzip
import io
import shutil
import socket
import struct
import sys
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgefashion.data import fashion_mnist
from edgefashion.data.images import decode_image, image_paths, read_image, write_png
from edgefashion.errors import BadInputError, EdgeFashionError, MissingError
from edgefashion.evaluation import reference
from edgefashion.labels import LABELS

Picture = NDArray[np.uint8]

TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"


@pytest.fixture(scope="module")
def real() -> Path:
    """The folder the whole session's Fashion-MNIST is in."""
    return fashion_mnist.find()


@pytest.fixture(scope="module")
def train() -> tuple[Picture, NDArray[np.int64]]:
    return fashion_mnist.load("train")


def raw_bytes(folder: Path, name: str) -> bytes:
    """One of the four files, decompressed."""
    packed = folder / f"{name}.gz"
    return gzip.decompress(packed.read_bytes()) if packed.is_file() else (folder / name).read_bytes()


def place(real: Path, folder: Path, *left_out: str) -> Path:
    """Fill ``folder`` with Fashion-MNIST less the files ``left_out``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in fashion_mnist.SHA256:
        for file in (f"{name}.gz", name):
            if name in left_out or not (real / file).is_file():
                continue
            try:
                (folder / file).symlink_to(real / file)
            except OSError:  # Windows allows links to administrators only
                shutil.copyfile(real / file, folder / file)
            break
    return folder


# --- Fashion-MNIST on disk -------------------------------------------------------------------


@pytest.mark.skipif(sys.platform == "win32", reason="the user's folders cannot be set aside there")
def test_find_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``./data`` comes before our cache, our cache before Keras's, and a folder that lacks a file does not count."""
    monkeypatch.delenv("EDGEFASHION_DATA", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    # Least preferred first, so that each one found replaces the one before.
    for folder in (
        Path.home() / ".keras/datasets/fashion-mnist",
        fashion_mnist.cache_dir(),
        Path("data/fashion-mnist"),
    ):
        folder.mkdir(parents=True)
        first, *others = fashion_mnist.SHA256
        for name in others:
            (folder / name).touch()
        (folder / f"{first}.gz").touch()
        assert fashion_mnist.find() == folder
    (folder / TEST_LABELS).unlink()
    assert fashion_mnist.find() == fashion_mnist.cache_dir()


def test_only_the_named_folder_is_searched(tmp_path: Path, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``EDGEFASHION_DATA`` set to a folder without the files nothing else is looked at, and the error says
    where it looked and what to run."""
    place(real, tmp_path / "data/fashion-mnist")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEFASHION_DATA", str(tmp_path / "elsewhere"))
    with pytest.raises(MissingError) as caught:
        fashion_mnist.find()
    assert caught.value.exit_code == 3
    assert str(tmp_path / "elsewhere") in str(caught.value)
    assert str(Path("data/fashion-mnist")) not in str(caught.value)
    assert "edgefashion data fetch" in str(caught.value)
    monkeypatch.delenv("EDGEFASHION_DATA")
    assert fashion_mnist.find() == Path("data/fashion-mnist")


def _recompressed(folder: Path, name: str) -> None:
    (folder / f"{name}.gz").write_bytes(gzip.compress(raw_bytes(folder, name), 1, mtime=1))


def _raw(folder: Path, name: str) -> None:
    (folder / name).write_bytes(raw_bytes(folder, name))
    (folder / f"{name}.gz").unlink()


def _altered(folder: Path, name: str) -> None:
    raw = bytearray(raw_bytes(folder, name))
    raw[1000] ^= 1
    (folder / f"{name}.gz").write_bytes(gzip.compress(raw))


def _truncated(folder: Path, name: str) -> None:
    whole = (folder / f"{name}.gz").read_bytes()
    (folder / f"{name}.gz").write_bytes(whole[:-100])


def _no_gzip(folder: Path, name: str) -> None:
    (folder / f"{name}.gz").write_bytes(b"<html>Please log in</html>")


def _gone(folder: Path, name: str) -> None:
    (folder / f"{name}.gz").unlink()


@pytest.mark.parametrize(
    ("change", "exception", "message"),
    [
        (_recompressed, None, ""),
        (_raw, None, ""),
        (_altered, BadInputError, "SHA-256 differs"),
        (_truncated, BadInputError, "cannot be read"),
        (_no_gzip, BadInputError, "cannot be read"),
        (_gone, MissingError, "has no"),
    ],
)
def test_verify(
    change: Callable[[Path, str], None],
    exception: type[EdgeFashionError] | None,
    message: str,
    tmp_path: Path,
    real: Path,
) -> None:
    """The decompressed bytes decide, however they are packed; anything but Fashion-MNIST's own is refused by name
    with the command that mends it."""
    folder = place(real, tmp_path, TRAIN_LABELS)
    (folder / f"{TRAIN_LABELS}.gz").write_bytes(gzip.compress(raw_bytes(real, TRAIN_LABELS)))
    assert fashion_mnist.verify(folder) == folder
    change(folder, TRAIN_LABELS)
    if exception is None:
        assert fashion_mnist.verify(folder) == folder
        return
    with pytest.raises(exception, match=message) as caught:
        fashion_mnist.verify(folder)
    assert TRAIN_LABELS in str(caught.value)
    assert "edgefashion data fetch" in str(caught.value)


def test_load_refuses_altered(tmp_path: Path, real: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading checks the hash too: an altered file never becomes an array."""
    raw = bytearray(raw_bytes(real, TEST_LABELS))
    raw[-1] ^= 1
    (place(real, tmp_path, TEST_LABELS) / TEST_LABELS).write_bytes(raw)
    monkeypatch.setenv("EDGEFASHION_DATA", str(tmp_path))
    with pytest.raises(BadInputError, match="SHA-256 differs"):
        fashion_mnist.load("test")


@pytest.mark.parametrize(("part", "count"), [("train", 60_000), ("test", 10_000)])
def test_load(part: str, count: int) -> None:
    """Images come as uint8 NHWC over the full range, labels as int64 with the ten classes in equal numbers."""
    images, labels = fashion_mnist.load(part)
    assert images.dtype == np.uint8
    assert images.shape == (count, 28, 28, 1)
    assert labels.dtype == np.int64
    assert labels.shape == (count,)
    assert (images.min(), images.max()) == (0, 255)
    assert np.bincount(labels).tolist() == [count // 10] * 10
    # The convention everything rests on: the garment bright, the background 0.
    assert np.median(images[:, 0, 0]) == 0
    assert images[:, 14, 14].mean() > 100


# --- Splits ----------------------------------------------------------------------------------


def test_split(train: tuple[Picture, NDArray[np.int64]]) -> None:
    """A tenth of the training images is 54,000 and 6,000, 600 a class, disjoint and complete."""
    labels = train[1]
    fit_at, held_out = fashion_mnist.split(labels, fashion_mnist.VALIDATION_SPLIT, seed=0)
    assert (len(fit_at), len(held_out)) == (54_000, 6_000)
    assert np.bincount(labels[held_out]).tolist() == [600] * 10
    assert np.array_equal(np.sort(np.concatenate([fit_at, held_out])), np.arange(60_000))


@pytest.mark.parametrize(("seed", "same"), [(7, True), (8, False)])
def test_split_seeded(seed: int, same: bool, train: tuple[Picture, NDArray[np.int64]]) -> None:
    """The same seed draws the same validation images, another seed others."""
    first = fashion_mnist.split(train[1], 0.1, seed=7)
    again = fashion_mnist.split(train[1], 0.1, seed)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True)) is same


@pytest.mark.parametrize(
    ("asked", "expected"),
    [(0, 0), (1, 1), (7, 7), (10, 10), (300, 300), (999, 999), (60_000, 60_000), (70_000, 60_000)],
)
def test_calibration_even(asked: int, expected: int, train: tuple[Picture, NDArray[np.int64]]) -> None:
    """Any number of calibration images is drawn once each and as evenly over the classes as it divides."""
    chosen = fashion_mnist.calibration_indices(train[1], asked, seed=0)
    counts = np.bincount(train[1][chosen], minlength=10)
    assert len(chosen) == expected
    assert counts.max() - counts.min() <= 1
    assert (np.diff(chosen) > 0).all()


def test_calibration_seeded(train: tuple[Picture, NDArray[np.int64]]) -> None:
    """The seed alone decides which calibration images are drawn."""
    first, same, other = (fashion_mnist.calibration_indices(train[1], 300, seed) for seed in (3, 3, 4))
    assert np.array_equal(first, same)
    assert not np.array_equal(first, other)


def test_calibration_keeps_shares() -> None:
    """Of classes of unequal size each is drawn in its own share."""
    labels = np.repeat(np.arange(3), [600, 300, 100])
    assert np.bincount(labels[fashion_mnist.calibration_indices(labels, 100, seed=0)]).tolist() == [60, 30, 10]


def test_reference_round_trip(tmp_path: Path) -> None:
    """The stored answers are the first 1,000, to the bit."""
    answers = np.random.default_rng(0).random((1500, 10), np.float32)
    reference.save_reference(tmp_path / "reference.npz", answers)
    loaded = reference.load_reference(tmp_path / "reference.npz")
    assert loaded.dtype == np.float32
    assert np.array_equal(loaded, answers[:1000])


# --- Fetch -----------------------------------------------------------------------------------


class Source:
    """A real HTTP server of the four files, which can be told to misbehave."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.ranges = True
        self.cut_after: int | None = None
        """Close the next connection after so many bytes."""
        self.stall_after: int | None = None
        """Say nothing more after so many bytes, until ``awake``."""
        self.awake = threading.Event()
        self.asked: list[tuple[str, str | None]] = []
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source._answer(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.awake.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, request: BaseHTTPRequestHandler) -> None:
        name, wanted = request.path.removeprefix("/"), request.headers.get("Range")
        self.asked.append((name, wanted))
        body = self.files.get(name)
        if body is None:
            request.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and self.ranges else 0
        if start and start >= len(body):
            request.send_error(416)
            return
        request.send_response(206 if start else 200)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        request.send_header("Content-Length", str(len(body) - start))
        request.end_headers()
        end = len(body)
        if self.cut_after is not None:
            end, self.cut_after = start + self.cut_after, None
        pause = end if self.stall_after is None else start + self.stall_after
        request.wfile.write(body[start:pause])
        if pause < end:
            request.wfile.flush()
            # A client without a timeout gets everything in the end, and the test sees it.
            self.awake.wait(5)
            request.wfile.write(body[pause:end])


@pytest.fixture(scope="module")
def packed(real: Path) -> dict[str, bytes]:
    """The four files as a source serves them: name with .gz -> bytes."""
    return {f"{name}.gz": gzip.compress(raw_bytes(real, name), 1) for name in fashion_mnist.SHA256}


@pytest.fixture
def source(packed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> Iterator[Source]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    server = Source(dict(packed))
    yield server
    server.close()


@pytest.fixture
def folder(real: Path, tmp_path: Path) -> Path:
    """A folder in which only the training labels (29 kB) are still to be fetched."""
    return place(real, tmp_path / "fetched", TRAIN_LABELS)


GZ = f"{TRAIN_LABELS}.gz"


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_fetch_all(source: Source, packed: dict[str, bytes], tmp_path: Path) -> None:
    """A fetch into a folder that does not exist brings the four files and nothing else, each asked for once, and
    tells its progress to the last byte."""
    told: dict[str, tuple[int, int]] = {}

    def progress(name: str, done: int, total: int) -> None:
        assert done > told.get(name, (0, 0))[0]
        told[name] = done, total

    folder = fashion_mnist.fetch(tmp_path / "new/folder", sources=(source.url,), progress=progress)
    assert fashion_mnist.verify(folder) == folder == tmp_path / "new/folder"
    assert names(folder) == set(packed)
    assert told == {name: (len(body), len(body)) for name, body in packed.items()}
    assert sorted(source.asked) == sorted((name, None) for name in packed)


def test_fetch_keeps_what_is_right(source: Source, folder: Path) -> None:
    """Files already there and right are not asked for again, an altered one is."""
    fashion_mnist.fetch(folder, sources=(source.url,))
    assert source.asked == [(GZ, None)]
    fashion_mnist.fetch(folder, sources=(source.url,))
    assert source.asked == [(GZ, None)]
    _altered(folder, TRAIN_LABELS)
    fashion_mnist.fetch(folder, sources=(source.url,))
    assert source.asked == [(GZ, None)] * 2
    assert fashion_mnist.verify(folder) == folder


def test_fetch_goes_to_the_named_folder(source: Source, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a folder the files go where ``EDGEFASHION_DATA`` says."""
    monkeypatch.setenv("EDGEFASHION_DATA", str(folder))
    assert fashion_mnist.fetch(sources=(source.url,)) == folder
    assert fashion_mnist.find() == folder


def test_fetch_resumes(source: Source, packed: dict[str, bytes], folder: Path) -> None:
    """A ``.part`` is completed by asking for the bytes after it, and only those count as still to come."""
    (folder / f"{GZ}.part").write_bytes(packed[GZ][:10_000])
    told: list[tuple[int, int]] = []
    fashion_mnist.fetch(folder, sources=(source.url,), progress=lambda _, done, total: told.append((done, total)))
    assert source.asked == [(GZ, "bytes=10000-")]
    assert told[0][0] > 10_000
    assert told[-1] == (len(packed[GZ]), len(packed[GZ]))
    assert (folder / GZ).read_bytes() == packed[GZ]
    assert f"{GZ}.part" not in names(folder)


@pytest.mark.parametrize(
    ("ranges", "make", "tries"),
    [
        pytest.param(False, lambda whole: whole[:10_000], 1, id="a server that sends everything again"),
        pytest.param(True, lambda whole: whole, 1, id="nothing missing"),
        pytest.param(True, lambda whole: bytes(10_000), 2, id="bytes of something else"),
        pytest.param(True, lambda whole: whole + b"more", 2, id="too many bytes"),
    ],
)
def test_fetch_odd_part(
    ranges: bool,
    make: Callable[[bytes], bytes],
    tries: int,
    source: Source,
    packed: dict[str, bytes],
    folder: Path,
) -> None:
    """Whatever a ``.part`` holds and whether or not the server knows Range, the file comes out right: its hash
    decides, and where resuming went wrong the second try starts clean."""
    part = make(packed[GZ])
    (folder / f"{GZ}.part").write_bytes(part)
    source.ranges = ranges
    fashion_mnist.fetch(folder, sources=(source.url,))
    assert [wanted for _, wanted in source.asked] == [f"bytes={len(part)}-", None][:tries]
    assert (folder / GZ).read_bytes() == packed[GZ]
    assert f"{GZ}.part" not in names(folder)


def test_fetch_broken_connection(source: Source, packed: dict[str, bytes], folder: Path) -> None:
    """A connection that breaks midway leaves the bytes in a ``.part`` and no file, and the next call completes it."""
    source.cut_after = 12_345
    with pytest.raises(MissingError, match="connection broke after 12,345 of") as caught:
        fashion_mnist.fetch(folder, sources=(source.url,))
    assert "edgefashion data fetch" in str(caught.value)
    assert (folder / f"{GZ}.part").read_bytes() == packed[GZ][:12_345]
    assert GZ not in names(folder)
    fashion_mnist.fetch(folder, sources=(source.url,))
    assert source.asked[-1] == (GZ, "bytes=12345-")
    assert (folder / GZ).read_bytes() == packed[GZ]


def test_fetch_stalled(source: Source, packed: dict[str, bytes], folder: Path) -> None:
    """A source that falls silent is given up after ``timeout_s``, what it sent is kept and resumed."""
    source.stall_after = 5_000
    with pytest.raises(MissingError, match="timed out"):
        fashion_mnist.fetch(folder, sources=(source.url,), timeout_s=0.2)
    assert GZ not in names(folder)
    assert (folder / f"{GZ}.part").read_bytes() == packed[GZ][:5_000]
    source.stall_after = None
    fashion_mnist.fetch(folder, sources=(source.url,))
    assert source.asked[-1] == (GZ, "bytes=5000-")


@pytest.mark.parametrize(
    "served",
    [b"", b"<html>Please log in to this network</html>", gzip.compress(bytes(60_008)), None],
    ids=["nothing", "a login page", "another gzip", "404"],
)
def test_fetch_garbage(served: bytes | None, source: Source, folder: Path) -> None:
    """What is not the file is thrown away, leaving neither a file nor a ``.part``, with an error that says so."""
    source.files.pop(GZ)
    if served is not None:
        source.files[GZ] = served
    before = names(folder)
    with pytest.raises(MissingError, match="not the file it should be" if served is not None else "Not Found"):
        fashion_mnist.fetch(folder, sources=(source.url,))
    assert names(folder) == before


@pytest.fixture
def closed_url() -> str:
    """An address at which nothing listens."""
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{holder.getsockname()[1]}"


def test_fetch_unreachable(folder: Path, closed_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing answers, the error names the file, what failed and what to do, and no file appears."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    before = names(folder)
    with pytest.raises(MissingError, match="refused") as caught:
        fashion_mnist.fetch(folder, sources=(closed_url,))
    assert GZ in str(caught.value)
    assert "Check the network" in str(caught.value)
    assert names(folder) == before


def test_fetch_second_source(source: Source, packed: dict[str, bytes], folder: Path, closed_url: str) -> None:
    """When the first source fails, the second brings the file."""
    fashion_mnist.fetch(folder, sources=(closed_url, source.url))
    assert (folder / GZ).read_bytes() == packed[GZ]


# --- Pictures, made byte by byte -------------------------------------------------------------


def png(pixels: NDArray[Any], colour_type: int, *extra: bytes, depth: int = 8) -> bytes:
    """A PNG of ``pixels`` (height, width, channels) at ``depth`` bits, with ``extra`` chunks."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1).astype(">u2" if depth == 16 else np.uint8)
    lines = b"".join(b"\0" + row.tobytes() for row in (np.packbits(rows, axis=1) if depth == 1 else rows))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0))
    body = b"".join(extra) + chunk(b"IDAT", zlib.compress(lines))
    return b"\x89PNG\r\n\x1a\n" + head + body + chunk(b"IEND", b"")


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6


def exif(orientation: int) -> bytes:
    """The least EXIF: a big-endian TIFF with the orientation as its only tag."""
    return b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 274, 3, 1, orientation, 0, 0)


def encoded(suffix: str, image: NDArray[Any], *options: int) -> bytes:
    """``image`` in a format, written by OpenCV."""
    _, out = cv2.imencode(suffix, image, options)
    raw: bytes = out.tobytes()
    return raw


def with_exif(jpeg: bytes, content: bytes) -> bytes:
    content = b"Exif\0\0" + content
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content + jpeg[2:]


def write(folder: Path, raw: bytes) -> Path:
    path = folder / "picture"  # no suffix: the bytes decide what it is
    path.write_bytes(raw)
    return path


def quadrants() -> Picture:
    """A picture (32, 48) whose four quarters differ, so that every turn and flip shows."""
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16, :24], image[:16, 24:] = (250, 10, 10), (10, 250, 10)
    image[16:, :24], image[16:, 24:] = (10, 10, 250), (240, 240, 10)
    return image


SMOOTH = cv2.GaussianBlur(quadrants(), (15, 15), 0)  # without hard edges JPEG stays within a few levels
LOSS = 16
"""Grey levels a lossy format may be off; the quarters differ by 240."""
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
    image = read_image(write(tmp_path, png(np.array([row]), *rest, depth=depth)))
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
    # Not all opaque: WebP would drop the alpha.
    alpha = np.full(image.shape[:2], 254, np.uint8)
    still = encoded(".webp", np.dstack([image, alpha]), cv2.IMWRITE_WEBP_QUALITY, 101)
    assert still[12:16] == b"VP8L"
    height, width = image.shape[:2]
    # 0x18: it has alpha and EXIF; the sizes are 24 bits, less one.
    size = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    content = exif(orientation)
    body: bytes = b"WEBPVP8X" + struct.pack("<II", 10, 0x18) + size + still[12:]
    body += b"EXIF" + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", len(body)) + body


# What a camera stores of an upright picture, by the orientation it notes down (EXIF 2.3, 4.6.4).
STORED: dict[int, Callable[[Picture], Picture]] = {
    1: lambda image: image,
    2: lambda image: image[:, ::-1],
    3: lambda image: image[::-1, ::-1],
    4: lambda image: image[::-1],
    5: lambda image: image.transpose(1, 0, 2),
    6: lambda image: np.rot90(image, 1),
    7: lambda image: image.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda image: np.rot90(image, -1),
}


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
# One black pixel.
GIF = b"GIF89a\1\0\1\0\x80\0\0" + bytes(6) + b",\0\0\0\0\1\0\1\0\0\2\2D\1\0;"


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
        pytest.param(GIF, id="another format, whole"),
        pytest.param(b"GIF89a" + bytes(100), id="another format, damaged"),
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


# --- Folders of pictures ---------------------------------------------------------------------


def test_image_paths(tmp_path: Path) -> None:
    """A folder gives its pictures at any depth in order, whatever the case of their suffix, and nothing else; a file
    gives itself whatever it is called."""
    for name in ("b.png", "a.JPG", "sub/c.webp", "notes.txt", "sub/d.tiff", "e.jpeg.bak"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    expected = [tmp_path / name for name in ("a.JPG", "b.png", "sub/c.webp", "sub/d.tiff")]
    assert image_paths(tmp_path) == expected
    assert image_paths(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]


@pytest.mark.parametrize(("name", "message"), [("missing", "does not exist"), ("empty", "holds no image")])
def test_image_paths_refuses(name: str, message: str, tmp_path: Path) -> None:
    """A path that is not there and a folder without pictures are refused by name."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInputError, match=message) as caught:
        image_paths(tmp_path / name)
    assert str(tmp_path / name) in str(caught.value)


def test_contact_sheet(train: tuple[Picture, NDArray[np.int64]]) -> None:
    """The sheet shows each class's first pictures at twice their size in the class's row, its name in front."""
    images, labels = train
    sheet = fashion_mnist.contact_sheet(images, labels, LABELS, per_class=3)
    assert sheet.dtype == np.uint8
    assert sheet.shape == (560, 150 + 3 * 56)
    for row in range(10):
        band = sheet[row * 56 : (row + 1) * 56]
        assert band[:, :150].any(), f"no name in front of row {row}"
        for column, image in enumerate(images[labels == row][:3]):
            cell = band[:, 150 + column * 56 : 150 + (column + 1) * 56]
            assert np.array_equal(cell, image[..., 0].repeat(2, 0).repeat(2, 1))


def test_contact_sheet_of_few() -> None:
    """A class with fewer pictures than columns leaves its cells black."""
    sheet = fashion_mnist.contact_sheet(
        np.full((1, 28, 28, 1), 9, np.uint8), np.array([1]), ("none", "one"), per_class=2
    )
    assert not sheet[:56, 150:].any()
    assert (sheet[56:, 150:206] == 9).all()
    assert not sheet[56:, 206:].any()


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


def test_decode_names_its_stream() -> None:
    """What cannot be decoded is told by the name it was given."""
    with pytest.raises(BadInputError, match="the third picture is no BMP"):
        decode_image(io.BytesIO(b"GIF89a"), "the third picture")
