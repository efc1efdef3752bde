"""KServe's data plane with what it lacks: binary tensors over HTTP, and errors that say what the client did wrong.

KServe 0.21 turns every binary tensor into a list and a BYTES element into UTF-8 text, which no JPEG is.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING, Any, Final

import orjson
from kserve.errors import InvalidInput, ModelNotFound, ModelNotReady, ServerNotLive, ServerNotReady, UnsupportedProtocol
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.infer_type import InferInput, InferRequest, RequestedOutput
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from edgefashion.inference.finite import NoNumbersError
from edgefashion.serving import extensions
from edgefashion.serving.admission import check_values
from edgefashion.serving.statuses import BROKEN, UNKNOWN, UNSUPPORTED, Refusal, RefusedError
from edgefashion.system.text import whole_number
from edgefashion.version import __version__

if TYPE_CHECKING:
    from edgefashion.serving.admission import Gate

JSON_LENGTH: Final = "inference-header-content-length"

_INVALID: Final = Refusal("invalid", 400, "INVALID_ARGUMENT")
_NOT_READY: Final = Refusal("not_ready", 503, "UNAVAILABLE", 1)


class Plane(DataPlane):  # type: ignore[misc]
    """Decodes requests, and is ready until the gate drains."""

    def __init__(self, model_registry: Any, gate: Gate) -> None:
        super().__init__(model_registry)
        self.gate = gate

    def metadata(self) -> dict[str, Any]:
        """The server's name, version and extensions of the protocol."""
        return {"name": "edgefashion", "version": __version__, "extensions": list(extensions.NAMES)}

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        """KServe's, which leaves the platform empty."""
        return {**await super().model_metadata(model_name), "platform": "openvino"}

    def knows(self, model_name: str) -> bool:
        """True if a model of that name is served, ready or not."""
        return model_name in self.model_registry.get_models()

    async def check_version(self, model_name: str, version: str | None) -> None:
        """Raise :class:`RefusedError` for any version that is named, ``ModelNotFound`` where the model is not here."""
        await self.model_ready(model_name)
        if version:
            raise RefusedError(UNKNOWN, extensions.no_version(model_name, version))

    async def ready(self) -> bool:
        """False before every model is ready, and from SIGTERM on."""
        models = self.model_registry.get_models().values()
        return not self.gate.draining and all(model.ready for model in models)

    def decode_inference_request(self, body: bytes | bytearray, headers: dict[str, str], model_name: str) -> Any:
        """A request's bytes, JSON alone or JSON and the tensors behind it, as KServe's ``InferRequest``.

        The tensors are views of ``body``, which is not to change.
        """
        said = headers.get(JSON_LENGTH, str(len(body)))
        length = whole_number(said)
        if length is None or length > len(body):
            raise InvalidInput(f"the header {JSON_LENGTH} says {said[:20]!r}, of a body of {len(body)} bytes")
        # Each value but a list's first has a comma before it, and each list its bracket.
        check_values(sum(body.count(mark, 0, length) for mark in (b",", b"[", b"{")))
        begin = len(codecs.BOM_UTF8) if body.startswith(codecs.BOM_UTF8) else 0  # PowerShell writes one into files
        try:
            asked = orjson.loads(memoryview(body)[begin:length])
        except orjson.JSONDecodeError as error:
            raise InvalidInput(
                "the request is no JSON in UTF-8. A picture goes into it in base64, or behind it as binary data"
            ) from error
        try:
            return _request(asked, memoryview(body)[length:], model_name)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            if isinstance(error, InvalidInput):
                raise
            wanted = "it has inputs, a list of objects with name, shape, datatype and data"
            raise InvalidInput(f"the request is none of the Open Inference Protocol: {wanted}") from error


class Repository(ModelRepositoryExtension):  # type: ignore[misc]
    """Refuses to load and unload models: there is no authentication, so anybody could."""

    async def load(self, *_: Any, **__: Any) -> None:
        """Refused."""
        raise NotImplementedError("models are loaded when the server starts, and not by request")

    unload = load


def refusal_of(error: Exception) -> tuple[Refusal, str]:
    """How a request that raised ``error`` is refused, and what the client is told: one line, whatever was sent."""
    refusal, text = _refusal_of(error)
    return refusal, "".join(letter if letter.isprintable() else " " for letter in text)


def _refusal_of(error: Exception) -> tuple[Refusal, str]:
    if isinstance(error, RefusedError):
        return error.refusal, error.reason
    if isinstance(error, InvalidInput):
        return _INVALID, str(error)
    if isinstance(error, ModelNotFound):
        return UNKNOWN, str(error)[:200]
    if isinstance(error, (ModelNotReady, ServerNotReady, ServerNotLive)):
        return _NOT_READY, str(error)[:200]
    if isinstance(error, (NotImplementedError, UnsupportedProtocol)):
        return UNSUPPORTED, str(error) or "not supported"
    if isinstance(error, NoNumbersError):
        return BROKEN, str(error)
    return BROKEN, "the server failed at this request. Its log says why"


def _request(asked: dict[str, Any], tensors: memoryview, model_name: str) -> Any:
    inputs: list[InferInput] = []
    binary: list[memoryview | None] = []
    at = 0
    for one in asked["inputs"]:
        parameters = one.get("parameters") or {}
        made = InferInput(str(one["name"]), one["shape"], str(one["datatype"]), one.get("data"), parameters)
        extensions.check_input(made.name, parameters)  # before its data are missed, which may be in shared memory
        size = parameters.get("binary_data_size")
        if size is not None:
            if type(size) is not int or size < 0 or made.data is not None or at + size > len(tensors):
                raise InvalidInput(f"{made.name!r}: its binary_data_size {str(size)[:20]} is not what follows the JSON")
            binary.append(tensors[at : at + size])
            at += size
        elif not isinstance(made.data, list):
            raise InvalidInput(f"{made.name!r} has no data")
        else:
            binary.append(None)
        inputs.append(made)
    if at != len(tensors):
        raise InvalidInput(f"{len(tensors) - at} bytes behind the JSON belong to no input")
    outputs = [RequestedOutput(str(o["name"]), o.get("parameters") or {}) for o in asked.get("outputs") or ()]
    parameters = asked.get("parameters") or {}
    if not isinstance(parameters, dict):
        raise InvalidInput("parameters are an object")
    return InferRequest(
        model_name=model_name,
        infer_inputs=inputs,
        raw_inputs=binary,
        request_id=None if asked.get("id") is None else str(asked["id"])[:200],
        parameters=parameters,
        request_outputs=outputs or None,
    )
