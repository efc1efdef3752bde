"""ONNX Runtime and LiteRT as engines: a file opened in its runtime, and called in the way that costs least.

For the peers of ``bench``, whose files edgefashion makes itself, and for files made elsewhere. To the latter
:class:`OwnRuntime` gives bytes, and makes probabilities of their answers.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference import preprocess, tensorflow_engine
from edgefashion.inference.classifier import BATCH
from edgefashion.inference.contract import Contract, Quantized
from edgefashion.system import machine
from edgefashion.system.extras import need
from edgefashion.system.text import last_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

SUFFIXES: Final = {"onnxruntime": "onnx", "litert": "tflite"}
ENGINES: Final = {suffix: engine for engine, suffix in SUFFIXES.items()}
TITLES: Final = {"onnxruntime": "ONNX Runtime", "litert": "LiteRT"}
_ARITHMETIC: Final = ("conv", "gemm", "matmul", "fully_connected")
"""What is in the name of every operator that multiplies weights, in either runtime."""

_ONNX_TYPES: Final = {"float": "float32", "double": "float64"}
"""ONNX's names of types where they are not numpy's."""

_PACKAGES: Final = {"ONNX Runtime": "onnxruntime", "LiteRT": "ai-edge-litert"}
_REASON_CHARS: Final = 160


@dataclass(frozen=True)
class Port:
    """The input or output of a file."""

    shape: tuple[int, ...]
    """Of one image, without the batch; 0 where it is open."""
    batch: int | None
    """Images a call; None for as many as come."""
    dtype: np.dtype[Any]
    quantized: Quantized


@dataclass(frozen=True)
class Opened:
    """A file in its runtime."""

    taken: Port
    given: Port
    call: Callable[[NDArray[Any]], NDArray[np.float32]]
    """Answers whole batches of its numbers, in the file's own shape and type, as float32."""
    precision: Callable[[], str]
    """What its convolutions and dense layers run in, in OpenVINO's words: ``f32``, ``i8``, ``f32+u8``. Asking takes
    time and memory, so it is asked after both have been measured."""


def open_file(path: Path, threads: int, output: int = 0) -> Opened:
    """Open an ``.onnx`` or ``.tflite`` file on so many threads, to be asked for its ``output`` of that number.

    Raises :class:`MissingError` without ONNX Runtime or LiteRT, :class:`BadInputError` for tensors of no numbers or a
    file that its runtime cannot run.
    """
    opens = {"onnx": _onnxruntime, "tflite": _litert}[path.suffix[1:]]
    try:
        return opens(path, threads, output)
    except (MissingError, BadInputError):
        raise
    except Exception as error:  # either runtime raises many kinds
        engine = TITLES[ENGINES[path.suffix[1:]]]
        said = last_line(str(error), _REASON_CHARS) or type(error).__name__
        raise BadInputError(
            f"{path.name} cannot be run by {engine} {version(_PACKAGES[engine])} ({said}). "
            "Export it with 32-bit floats and an opset of that version, or upgrade it"
        ) from error


@dataclass(frozen=True)
class Own:
    """A file from elsewhere, to be run by :class:`OwnRuntime`."""

    path: Path
    precision: str
    """What it computes in: fp32, fp16 or int8; ``int8 weights`` where only its weights have 8 bits."""
    contract: Contract

    @property
    def ir_precision(self) -> str:
        """What the IR made of it computes in: int8 where the file does, else fp32."""
        return "int8" if self.precision == "int8" else "fp32"

    @property
    def engine(self) -> str:
        """The runtime it was made for."""
        return ENGINES[self.path.suffix[1:]]

    @property
    def fed(self) -> dict[str, Any]:
        """The further arguments of :class:`OwnRuntime`, as JSON."""
        return {"contract": self.contract.as_json()}


