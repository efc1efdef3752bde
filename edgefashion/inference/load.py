"""From MODEL to a :class:`Classifier`, by the engine that fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.bundles import bundle, places, resolve
from edgefashion.errors import BadInputError
from edgefashion.inference import tensorflow_engine
from edgefashion.inference import told as noted
from edgefashion.inference.classifier import ENGINES, Classifier, Runner
from edgefashion.inference.decision import Rule
from edgefashion.inference.device import Device, chosen
from edgefashion.inference.finder import FOUND, Finder, RegionRunner
from edgefashion.inference.openvino_engine import OpenVinoRunner
from edgefashion.inference.told import Told
from edgefashion.labels import LABELS
from edgefashion.system import text
from edgefashion.system.addresses import shown
from edgefashion.system.text import quoted

if TYPE_CHECKING:
    from edgefashion.inference.foreign_files import Foreign


def load(
    model: str | Path = places.DEFAULT_MODEL,
    *,
    engine: str | None = None,
    precision: str | None = None,
    purpose: str = "latency",
    threads: int | None = None,
    meanwhile: Callable[[], object] | None = None,
    device: str | None = None,
    told: Told | None = None,
) -> Classifier:
    """Load a MODEL, ready to answer.

    How a model made elsewhere is fed and read is measured on Fashion-MNIST's training images, where it is not told:
    see :mod:`edgefashion.inference.contract`.

    An IR that did not ship with the package is tried in a process of its own first, once a machine: see
    :mod:`edgefashion.bundles.guard.check`.

    Args:
        model: A bundle's name, a path to a bundle, SavedModel, ``.keras``, ``.onnx``, ``.tflite`` or IR ``.xml``, or
            the URL of a served one, whose server chooses all that follows but ``purpose``.
        engine: ``"openvino"``, ``"tensorflow"``, ``"keras"`` or ``"keras-predict"``. None: OpenVINO where there is an
            IR, else what the file is for; an ``.onnx`` or ``.tflite`` file is converted in memory.
        precision: ``"fp32"``, ``"fp16"``, ``"bf16"`` or ``"int8"``. None: the best that the bundle has, INT8 before
            FP32. ``"bf16"`` runs the FP32 IR in BF16.
        purpose: ``"latency"`` answers one image soonest, ``"throughput"`` most images a second. The classifier's
            ``settings`` say what was picked for it.
        threads: 0 means all cores. None: one for a single image and all for a batch.
        meanwhile: Called once while OpenVINO compiles the network, to do what can be done until then, such as reading
            the first picture. Other engines do not call it. What it raises is raised.
        device: What OpenVINO runs the network and its finder on: ``"CPU"``, ``"GPU"``, ``"NPU"``, ``"AUTO"``, one of
            several as ``"GPU.1"``, or in order of preference as ``"GPU,CPU"``. None: the CPU.
        told: How a model made elsewhere is fed and read. None: what the command line was told.

    Raises:
        BadInputError: A model or an option that cannot be used.
        GateError: A model made elsewhere that fits Fashion-MNIST in no way.
        MissingError: An engine, a precision or a device that this machine lacks, or a server that does not answer.

    Example:
        >>> import numpy as np
        >>> from edgefashion import load
        >>> classifier = load("edge")
        >>> images = np.zeros((5, 28, 28, 1), np.uint8)  # intensities 0 to 255, the garment bright on 0
        >>> probabilities = classifier(images)
        >>> probabilities.shape, probabilities.dtype
        ((5, 10), dtype('float32'))
    """
    if text.is_url(model):
        from edgefashion.inference.remote import engine as remote  # here: the other engines' start must not pay for it

        if engine or precision or threads is not None or device is not None:
            raise BadInputError(
                f"{shown(str(model))}: its server chooses engine, precision, threads and device. Leave them out"
            )
        return remote.load(str(model), purpose=purpose)
    said, on = noted.given() if told is None else told, chosen(device)
    try:
        return _loaded(resolve.resolve(model), engine, precision, purpose, threads, meanwhile, on, said)
    except bundle.ReplacedError:  # a new one was put in its place: that one, then
        return _loaded(resolve.resolve(model), engine, precision, purpose, threads, meanwhile, on, said)


def _loaded(
    found: resolve.Model,
    engine: str | None,
    precision: str | None,
    purpose: str,
    threads: int | None,
    meanwhile: Callable[[], object] | None,
    on: Device,
    said: Told,
) -> Classifier:
    engine = engine or {"saved_model": "tensorflow", "keras": "keras"}.get(found.kind, "openvino")
    if engine not in ENGINES:
        raise BadInputError(f"no engine named {engine!r}. Known: {', '.join(ENGINES)}")
    if engine != "openvino" and not on.is_cpu:
        hint = f"Run: edgefashion convert {quoted(found.path)}" if found.kind != "bundle" else "Leave --device out"
        raise BadInputError(f"{engine} is not run on {on.name} here: only OpenVINO's IRs are. {hint}")
    if precision is not None and precision not in bundle.PRECISIONS:
        raise BadInputError(f"no precision named {precision!r}. Known: {', '.join(bundle.PRECISIONS)}")
    run: Runner
    if engine == "openvino":
        run, path, precision = _in_openvino(found, precision, purpose, threads, meanwhile, on, said)
        labels, rule = run.labels, run.rule
    else:
        if precision not in (None, "fp32"):
            raise BadInputError(f"{engine} runs the original in fp32, not {precision}. Leave --precision out")
        path, precision = _original(found, engine), "fp32"
        run, labels, rule = _fed(_ORIGINALS[engine](path), found, path, said), (), Rule(0.0)
    if found.bundle is not None:
        labels, rule = found.bundle.labels, Rule.of(found.bundle.facts.thresholds)
    labels = labels or LABELS
    if isinstance(run, OpenVinoRunner) and run.classes != len(labels):
        raise BadInputError(f"{path} tells {run.classes} classes apart, not {len(labels)}. Convert its model again")
    return Classifier(
        name=found.name,
        labels=labels,
        engine=engine,
        precision=precision,
        rule=rule,
        finder=_finder(found, precision, threads, on),
        source=path,
        run=run,
    )


def _finder(found: resolve.Model, precision: str, threads: int | None, device: Device) -> Finder | None:
    """What finds the garments of a picture for a bundle's network; None where the bundle has nothing that does."""
    of = found.bundle
    if of is None or not (of.has("finder_int8") or of.has("finder_fp16")):
        return None
    in_int8 = of.has("finder_int8") and (precision == "int8" or not of.has("finder_fp16"))
    part = "finder_int8" if in_int8 else "finder_fp16"

    def run() -> RegionRunner:
        from edgefashion.inference.openvino_finder import OpenVinoFinder  # here: not every command asks it

        path = of.verified(part)
        if not resolve.is_shipped(path):
            from edgefashion.bundles.guard import check

            check.check(path, finder=True)
        in_bf16 = "bf16" if precision == "bf16" else "fp32"
        return OpenVinoFinder(path, in_bf16, 1 if threads is None else threads, device)

    return Finder(run, of.facts.thresholds.found or FOUND, of.sha256_of(part))


