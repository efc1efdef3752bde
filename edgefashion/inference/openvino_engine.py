"""``load(model)`` to a callable: uint8 images in, probabilities out, whatever runs underneath.

OpenVINO is called the way that costs least: static shapes (a dynamic one is slower, and INT8 with
one has crashed on AMX), one thread for a single image, input and output tensors bound once.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import numpy as np

from edgefashion.bundles import bundle
from edgefashion.errors import BadInputError, MissingError, without_password
from edgefashion.inference import preprocess, tensorflow_engine
from edgefashion.inference.remote import address
from edgefashion.inference.tensorflow_engine import BATCH, image_shape
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from numpy.typing import NDArray

ENGINES: Final = ("openvino", "tensorflow", "keras", "keras-predict")
PRECISIONS: Final = ("fp32", "fp16", "bf16", "int8")
PIXELS: Final = "uint8 intensity 0 to 255, NHWC, garment bright on a background of 0; scaled inside the graph"
"""The pixel contract of a Fashion-MNIST network, in one sentence."""

PHOTO_PIXELS: Final = "uint8 RGB 0 to 255, NHWC, the photo as it is resized to the input; scaled inside the graph"
"""The pixel contract of a photo network. Fashion-MNIST's images it gets negated and enlarged."""

RT_INFO: Final = "edgefashion"
"""The section of an IR's rt_info that holds our own facts, as JSON."""

FRAME: Final = "frame"
"""The key there of an IR that takes whole camera frames (``convert --embed``): its size and colour order."""


Done = Callable[["NDArray[np.float32]", "NDArray[np.float32] | None"], None]
"""Takes probabilities (n, classes) and a photo network's masks (n, h/8, w/8)."""

Failed = Callable[[BaseException], None]
"""Takes what went wrong in a thread that nobody waits for."""


class Runner(Protocol):
    """One engine with one network loaded. Batches arrive as uint8 (n, height, width, channels)."""

    input_shape: tuple[int, ...]
    settings: dict[str, Any]

    @property
    def runtime_precision(self) -> str: ...

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]: ...


