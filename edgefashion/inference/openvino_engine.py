"""OpenVINO as an engine: an IR compiled and run, uint8 images in, probabilities out.

It is called in the way that costs least: static shapes (a dynamic one is slower, and INT8 with one has crashed on AMX),
one thread for a single image, input and output tensors bound once.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np

from edgefashion.bundles.facts import Thresholds
from edgefashion.bundles.rt_facts import rt_fact
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference.classifier import BATCH, Done, Failed, image_shape
from edgefashion.inference.decision import Rule
from edgefashion.inference.device import CPU, Device, in_force
from edgefashion.inference.openvino_import import openvino

if TYPE_CHECKING:
    from numpy.typing import NDArray


FRAME: Final = "frame"
"""The key in our section of rt_info by which an IR says that it takes whole camera frames (``convert --embed``). Its
value has their size and colour order."""


def compile_config(precision: str, purpose: str, threads: int, *, one_image: bool = False) -> dict[str, Any]:
    """The settings with which OpenVINO compiles a network for the CPU. ``Device.settings`` makes another device's.
    ``purpose`` is latency or throughput; ``threads`` 0 is all cores."""
    return {
        # Always given: by default the plugin runs FP32 in BF16 on a CPU that has it.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": purpose.upper(),
        "INFERENCE_NUM_THREADS": threads,
        # With pinning every call binds the thread to its core: 2 us of a small network's 65.
        **({"ENABLE_CPU_PINNING": False} if one_image else {}),
    }


def cpu_has_bf16() -> bool:
    """True if OpenVINO can run in BF16 on this CPU."""
    return "BF16" in openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoRunner:
    """An IR, compiled for one image at once and, when a batch first comes, for 64."""

    def __init__(
        self,
        path: Path,
        precision: str,
        purpose: str,
        threads: int | None,
        meanwhile: Callable[[], object] | None = None,
        device: Device = CPU,
    ) -> None:
        """``meanwhile`` is called once, while the network is compiled."""
        if purpose not in ("latency", "throughput"):
            raise BadInputError(f"no purpose named {purpose!r}. Known: latency, throughput")
        if precision == "bf16" and not device.may_be_cpu:
            raise BadInputError(f"BF16 is for the CPU, not for {device.name}. Leave one of the two out")
        if precision == "bf16" and not cpu_has_bf16():
            raise MissingError("this CPU cannot run BF16. Use --precision fp32 or int8")
        self._core = openvino().Core()
        self._path = path
        self.device = device
        self._model = read_ir(path)
        if _rt_info(self._model, path, FRAME, None):
            raise BadInputError(
                f"{path} takes whole camera frames, for programs that run OpenVINO without edgefashion. "
                "Give the bundle it lies in, or another of its IRs"
            )
        if not any(len(port.get_partial_shape()) == 2 for port in self._model.outputs):
            raise BadInputError(f"{path} gives no probabilities: it is no classifier. Give the bundle it lies in")
        self.labels: tuple[str, ...] = tuple(_rt_info(self._model, path, "labels", ()))
        self.rule = _rule(self._model, path)
        self.classes = int(self._model.output(_answer_at(self._model)).get_partial_shape()[1].get_length())
        self._shape = tuple(int(n) for n in self._model.input(0).shape)[1:]
        self.input_shape = image_shape(self._shape)
        self._precision = precision
        self._batch_threads = threads or 0
        self._single: dict[tuple[int, ...], _Bound] = {}
        self._batched: dict[tuple[int, ...], _Bound | _Queue] = {}
        self._purpose = purpose
        self._one_image_threads = 1 if threads is None else threads
        compiling = functools.partial(self._for, 1 if purpose == "latency" else BATCH, self._shape)
        self._compiled = (_beside(compiling, meanwhile) if meanwhile else compiling()).compiled

    @functools.cached_property
    def settings(self) -> dict[str, Any]:
        """The settings in force. Worked out when first asked for, as the next one: to answer, neither is needed."""
        return self.settings_now()

    def settings_now(self) -> dict[str, Any]:
        """The settings in force, asked for anew: AUTO may change between devices."""
        return _settings(self._compiled, self._purpose, self.device)

    @functools.cached_property
    def runtime_precision(self) -> str:
        """What the layers that do the arithmetic run in."""
        return _runtime_precision(self._compiled) or ("none" if self.device.is_cpu else "not told")

    def _for(self, images: int, shape: tuple[int, ...]) -> _Bound | _Queue:
        """The network compiled for so many images of ``shape``; it is compiled when first asked for.

        A fully convolutional network is used with two shapes: photos, and Fashion-MNIST's images enlarged.
        """
        if images < BATCH and self._purpose == "latency":
            if shape not in self._single:
                config = compile_config(self._precision, self._purpose, self._one_image_threads, one_image=True)
                self._single[shape] = _Bound(self._compile(1, shape, config), self.device)
            return self._single[shape]
        if shape not in self._batched:
            # On all cores: unlike one small image, a whole batch gains from them.
            config = compile_config(self._precision, self._purpose, self._batch_threads)
            try:
                compiled = self._compile(BATCH, shape, config)
            except BadInputError:  # of a model made elsewhere that has its batch of one written into it
                compiled = self._compile(1, shape, config)
            queued = self._purpose == "throughput"
            self._batched[shape] = _Queue(compiled) if queued else _Bound(compiled, self.device)
        return self._batched[shape]

    def _compile(self, batch: int, shape: tuple[int, ...], config: dict[str, Any]) -> Any:
        model = self._model.clone()
        try:
            model.reshape([batch, *shape])
            return self.device.compile(self._core, model, config)
        except RuntimeError as error:
            size = " x ".join(map(str, (batch, *shape)))
            raise BadInputError(f"{self._path} cannot be run on images of {size}. Convert its model again") from error

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        # For images of the network's size its own shape, which may be (28, 28) or a flat 784.
        shape = self._shape if images.shape[1:] == self.input_shape else images.shape[1:]
        return self._for(len(images), shape)(images)

    def starts(self, images: NDArray[np.uint8], done: Done, failed: Failed) -> bool:
        """Begin a batch; False where there is no queue to begin it in, or where its requests take fewer images: of a
        model made elsewhere that has its batch of one written into it."""
        queue = self._for(BATCH, self._shape) if self._purpose == "throughput" else None
        if not isinstance(queue, _Queue) or images.shape[1:] != self.input_shape or len(images) > queue.batch:
            return False
        queue.start(images, done, failed)
        return True

    def wait(self) -> None:
        """Wait for every batch begun."""
        for queue in self._batched.values():
            if isinstance(queue, _Queue):
                queue.wait()

    @property
    def request(self) -> Any:
        """The inference request that answers a single image."""
        bound = self._for(1, self._shape)
        assert isinstance(bound, _Bound)
        return bound.request

    def look(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities (n, classes) and masks (n, rows, columns), one image after the other."""
        bound = self._for(1, self._shape if images.shape[1:] == self.input_shape else images.shape[1:])
        if isinstance(bound, _Queue) or bound.mask is None:
            raise BadInputError("this IR gives no mask. Load the bundle for latency, or convert it again")
        seen = [(bound(images[i : i + 1])[0], bound.mask[0, ..., 0].copy()) for i in range(len(images))]
        return np.stack([probabilities for probabilities, _ in seen]), np.stack([mask for _, mask in seen])


