"""The server's gRPC side: KServe's servicer, with our statuses and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import grpc
from grpc import aio
from kserve.errors import InvalidInput
from kserve.protocol.grpc import grpc_predict_v2_pb2, grpc_predict_v2_pb2_grpc
from kserve.protocol.grpc.servicer import InferenceServicer

from edgefashion.errors import BadInputError
from edgefashion.serving import extensions
from edgefashion.serving.admission import check_values, most_calls
from edgefashion.serving.protocol import refusal_of
from edgefashion.system.server_log import complain

if TYPE_CHECKING:
    from edgefashion.serving.metrics import Metrics
    from edgefashion.serving.protocol import Plane, Repository

_FIELDS: Final = {"UINT8": "uint_contents", "BYTES": "bytes_contents"}
"""Where the protocol has the values of the types that are taken here."""

_IDLE_MS: Final = 300_000
_AGE_MS: Final = 600_000
_AGE_GRACE_MS: Final = 60_000
"""A connection of that age is closed, so that a call that is never sent whole ends. A client's gRPC opens a new one by
itself."""


class Servicer(InferenceServicer):  # type: ignore[misc]
    """KServe's servicer, which counts and limits requests here."""

    def __init__(self, plane: Plane, repository: Repository, metrics: Metrics) -> None:
        super().__init__(plane, repository)
        self._plane, self._metrics = plane, metrics

    async def ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802, protobuf's name
        with self._metrics.watch(request.model_name, "grpc"):
            check_values(len(request.inputs) + len(request.outputs) + len(request.raw_input_contents))
            await self._plane.check_version(request.model_name, request.model_version)
            for given in request.inputs:  # here, for KServe drops values of kinds that it does not know
                extensions.check_input(given.name, given.parameters)
                _check_contents(given)
            for output in request.outputs:
                extensions.check_output(output.name, output.parameters)
            check_values(sum(len(v) for given in request.inputs for _, v in given.contents.ListFields()))
            return await super().ModelInfer(request, context)

    async def ModelReady(self, request: Any, _: Any) -> Any:  # noqa: N802
        """As over HTTP and at Triton, a model that is not here is not ready; KServe's would raise."""
        here = self._plane.knows(request.name) and not request.version
        return grpc_predict_v2_pb2.ModelReadyResponse(ready=here and await self._plane.model_ready(request.name))

    async def ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        await self._plane.check_version(request.name, request.version)
        return await super().ModelMetadata(request, context)


def _check_contents(given: Any) -> None:
    """Raise ``InvalidInput`` for values in another field than their type's: they would be passed over."""
    wanted = _FIELDS.get(given.datatype)
    others = [field.name for field, _ in given.contents.ListFields() if field.name != wanted]
    if wanted and others:
        raise InvalidInput(f"{given.name[:40]!r}: values of type {given.datatype} are in {wanted}, not {others[0]}")


class Statuses(aio.ServerInterceptor):  # type: ignore[misc]
    """Answers every exception with the status that tells the client what to do."""

    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        handler = await continuation(details)
        if handler is None:
            return grpc.unary_unary_rpc_method_handler(_no_such_call)
        if handler.unary_unary is None:
            return handler

        async def answer(message: bytes, context: Any) -> Any:
            try:
                return await handler.unary_unary(_decoded(handler, message), context)
            except Exception as error:
                refusal, text = refusal_of(error)
                if refusal.outcome == "error":
                    complain("a request failed", error, "serve")
            return await context.abort(getattr(grpc.StatusCode, refusal.grpc), text)

        return grpc.unary_unary_rpc_method_handler(answer, None, handler.response_serializer)


def _decoded(handler: Any, message: bytes) -> Any:
    """The message; gRPC itself would call one that is none an error of ours."""
    try:
        return handler.request_deserializer(message)
    except Exception as error:  # protobuf's kinds change with its version
        raise InvalidInput("the message is none of the Open Inference Protocol") from error


async def _no_such_call(_: bytes, context: Any) -> Any:
    return await context.abort(grpc.StatusCode.UNIMPLEMENTED, f"this server has no such call. {extensions.ADDRESSES}")


class Grpc:
    """The gRPC server."""

    def __init__(
        self, plane: Plane, repository: Repository, metrics: Metrics, *, max_bytes: int, concurrent: int
    ) -> None:
        options = [
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", max_bytes),
            ("grpc.so_reuseport", 0),
            ("grpc.max_connection_idle_ms", _IDLE_MS),
            ("grpc.max_connection_age_ms", _AGE_MS),
            ("grpc.max_connection_age_grace_ms", _AGE_GRACE_MS),
        ]
        calls = most_calls(concurrent, max_bytes)
        self._server = aio.server(interceptors=(Statuses(),), options=options, maximum_concurrent_rpcs=calls)
        grpc_predict_v2_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(
            Servicer(plane, repository, metrics), self._server
        )

    def listen(self, host: str, port: int) -> int:
        """Bind; the port that was taken. Raises :class:`BadInputError` if it cannot be had."""
        where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            return int(self._server.add_insecure_port(where))
        except RuntimeError as error:
            raise BadInputError(f"{where} cannot be listened on, for gRPC. Choose another --grpc-port") from error

    async def serve(self) -> None:
        """Serve until :meth:`stop`."""
        await self._server.start()
        await self._server.wait_for_termination()

    async def stop(self, grace_s: float) -> None:
        """Take nothing new; what is being answered has ``grace_s`` left."""
        await self._server.stop(grace_s)
