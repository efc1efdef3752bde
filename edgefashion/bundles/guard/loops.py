"""How often a loop in a network runs at most, where its own constants say it.

TensorFlow's ``while`` arrives in OpenVINO as a loop without a number of rounds, which ends by a condition in its body:
a counter, from a constant and with a constant step, is below a constant. Such a loop ends whatever the picture is.
"""

from __future__ import annotations

import math
from typing import Any, Final

OPEN: Final = -1
"""No number of rounds is known."""

_SAME_VALUE: Final = frozenset({"Convert", "Reshape", "Squeeze", "Unsqueeze", "Result"})
_DEEPEST: Final = 16


def rounds_of(loop: Any) -> int:
    """The rounds of a Loop or TensorIterator at most; :data:`OPEN` where its constants do not say it."""
    rounds = int(loop.get_num_iterations())
    if rounds >= 0 or loop.get_type_name() != "Loop":
        return rounds
    at = int(loop.get_special_body_ports()[1])
    body = loop.get_function()
    if not 0 <= at < len(body.get_results()):
        return OPEN
    return _Body(loop, body).rounds(body.get_results()[at], 0)


def of_two_sizes(loop: Any) -> frozenset[str]:
    """The names of those parameters of a loop's body that have one fixed size in the first round, and another fixed one
    in each that follows.

    OpenVINO calls such a size open. So begins the list to which a recurrent layer adds its answers, in TensorFlow's
    form: with one number.
    """
    body = loop.get_function()
    parameters, results = body.get_parameters(), body.get_results()
    return frozenset(
        parameters[fed.body_parameter_index].get_name()
        for fed in loop.get_input_descriptions()
        if hasattr(fed, "body_value_index")
        and loop.input_value(fed.input_index).get_partial_shape().is_static
        and results[fed.body_value_index].get_output_partial_shape(0).is_static
    )


class _Body:
    """A loop's body, and what is fed to it."""

    def __init__(self, loop: Any, body: Any) -> None:
        self._loop = loop
        self._results = [_value(result) for result in body.get_results()]
        names = [parameter.get_name() for parameter in body.get_parameters()]
        self._fed = {names[one.body_parameter_index]: one for one in loop.get_input_descriptions()}

    def rounds(self, condition: Any, depth: int) -> int:
        """How often ``condition``, which goes on while it is true, can be so."""
        condition = _value(condition)
        kind = condition.get_type_name()
        if depth > _DEEPEST or kind not in ("LogicalAnd", "Less", "LessEqual"):
            return OPEN
        left, right = (_value(value.get_node()) for value in condition.input_values())
        if kind == "LogicalAnd":
            known = [rounds for side in (left, right) if (rounds := self.rounds(side, depth + 1)) != OPEN]
            return min(known, default=OPEN)
        limit, counted = self._constant(right), self._counter(left)
        if limit is None or counted is None:
            return OPEN
        start, step = counted
        return max(0, math.ceil((limit - start) / step)) + 1  # one more: the condition may be looked at afterwards

    def _counter(self, node: Any) -> tuple[float, float] | None:
        """The start and the step of a counter, or of what it becomes in this round."""
        parameter = node
        if node.get_type_name() == "Add":
            sides = [_value(value.get_node()) for value in node.input_values()]
            parameter = next((side for side in sides if side.get_type_name() == "Parameter"), node)
        fed = self._fed.get(parameter.get_name())
        if fed is None or not hasattr(fed, "body_value_index"):
            return None
        step = self._step(self._results[fed.body_value_index], parameter)
        start = _number(_value(self._loop.input_value(fed.input_index).get_node()))
        return None if step is None or start is None else (start, step)

    def _step(self, becomes: Any, parameter: Any) -> float | None:
        if becomes.get_type_name() != "Add":
            return None
        sides = [_value(value.get_node()) for value in becomes.input_values()]
        if not any(side.get_name() == parameter.get_name() for side in sides):
            return None
        others = [self._constant(side) for side in sides if side.get_name() != parameter.get_name()]
        return others[0] if len(others) == 1 and others[0] is not None and others[0] > 0 else None

    def _constant(self, node: Any) -> float | None:
        """A number that is the same in every round: in the body, or handed to it unchanged."""
        if node.get_type_name() != "Parameter":
            return _number(node)
        fed = self._fed.get(node.get_name())
        if fed is None or hasattr(fed, "axis"):  # a piece of a tensor, another in each round
            return None
        changed = hasattr(fed, "body_value_index") and (
            self._results[fed.body_value_index].get_name() != node.get_name()
        )
        return None if changed else _number(_value(self._loop.input_value(fed.input_index).get_node()))


def _value(node: Any) -> Any:
    """The node that made what ``node`` only hands on."""
    while node.get_type_name() in _SAME_VALUE:
        node = node.input_value(0).get_node()
    return node


def _number(node: Any) -> float | None:
    """What a constant of one finite number holds."""
    if node.get_type_name() != "Constant" or node.get_element_type().get_type_name() == "string":
        return None
    data = node.get_data()
    return float(data.reshape(-1)[0]) if data.size == 1 and math.isfinite(float(data.reshape(-1)[0])) else None
