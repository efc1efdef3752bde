"""From MODEL to a :class:`Classifier`, by the engine that fits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edgefashion.bundles import bundle, resolve
from edgefashion.errors import BadInputError
from edgefashion.inference import tensorflow_engine
from edgefashion.inference.classifier import ENGINES, PRECISIONS, Classifier, Runner
from edgefashion.inference.openvino_engine import OpenVinoRunner
from edgefashion.labels import LABELS
from edgefashion.system import text
from edgefashion.system.text import without_password


def load(
    model: str | Path = resolve.DEFAULT_MODEL,
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
    if text.is_url(model):
        from edgefashion.inference.remote import engine as remote  # here: the other engines' start must not pay for it

        if engine or precision or threads is not None:
            raise BadInputError(
                f"{without_password(str(model))}: its server chooses engine, precision and threads. Leave them out"
            )
        return remote.load(str(model), purpose=purpose)
    found = resolve.resolve(model)
    engine = engine or {"saved_model": "tensorflow", "keras": "keras"}.get(found.kind, "openvino")
    if engine not in ENGINES:
        raise BadInputError(f"no engine named {engine!r}. Known: {', '.join(ENGINES)}")
    if precision is not None and precision not in PRECISIONS:
        raise BadInputError(f"no precision named {precision!r}. Known: {', '.join(PRECISIONS)}")
    if engine == "openvino" and found.kind in resolve.FOREIGN:
        from edgefashion.inference import foreign_files  # here, for the same reason as the guard below

        precision = precision or "fp32"
        if precision not in ("fp32", "bf16"):
            raise BadInputError(f"{found.path} has no {precision}. Run: edgefashion convert {found.path} --int8")
        with foreign_files.temporary_ir(found.path) as (path, _):
            run: Runner = OpenVinoRunner(path, precision, purpose, threads)
        path = found.path
    elif engine == "openvino":
        path, precision = _ir(found, precision)
        if not resolve.is_shipped(path):
            from edgefashion.bundles.guard import check  # here: the shipped bundles' start must not pay for it

            check.check(path)
        run = OpenVinoRunner(path, precision, purpose, threads)
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
    if isinstance(run, OpenVinoRunner) and run.classes != len(labels):
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


def _ir(found: resolve.Model, precision: str | None) -> tuple[Path, str]:
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


def _original(found: resolve.Model, engine: str) -> Path:
    part = "saved_model" if engine == "tensorflow" else "keras"
    if found.kind == "bundle":
        assert found.bundle is not None
        return found.bundle.verified(part)
    if found.kind == part:
        return found.path
    raise BadInputError(f"{found.path} cannot be run by {engine}. Give a bundle or a {part.replace('_', ' ')}")
