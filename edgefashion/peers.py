"""The runtimes a user would pick instead of OpenVINO, each at its best setting, behind the same call.

For :mod:`edgefashion.bench`: same weights, same images, same process layout. The files come from
:mod:`edgefashion.peer_files`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion import machine
from edgefashion.errors import need
from edgefashion.originals import BATCH, image_shape
from edgefashion.peer_files import file_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

PEERS: Final = ("onnxruntime", "litert")


class Peer:
    """A peer with one network, once for each batch size that there is a file for.

    Takes uint8 (n, height, width, channels); another number of images than ``batches`` name is cut into
    batches of :data:`edgefashion.originals.BATCH`.
    """

    def __init__(self, folder: Path, engine: str, precision: str, threads: int, batches: tuple[int, ...]) -> None:
        self._open = {"onnxruntime": _onnxruntime, "litert": _litert}[engine]
        self._files = {n: folder / file_name(precision, n, engine) for n in {1, BATCH, *batches}}
        self._threads = threads or machine.cores()
        self._static: dict[int, _Static] = {}
        self.input_shape = image_shape(self._for(1).shape[1:])
        self.settings: dict[str, Any] = {"threads": self._threads}
        self.runtime_precision = "i8" if precision == "int8" else "f32"

    def _for(self, batch: int) -> _Static:
        if batch not in self._static:
            self._static[batch] = self._open(self._files[batch], self._threads)
        return self._static[batch]

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(images) in self._files:
            return self._for(len(images)).run(images)
        run, parts = self._for(BATCH).run, []
        for at in range(0, len(images), BATCH):
            part = images[at : at + BATCH]
            whole = np.resize(part, (BATCH, *part.shape[1:])) if len(part) < BATCH else part
            parts.append(run(whole)[: len(part)])
        return np.concatenate(parts)


@dataclass(frozen=True)
class _Static:
    """One file: the shape it takes, and the call."""

    shape: tuple[int, ...]
    run: Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def _onnxruntime(path: Path, threads: int) -> _Static:
    need("onnxruntime", "to measure ONNX Runtime")
    import onnxruntime as ort

    ort.disable_telemetry_events()  # on Windows they are on
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (port,) = session.get_inputs()
    name, shape = port.name, tuple(port.shape)
    dtype = np.uint8 if port.type == "tensor(uint8)" else np.float32
    run = session.run

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        shaped = images if images.shape == shape else images.reshape(shape)
        probabilities: NDArray[np.float32] = run(None, {name: shaped.astype(dtype, copy=False)})[0]
        return probabilities

    return _Static(shape, answer)


def _litert(path: Path, threads: int) -> _Static:
    need("ai_edge_litert", "to measure LiteRT")
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=threads)
    interpreter.allocate_tensors()
    (taken,), (given,) = interpreter.get_input_details(), interpreter.get_output_details()
    shape = tuple(int(n) for n in taken["shape"])
    # Views of the interpreter's own memory: set_tensor() and get_tensor() would cost microseconds a call.
    put, get, invoke = interpreter.tensor(taken["index"]), interpreter.tensor(given["index"]), interpreter.invoke

    def answer(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        put()[...] = images if images.shape == shape else images.reshape(shape)
        invoke()
        return np.array(get(), np.float32)

    return _Static(shape, answer)
