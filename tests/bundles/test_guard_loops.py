"""Loops of a known number of rounds and infinite constants pass the guard; what may run for long does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import hostile_networks

from edgefashion.bundles.guard import ir_xml, worker


def _row_by_row(rounds: int, *, deep: int = 0) -> Any:
    """A recurrent network as Keras exports one: a loop over the image's rows, ``deep`` loops inside its body."""
    import openvino as ov
    from openvino import opset13 as ops

    image, row, state = (ops.parameter(shape, np.float32) for shape in ([1, 28, 28], [1, 1, 28], [1, 10]))
    weights = np.full((28, 10), 0.01, np.float32)
    seen = ops.add(state, ops.matmul(ops.reshape(row, np.array([1, 28]), False), weights, False, False))
    for _ in range(deep):
        inner = ops.parameter([1, 10], np.float32)
        results = [ops.result(ops.constant(np.array([True]))), ops.result(ops.add(inner, np.float32(1)))]
        nested = ops.loop(ops.constant(np.int64(3)), ops.constant(np.array([True])))
        nested.set_function(ov.Model(results, [inner], "inner"))
        nested.set_special_body_ports([-1, 0])
        nested.set_merged_input(inner, seen.output(0), results[1].output(0))
        seen = nested.get_iter_value(results[1].output(0), -1).get_node()
    results = [ops.result(ops.constant(np.array([True]))), ops.result(seen)]
    loop = ops.loop(ops.constant(np.int64(rounds)), ops.constant(np.array([True])))
    loop.set_function(ov.Model(results, [row, state], "body"))
    loop.set_special_body_ports([-1, 0])
    if rounds == 28:
        loop.set_sliced_input(row, image.output(0), 0, 1, 1, -1, 1)
    else:
        loop.set_invariant_input(row, ops.reduce_mean(image, np.array([1]), keep_dims=True).output(0))
    loop.set_merged_input(state, ops.constant(np.zeros((1, 10), np.float32)).output(0), results[1].output(0))
    answer = ops.softmax(loop.get_iter_value(results[1].output(0), -1), 1)
    return ov.Model([ops.result(answer)], [image], "rows")


def _counted(limit: int | None, *, step: int = 1, inside: bool = True) -> Any:
    """A loop as TensorFlow's ``while`` becomes one: without a number of rounds, while a counter is below a limit, which
    is in the body or handed to it; None: as long as the picture is bright."""
    import openvino as ov
    from openvino import opset13 as ops

    image, counter, state, bound = (
        ops.parameter(shape, kind)
        for shape, kind in (([1, 784], np.float32), ([], np.int64), ([1, 10], np.float32), ([], np.int64))
    )
    seen = ops.parameter([1, 784], np.float32)
    more = ops.add(counter, np.int64(step))
    weights = np.full((784, 10), 0.0001, np.float32)
    state_now = ops.add(state, ops.matmul(seen, weights, False, False))
    if limit is None:
        goes_on = ops.less(ops.reduce_sum(state_now, np.array([0, 1])), np.float32(1e9))
    else:
        goes_on = ops.less(more, ops.constant(np.int64(limit)) if inside else bound)
        goes_on = ops.logical_and(goes_on, ops.constant(np.array(True)))
    results = [ops.result(ops.reshape(goes_on, np.array([1]), False)), ops.result(more), ops.result(state_now)]
    loop = ops.loop(ops.constant(np.int64(-1)), ops.constant(np.array([True])))
    body = [counter, state, seen] if inside or limit is None else [counter, state, seen, bound]
    loop.set_function(ov.Model(results, body, "body"))
    loop.set_special_body_ports([-1, 0])
    loop.set_merged_input(counter, ops.constant(np.int64(0)).output(0), results[1].output(0))
    loop.set_merged_input(state, ops.constant(np.zeros((1, 10), np.float32)).output(0), results[2].output(0))
    loop.set_invariant_input(seen, image.output(0))
    if len(body) == 4:
        loop.set_invariant_input(bound, ops.constant(np.int64(limit or 0)).output(0))
    return ov.Model([ops.result(ops.softmax(loop.get_iter_value(results[2].output(0), -1), 1))], [image], "counted")


