"""The server: KServe's protocol on our own HTTP and gRPC servers, in one process with a thread a core.

KServe's ``ModelServer`` has no option for an address, limits and a clean end, so only its parts are used.
Import this module as :func:`edgefashion.serving.serve.serve` does: KServe reads ``sys.argv`` when it is imported.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from kserve import ModelRepository

from edgefashion.serving.admission import Gate
from edgefashion.serving.grpc_server import Grpc
from edgefashion.serving.metrics import Metrics
from edgefashion.serving.model import Garments
from edgefashion.serving.options import Addresses, ServeOptions
from edgefashion.serving.protocol import Plane, Repository
from edgefashion.serving.reloading import Reloading
from edgefashion.serving.rest import Http
from edgefashion.system import machine

if TYPE_CHECKING:
    import socket

    from edgefashion.inference.classifier import Classifier
    from edgefashion.serving.signals import Ending

_POLL_S: Final = 0.02
"""How often the start and the end look whether they are done."""

_REFUSE_S: Final = 0.3
"""At the end new requests are refused, with the reason, for at least so long. Later nobody answers them."""

_SEND_S: Final = 1.0
"""At the end, the time in which answers of gRPC that are ready reach their clients."""


class Server:
    """Serves models over HTTP and gRPC. One a process."""

    def __init__(self, options: ServeOptions) -> None:
        _silence_kserve()
        self.options = options
        self.models = ModelRepository()
        self.gate = Gate(options.workers or machine.cores(), options.queue, options.timeout_s)

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
            self.models.update(model)
        self._reloading = Reloading(self.models, {model.name: model.load_one for model in models}, self.model)
        self._reloading.start()
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(self._run(listening, on_ready, ending))
        self._reloading.wait()

    async def _run(self, listening: socket.socket, on_ready: Callable[[Addresses], None], ending: Ending) -> None:
        options = self.options
        loop = asyncio.get_running_loop()
        names = list(self.models.get_models())
        parts = Plane(self.models, self.gate), Repository(self.models), Metrics(self.gate, self.models)
        max_bytes = int(options.max_request_mb * 1e6)
        http = Http(*parts, max_bytes=max_bytes, timeout_s=options.timeout_s)
        # More calls than the gate takes, where messages are small: the gate refuses them with a reason, gRPC without.
        grpc = Grpc(*parts, max_bytes=max_bytes, concurrent=2 * (self.gate.workers + self.gate.queue) + 64)
        grpc_port = grpc.listen(options.host, options.grpc_port)
        stop = asyncio.Event()
        ending.then(lambda: loop.call_soon_threadsafe(stop.set))
        serving = [asyncio.create_task(http.serve(listening)), asyncio.create_task(grpc.serve())]
        while not http.server.started and not any(task.done() for task in serving):
            await asyncio.sleep(_POLL_S)
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
        """Answer the requests that are inside, refuse new ones, and end."""
        self.gate.draining = True
        start_s = time.monotonic()
        refuse_until_s = start_s + _REFUSE_S
        give_up_s = max(refuse_until_s, start_s + self.options.drain_timeout_s)
        while time.monotonic() < (give_up_s if self.gate.inside else refuse_until_s):
            await asyncio.sleep(_POLL_S)
        self._reloading.stop()
        self.gate.abandon()
        http.stop()
        await grpc.stop(_SEND_S)


def _silence_kserve() -> None:
    """Have KServe log nothing: a client is told of its own errors, and the server's own are one line each."""
    log = logging.getLogger("kserve")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    log.setLevel(logging.CRITICAL)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The loop of uvloop where that is installed, as uvicorn itself chooses."""
    try:
        import uvloop
    except ImportError:
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory
