"""Models of Fashion-MNIST classifiers made elsewhere, read as an OpenVINO graph or run as they are.

A file's author fed it in some way and read its answers in some way: the contract, see
:mod:`edgefashion.inference.contract`. What is read here takes the toolkit's uint8 images and answers probabilities.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, model_files, onnx_file, resolve
from edgefashion.bundles.facts import takes_photos
from edgefashion.bundles.guard import check
from edgefashion.errors import BadInputError, GateError
from edgefashion.inference import classifier, contract, file_precision, onnx_litert_engine, tensorflow_engine, told
from edgefashion.inference.contract import PLAIN, Contract, Quantized
from edgefashion.inference.contract_graph import with_contract
from edgefashion.inference.contract_hint import hint_of, hint_of_keras
from edgefashion.inference.contract_measure import Network, measure
from edgefashion.inference.other_runtime import true_cause
from edgefashion.inference.told import Told
from edgefashion.inference.whole_numbers import make_exact
from edgefashion.labels import LABELS
from edgefashion.system.text import is_of_texts, openvino_reason

if TYPE_CHECKING:
    from numpy.typing import NDArray

KINDS: Final = resolve.FOREIGN

_measured: dict[tuple[str, Told], Contract] = {}
"""What this process has measured, by the file's hash and what was told: a server loads a model for each thread."""


class PhotoNetworkError(BadInputError):
    """A photo network of ours outside its bundle: it says itself what it takes."""


