"""What a client may ask for beside its tensors, in the words of KServe's and Triton's extensions of the protocol.

It is done, or refused in one sentence, the same over both protocols: what is passed over in silence is believed done.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from kserve.errors import InvalidInput

from edgefashion.serving.statuses import UNSUPPORTED, RefusedError

if TYPE_CHECKING:
    from kserve import InferRequest
    from numpy.typing import NDArray

NAMES: Final = ("binary_tensor_data", "classification")
"""The extensions that are done, by Triton's names."""

ADDRESSES: Final = "It answers health, metadata and infer of the Open Inference Protocol, and /metrics"

_NO_SEQUENCES: Final = "no sequences are kept here: each request stands alone. Leave sequence_id out"
_NO_MEMORY: Final = "no memory is shared with clients here. Send the tensors themselves, and take them as they come"
_REFUSED: Final = {
    "sequence_id": _NO_SEQUENCES,
    "sequence_start": _NO_SEQUENCES,
    "sequence_end": _NO_SEQUENCES,
    "priority": "all requests have the same priority here. Leave priority out",
    "triton_enable_empty_final_response": "answers are not streamed here. Leave the streaming out",
    "shared_memory_region": _NO_MEMORY,
    "shared_memory_offset": _NO_MEMORY,
    "shared_memory_byte_size": _NO_MEMORY,
}
_OF_REQUEST: Final = ("facts", "timeout", "binary_data_output")
_OF_INPUT: Final = ("binary_data_size",)
_OF_OUTPUT: Final = ("binary_data", "classification")


@dataclass(frozen=True)
class Asked:
    """What a request asks for beside its tensors."""

    facts: bool
    """The parameter ``facts`` is to come back."""
    within_s: float | None
    """The time that it gives us; None: as long as the server's own."""
    classes: dict[str, int]
    """For an output by its name: so many of the likeliest classes in place of its tensor."""


def asked(payload: InferRequest) -> Asked:
    """What ``payload`` asks for.

    Raises :class:`RefusedError` for what this server does not do, ``InvalidInput`` for what is no parameter.
    """
    own = check("the request", plain(payload.parameters), _OF_REQUEST)
    for given in payload.inputs:
        check_input(given.name, given.parameters)
    classes = {}
    for output in payload.request_outputs or ():
        told = check_output(output.name, output.parameters)
        if "classification" in told:
            classes[output.name] = told["classification"]
    names = [output.name for output in payload.request_outputs or ()]
    if len(set(names)) < len(names):
        raise InvalidInput("an output is named twice. Name each once")
    timeout_us = own.get("timeout", 0)
    if type(timeout_us) is not int or timeout_us < 0:
        raise InvalidInput(f"timeout is a whole number of microseconds, not {str(timeout_us)[:20]}")
    return Asked(own.get("facts") is True, timeout_us / 1e6 if timeout_us else None, classes)


def check_input(name: str, parameters: Any) -> dict[str, Any]:
    """An input's parameters. Raises as :func:`asked` does."""
    return check(f"the input {name[:40]!r}", plain(parameters), _OF_INPUT)


def check_output(name: str, parameters: Any) -> dict[str, Any]:
    """An output's parameters. Raises as :func:`asked` does."""
    told = check(f"the output {name[:40]!r}", plain(parameters), _OF_OUTPUT)
    count = told.get("classification", 1)
    if type(count) is not int or count < 1:
        raise InvalidInput(f"classification is a whole number from 1, not {str(count)[:20]}")
    return told


def check(what: str, given: dict[str, Any], known: tuple[str, ...]) -> dict[str, Any]:
    """The parameters of ``what``, once they are looked at; one that is 0, false or empty asks for nothing."""
    for name, value in given.items():
        if name in known:
            if name in ("facts", "binary_data", "binary_data_output") and not isinstance(value, bool):
                raise InvalidInput(f"{name} is true or false, not {str(value)[:20]}")
        elif name not in _REFUSED:
            raise InvalidInput(f"{what} has a parameter {name[:40]!r}, and may have {', '.join(known)}. Leave it out")
        elif value not in (0, "", "0"):
            raise RefusedError(UNSUPPORTED, _REFUSED[name])
    return given


def plain(parameters: Any) -> dict[str, Any]:
    """Parameters as JSON or gRPC bring them, as names and values. A value of a kind that only Triton knows is None."""
    if not parameters:
        return {}
    if not isinstance(parameters, Mapping) and not hasattr(parameters, "items"):
        raise InvalidInput("parameters are an object")
    return {str(name): _value(value) for name, value in parameters.items()}


def _value(value: Any) -> Any:
    if not hasattr(value, "WhichOneof"):
        return value
    kind = value.WhichOneof("parameter_choice")
    return getattr(value, kind) if kind else None


def no_version(model: str, version: str) -> str:
    """What is said of a version that does not exist."""
    return f"{model[:40]} has no version {version[:20]!r}: models have no versions here. Leave the version out"


def classified(tensor: NDArray[Any], count: int, labels: tuple[str, ...]) -> NDArray[Any]:
    """The likeliest classes of each row of probabilities (n, classes), the likeliest first: ``value:index:label`` as
    BYTES (n, ``count``), or fewer where there are not so many."""
    order = np.argsort(-tensor, axis=1, kind="stable")[:, :count]
    return np.array(
        [[f"{row[at]:f}:{at}:{labels[at]}".encode() for at in best] for row, best in zip(tensor, order, strict=True)],
        object,
    )
