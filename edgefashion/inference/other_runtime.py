"""Whether a file from elsewhere that fits in no way fits in the runtime that it was made for: then OpenVINO is why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.errors import BadInputError, EdgeFashionError, GateError
from edgefashion.inference import onnx_litert_engine, tensorflow_engine
from edgefashion.inference.classifier import BATCH
from edgefashion.inference.contract import PLAIN, Quantized
from edgefashion.inference.contract_measure import Network, measure
from edgefashion.inference.onnx_litert_engine import Opened
from edgefashion.inference.told import Told
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray


def true_cause(error: GateError, path: Path, network: Network, said: Told) -> GateError:
    """``error``, which :func:`measure` raised of ``network``, the file as OpenVINO runs it; another one where the
    runtime of an .onnx or .tflite file is installed, and the file fits there."""
    engine = onnx_litert_engine.ENGINES.get(path.suffix[1:])
    if engine is None:
        return error
    try:
        with tensorflow_engine.no_stderr():  # what fails here is no news: ``error`` is raised then
            own = measure(replace(network, ask=_asked_of(path, network)), said)
    except EdgeFashionError:
        return error
    return GateError(
        f"{network.named} fits Fashion-MNIST in {onnx_litert_engine.TITLES[engine]} (pixels of {own.scale}, "
        f"{own.chosen}) and not in OpenVINO {version('openvino')}, which computes a layer of it otherwise. Give the "
        "network as it was before it was quantized or rounded, or export it in another form"
    )


def _asked_of(path: Path, network: Network) -> Callable[[NDArray[Any]], dict[str, NDArray[Any]]]:
    """What asks the file's own runtime as :attr:`Network.ask` asks OpenVINO."""
    names = list(network.ask(np.zeros((1, *network.shape), network.dtype)))
    outputs = {name: onnx_litert_engine.open_file(path, 1, number) for number, name in enumerate(names)}
    return lambda pixels: {name: _answers(opened, pixels) for name, opened in outputs.items()}


def _answers(opened: Opened, pixels: NDArray[Any]) -> NDArray[Any]:
    """As many whole batches as it takes, the last filled up; real numbers (n, ...).

    Raises :class:`BadInputError` for a file that opens in its runtime and fails there: with a batch fixed in its midst.
    """
    batch = opened.taken.batch or min(len(pixels), BATCH)
    filled = np.resize(pixels, (-(-len(pixels) // batch) * batch, *pixels.shape[1:]))
    try:
        parts = [opened.call(filled[at : at + batch]).reshape(batch, -1) for at in range(0, len(filled), batch)]
        return _real(np.concatenate(parts)[: len(pixels)], opened.given.quantized)
    except Exception as error:  # either runtime raises many kinds
        raise BadInputError(f"it fails in its own runtime ({reason_of(error)}). Export it anew") from error


def _real(raw: NDArray[Any], stored: Quantized) -> NDArray[Any]:
    return raw if stored == PLAIN else (raw - np.float32(stored[1])) * np.float32(stored[0])