@runtime_checkable
class MaskRunner(Runner, Protocol):
    """A Runner that tells of a photo where the garment is, too."""

    def look(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities (n, classes) and masks (n, rows, columns)."""
        ...


@runtime_checkable
class StartRunner(Runner, Protocol):
    """A Runner that may answer batches in threads of its own."""

    def starts(self, images: NDArray[np.uint8], done: Done, failed: Failed) -> bool:
        """Begin a batch; False, and nothing done, where there is no queue to begin it in."""
        ...

    def wait(self) -> None:
        """Wait for every batch begun. Raises what inferring one raised."""
        ...


@dataclass(frozen=True)
class Classifier:
    """A loaded network. Call it with images; read from it what is running.

    Make one with :func:`load`.
    """

    name: str
    labels: tuple[str, ...]
    engine: str
    precision: str
    """What was asked for: fp32, fp16, bf16 or int8."""
    accept_threshold: float
    """Confidence from which an answer counts (0.0 where the model brings none)."""
    source: Path | None
    """What it was read from; None for a model that another machine serves."""
    run: Runner = field(repr=False)

    @property
    def takes_photos(self) -> bool:
        """True for a photo network: RGB pictures as they are, not garments cut out in grey."""
        return self.run.input_shape[-1] == 3

    @property
    def runtime_precision(self) -> str:
        """What the convolutions and dense layers really run in, as the runtime reports it."""
        return self.run.runtime_precision

    @property
    def settings(self) -> dict[str, Any]:
        """The runtime settings in force (threads, streams, hints)."""
        return self.run.settings

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(height, width, channels) of one image."""
        return self.run.input_shape

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Classify uint8 images, (n, h, w, c), (n, h, w) or one (h, w): probabilities (n, classes).

        Pixels are intensities 0 to 255, the garment bright on 0; a photo network's are RGB, and it
        takes Fashion-MNIST's (n, 28, 28, 1) too. Raises :class:`BadInputError` for another dtype
        or shape.
        """
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
            got = getattr(images, "dtype", type(images).__name__)
            raise BadInputError(f"images must be a uint8 array of intensities 0 to 255, not {got}. Do not scale them")
        return self.run(self._as_batch(images))

    def look(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A photo network's whole answer for one uint8 (h, w, 3): probabilities (classes,) and
        the mask (h/8, w/8), the probability that a cell shows the garment.

        Raises :class:`BadInputError` for a network that has no mask.
        """
        probabilities, masks = self._looked(self._as_batch(image))
        return probabilities[0], masks[0]

    def start(self, images: NDArray[np.uint8], done: Done, failed: Failed) -> None:
        """Hand over uint8 images (n, h, w, c), 64 at most, and go on; ``done`` is called with their answers.

        Of a network loaded for throughput it is called from another thread, and this only waits while all streams
        are at work; what ``done`` raises there is given to ``failed``, and a mask is None where the network has none.
        Of another it is called before this returns, which raises what it raises. Raises :class:`BadInputError` for
        more images, and for a photo network without a mask that is not loaded for throughput.
        """
        images = self._as_batch(images)
        if len(images) > BATCH:
            raise BadInputError(f"{len(images)} images are more than a batch. Start {BATCH} at a time")
        if isinstance(self.run, StartRunner) and self.run.starts(images, done, failed):
            return
        if not self.takes_photos:
            done(self.run(images), None)
            return
        done(*self._looked(images))

    def _looked(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if not isinstance(self.run, MaskRunner) or not self.takes_photos:
            raise BadInputError(f"{self.name} run by {self.engine} gives no mask. Use a photo network's IR")
        return self.run.look(images)

    def wait(self) -> None:
        """Wait until everything started is done. Raises what inferring it raised."""
        if isinstance(self.run, StartRunner):
            self.run.wait()

    def _as_batch(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        shape = self.run.input_shape
        if images.shape[1:] == shape:
            return images
        if self.takes_photos:
            if images.shape == shape:
                return images[None]
            fashion = (preprocess.SIDE_PX, preprocess.SIDE_PX)
            if images.shape[1:] in (fashion, (*fashion, 1)) or images.shape == (*fashion, 1):
                return preprocess.as_photos(images.reshape(-1, *fashion, 1))
        grey = shape[:-1] if shape[-1] == 1 else None
        if images.shape in (shape, grey) or images.shape[1:] == grey:
            return images.reshape(-1, *shape)
        wanted = ", ".join(str(n) for n in shape)
        raise BadInputError(f"images must have shape (n, {wanted}), not {images.shape}")


def load(
    model: str | Path = bundle.DEFAULT_MODEL,
    *,
    engine: str | None = None,
    precision: str | None = None,
    purpose: str = "latency",
    threads: int | None = None,
) -> Classifier:
    """Load MODEL (a bundle's name, a path to a bundle, SavedModel, .keras or IR, or the URL of a served one,
    which comes with its own engine and precision).

    ``engine``: by default OpenVINO where there is an IR, else what the file is for; an ``.onnx`` or
    ``.tflite`` file is converted in memory.
    ``precision``: by default the best IR the bundle has, INT8 before FP32; ``"bf16"`` runs the
    FP32 IR in BF16. ``purpose``: ``"latency"`` answers one image soonest, ``"throughput"`` most
    images a second; the classifier's ``settings`` say what was picked for it. ``threads``: 0 means all
    cores, None one for a single image and all for a batch.
    An IR that did not ship with the package is tried in a child first, once a machine: see
    :mod:`edgefashion.bundles.guard.check`. Raises :class:`BadInputError` for a model that cannot be used,
    :class:`MissingError` for an engine or precision this machine lacks.
    """
    if address.is_url(model):
        from edgefashion.inference.remote import engine as remote  # here: the other engines' start must not pay for it

        if engine or precision or threads is not None:
            raise BadInputError(
                f"{without_password(str(model))}: its server chooses engine, precision and threads. Leave them out"
            )
        return remote.load(str(model), purpose=purpose)
    found = bundle.resolve(model)
    engine = engine or {"saved_model": "tensorflow", "keras": "keras"}.get(found.kind, "openvino")
    if engine not in ENGINES:
        raise BadInputError(f"no engine named {engine!r}. Known: {', '.join(ENGINES)}")
    if precision is not None and precision not in PRECISIONS:
        raise BadInputError(f"no precision named {precision!r}. Known: {', '.join(PRECISIONS)}")
    if engine == "openvino" and found.kind in bundle.FOREIGN:
        from edgefashion.inference import foreign_files  # here, for the same reason as the guard below

        precision = precision or "fp32"
        if precision not in ("fp32", "bf16"):
            raise BadInputError(f"{found.path} has no {precision}. Run: edgefashion convert {found.path} --int8")
        with foreign_files.temporary_ir(found.path) as (path, _):
            run: Runner = _OpenVino(path, precision, purpose, threads)
        path = found.path
    elif engine == "openvino":
        path, precision = _ir(found, precision)
        if not bundle.is_shipped(path):
            from edgefashion.bundles.guard import check  # here: the shipped bundles' start must not pay for it

            check.check(path)
        run = _OpenVino(path, precision, purpose, threads)
    else:
        if precision not in (None, "fp32"):
            raise BadInputError(f"{engine} runs the original in fp32, not {precision}. Leave --precision out")
        precision = "fp32"
        path = _original(found, engine)
        runners: dict[str, Callable[[Path], Runner]] = {
            "tensorflow": tensorflow_engine.SavedModel,
            "keras": tensorflow_engine.KerasCall,
            "keras-predict": tensorflow_engine.KerasPredict,
        }
        run = runners[engine](path)
    facts = found.bundle
    labels = facts.labels if facts else getattr(run, "labels", None) or LABELS
    if isinstance(run, _OpenVino) and run.classes != len(labels):
        raise BadInputError(f"{path} tells {run.classes} classes apart, not {len(labels)}. Convert its model again")
    return Classifier(
        name=found.name,
        labels=tuple(labels),
        engine=engine,
        precision=precision,
        accept_threshold=facts.accept_threshold if facts else getattr(run, "accept_threshold", 0.0),
        source=path,
        run=run,
    )


def _ir(found: bundle.Model, precision: str | None) -> tuple[Path, str]:
    """The IR to read and the precision to run it in."""
    part = "fp32" if precision == "bf16" else precision
    if found.kind == "bundle":
        assert found.bundle is not None
        if part is None:
            part = next((p for p in bundle.IR_PRECISIONS if found.bundle.has(p)), "fp32")
        return found.bundle.verified(part), precision or part
    if found.kind == "ir":
        stem = found.path.stem
        return found.path, precision or (stem if stem in PRECISIONS else "fp32")
    raise BadInputError(f"{found.path} is not an IR. Run: edgefashion convert {found.path}")


def _original(found: bundle.Model, engine: str) -> Path:
    part = "saved_model" if engine == "tensorflow" else "keras"
    if found.kind == "bundle":
        assert found.bundle is not None
        return found.bundle.verified(part)
    if found.kind == part:
        return found.path
    raise BadInputError(f"{found.path} cannot be run by {engine}. Give a bundle or a {part.replace('_', ' ')}")


# --- OpenVINO --------------------------------------------------------------------------------


def compile_config(precision: str, purpose: str, threads: int, *, one_image: bool = False) -> dict[str, Any]:
    """What OpenVINO is told when it compiles a network: ``purpose`` is latency or throughput, 0 threads are all."""
    return {
        # Never the plugin's own default: on a CPU with BF16 it would run FP32 in BF16 unasked.
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": purpose.upper(),
        "INFERENCE_NUM_THREADS": threads,
        # Pinned, a thread is first bound to its core, at every call: 2 us of a small network's 65.
        **({"ENABLE_CPU_PINNING": False} if one_image else {}),
    }


def cpu_has_bf16() -> bool:
    """True if OpenVINO can run in BF16 on this CPU."""
    import openvino as ov

    return "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class _OpenVino:
    """An IR, compiled for one image at once and, when a batch first comes, for 64."""

    def __init__(self, path: Path, precision: str, purpose: str, threads: int | None) -> None:
        import openvino as ov

        if purpose not in ("latency", "throughput"):
            raise BadInputError(f"no purpose named {purpose!r}. Known: latency, throughput")
        if precision == "bf16" and not cpu_has_bf16():
            raise MissingError("this CPU cannot run BF16. Use --precision fp32 or int8")
        self._core = ov.Core()
        self._path = path
        self._model = read_ir(path)
        if _rt_info(self._model, FRAME, None):
            raise BadInputError(
                f"{path} takes whole camera frames, for programs that run OpenVINO without edgefashion. "
                "Give the bundle it lies in, or another of its IRs"
            )
        self.labels: tuple[str, ...] = tuple(_rt_info(self._model, "labels", ()))
        self.accept_threshold = float(_rt_info(self._model, "thresholds", {}).get("accept", 0.0))
        self.classes = int(self._model.output(_answer_at(self._model)).get_partial_shape()[1].get_length())
        self._shape = tuple(int(n) for n in self._model.input(0).shape)[1:]
        self.input_shape = image_shape(self._shape)
        self._precision = precision
        self._batch_threads = threads or 0
        self._single: dict[tuple[int, ...], _Bound] = {}
        self._batched: dict[tuple[int, ...], _Bound | _Queue] = {}
        self._purpose = purpose
        self._one_image_threads = 1 if threads is None else threads
        compiled = self._for(1 if purpose == "latency" else BATCH, self._shape).compiled
        self.settings = _settings(compiled, purpose)
        self.runtime_precision = _runtime_precision(compiled)

    def _for(self, images: int, shape: tuple[int, ...]) -> _Bound | _Queue:
        """The compiled network for so many images of a shape; compiled when first asked for.

        A fully convolutional network is asked for two: photos, and Fashion-MNIST's enlarged.
        """
        if images < BATCH and self._purpose == "latency":
            if shape not in self._single:
                config = compile_config(self._precision, self._purpose, self._one_image_threads, one_image=True)
                self._single[shape] = _Bound(self._compile(1, shape, config))
            return self._single[shape]
        if shape not in self._batched:
            # All cores: a whole batch gains from them what one small image does not.
            config = compile_config(self._precision, self._purpose, self._batch_threads)
            compiled = self._compile(BATCH, shape, config)
            self._batched[shape] = _Queue(compiled) if self._purpose == "throughput" else _Bound(compiled)
        return self._batched[shape]

    def _compile(self, batch: int, shape: tuple[int, ...], config: dict[str, Any]) -> Any:
        model = self._model.clone()
        try:
            model.reshape([batch, *shape])
            return self._core.compile_model(model, "CPU", config)
        except RuntimeError as error:
            size = " x ".join(map(str, (batch, *shape)))
            raise BadInputError(f"{self._path} cannot be run on images of {size}. Convert its model again") from error

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        # The network's own shape where an image of its size comes: it may want (28, 28) or a flat 784.
        shape = self._shape if images.shape[1:] == self.input_shape else images.shape[1:]
        return self._for(len(images), shape)(images)

    def starts(self, images: NDArray[np.uint8], done: Done, failed: Failed) -> bool:
        """Begin a batch; False where there is no queue to begin it in."""
        queue = self._for(BATCH, self._shape) if self._purpose == "throughput" else None
        if not isinstance(queue, _Queue) or images.shape[1:] != self.input_shape:
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
        bound = self._for(1, self._shape)
        if isinstance(bound, _Queue) or bound.mask is None:
            raise BadInputError("this IR gives no mask. Load the bundle for latency, or convert it again")
        seen = [(bound(images[i : i + 1])[0], bound.mask[0, ..., 0].copy()) for i in range(len(images))]
        return np.stack([probabilities for probabilities, _ in seen]), np.stack([mask for _, mask in seen])


class _Bound:
    """One request whose input and output tensors are bound once; images are copied in."""

    def __init__(self, compiled: Any) -> None:
        import openvino as ov

        self.compiled = compiled
        self.request = compiled.create_infer_request()
        port = compiled.input(0)
        bound = np.zeros(tuple(port.shape), port.element_type.to_dtype())
        self.request.set_input_tensor(ov.Tensor(bound, shared_memory=True))
        self._batch, *shape = bound.shape
        # A view of the same memory, shaped like an image whatever the network's own shape is.
        self._input = bound.reshape(self._batch, *image_shape(tuple(shape)))
        self._output = self.request.get_output_tensor(_answer_at(compiled)).data
        masks = [i for i, port in enumerate(compiled.outputs) if len(port.shape) == 4]
        self.mask = self.request.get_output_tensor(masks[0]).data if masks else None
        """The last image's mask (1, rows, columns, 1), overwritten by the next; None without one."""

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(images) == self._batch:
            self._input[...] = images
            self._infer()
            return np.array(self._output)
        probabilities = np.empty((len(images), self._output.shape[1]), np.float32)
        for at in range(0, len(images), self._batch):
            part = images[at : at + self._batch]
            self._input[: len(part)] = part  # what is left over of an earlier batch is not read
            self._infer()
            probabilities[at : at + len(part)] = self._output[: len(part)]
        return probabilities

    def _infer(self) -> None:
        # Not start_async() and wait(): a small network is done sooner than another thread has woken up for it.
        self.request.infer(share_outputs=True)


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
        self._dtype = compiled.input(0).element_type.to_dtype()

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities = np.empty((len(images), self.compiled.output(self._answer_at).shape[1]), np.float32)
        batch = self._shape[0]
        for at in range(0, len(images), batch):
            part = images[at : at + batch]
            self._begin(part, functools.partial(self._collect, probabilities[at : at + len(part)]))
        self._queue.wait_all()
        return probabilities

    def start(self, images: NDArray[np.uint8], done: Done, failed: Failed) -> None:
        """Begin one batch; ``done`` is called from a thread of the queue's, or ``failed`` with what went wrong."""

        def take(request: Any) -> None:
            # Nothing may be raised into OpenVINO: it is told only at the next start, and ends the process at another.
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
        missing = self._shape[0] - len(images)
        if missing:
            images = np.concatenate([images, np.zeros((missing, *images.shape[1:]), images.dtype)])
        self._queue.start_async(np.ascontiguousarray(images, self._dtype).reshape(self._shape), take)

    def _collect(self, probabilities: NDArray[np.float32], request: Any) -> None:
        probabilities[...] = request.get_output_tensor(self._answer_at).data[: len(probabilities)]


def read_ir(path: Path) -> Any:
    """Read an IR as an ``openvino.Model``; raises :class:`BadInputError` if it is none."""
    import openvino as ov

    try:
        core = ov.Core()
        # Mapped, the weights could not be renamed or replaced on Windows while the model lives.
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


def _rt_info(model: Any, key: str, otherwise: Any) -> Any:
    """A fact an IR made here carries in its rt_info; ``otherwise`` for another's."""
    path = [RT_INFO, key]
    return json.loads(model.get_rt_info(path).astype(str)) if model.has_rt_info(path) else otherwise


def _settings(compiled: Any, purpose: str) -> dict[str, Any]:
    return {
        "purpose": purpose,
        "batch": int(compiled.input(0).shape[0]),
        "threads": int(compiled.get_property("INFERENCE_NUM_THREADS")),
        "streams": int(compiled.get_property("NUM_STREAMS")),
        "hint": str(compiled.get_property("PERFORMANCE_HINT")).rpartition(".")[2].lower(),
        "kernels": sorted({info["primitiveType"].astype(str) for info in _arithmetic(compiled)}),
    }


def _runtime_precision(compiled: Any) -> str:
    """The precisions of the layers that do the arithmetic, from the executed graph."""
    seen = {info["runtimePrecision"].astype(str) for info in _arithmetic(compiled)}
    return "+".join(sorted(seen)) or "none"


def _arithmetic(compiled: Any) -> list[Any]:
    """What the executed graph tells of each layer that does the arithmetic."""
    heavy = {"Convolution", "FullyConnected", "MatMul", "Deconvolution"}
    every = (op.get_rt_info() for op in compiled.get_runtime_model().get_ops())
    return [info for info in every if "layerType" in info and info["layerType"].astype(str) in heavy]
