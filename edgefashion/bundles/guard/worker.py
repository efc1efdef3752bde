"""A model file tried in a process that may die of it: the other end of :mod:`edgefashion.bundles.guard.check`.

The message has the ``path``, whether it is to be a ``finder``, and the limits, ``memory_bytes`` and ``seconds``. The
answer is ``{"reason": null}`` for a network that can be used, else what is wrong with it and what to do (``step``), or
``{"missing": ...}`` where OpenVINO cannot be imported.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles.guard import ir_xml
from edgefashion.bundles.guard.ir_xml import BOUNDED, ENDLESS, MAX_BODIES, MAX_ROUNDS, RefusedError, check_shape
from edgefashion.system.processes import Message, Parent
from edgefashion.system.text import is_of_texts, openvino_reason

_BATCH: Final = 64
_SCIKIT_LEARNS: Final = b":\x0aai.onnx.ml"
"""How an operator of its trees and tables of names says whose it is, which stand in its neural networks' files too.
Other files say as well that there may be such operators."""
_INPUTS: Final = frozenset({"u8", "i8", "u16", "i16", "u32", "i32", "u64", "i64", "f16", "bf16", "f32", "f64"})


def main() -> None:
    """Try one file and say what came of it."""
    parent = Parent()
    given = parent.receive()
    _limit(given["memory_bytes"], given["seconds"])
    try:
        import numpy  # noqa: F401
        import openvino  # noqa: F401
    except ImportError as error:
        parent.send({"missing": openvino_reason(error)})
    else:
        parent.send(_verdict(Path(given["path"]), finder=given["finder"]))
    os._exit(0)  # without waiting for what OpenVINO's threads still do


def _limit(memory_bytes: int, seconds: int) -> None:
    """Let the system itself end this process, where it can; the parent watches too."""
    try:
        import resource
    except ImportError:  # Windows
        return
    # Address space would also count what the allocator only reserves for each thread. Twice, because a
    # thread's stack counts whole. CPU time runs for every thread, and should the parent be killed.
    limits = {"RLIMIT_DATA": 2 * memory_bytes, "RLIMIT_CPU": 4 * seconds, "RLIMIT_CORE": 0, "RLIMIT_FSIZE": 0}
    for name, limit in limits.items():
        with contextlib.suppress(AttributeError, OSError, ValueError):  # a system without it, or a stricter one
            resource.setrlimit(getattr(resource, name), (limit, limit))


def _verdict(path: Path, *, finder: bool) -> Message:
    try:
        _try(path, finder=finder)
    except RefusedError as error:
        return {"reason": str(error), "step": error.step}
    except MemoryError:
        return {"reason": "it takes too much memory", "step": ir_xml.SMALLER}
    except Exception as error:  # OpenVINO's are RuntimeErrors, its bindings' of every kind
        said = openvino_reason(error).replace(str(path), path.name)
        if path.suffix == ".onnx" and _SCIKIT_LEARNS in path.read_bytes():
            return {"reason": "it is made of scikit-learn's operators, which OpenVINO lacks", "step": ir_xml.NETWORK}
        return {"reason": f"OpenVINO cannot run it ({said})", "step": ir_xml.OTHERWISE}
    return {"reason": None}


def _try(path: Path, *, finder: bool) -> None:
    """Raise unless the network is one a classifier, or a finder, can be made of, and answers with numbers."""
    import numpy as np
    import openvino as ov

    core = ov.Core()
    core.set_property({"ENABLE_MMAP": False})  # as it will be read
    model = core.read_model(path)
    shape = _check_ends(model, finder=finder)
    if path.suffix == ".xml" or model.input(0).get_partial_shape()[0].is_dynamic:
        model.reshape([1, *shape])
    _check_layers(model)
    _check_facts(model)
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY"}
    compiled = core.compile_model(model, "CPU", config)
    for name, image in _pictures(tuple(model.input(0).shape)):
        with np.errstate(all="ignore"):
            answers = compiled(image.astype(model.input(0).element_type.to_dtype())).values()
        # Names beside the numbers are texts.
        if not all(np.isfinite(answer).all() for answer in answers if not is_of_texts(answer)):
            _refuse(f"its answer to a picture of {name} is not a finite number")
    many = model.clone()
    try:
        many.reshape([_BATCH, *shape])
    except RuntimeError:
        return  # a network for one image at once: the loader says so when it is given more
    core.compile_model(many, "CPU", config).create_infer_request()  # takes the memory a batch takes


def _pictures(shape: tuple[int, ...]) -> list[tuple[str, Any]]:
    """What a network has to answer with numbers: one intensity, noise and a ramp."""
    import numpy as np

    noise = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    ramp = np.linspace(0, 255, noise.size).astype(np.uint8).reshape(shape)
    flat = [(f"nothing but {intensity}", np.full(shape, intensity, np.uint8)) for intensity in (0, 255)]
    return [*flat, ("noise", noise), ("a ramp", ramp)]


def _check_ends(model: Any, *, finder: bool) -> tuple[int, ...]:
    """One image in, a row of answers out, or a finder's cells; the shape of the image without its batch. Which
    of several rows has the probabilities the loader finds out."""
    if len(model.inputs) != 1:
        _refuse(f"it has {len(model.inputs)} inputs; one image is expected", ir_xml.ONE_INPUT)
    port = model.input(0)
    image = port.get_partial_shape()
    if port.element_type.get_type_name() not in _INPUTS:
        _refuse(f"it takes {port.element_type.get_type_name()}, not numbers")
    if image.rank.is_dynamic or not 2 <= image.rank.get_length() <= 4 or any(d.is_dynamic for d in list(image)[1:]):
        _refuse(f"it takes {image}, not images of one size", ir_xml.ONE_SIZE)
    shape = tuple(d.get_length() for d in list(image)[1:])
    check_shape([_BATCH, *shape])
    if min(shape) < 1:
        _refuse(f"it takes {image}: an image without pixels")
    answers = [port.get_partial_shape() for port in model.outputs]
    rows = [answer for answer in answers if not answer.rank.is_dynamic and _values(answer) > 1]
    if finder:
        if len(answers) != 1 or not _is_grid(answers[0]) or len(shape) != 3:
            _refuse(f"it answers {', '.join(map(str, answers)) or 'nothing'}, not a finder's cells")
        return shape
    if not rows:
        _refuse(f"it answers {', '.join(map(str, answers)) or 'nothing'}, not one row of probabilities", ir_xml.ONE_ROW)
    return shape


def _values(answer: Any) -> int:
    """How many values its row for an image has; 0 where that is open, or it is no row."""
    sizes = list(answer)[1:]
    if any(size.is_dynamic for size in sizes):
        return 0
    long = [size.get_length() for size in sizes if size.get_length() != 1]
    return long[0] if len(long) == 1 else 0


def _is_grid(answer: Any) -> bool:
    """True for an answer of one size, (batch, rows, columns, channels)."""
    return (
        not answer.rank.is_dynamic and answer.rank.get_length() == 4 and not any(d.is_dynamic for d in list(answer)[1:])
    )


def _check_layers(model: Any, depth: int = 0, of_two_sizes: frozenset[str] = frozenset()) -> None:
    """Nothing in it depends on the picture but the numbers: then no picture costs more than the one tried here.

    ``of_two_sizes`` are the names of a loop's parameters that have one known size in the first round, and another in
    all that follow.
    """
    import numpy as np

    for layer in model.get_ops():
        kind = layer.get_type_name()
        if kind in ENDLESS:
            may = "which may take longer for one picture than for another"
            _refuse(f"it has a layer of type {kind}, {may}", ir_xml.UNBRANCHED)
        if kind in BOUNDED:
            _check_loop(layer, depth)
        for port in layer.outputs():
            size = port.get_partial_shape()
            if layer.get_name() in of_two_sizes:
                continue
            if not size.is_static:
                _refuse(f"a layer of type {kind} gives {size}: its size depends on the picture", ir_xml.ONE_SIZE)
            check_shape(list(size.to_shape()))
        # Infinite weights are usual: a mask's, or what a maximum begins with. The pictures tried here show whether an
        # answer becomes infinite by them. What is not a number never becomes one.
        if kind == "Constant" and layer.get_element_type().is_real():
            with np.errstate(all="ignore"):
                broken = np.isnan(layer.get_data(dtype=np.float32)).any()
            if broken:
                _refuse("a weight is not a number")


def _check_loop(layer: Any, depth: int) -> None:
    """A loop runs so often as its own constants say, and not too often; its body is checked like a network."""
    from edgefashion.bundles.guard.loops import of_two_sizes, rounds_of

    if depth == MAX_BODIES:
        _refuse(f"its loops are nested more than {MAX_BODIES} deep", ir_xml.UNROLLED)
    # A loop over the pieces of a tensor has as many rounds as there are. Of another the number is its second input's;
    # a condition inside may only end it earlier.
    rounds = rounds_of(layer)
    if not 0 <= rounds <= MAX_ROUNDS:
        how_many = "an open number of" if rounds < 0 else f"{rounds:,}"
        _refuse(f"it has a loop of {how_many} rounds; {MAX_ROUNDS:,} at most are run", ir_xml.UNROLLED)
    _check_layers(layer.get_function(), depth + 1, of_two_sizes(layer))


def _check_facts(model: Any) -> None:
    """What is read of a file's rt_info can be, and labels and threshold, where it brings them, are such."""
    from edgefashion.bundles.facts import Thresholds
    from edgefashion.bundles.rt_facts import rt_fact
    from edgefashion.labels import fault_of

    try:
        labels, thresholds = rt_fact(model, "labels", ["any"]), rt_fact(model, "thresholds", {})
        rt_fact(model, "frame", None)
    except ValueError as error:
        _refuse(str(error))
    if not isinstance(labels, list) or not all(isinstance(text, str) and text.isprintable() for text in labels):
        _refuse("its labels are no list of names")
    if wrong := fault_of(labels):
        _refuse(f"its labels {wrong}")
    accept = thresholds.get("accept", 0.0) if isinstance(thresholds, dict) else None
    if not isinstance(accept, int | float) or not 0 <= accept <= 1:
        _refuse("its threshold is no number from 0 to 1")
    try:
        Thresholds.from_json({"accept": accept, **thresholds})
    except ValueError as error:
        _refuse(f"its thresholds are none: {error}")


def _refuse(reason: str, step: str = ir_xml.RESTORE) -> None:
    raise ir_xml.RefusedError(reason, step)


if __name__ == "__main__":
    main()
