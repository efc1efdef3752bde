"""Small networks as IRs: honest ones to start from, and harmful ones built with OpenVINO itself."""

from __future__ import annotations

import functools
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgefashion.bundles import places
from edgefashion.labels import LABELS

IR = tuple[str, bytes]

# --- Real IRs to start from ------------------------------------------------------------------


def saved(model: Any) -> IR:
    """An ``openvino.Model`` as the text and the weights of its IR."""
    import openvino as ov

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "m.xml"
        ov.save_model(model, path, compress_to_fp16=False)
        return path.read_text(encoding="utf-8"), path.with_suffix(".bin").read_bytes()


def network(body: Callable[[Any], Any] | None = None, *, classes: int = 10, seed: int = 0) -> Any:
    """A small classifier, uint8 (1, 28, 28, 1) to probabilities; ``body`` makes one number (1, 1) of the
    (1, 784) pixels that is added to them all."""
    import openvino as ov
    import openvino.opset13 as ops

    rng = np.random.default_rng(seed)
    images = ops.parameter([1, 28, 28, 1], np.uint8, name="images")
    flat = ops.reshape(ops.convert(images, "f32"), np.array([-1, 784]), special_zero=False)
    answer = ops.matmul(flat, ops.constant(rng.normal(0, 0.01, (784, classes)).astype(np.float32)), False, False)
    if body is not None:
        answer = ops.add(answer, body(flat))
    answer = ops.softmax(answer, 1)
    return ov.Model([ops.result(answer)], [images], "small")


@functools.cache
def small() -> IR:
    """The small classifier's IR, with labels and threshold as ``convert`` writes them."""
    model = network()
    model.set_rt_info(json.dumps(LABELS), ["edgefashion", "labels"])
    model.set_rt_info(json.dumps({"accept": 0.5}), ["edgefashion", "thresholds"])
    return saved(model)


@functools.cache
def edge() -> IR:
    """The shipped network's INT8 IR."""
    path = places.model_dirs()[-1] / places.DEFAULT_MODEL / "int8.xml"
    return path.read_text(encoding="utf-8"), path.with_suffix(".bin").read_bytes()


def write(folder: Path, text: str | bytes, weights: bytes) -> Path:
    path = folder / "m.xml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    path.with_suffix(".bin").write_bytes(weights)
    return path


# --- Harm built with OpenVINO ----------------------------------------------------------------


def total(flat: Any) -> Any:
    """(1, 784) pixels to one number (1, 1) that no compiler can know beforehand."""
    import openvino.opset13 as ops

    return ops.reduce_sum(flat, np.array([1]), keep_dims=True)


def squares(side: int, count: int) -> Callable[[Any], Any]:
    """A chain of ``count`` products of matrices of ``side`` x ``side``: work without weights."""

    def body(flat: Any) -> Any:
        import openvino.opset13 as ops

        matrix = ops.broadcast(total(flat), np.array([side, side]))
        for _ in range(count):
            matrix = ops.tanh(ops.matmul(matrix, matrix, False, False))
        return ops.reduce_sum(matrix, np.array([0, 1]), keep_dims=True)

    return body


def spread(side: int, count: int) -> Callable[[Any], Any]:
    """``count`` matrices of ``side`` x ``side`` that are all needed at once at the end."""

    def body(flat: Any) -> Any:
        import openvino.opset13 as ops

        one = total(flat)
        wide = [ops.tanh(ops.broadcast(ops.add(one, np.float32(i)), np.array([side, side]))) for i in range(count)]
        return ops.reduce_sum(ops.matmul(wide[0], wide[1], False, True), np.array([0, 1]), keep_dims=True)

    return body


def as_many_as_bright(flat: Any) -> Any:
    import openvino.opset13 as ops

    count = ops.convert(ops.reduce_sum(flat, np.array([0, 1]), keep_dims=False), "i64")
    numbers = ops.range(np.int64(0), count, np.int64(1), "f32")
    return ops.unsqueeze(ops.reduce_sum(numbers, np.array([0]), keep_dims=True), np.array([0]))


def where_bright(flat: Any) -> Any:
    import openvino.opset13 as ops

    return ops.reduce_sum(ops.convert(ops.non_zero(flat, "i64"), "f32"), np.array([0, 1]), keep_dims=True)


def divided_by_nothing(flat: Any) -> Any:
    import openvino.opset13 as ops

    one = total(flat)
    return ops.divide(one, ops.subtract(one, one))


def endless_loop(flat: Any) -> Any:
    import openvino as ov
    import openvino.opset13 as ops

    state = ops.parameter([1, 1], np.float32)
    body = ov.Model([ops.constant(np.array([True])), ops.add(state, ops.constant(np.float32(1)))], [state], "body")
    loop = ops.loop(ops.constant(np.int64(-1)), ops.constant(np.array([True])))
    loop.set_function(body)
    loop.set_special_body_ports([-1, 0])
    loop.set_merged_input(state, total(flat).output(0), body.results[1].output(0))
    return loop.get_iter_value(body.results[1].output(0), -1)


def either(flat: Any) -> Any:
    import openvino as ov
    import openvino.opset13 as ops

    bodies = []
    for change in (1.0, 2.0):
        state = ops.parameter([1, 1], np.float32)
        bodies.append(ov.Model([ops.result(ops.add(state, np.float32(change)))], [state], "b"))
    one = total(flat)
    branch = ops.if_op(ops.squeeze(ops.greater(one, np.float32(9)), np.array([0, 1])).output(0))
    branch.set_then_body(bodies[0])
    branch.set_else_body(bodies[1])
    branch.set_input(one.output(0), bodies[0].get_parameters()[0], bodies[1].get_parameters()[0])
    return branch.set_output(bodies[0].results[0], bodies[1].results[0])


def for_one_image_only(flat: Any) -> Any:
    import openvino.opset13 as ops

    return ops.reduce_sum(ops.reshape(flat, np.array([28, 28]), special_zero=False), np.array([0, 1]), keep_dims=True)


def answers_of(model: Callable[[], Any]) -> Callable[[Path], Path]:
    return lambda folder: write(folder, *saved(model()))


def two_inputs() -> Any:
    import openvino as ov
    import openvino.opset13 as ops

    a, b = (ops.parameter([1, 28, 28, 1], np.float32) for _ in range(2))
    return ov.Model([ops.result(ops.reshape(ops.add(a, b), np.array([1, 784]), special_zero=False))], [a, b], "two")


def no_inputs() -> Any:
    import openvino as ov
    import openvino.opset13 as ops

    return ov.Model([ops.result(ops.relu(ops.constant(np.zeros((1, 10), np.float32))))], [], "none")


def an_image_out() -> Any:
    import openvino as ov
    import openvino.opset13 as ops

    image = ops.parameter([1, 28, 28, 1], np.float32)
    return ov.Model([ops.result(ops.add(image, ops.constant(np.float32(1))))], [image], "image")


def dynamic_image() -> Any:
    import openvino as ov
    import openvino.opset13 as ops

    image = ops.parameter(ov.PartialShape([1, -1, -1, 1]), np.float32)
    return ov.Model([ops.result(ops.reduce_mean(image, np.array([1, 2])))], [image], "dynamic")
