"""KServe's ModelServer with what it has no option for: our address and limits, the protocol's own errors, a clean end.

Two ports, HTTP and gRPC, in one process with a thread a core.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from edgefashion.serving.options import Addresses, ServeOptions
from edgefashion.system import machine
from edgefashion.system.complaints import complain

if TYPE_CHECKING:
    import socket

    from edgefashion.inference.classifier import Classifier
    from edgefashion.serving.signals import Ending

# Silent: every error is told to who caused it, and ours are one line each.
_LOG: Final = logging.getLogger("kserve")
_LOG.addHandler(logging.NullHandler())
_LOG.propagate = False
_LOG.setLevel(logging.CRITICAL)

_ARGUMENTS = sys.argv
sys.argv = sys.argv[:1]  # which KServe parses when it is imported, and ends the process over what it does not know
try:
    from kserve import ModelServer
finally:
    sys.argv = _ARGUMENTS

from edgefashion.serving.admission import Gate  # noqa: E402
from edgefashion.serving.grpc_server import Grpc  # noqa: E402
from edgefashion.serving.metrics import Metrics  # noqa: E402
from edgefashion.serving.model import Garments  # noqa: E402
from edgefashion.serving.protocol import Plane, Repository
from edgefashion.serving.rest import Http  # noqa: E402

_TICK_S: Final = 0.02
_NOTICE_S: Final = 0.3
"""Who asks meanwhile is told that the server ends; later nobody is there to tell."""

_LAST_S: Final = 1.0
"""What is answered already has so long to reach its client."""


class Server(ModelServer):  # type: ignore[misc]
    """KServe's model server, on our HTTP and gRPC servers. One a process."""

    def __init__(self, options: ServeOptions) -> None:
        super().__init__(http_port=options.http_port, grpc_port=options.grpc_port, enable_latency_logging=False)
        self.options = options
        self.gate = Gate(options.workers or machine.cores(), options.queue, options.timeout_s)
        self.dataplane = Plane(self.registered_models, self.gate)
        self.model_repository_extension = Repository(self.registered_models)

    def model(self, classifier: Classifier, load: Callable[[], Classifier]) -> Garments:
        """A classifier as a model of this server; ``load`` gives another for another thread."""
        most_pixels = int(self.options.max_megapixels * 1e6)
        return Garments(classifier, load, self.gate, most_images=self.options.max_images, most_pixels=most_pixels)

    def start(
        self,
        models: list[Garments],
        listening: socket.socket,
        on_ready: Callable[[Addresses], None],
        ending: Ending,
    ) -> None:
        """Warm ``models`` up and serve them until a signal comes, and drain."""
        for model in models:
            model.load()
            self.register_model(model)
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._run(listening, on_ready, ending))

    async def _run(self, listening: socket.socket, on_ready: Callable[[Addresses], None], ending: Ending) -> None:
        options = self.options
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, what: complain(what["message"], what.get("exception"), "serve"))
        names = list(self.registered_models.get_models())
        parts = self.dataplane, self.model_repository_extension, Metrics(self.gate, names)
        max_bytes = int(options.max_request_mb * 1e6)
        http = Http(*parts, max_bytes=max_bytes, timeout_s=options.timeout_s)
        # Above the gate's own bound where messages are small, so that it is the gate that says why.
        grpc = Grpc(*parts, max_bytes=max_bytes, concurrent=2 * (self.gate.workers + self.gate.queue) + 64)
        grpc_port = grpc.listen(options.host, options.grpc_port)
        stop = asyncio.Event()
        ending.then(lambda: loop.call_soon_threadsafe(stop.set))
        serving = [asyncio.create_task(http.serve(listening)), asyncio.create_task(grpc.serve())]
        while not http.server.started and not any(task.done() for task in serving):
            await asyncio.sleep(_TICK_S)
        for failed in (task for task in serving if task.done()):
            await failed
        host = f"[{options.host}]" if ":" in options.host else options.host
        url = f"http://{host}:{listening.getsockname()[1]}"
        on_ready(Addresses(url, f"grpc://{host}:{grpc_port}", {name: f"{url}/v2/models/{name}" for name in names}))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([*serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        await self._drain(http, grpc)
        await asyncio.gather(*serving)

    async def _drain(self, http: Http, grpc: Grpc) -> None:
        """Answer what is inside, take nothing new, and end."""
        self.gate.draining = True
        start_s = time.monotonic()
        notice_s, end_s = start_s + _NOTICE_S, start_s + self.options.drain_timeout_s
        while time.monotonic() < (max(notice_s, end_s) if self.gate.inside else notice_s):
            await asyncio.sleep(_TICK_S)
        self.gate.abandon()
        http.stop()
        await grpc.stop(_LAST_S)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where that is installed, as uvicorn itself chooses."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