def _listed(*, bright: bool) -> Any:
    """A loop with a list that begins with one number and then has ten, as TensorFlow's recurrent layers have one, or
    one for each bright pixel."""
    import openvino as ov
    from openvino import opset13 as ops

    image, state = ops.parameter([1, 784], np.float32), ops.parameter([1, 10], np.float32)
    seen = ops.parameter([1, 784], np.float32)
    answers = ops.parameter(ov.PartialShape([1, -1]), np.float32)
    state_now = ops.add(state, ops.matmul(seen, np.full((784, 10), 0.0001, np.float32), False, False))
    before = ops.reduce_sum(answers, np.array([1]), keep_dims=True)
    listed = ops.add(state_now, before)
    if bright:
        where = ops.non_zero(seen, "i64")
        listed = ops.convert(ops.reduce_max(where, np.array([0]), keep_dims=True), np.float32)
    results = [ops.result(ops.constant(np.array([True]))), ops.result(state_now), ops.result(listed)]
    loop = ops.loop(ops.constant(np.int64(28)), ops.constant(np.array([True])))
    loop.set_function(ov.Model(results, [state, seen, answers], "body"))
    loop.set_special_body_ports([-1, 0])
    loop.set_merged_input(state, ops.constant(np.zeros((1, 10), np.float32)).output(0), results[1].output(0))
    loop.set_merged_input(answers, ops.constant(np.zeros((1, 1), np.float32)).output(0), results[2].output(0))
    loop.set_invariant_input(seen, image.output(0))
    end = loop.get_iter_value(results[1].output(0), -1)
    return ov.Model([ops.result(ops.softmax(end, 1))], [image], "listed")


def _masked(mask: list[float], *, adds: bool) -> Any:
    """A linear network with infinite constants, as attention masks and maxima have them."""
    import openvino as ov
    from openvino import opset13 as ops

    image = ops.parameter([1, 784], np.float32)
    answer = ops.matmul(image, np.full((784, 10), 1e-4, np.float32), False, False)
    limits = np.array([mask * 5], np.float32)
    answer = ops.add(answer, limits) if adds else ops.maximum(answer, limits)
    return ov.Model([ops.result(ops.softmax(answer, 1))], [image], "masked")


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (lambda: _row_by_row(28), None),
        (lambda: _row_by_row(1000), None),
        (lambda: _row_by_row(28, deep=1), None),
        (lambda: _row_by_row(10**7), "a loop of 10,000,000 rounds"),
        (lambda: _row_by_row(-1), "a loop of an open number of rounds"),
        (lambda: _counted(28), None),
        (lambda: _counted(28, inside=False), None),
        (lambda: _counted(10**6), "a loop of 1,000,001 rounds"),
        (lambda: _counted(28, step=0), "a loop of an open number of rounds"),
        (lambda: _counted(None), "a loop of an open number of rounds"),
        (lambda: _listed(bright=False), None),
        (lambda: _listed(bright=True), "its size depends on the picture"),
        (lambda: _masked([-np.inf, -np.inf], adds=False), None),
        (lambda: _masked([-np.inf, 0.0], adds=True), None),
        (lambda: _masked([-np.inf, -np.inf], adds=True), "not a finite number"),
        (lambda: _masked([np.inf, 0.0], adds=True), "not a finite number"),
        (lambda: _masked([np.nan, 0.0], adds=False), "a weight is not a number"),
    ],
)
def test_what_ends_and_answers_with_numbers_passes(made: Any, says: str | None, tmp_path: Path) -> None:
    """A loop of so many rounds as its constants say passes, and an infinite constant whose answers are finite; what may
    run for long, or answers with no numbers, is refused by what it is."""
    path = hostile_networks.write(tmp_path, *hostile_networks.saved(made()))
    try:
        ir_xml.scan(path, path.with_suffix(".bin").stat().st_size)
        said = worker._verdict(path, finder=False)["reason"]  # in this process: none of them is hostile
    except ir_xml.RefusedError as error:
        said = str(error)
    assert (said is None) if says is None else (said is not None and says in said), said
