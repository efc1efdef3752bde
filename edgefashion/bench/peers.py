"""The runtimes a user would pick instead of OpenVINO, each at its best setting, behind the same call.

For :mod:`edgefashion.bench.run`: same weights, same images, same process layout. The files come from
:mod:`edgefashion.bench.peer_files`, the calls from :mod:`edgefashion.inference.onnx_litert_engine`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bench.peer_files import file_name
from edgefashion.inference import onnx_litert_engine
from edgefashion.inference.classifier import BATCH, image_shape
from edgefashion.system import machine

if TYPE_CHECKING:
    from numpy.typing import NDArray

PEERS: Final = tuple(onnx_litert_engine.TITLES)


class Peer:
    """A peer with one network, once for each batch size that there is a file for.

    Takes uint8 (n, height, width, channels); another number of images than ``batches`` name is cut into
    batches of :data:`edgefashion.inference.classifier.BATCH`.
    """

    def __init__(self, folder: Path, engine: str, precision: str, threads: int, batches: tuple[int, ...]) -> None:
        self._files = {n: folder / file_name(precision, n, engine) for n in {1, BATCH, *batches}}
        self._threads = threads or machine.cores()
        self._opened: dict[int, onnx_litert_engine.Opened] = {}
        self.input_shape = image_shape(self._for(1).taken.shape)
        self.settings: dict[str, Any] = {"threads": self._threads}

    @property
    def runtime_precision(self) -> str:
        """What the runtime says that it multiplies in."""
        return self._for(1).precision()

    def batches(self, tried: Iterable[int]) -> tuple[int, ...]:
        """Of the batch sizes to be tried those that there is a file for."""
        return tuple(n for n in tried if n in self._files)

    def _for(self, batch: int) -> onnx_litert_engine.Opened:
        if batch not in self._opened:
            self._opened[batch] = onnx_litert_engine.open_file(self._files[batch], self._threads)
        return self._opened[batch]

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(images) in self._files:
            return self._for(len(images)).call(images)
        call, parts = self._for(BATCH).call, []
        for at in range(0, len(images), BATCH):
            part = images[at : at + BATCH]
            whole = np.resize(part, (BATCH, *part.shape[1:])) if len(part) < BATCH else part
            parts.append(call(whole)[: len(part)])
        return np.concatenate(parts)