_T = TypeVar("_T")


def _beside(work: Callable[[], _T], meanwhile: Callable[[], object]) -> _T:
    """Do ``work`` in a thread of its own and ``meanwhile`` in this one, and give what ``work`` gives. OpenVINO compiles
    without holding Python's lock, so that both go on at once. Raises what either raises."""
    given: list[_T] = []
    raised: list[BaseException] = []

    def do() -> None:
        try:
            given.append(work())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=do, name="compile")
    thread.start()
    try:
        meanwhile()
    finally:
        thread.join()
    if raised:
        raise raised[0]
    return given[0]


class _Bound:
    """One request whose input and output tensors are bound once; images are copied in."""

    def __init__(self, compiled: Any, device: Device) -> None:
        import openvino as ov

        self.compiled = compiled
        self.request = compiled.create_infer_request()
        self._run = _bare_infer(self.request)
        port = compiled.input(0)
        bound = np.zeros(tuple(port.shape), port.element_type.to_dtype())
        self.request.set_input_tensor(ov.Tensor(bound, shared_memory=True))
        self._batch, *shape = bound.shape
        # A view of the same memory, shaped like an image whatever the network's own shape is.
        self._input = bound.reshape(self._batch, *image_shape(tuple(shape)))
        self._answer_at = _answer_at(compiled)
        self._mask_at = next((i for i, port in enumerate(compiled.outputs) if len(port.shape) == 4), None)
        self._stays = device.is_cpu
        self._bind_outputs()

    def _bind_outputs(self) -> None:
        self._output = self.request.get_output_tensor(self._answer_at).data
        self.mask = None if self._mask_at is None else self.request.get_output_tensor(self._mask_at).data
        """The last image's mask (1, rows, columns, 1), overwritten by the next; None without one."""

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(images) == self._batch:
            self._input[...] = images
            self._infer()
            return np.array(self._output)
        probabilities = np.empty((len(images), self._output.shape[1]), np.float32)
        for at in range(0, len(images), self._batch):
            part = images[at : at + self._batch]
            self._input[: len(part)] = part  # the answers to what an earlier batch left behind are not read
            self._infer()
            probabilities[at : at + len(part)] = self._output[: len(part)]
        return probabilities

    def _infer(self) -> None:
        # Not start_async() and wait(): a small network is done before another thread has woken up.
        self._run({}, True, False)
        if not self._stays:  # AUTO may have gone over to another device, and the answer lies elsewhere
            self._bind_outputs()


