"""A photo network's features: what it sees in a picture, as numbers, before it names it.

Pictures that look alike to the network have features that lie close together. A bundle's IR is cut where its features
go into the weights of the answer; OpenVINO alone runs what is left. Features are kept on disk, so that those of a
picture are computed once.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import resolve
from edgefashion.errors import BadInputError
from edgefashion.inference import preprocess
from edgefashion.inference.collected_view import read_garment
from edgefashion.inference.openvino_engine import compile_config, read_ir
from edgefashion.inference.openvino_import import openvino
from edgefashion.system.files import read_arrays, written_aside

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.bundles.bundle import Bundle

BATCH: Final = 16
"""Pictures computed at once: on two cores a larger batch gains nothing, and the time left is told more often."""

KEPT_IN: Final = ".features.npz"
"""The file in a folder of photos that keeps their features."""

MOST_KEPT: Final = 30_000
"""Rows that are kept of a folder, the newest: 77 MB of 1,280 numbers of 16 bits each."""

_PIECES: Final = 16
_PIECE_BYTES: Final = 4096
"""What of a large file tells it from others: reading all of each picture whenever a shop teaches would take minutes."""

_PREFERRED: Final = ("fp16", "fp32", "int8")
"""The IRs that features are taken from, the best first."""


class Features:
    """A bundle's photo network, cut before the weights of its answer.

    Example:
        >>> import numpy as np
        >>> from edgefashion.bundles import resolve
        >>> features = Features(resolve.resolve("kiosk").bundle)
        >>> features(np.zeros((2, 160, 160, 3), np.uint8)).shape
        (2, 1280)
    """

    def __init__(self, bundle: Bundle, threads: int = 0) -> None:
        """``threads``: 0 means all cores. Raises :class:`BadInputError` for a bundle of another kind of network, or
        without an IR."""
        part = next((name for name in _PREFERRED if bundle.has(name)), "fp32")
        if not bundle.takes_photos:
            raise BadInputError(f"{bundle.path} is no photo network: it has no features of pictures. Use kiosk")
        path = bundle.verified(part)
        if not resolve.is_shipped(path):
            from edgefashion.bundles.guard import check  # here: the shipped bundles' start must not pay for it

            check.check(path)
        model = _cut(read_ir(path), path)
        self.network = _weights_hash(model)
        """What the features belong to: the hash, in hex, of the weights that they come from. A network that was only
        taught other names has the same."""
        self.size = int(model.output(0).get_partial_shape()[1].get_length())
        """Numbers a picture."""
        self._shape = tuple(int(n) for n in model.input(0).shape)[1:]
        model.reshape([BATCH, *self._shape])
        compiled = openvino().Core().compile_model(model, "CPU", compile_config("fp32", "latency", threads))
        self._request = compiled.create_infer_request()

    def __call__(self, views: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The features float32 (n, size) of RGB uint8 (n, 160, 160, 3), as :func:`preprocess.view` makes them.

        Raises :class:`BadInputError` for another dtype or shape.
        """
        if views.dtype != np.uint8 or views.shape[1:] != self._shape:
            wanted = ", ".join(map(str, self._shape))
            raise BadInputError(f"views must be uint8 (n, {wanted}), not {views.dtype} {views.shape}")
        found = np.empty((len(views), self.size), np.float32)
        for at in range(0, len(views), BATCH):
            part = views[at : at + BATCH]
            batch = np.zeros((BATCH, *self._shape), np.uint8)
            batch[: len(part)] = part
            found[at : at + len(part)] = self._request.infer([batch])[0][: len(part)]
        return found


def _cut(model: Any, path: Path) -> Any:
    """The network that ends with what its answer's last multiplication takes in."""
    import openvino as ov

    answer = next((port for port in model.outputs if len(port.get_partial_shape()) == 2), None)
    node = None if answer is None else answer.get_node()
    while node is not None and node.get_type_name() != "MatMul":
        node = node.input_value(0).get_node() if node.get_input_size() else None
    if node is None:
        raise BadInputError(f"{path} has no weights of an answer to cut it at. Give a bundle of the photo network")
    features = node.input_value(0)
    if features.get_node().get_type_name() == "FakeQuantize":  # of INT8: the numbers before they are rounded
        features = features.get_node().input_value(0)
    return ov.Model([features], model.get_parameters(), "features")


def _weights_hash(model: Any) -> str:
    told = hashlib.sha256()
    for node in model.get_ordered_ops():
        if node.get_type_name() == "Constant":
            told.update(node.get_data().tobytes())
    return told.hexdigest()


class Kept:
    """Features on disk, found again by a key. They are another network's as soon as its hash is another.

    A file that cannot be read or written is as good as none: the features are then computed again.
    """

    def __init__(self, file: Path, network: str, size: int) -> None:
        """``size``: numbers a row. Rows of another size are as good as none."""
        self._file, self._network = file, network
        self._rows: dict[str, NDArray[np.float16]] = {}
        self._new = False
        with contextlib.suppress(OSError, ValueError, KeyError):
            kept = read_arrays(file)
            keys, rows = kept["keys"], kept["features"]
            if str(kept["network"]) == network and rows.dtype == np.float16 and rows.shape == (*keys.shape, size):
                self._rows = dict(zip(keys.tolist(), rows, strict=True))

    def __contains__(self, key: str) -> bool:
        return key in self._rows

    def __getitem__(self, key: str) -> NDArray[np.float32]:
        # What is asked for is put last: the first are dropped where there are too many.
        self._rows[key] = row = self._rows.pop(key)
        return row.astype(np.float32)

    def __setitem__(self, key: str, row: NDArray[np.float32]) -> None:
        self._rows[key] = np.asarray(row, np.float16)
        self._new = True

    def save(self) -> None:
        """Write what is new to disk, at once whole; nothing where nothing is."""
        if not self._new:
            return
        keys = list(self._rows)[-MOST_KEPT:]
        rows = np.stack([self._rows[key] for key in keys])
        with contextlib.suppress(OSError), written_aside(self._file) as aside:  # a folder that may only be read
            np.savez(aside, network=np.array(self._network), keys=np.array(keys), features=rows)
        self._new = False


