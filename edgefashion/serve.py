"""``edgefashion serve``: models for other machines, over the Open Inference Protocol, by KServe's ModelServer.

Two ports, HTTP and gRPC, one process, a thread a core. What KServe has no option for is set here: the address,
limits on what a request may take, errors that are the protocol's own, and an end that answers what it took.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from unittest import mock

from edgefashion import machine
from edgefashion.errors import BadInputError
from edgefashion.web_log import complain


def _import_kserve() -> type:
    # Importing it reads our command line, as its own.
    with mock.patch.object(sys, "argv", sys.argv[:1]):
        from kserve import ModelServer
    assert isinstance(ModelServer, type)
    return ModelServer


# Silent: every error is answered to who caused it, and ours are one line each.
logging.getLogger("kserve").addHandler(logging.NullHandler())
logging.getLogger("kserve").propagate = False
logging.getLogger("kserve").setLevel(logging.CRITICAL)
ModelServer: Any = _import_kserve()

from edgefashion.serve_gate import Gate  # noqa: E402
from edgefashion.serve_grpc import Grpc  # noqa: E402
from edgefashion.serve_http import Http  # noqa: E402
from edgefashion.serve_metrics import Metrics  # noqa: E402
from edgefashion.serve_model import Garments  # noqa: E402
from edgefashion.serve_plane import Plane, Repository  # noqa: E402

_TICK_S: Final = 0.02


@dataclass(frozen=True)
class ServeOptions:
    """How to serve."""

    host: str = "127.0.0.1"
    http_port: int = 8080
    """0: any that is free."""
    grpc_port: int = 8081
    precision: str | None = None
    workers: int = 0
    """Requests computed at once; 0: one a core."""
    queue: int = 256
    """Requests that may wait beside them."""
    timeout_s: float = 10.0
    drain_timeout_s: float = 10.0
    max_request_mb: float = 32.0
    max_images: int = 256
    max_megapixels: float = 64.0


@dataclass(frozen=True)
class Addresses:
    """Where the server is to be found."""

    http: str
    grpc: str
    models: dict[str, str]

    def as_json(self) -> str:
        """The line scripts wait for."""
        return json.dumps({"ready": True, "http": self.http, "grpc": self.grpc, "models": self.models})


class Server(ModelServer):  # type: ignore[misc]
    """KServe's model server, on our HTTP and gRPC servers."""

    def __init__(self, options: ServeOptions) -> None:
        super().__init__(http_port=options.http_port, grpc_port=options.grpc_port, enable_latency_logging=False)
        self.options = options
        self.received: int | None = None
        self.gate = Gate(options.workers or machine.cores(), options.queue, options.timeout_s)
        self.dataplane = Plane(self.registered_models, self.gate)
        self.model_repository_extension = Repository(self.registered_models)

    def start(self, models: list[Garments], on_ready: Callable[[Addresses], None] = lambda _: None) -> None:
        """Serve ``models`` until SIGTERM or Ctrl-C, and drain."""
        for model in models:
            self.register_model(model)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._run(models, on_ready))

    async def _run(self, models: list[Garments], on_ready: Callable[[Addresses], None]) -> None:
        options = self.options
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: complain(what["message"], what.get("exception"), "serve"))
        names = [model.name for model in models]
        metrics = Metrics(self.gate, names)
        max_bytes = int(options.max_request_mb * 1e6)
        parts = self.dataplane, self.model_repository_extension, metrics
        http = Http(*parts, max_bytes=max_bytes, timeout_s=options.timeout_s)
        # Over the gate's own bound, so that it is the gate that says why.
        concurrent = 2 * (self.gate.workers + self.gate.queue) + 64
        grpc = Grpc(*parts, max_bytes=max_bytes, concurrent=concurrent)
        listening = _listen(options.host, options.http_port)
        grpc_port = grpc.listen(options.host, options.grpc_port)
        host = f"[{options.host}]" if ":" in options.host else options.host
        http_url = f"http://{host}:{listening.getsockname()[1]}"
        urls = {name: f"{http_url}/v2/models/{name}" for name in names}
        stop = asyncio.Event()

        def on_signal(number: int) -> None:
            self.received = self.received or number
            loop.call_soon_threadsafe(stop.set)

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda number, _: on_signal(number))
        serving = [asyncio.create_task(http.serve(listening)), asyncio.create_task(grpc.serve())]
        while not http.server.started and not any(task.done() for task in serving):
            await asyncio.sleep(0.005)
        on_ready(Addresses(http_url, f"grpc://{host}:{grpc_port}", urls))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([*serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        await self._drain(http, grpc)
        await asyncio.gather(*serving)

    async def _drain(self, http: Http, grpc: Grpc) -> None:
        """Answer what is inside, take nothing new, and end."""
        self.gate.draining = True
        end_s = time.monotonic() + self.options.drain_timeout_s
        while self.gate.inside and time.monotonic() < end_s:
            await asyncio.sleep(_TICK_S)
        http.stop()
        await grpc.stop(max(0.0, min(1.0, end_s - time.monotonic())))


def serve(
    models: list[str],
    options: ServeOptions,
    on_ready: Callable[[Addresses], None] = lambda _: None,
) -> int | None:
    """Serve ``models``, names or paths, until a signal ends it; its number.

    Raises :class:`BadInputError` for a model, a name or an address that cannot be served.
    """
    server = Server(options)
    limits = {"most_images": options.max_images, "most_pixels": int(options.max_megapixels * 1e6)}
    served = [Garments(model, server.gate, precision=options.precision, **limits) for model in models]
    names = [model.name for model in served]
    if len(set(names)) < len(names):
        raise BadInputError(f"two models are named alike: {', '.join(sorted(names))}. Serve them apart")
    for model in served:
        model.load()
    server.start(served, on_ready)
    server.gate.threads.shutdown(wait=False, cancel_futures=True)
    return server.received


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise BadInputError(f"--host {host}: no machine of that name is known here") from error
    listening = socket.socket(family, kind)
    try:
        if sys.platform != "win32":  # there it would let two servers share a port
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise BadInputError(f"{host}:{port} cannot be listened on: {error.strerror}. Choose another --port") from error
    listening.setblocking(False)
    return listening


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where that is installed, as uvicorn itself chooses."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