class OwnRuntime:
    """A file from elsewhere in its runtime, fed and read by its contract.

    Takes uint8 (n, 28, 28, 1) and answers probabilities (n, 10). What the file itself does not do is done in numpy.
    ``threads``: 0 means all cores. A file of a fixed batch is given exactly so many images a call, and the last batch
    is filled up. Another file is given up to ``most`` images a call.
    """

    def __init__(self, path: Path, contract: Contract | dict[str, Any], *, threads: int = 1, most: int = BATCH) -> None:
        self._contract = Contract.from_json(contract) if isinstance(contract, dict) else contract
        self._threads = threads or machine.cores()
        self._opened = open_file(path, self._threads, self._contract.output_at)
        self._name = path.name
        self._most = self._opened.taken.batch or most
        self.input_shape: tuple[int, ...] = (preprocess.SIDE_PX, preprocess.SIDE_PX, 1)
        self.settings: dict[str, Any] = {"threads": self._threads}
        taken = self._opened.taken
        self._table = self._contract.table(taken.dtype, taken.quantized)
        plain = self._contract.channels == 1 and not any(self._contract.offset)
        self._bytes = plain and taken.dtype == np.uint8 and np.array_equal(self._table[:, 0], np.arange(256))
        # One multiplication is what a program of one's own would do. It costs a single image less than a table.
        self._factor = np.float32(self._contract.factor[0]) if plain and taken.dtype == np.float32 else None

    @property
    def runtime_precision(self) -> str:
        """What the runtime says it multiplies in."""
        return self._opened.precision()

    def batches(self, tried: Iterable[int]) -> tuple[int, ...]:
        """Those of the batch sizes ``tried`` with which this file can be called."""
        return tuple(tried) if self._opened.taken.batch is None else (self._most,)

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        parts = [self._part(images[at : at + self._most]) for at in range(0, len(images), self._most)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def _part(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        count = len(images)
        if count < (self._opened.taken.batch or 0):
            images = np.resize(images, (self._most, *images.shape[1:]))
        pixels: NDArray[Any] = images
        if self._factor is not None:
            pixels = np.multiply(images, self._factor, dtype=np.float32)
        elif not self._bytes:
            pixels = self._contract.pixels(images, self._table)
        try:
            raw = self._opened.call(pixels).reshape(len(images), -1)[:count]
        except Exception as error:  # either runtime raises many kinds
            said = last_line(str(error), _REASON_CHARS) or type(error).__name__
            raise BadInputError(
                f"{self._name} opens in its own runtime, and fails there ({said}). Export it anew"
            ) from error
        step, zero = self._opened.given.quantized
        if step:
            raw = (raw - np.float32(zero)) * np.float32(step)
        return self._contract.probabilities(raw)


def _precision(operators: Iterable[tuple[str, list[str]]]) -> str:
    """The precisions that arithmetic is done in, of every operator's name and the types of what it takes."""
    seen = set()
    for name, types in operators:
        if any(word in name.lower() for word in _ARITHMETIC):
            # Weights of whole numbers are multiplied as such: what else comes in is quantized on the way.
            seen.add(next((t for t in types[:2] if "int" in t), types[0]))
    for numpys, openvinos in (("bfloat", "bf"), ("float", "f"), ("uint", "u"), ("int", "i")):
        seen = {name.replace(numpys, openvinos) for name in seen}
    return "+".join(sorted(seen)) or "none"


# --- ONNX Runtime ----------------------------------------------------------------------------


def _onnxruntime(path: Path, threads: int, output: int) -> Opened:
    session = _session(path, threads)
    (taken,), given = session.get_inputs(), session.get_outputs()[output]
    port, run, name = _onnx_port(path, taken), session.run, taken.name
    batch, image, dtype, asked = port.batch or -1, port.shape, port.dtype, [given.name]

    def call(pixels: NDArray[Any]) -> NDArray[np.float32]:
        shaped = pixels if pixels.shape[1:] == image else pixels.reshape(batch, *image)
        answer: NDArray[Any] = run(asked, {name: shaped.astype(dtype, copy=False)})[0]
        return answer.astype(np.float32, copy=False)

    return Opened(port, _onnx_port(path, given), call, lambda: _precision(_onnx_operators(path, port)))


def _session(path: Path, threads: int, profile: Path | None = None) -> Any:
    need("onnxruntime", "to run an .onnx file")
    import onnxruntime

    onnxruntime.disable_telemetry_events()  # on Windows they are on

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    if profile is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile)
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _onnx_port(path: Path, port: Any) -> Port:
    """A session's input or output. Its type is said like ``tensor(float16)``, an open size by a name or None."""
    batch, *shape = (size if isinstance(size, int) else 0 for size in port.shape or (0,))
    return Port(tuple(shape), batch or None, _numpy_type(path, port.type[len("tensor(") : -1]), (0.0, 0))


def _numpy_type(path: Path, onnx_type: str) -> np.dtype[Any]:
    try:
        return np.dtype(_ONNX_TYPES.get(onnx_type, onnx_type))
    except TypeError as error:
        raise BadInputError(f"{path} takes or gives {onnx_type}, which numpy has not. Export it with floats") from error


def _onnx_operators(path: Path, taken: Port) -> Iterable[tuple[str, list[str]]]:
    """What ran for one batch, from ONNX Runtime's own profile: it fuses and quantizes operators as it opens a file."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        session = _session(path, 1, Path(folder) / "profile")
        session.run(None, {session.get_inputs()[0].name: np.zeros((taken.batch or 1, *taken.shape), taken.dtype)})
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    for event in events:
        if event.get("cat") == "Node" and (types := event["args"].get("input_type_shape")):
            named = [_ONNX_TYPES.get(name, name) for each in types for name in each]
            yield event["args"]["op_name"], named


# --- LiteRT ----------------------------------------------------------------------------------


def _litert(path: Path, threads: int, output: int) -> Opened:
    need("ai_edge_litert", "to run a .tflite file")
    with tensorflow_engine.no_stderr():  # its greeting
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path), num_threads=threads)
        interpreter.allocate_tensors()
    (taken,), given = interpreter.get_input_details(), interpreter.get_output_details()[output]
    # Views of the interpreter's own memory: set_tensor() and get_tensor() would cost microseconds a call.
    put, get, invoke = interpreter.tensor(taken["index"]), interpreter.tensor(given["index"]), interpreter.invoke
    shape = tuple(int(n) for n in taken["shape"])

    def call(pixels: NDArray[Any]) -> NDArray[np.float32]:
        put()[...] = pixels if pixels.shape == shape else pixels.reshape(shape)
        invoke()
        return np.array(get(), np.float32)

    def operators() -> Iterable[tuple[str, list[str]]]:
        types = {int(t["index"]): np.dtype(t["dtype"]).name for t in interpreter.get_tensor_details()}
        for operator in interpreter._get_ops_details():
            yield operator["op_name"], [types[int(i)] for i in operator["inputs"] if int(i) in types]

    return Opened(_litert_port(taken), _litert_port(given), call, lambda: _precision(operators()))


def _litert_port(details: dict[str, Any]) -> Port:
    batch, *shape = (int(n) for n in details["shape"])
    step, zero = details["quantization"]
    return Port(tuple(shape), batch, np.dtype(details["dtype"]), (float(step), int(zero)))
