"""The runtimes a user would pick instead of OpenVINO, each at its best setting, behind the same call.

For :mod:`edgefashion.bench.run`: same weights, same images, same process layout. The files come from
:mod:`edgefashion.bench.peer_conversion`, the calls from :mod:`edgefashion.inference.onnx_litert_engine`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import numpy as np

from edgefashion.bench.peer_files import file_name
from edgefashion.inference import onnx_litert_engine
from edgefashion.inference.classifier import BATCH, image_shape
from edgefashion.inference.preprocess import FASHION_PX
from edgefashion.system import machine

if TYPE_CHECKING:
    from numpy.typing import NDArray

PEERS: Final = tuple(onnx_litert_engine.TITLES)


@runtime_checkable
class BatchesRunner(Protocol):
    """A Runner that is best called with batches of certain sizes. It names this alone, for asking whether something is
    such a Runner would work out ``runtime_precision`` too, which takes a peer seconds."""

    def batches(self, tried: Iterable[int]) -> tuple[int, ...]:
        """Of the batch sizes to be tried those that it can be called with."""
        ...


class Peer:
    """A peer with one network, once for each batch size that there is a file for.

    Takes uint8 (n, height, width, channels); another number of images than ``batches`` name is cut into
    batches of :data:`edgefashion.inference.classifier.BATCH`. A photo network takes Fashion-MNIST's enlarged images
    too, which are smaller than photos, if a file was made for them.
    """

    def __init__(self, folder: Path, engine: str, precision: str, threads: int, batches: tuple[int, ...]) -> None:
        self._files = {n: folder / file_name(precision, n, engine) for n in {1, BATCH, *batches}}
        self._fashion = folder / file_name(precision, BATCH, engine, FASHION_PX)
        self._threads = threads or machine.cores()
        self._opened: dict[Path, onnx_litert_engine.Opened] = {}
        self.input_shape = image_shape(self._open(self._files[1]).taken.shape)
        self.settings: dict[str, Any] = {"threads": self._threads}

    @property
    def runtime_precision(self) -> str:
        """What the runtime says that it multiplies in."""
        return self._open(self._files[1]).precision()

    def batches(self, tried: Iterable[int]) -> tuple[int, ...]:
        """Of the batch sizes to be tried those that there is a file for."""
        return tuple(n for n in tried if n in self._files)

    def _open(self, file: Path) -> onnx_litert_engine.Opened:
        if file not in self._opened:
            self._opened[file] = onnx_litert_engine.open_file(file, self._threads)
        return self._opened[file]

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if images.shape[1:] != self.input_shape:
            return _in_batches(self._open(self._fashion), images)
        if len(images) in self._files:
            return self._open(self._files[len(images)]).call(images)
        return _in_batches(self._open(self._files[BATCH]), images)


def _in_batches(opened: onnx_litert_engine.Opened, images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The answers of a file that takes ``BATCH`` images a call, the last ones filled up."""
    parts = []
    for at in range(0, len(images), BATCH):
        part = images[at : at + BATCH]
        whole = np.resize(part, (BATCH, *part.shape[1:])) if len(part) < BATCH else part
        parts.append(opened.call(whole)[: len(part)])
    return np.concatenate(parts)