def _bare_infer(request: Any) -> Callable[[dict[str, Any], bool, bool], object]:
    """The binding's own ``infer`` of a request: what it is given, whether its outputs are shared, whether texts are
    decoded. What OpenVINO's Python puts around it, for inputs that are not bound, takes 2 us of a small network's 65.
    """
    from openvino._pyopenvino import InferRequest

    return functools.partial(InferRequest.infer, request)


def _answer_at(network: Any) -> int:
    """Which output holds the probabilities: the one of (n, classes)."""
    return next(i for i, port in enumerate(network.outputs) if len(port.get_partial_shape()) == 2)


class _Queue:
    """OpenVINO's asynchronous queue: as many batches in flight as the CPU has streams for."""

    def __init__(self, compiled: Any) -> None:
        import openvino as ov

        self.compiled = compiled
        self._queue = ov.AsyncInferQueue(compiled)
        self._queue.set_callback(lambda request, take: take(request))
        self._answer_at = _answer_at(compiled)
        self._mask_at = next((i for i, port in enumerate(compiled.outputs) if len(port.shape) == 4), None)
        self._shape = tuple(compiled.input(0).shape)
        self.batch = int(self._shape[0])
        """Images that a request takes."""
        self._dtype = compiled.input(0).element_type.to_dtype()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities = np.empty((len(images), self.compiled.output(self._answer_at).shape[1]), np.float32)
        for at in range(0, len(images), self.batch):
            part = images[at : at + self.batch]
            self._begin(part, functools.partial(self._collect, probabilities[at : at + len(part)]))
        self._queue.wait_all()
        return probabilities

    def start(self, images: NDArray[np.uint8], done: Done, failed: Failed) -> None:
        """Begin a batch, ``self.batch`` images at most; ``done`` is called from a thread of the queue's, or ``failed``
        with what went wrong."""

        def take(request: Any) -> None:
            # Nothing may be raised into OpenVINO. It would tell of it at the next start only, or end the process.
            try:
                answers = np.array(request.get_output_tensor(self._answer_at).data[: len(images)])
                masks = request.get_output_tensor(self._mask_at).data if self._mask_at is not None else None
                done(answers, None if masks is None else np.array(masks[: len(images), ..., 0]))
            except BaseException as error:
                failed(error)

        self._begin(images, take)

    def wait(self) -> None:
        self._queue.wait_all()

    def _begin(self, images: NDArray[np.uint8], take: Callable[[Any], None]) -> None:
        missing = self.batch - len(images)
        if missing:
            images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), images.dtype)])
        self._queue.start_async(np.ascontiguousarray(images, self._dtype).reshape(self._shape), take)

    def _collect(self, probabilities: NDArray[np.float32], request: Any) -> None:
        probabilities[...] = request.get_output_tensor(self._answer_at).data[: len(probabilities)]