def _fed(
    original: tensorflow_engine.SavedModel | tensorflow_engine.KerasCall, found: resolve.Model, path: Path, said: Told
) -> Runner:
    """The original with the contract it is fed and read by, where it was made elsewhere."""
    if found.bundle is not None and found.bundle.facts.foreign is None:
        return original
    if found.bundle is None and original.is_photo_network:
        return original
    from edgefashion.inference import foreign_files  # here: the shipped bundles' start must not pay for it

    kept = foreign_files.kept_contract(found.bundle) if found.bundle else None
    original.contract = kept or foreign_files.contract_of(original, path, said)
    return original


_ORIGINALS: Final[dict[str, Callable[[Path], tensorflow_engine.SavedModel | tensorflow_engine.KerasCall]]] = {
    "tensorflow": tensorflow_engine.SavedModel,
    "keras": tensorflow_engine.KerasCall,
    "keras-predict": tensorflow_engine.KerasPredict,
}
"""What runs a network as it was trained, by engine."""


def _in_openvino(
    found: resolve.Model,
    precision: str | None,
    purpose: str,
    threads: int | None,
    meanwhile: Callable[[], object] | None,
    device: Device,
    said: Told,
) -> tuple[OpenVinoRunner, Path, str]:
    """The network in OpenVINO, the file it was read from, and the precision it runs in."""
    if found.bundle is None and found.kind in (*resolve.FOREIGN, "saved_model", "ir"):
        from edgefashion.inference import foreign_files  # here, for the same reason as the guard below

        if foreign_files.is_foreign(found):
            if found.kind in resolve.FOREIGN and precision not in (None, "fp32", "bf16"):
                hint = f"Run: edgefashion convert {quoted(found.path)} --int8"
                raise BadInputError(f"{found.path} is run as it is: leave --precision out. For other precisions {hint}")
            with foreign_files.temporary_ir(found.path, said) as (ir, theirs):
                precision = _precision_of(theirs, found, precision)
                return OpenVinoRunner(ir, precision, purpose, threads, meanwhile, device), found.path, precision
    path, precision = _ir(found, precision)
    if not resolve.is_shipped(path):
        from edgefashion.bundles.guard import check  # here: the shipped bundles' start must not pay for it

        check.check(path)
    return OpenVinoRunner(path, precision, purpose, threads, meanwhile, device), path, precision


def _precision_of(theirs: Foreign, found: resolve.Model, precision: str | None) -> str:
    """What a file made elsewhere is to run in."""
    own = "int8" if theirs.quantized else found.precision or "fp32"
    if precision not in (None, own, "bf16") and (theirs.quantized or precision != "fp32"):
        hint = "Leave --precision out" if theirs.quantized else f"Run: edgefashion convert {quoted(found.path)} --int8"
        raise BadInputError(f"{found.path} computes in {own}, and has no {precision}. {hint}")
    return precision or own


def _ir(found: resolve.Model, precision: str | None) -> tuple[Path, str]:
    """The IR to read and the precision to run it in."""
    part = "fp32" if precision == "bf16" else precision
    if found.kind == "bundle":
        assert found.bundle is not None
        if part is None:
            part = next((p for p in bundle.IR_PRECISIONS if found.bundle.has(p)), "fp32")
        return found.bundle.verified(part), precision or part
    if found.precision is not None:
        return found.path, precision or found.precision
    raise BadInputError(f"{found.path} is not an IR. Run: edgefashion convert {quoted(found.path)}")


def _original(found: resolve.Model, engine: str) -> Path:
    part = "saved_model" if engine == "tensorflow" else "keras"
    if found.kind == "bundle":
        assert found.bundle is not None
        return found.bundle.verified(part)
    if found.kind == part:
        return found.path
    raise BadInputError(f"{found.path} cannot be run by {engine}. Give a bundle or a {part.replace('_', ' ')}")