def key_of(file: Path) -> str:
    """What a picture's features are found by: its name, size, time and a sum of its bytes. A file that is moved to
    another label's folder keeps all four. Raises :class:`OSError` where it cannot be read.

    All pictures of one size have files of one size where they are not compressed, an archive gives them one time, and
    folder after folder may begin with 001.
    """
    found = file.stat()
    checksum = _checksum(file, found.st_ino, found.st_size, found.st_mtime_ns)
    return f"{file.name} {found.st_size} {found.st_mtime_ns} {checksum:08x}"


@functools.lru_cache(2 * MOST_KEPT)
def _checksum(file: Path, _inode: int, size_bytes: int, _mtime_ns: int) -> int:
    """A sum of a file's bytes, of a large one's in pieces all over it: its begin alone may be but a white wall."""
    told = 0
    with file.open("rb", buffering=0) as opened:
        if size_bytes <= _PIECES * _PIECE_BYTES:
            return zlib.crc32(opened.read())
        for number in range(_PIECES):
            opened.seek((size_bytes - _PIECE_BYTES) * number // (_PIECES - 1))
            told = zlib.crc32(opened.read(_PIECE_BYTES), told)
    return told


def of_files(
    features: Features,
    files: Sequence[Path],
    kept: Kept | None = None,
    skipped: list[str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> tuple[list[Path], NDArray[np.float32]]:
    """The features of pictures on disk: the files that could be read, and float32 (n, size), a row for each.

    ``kept``: where features are looked up first and put; it is saved at the end, and once a minute's work or so.
    ``skipped``: gets a line for each file that cannot be read. ``on_progress``: called with the files done and their
    number.
    """
    whole = [(file, "", preprocess.view) for file in files]
    rows: dict[Path, NDArray[np.float32]] = {}
    for (file, _, _), row in each(features, whole, kept, skipped, on_progress):
        rows[file] = row
    found = [file for file in files if file in rows]
    return found, np.stack([rows[file] for file in found]) if found else np.empty((0, features.size), np.float32)


Wanted = tuple[Path, str, Callable[["NDArray[np.uint8]"], "NDArray[np.uint8]"]]
"""A file, a name for how it is looked at (empty: as it is), and what makes the view (160, 160, 3) of its picture."""

_SAVED_EVERY: Final = 40
"""Batches: so much is lost at most where the power fails."""


def each(
    features: Features,
    wanted: Sequence[Wanted],
    kept: Kept | None = None,
    skipped: list[str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Iterator[tuple[Wanted, NDArray[np.float32]]]:
    """The features of each view that is wanted, float32 (size,); views of one file that follow each other read it
    once. See :func:`of_files`."""
    try:
        yield from _each(features, wanted, kept, [] if skipped is None else skipped, on_progress)
    finally:  # after Ctrl-C too: what was computed is found again
        if kept is not None:
            kept.save()


def _each(
    features: Features,
    wanted: Sequence[Wanted],
    kept: Kept | None,
    skipped: list[str],
    on_progress: Callable[[int, int], None] | None,
) -> Iterator[tuple[Wanted, NDArray[np.float32]]]:
    waiting: list[tuple[Wanted, str, NDArray[np.uint8]]] = []
    done, batches = 0, 0
    last: tuple[Path, NDArray[np.uint8] | None] | None = None
    for one in wanted:
        file, how, view = one
        try:
            key = f"{key_of(file)} {how}".rstrip()
        except OSError as error:
            skipped.append(f"{file} cannot be read ({error.strerror})")
            continue
        if kept is not None and key in kept:
            done += 1
            yield one, kept[key]
            continue
        if last is None or last[0] != file:
            try:
                last = file, read_garment(file)
            except BadInputError as error:
                skipped.append(str(error))
                last = file, None
        if last[1] is None:
            continue
        waiting.append((one, key, view(last[1])))
        if len(waiting) == BATCH:
            yield from _computed(features, waiting, kept)
            done, batches, waiting = done + BATCH, batches + 1, []
            if kept is not None and batches % _SAVED_EVERY == 0:
                kept.save()
            if on_progress:
                on_progress(done, len(wanted))
    if waiting:
        yield from _computed(features, waiting, kept)
    if on_progress:
        on_progress(len(wanted), len(wanted))


def _computed(
    features: Features, waiting: list[tuple[Wanted, str, NDArray[np.uint8]]], kept: Kept | None
) -> Iterator[tuple[Wanted, NDArray[np.float32]]]:
    for (one, key, _), row in zip(waiting, features(np.stack([view for _, _, view in waiting])), strict=True):
        if kept is not None:
            kept[key] = row
        yield one, np.asarray(row.astype(np.float16), np.float32)  # as it is found again next time