def read_ir(path: Path) -> Any:
    """Read an IR as an ``openvino.Model``; raises :class:`BadInputError` if it is none."""
    try:
        core = openvino().Core()
        # On Windows a mapped file of weights could not be renamed or replaced while the model lives.
        core.set_property({"ENABLE_MMAP": False})
        model = core.read_model(path)
    except RuntimeError as error:
        raise BadInputError(f"{path} is no IR OpenVINO can read. Convert the model again") from error
    shape = model.input(0).get_partial_shape()
    if shape.rank.is_dynamic or any(d.is_dynamic for d in list(shape)[1:]):
        raise BadInputError(f"{path} has a dynamic input {shape}. Convert it with a fixed image size")
    if shape[0].is_dynamic:
        model.reshape([1, *list(shape)[1:]])
    return model


def _rt_info(model: Any, path: Path, key: str, otherwise: Any) -> Any:
    """A fact an IR made here carries in its rt_info; ``otherwise`` for another's. Raises :class:`BadInputError`."""
    try:
        return rt_fact(model, key, otherwise)
    except ValueError as error:
        raise BadInputError(f"{path}: {error}. Convert its model again") from error


def _rule(model: Any, path: Path) -> Rule:
    """By what the answers of an IR made here count; of another's IR they all count."""
    told = _rt_info(model, path, "thresholds", {})
    try:
        return Rule.of(Thresholds.from_json({"accept": 0.0, **told} if isinstance(told, dict) else told))
    except ValueError as error:
        raise BadInputError(f"{path} has thresholds that are none: {error}. Convert its model again") from error


def _settings(compiled: Any, purpose: str, device: Device) -> dict[str, Any]:
    return {
        "purpose": purpose,
        "batch": int(compiled.input(0).shape[0]),
        **in_force(device, compiled),
        "kernels": sorted({info["primitiveType"].astype(str) for info in _arithmetic(compiled)}),
    }


def _runtime_precision(compiled: Any) -> str:
    """The precisions of the layers that do the arithmetic, from the executed graph."""
    return "+".join(sorted({_ran_in(info).lower() for info in _arithmetic(compiled)}))


def _ran_in(layer: Any) -> str:
    precision, kernel = (layer[name].astype(str) for name in ("runtimePrecision", "primitiveType"))
    # Of an FP16 IR the plugin names the weights' precision, whatever the kernel computes in.
    return "f32" if precision == "f16" and kernel.endswith("_f32") else precision


def _arithmetic(compiled: Any) -> list[Any]:
    """What the executed graph says of each layer that does the arithmetic."""
    heavy = {"Convolution", "FullyConnected", "MatMul", "Deconvolution"}
    told = {"layerType", "primitiveType", "runtimePrecision"}
    try:
        every = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
    except RuntimeError:  # an NPU keeps its graph to itself
        return []
    return [info for info in every if told <= set(info) and info["layerType"].astype(str) in heavy]