@dataclass(frozen=True)
class Foreign:
    """A file from elsewhere, read."""

    path: Path
    kind: str
    ir: Any
    """An ``openvino.Model``: uint8 (1, 28, 28, 1) in, float32 probabilities (1, 10) out."""
    contract: Contract
    precision: str
    """What it computes in: fp32, fp16 or int8."""
    rounded: str
    """What is rounded in it, as a phrase; empty for a file of 32-bit floats."""
    network: Network
    """The file itself in OpenVINO."""
    name: str

    @property
    def own(self) -> onnx_litert_engine.Own:
        """The file as its own runtime is told to run it."""
        return onnx_litert_engine.Own(self.path, self.precision, self.contract)

    @property
    def scale(self) -> str:
        """The name of the feed."""
        return self.contract.scale

    @property
    def softmax(self) -> bool:
        """True if the file answers logits: a softmax was added."""
        return self.contract.answer == contract.LOGITS

    @property
    def quantized(self) -> bool:
        """True if it computes in 8 bits already."""
        return self.precision == "int8"

    def in_short(self) -> str:
        """One line on what was found and added."""
        return self.contract.in_short(self.name)

    def run(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The file's own answers to ``images`` (n, 28, 28, 1), probabilities (n, 10), by the runtime it was made for.

        Raises :class:`MissingError` without ONNX Runtime, LiteRT or TensorFlow.
        """
        if self.kind in KINDS:
            return onnx_litert_engine.OwnRuntime(self.path, **self.own.fed)(images)
        if self.kind == "ir":
            table = self.contract.table(self.network.dtype)
            return self.contract.probabilities(
                list(self.network.ask(self.contract.pixels(images, table)).values())[self.contract.output_at]
            )
        original = tensorflow_engine.SavedModel(self.path, Path(self.network.named))
        original.contract = self.contract
        return original(images)


def read(
    path: Path,
    said: Told | None = None,
    *,
    named: Path | None = None,
    by: Contract | None = None,
    vet: Callable[[Any, Path], None] | None = None,
) -> Foreign:
    """Read an ``.onnx`` or ``.tflite`` file, a SavedModel's folder or an IR's ``.xml``.

    ``said`` is what was told of it, else what the command line noted; ``named`` is what errors call the file, where
    ``path`` is a copy of it; ``by`` a contract that is known already; ``vet`` may raise over what was opened.
    What is not told is measured, see :func:`edgefashion.inference.contract_measure.measure`, whose errors are raised.
    Raises :class:`BadInputError` for what cannot be read or is no classifier of ten, :class:`MissingError` without
    LiteRT for a quantized .tflite.
    """
    named = named or path
    said = told.given() if said is None else said
    original = _opened(path, named)
    if vet:
        vet(original, named)
    kind = "saved_model" if path.is_dir() else "ir" if path.suffix == ".xml" else path.suffix[1:]
    ports = _Ports.of(original, path)
    network = ports.network(original, named)
    if by is None:
        key = (model_files.sha256_of(path), said)
        if key not in _measured:
            try:
                _measured[key] = measure(network, said)
            except GateError as error:
                raise true_cause(error, path, network, said) from error
        by = _measured[key]
    at = ports.number_of(by.output, by.output_at)
    by = replace(by, output_at=at, shape=network.shape)
    precision, rounded = file_precision.of(original, path)
    ir = with_contract(original, by, at, ports.stored, ports.answered[at])
    made = Foreign(path, kind, ir, by, precision, rounded, network, named.name)
    told.say(made.in_short(), by.doubt)
    return made


def precision_of(path: Path, named: Path) -> str:
    """What an ``.onnx`` or ``.tflite`` file or an IR computes in: fp32, fp16 or int8. Raises what :func:`read` raises
    for a file that cannot be read."""
    return file_precision.of(_opened(path, named), path)[0]


def contract_of(
    original: tensorflow_engine.SavedModel | tensorflow_engine.KerasCall, path: Path, said: Told
) -> Contract:
    """The contract of a network that TensorFlow runs, measured with it. Raises what :func:`read` raises."""
    key = (model_files.sha256_of(path), said)
    if key not in _measured:
        by_file, hinted = hint_of_keras(original.keras_model)
        shape = original.image_shape_as_it_takes()
        network = Network(str(path), shape, original.dtype, PLAIN, original.ask, by_file, hinted)
        _measured[key] = measure(network, said)
    told.say(_measured[key].in_short(path.name), _measured[key].doubt)
    return _measured[key]


def kept_contract(made: bundle.Bundle) -> Contract | None:
    """By which the original in a bundle is fed and read; None for a network of ours."""
    fed = made.facts.foreign
    if fed is None:
        return None
    try:
        if fed.contract is not None:
            return Contract.from_json(fed.contract)
        if fed.scale in ("0-1", "0-255"):  # as bundles were written before there was more to say
            of = contract.ranged(0, 1 if fed.scale == "0-1" else 255)
            kind = contract.LOGITS if fed.softmax else contract.PROBABILITIES
            return Contract(of.name, of.factor, of.offset, (784,), kind, chosen=fed.chosen or "")
    except ValueError as error:
        raise BadInputError(f"{made.path} does not say how its original is fed ({error}). Convert it again") from error
    raise BadInputError(f"{made.path} does not say how its original is fed. Convert it again")


def original(made: bundle.Bundle) -> onnx_litert_engine.Own | None:
    """The .onnx or .tflite file from elsewhere that a bundle was made from, checked; None for another bundle."""
    kind = next((kind for kind in KINDS if made.has(kind)), None)
    by = kept_contract(made) if kind else None
    if kind is None or by is None or made.facts.foreign is None:
        return None
    path = made.verified(kind)
    check.check(path)
    return onnx_litert_engine.Own(path, made.facts.foreign.precision, by)


def is_foreign(found: resolve.Model) -> bool:
    """True for a model made elsewhere, whose contract has to be found out: in no bundle, and no IR of ours."""
    if found.bundle is not None:
        return False
    return found.kind != "ir" or not _is_ours(found.path)


def _is_ours(xml: Path) -> bool:
    """True for an IR that says itself what it is. Its guard has passed it before it is parsed here."""
    from edgefashion.inference.openvino_engine import read_ir

    check.check(xml)
    ir = read_ir(xml)
    return any(ir.has_rt_info([bundle.RT_INFO, key]) for key in ("labels", "frame")) or _takes_photos(ir)


def _takes_photos(ir: Any) -> bool:
    """True for colour pictures larger than Fashion-MNIST's, in the form that our photo networks take."""
    shape = tuple(int(size) for size in ir.input(0).shape)
    return len(shape) == 4 and takes_photos(shape) and min(shape[1:3]) > contract.SIDE_PX


@contextlib.contextmanager
def temporary_ir(path: Path, said: Told | None = None) -> Iterator[tuple[Path, Foreign]]:
    """A temporary IR of a file from elsewhere, for as long as the block lasts."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        with onnx_file.whole(path) as file:
            theirs = replace(read(file, said, named=path), path=path)  # the original's path is what bench shows
            ir = Path(folder) / "network.xml"
            theirs.ir.set_rt_info(json.dumps(LABELS), [bundle.RT_INFO, "labels"])  # from here on it says what it is
            model_files.save_ir(theirs.ir, ir)
        check.vouch(ir)
        yield ir, theirs


# --- The file as OpenVINO reads it -----------------------------------------------------------


def _opened(path: Path, named: Path) -> Any:
    """The file as an ``openvino.Model`` of batch 1, with one image of 28x28 in."""
    import openvino as ov

    if not path.is_dir():
        check.check(path, named=named)
    try:
        if path.suffix == ".xml":
            ir = ov.Core().read_model(path)
        else:
            with tensorflow_engine.no_stderr():  # a file is tried with every frontend, and each complains
                ir = ov.convert_model(path)
        make_exact(ir)
    except Exception as error:  # the frontends raise bare Exceptions of many kinds
        text = openvino_reason(error).replace(str(path), path.name)
        raise BadInputError(f"{named} cannot be read by OpenVINO ({text}). Export it in another form") from error
    if len(ir.inputs) != 1:
        each = ", ".join(f"{_name(port) or number} {port.get_partial_shape()}" for number, port in enumerate(ir.inputs))
        raise BadInputError(
            f"{named} has {len(ir.inputs)} inputs ({each}); one image is expected. Export it with one, the others fixed"
        )
    taken = ir.input(0).get_partial_shape()
    kind = ir.input(0).get_element_type()
    if not (kind.is_real() or kind.is_integral_number()):
        raise BadInputError(
            f"{named} takes {kind.get_type_name()}, not an image's numbers. Export it with a float or uint8 input"
        )
    if {_name(port) for port in ir.outputs} == {"mask", "probabilities"}:
        raise PhotoNetworkError(f"{named} is a photo network of ours outside its bundle. Give the bundle")
    stated = None
    if not taken.rank.is_dynamic:
        stated = tuple(None if size.is_dynamic else size.get_length() for size in list(taken)[1:])
    shapes = contract.shapes_for(stated)
    for shape in shapes:
        with contextlib.suppress(RuntimeError):
            ir.reshape([1, *shape])
            if _answers_ten(ir) or shape == shapes[-1]:
                return ir
    if shapes:
        raise BadInputError(
            f"{named} takes {taken}, and cannot be run with one image a call. Export it with a dynamic batch"
        )
    raise BadInputError(f"{named} takes {taken}, not 28x28 grey images. Only Fashion-MNIST networks can be converted")


def _answers_ten(ir: Any) -> bool:
    shapes = [port.get_partial_shape() for port in ir.outputs]
    return any(shape.is_static and int(np.prod(shape.to_shape())) == len(LABELS) for shape in shapes)


def _name(port: Any) -> str:
    """A port's plainest name, a signature's before a tensor's; empty where it has none."""
    return str(min(port.get_names(), default="", key=lambda name: (":" in name, len(name), name)))


@dataclass(frozen=True)
class _Ports:
    """What an opened file takes and gives."""

    stored: Quantized
    answered: tuple[Quantized, ...]
    names: tuple[str, ...]

    @classmethod
    def of(cls, ir: Any, path: Path) -> _Ports:
        types = [port.get_element_type() for port in (*ir.inputs, *ir.outputs)]
        names = tuple(_name(port) or f"output_{number}" for number, port in enumerate(ir.outputs))
        stored, answered = PLAIN, tuple(PLAIN for _ in names)
        if path.suffix == ".tflite" and any(kind.is_integral() for kind in types):
            opened = [onnx_litert_engine.open_file(path, 1, number) for number in range(len(names))]
            stored, answered = opened[0].taken.quantized, tuple(one.given.quantized for one in opened)
        return cls(stored, answered, names)

    def number_of(self, name: str, otherwise: int) -> int:
        """The number of the output called so."""
        return self.names.index(name) if name in self.names else min(otherwise, len(self.names) - 1)

    def network(self, ir: Any, named: Path) -> Network:
        """The file as it is, to be measured."""
        import openvino as ov

        shape = tuple(int(size) for size in ir.input(0).shape)[1:]
        many = _without_bfloat16(ir)
        dtype = many.input(0).get_element_type().to_dtype()
        batch = 1
        with contextlib.suppress(RuntimeError):
            many.reshape([classifier.BATCH, *shape])
            batch = classifier.BATCH
        many.reshape([batch, *shape])
        config = {"INFERENCE_PRECISION_HINT": "f32"}
        try:
            compiled = ov.Core().compile_model(many, "CPU", config)
        except RuntimeError as error:
            raise BadInputError(
                f"{named} cannot be run by OpenVINO ({openvino_reason(error)}). Export it in another form"
            ) from error

        def ask(pixels: NDArray[Any]) -> dict[str, NDArray[Any]]:
            parts: list[list[NDArray[Any]]] = []
            for at in range(0, len(pixels), batch):
                part = pixels[at : at + batch]
                full = (
                    part if len(part) == batch else np.concatenate([part, np.repeat(part[-1:], batch - len(part), 0)])
                )
                answer = compiled(full)
                parts.append([_of(answer[number], batch)[: len(part)] for number in range(len(self.names))])
            whole = (np.concatenate(each) for each in zip(*parts, strict=True))
            return {
                name: (raw - np.float32(q[1])) * np.float32(q[0]) if q[0] else raw
                for name, raw, q in zip(self.names, whole, self.answered, strict=True)
            }

        by_file, hinted = hint_of(ir, dtype, self.stored)
        return Network(str(named), shape, dtype, self.stored, ask, by_file, hinted)


def _without_bfloat16(ir: Any) -> Any:
    """A copy that takes and gives float32 in place of bfloat16: numpy has no such numbers, and OpenVINO would take
    float16's bits for them."""
    import openvino as ov
    from openvino.preprocess import PrePostProcessor

    turned = PrePostProcessor(ir.clone())
    if ir.input(0).get_element_type() == ov.Type.bf16:
        turned.input(0).tensor().set_element_type(ov.Type.f32)
    for number, port in enumerate(ir.outputs):
        if port.get_element_type() == ov.Type.bf16:
            turned.output(number).tensor().set_element_type(ov.Type.f32)
    return turned.build()


def _of(answer: NDArray[Any], batch: int) -> NDArray[Any]:
    """A whole batch's answers as float (batch, ...); those that do not go by the batch, and texts, as a row each of
    none."""
    if is_of_texts(answer):
        return np.zeros((batch, 0), np.float32)
    if answer.ndim and len(answer) == batch:
        return answer.astype(np.float32)
    if answer.size % batch == 0 and answer.size == batch * len(LABELS):
        return answer.reshape(batch, -1).astype(np.float32)
    return np.zeros((batch, 0), np.float32)
