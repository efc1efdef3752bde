"""A camera whose model is a URL goes on without its server."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers.camera import NetworkCamera, wait_until

from edgefashion.camera import demo_clip, loop, server_fallback
from edgefashion.camera.drift.watch import DayWatch
from edgefashion.camera.events.event import Event
from edgefashion.camera.moment import Moment
from edgefashion.camera.networks import Networks
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.camera.server_fallback import Served
from edgefashion.camera.sources.source import open_source
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference import load
from edgefashion.inference.remote import engine
from edgefashion.inference.remote.errors import ServerError

if TYPE_CHECKING:
    from helpers.types import Arrays
from helpers.served import PROTOCOLS, Server, free_port


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of both shipped models; the last test ends it."""
    running = Server("edge", "kiosk")
    yield running
    running.kill()


class Watched:
    """The camera's real loop in a thread: what it tells, and which network answers."""

    name = "page"
    shows = True
    keeping = None
    gone = False
    lost = 0

    def __init__(self, url: str, source: str, **more: Any) -> None:
        self.models: list[str] = []
        self.faults: list[str] = []
        self.frames = self.moments = 0
        self.condition = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(url, source, more), daemon=True)
        self._thread.start()

    def _run(self, url: str, source: str, more: dict[str, Any]) -> None:
        networks = Networks([url], **more)
        loop.run(
            networks,
            open_source(source),
            stop=self._stop,
            outputs=[ReopeningOutput(self, None)],
            events=[self],
            days=DayWatch(None, lambda _: None),
        )

    def take(self, moment: Moment) -> None:
        self.frames, self.condition = moment.health.frames, moment.health.condition
        self.moments += 1
        if moment.model and [moment.model] != self.models[-1:]:
            self.models.append(moment.model)

    def keys(self) -> str:
        return ""

    def tell(self, event: Event) -> None:
        if event.state == "fault":
            self.faults.append(event.reason or "")

    def fault(self) -> str | None:
        return None

    def close(self) -> None:
        self._stop.set()

    def end(self) -> None:
        self._stop.set()
        self._thread.join()

    def wait_for(self, model: str, changes: int) -> None:
        """Return once ``model`` answers, so many changes after the start, and goes on."""
        wait_until(lambda: self.models[changes:] == [model], f"{model} after {self.models}")
        seen = self.frames
        wait_until(lambda: self.frames > seen + 3, "more answers")

    def wait_for_nothing(self) -> None:
        """Return once nothing answers, and what is shown goes on."""
        wait_until(lambda: self.condition == "stale", "no answers")
        frames, seen = self.frames, self.moments
        wait_until(lambda: self.moments > seen + 9, "moments")
        assert self.frames == frames


@pytest.fixture(scope="module")
def stream(test_set: Arrays) -> Iterator[str]:
    scene = np.ascontiguousarray(demo_clip.scene_of(test_set[0][0])[::2, ::2])
    noise = np.random.default_rng(0).integers(0, 3, (5, *scene.shape)).astype(np.uint8)
    with NetworkCamera(lambda number: scene - noise[number % 5], interval_s=0.1) as running:
        yield running.url


def test_away_at_the_start(stream: str) -> None:
    """A camera whose server is away starts on the local bundle of that name at once, and says why."""
    watched = Watched(f"http://127.0.0.1:{free_port()}/v2/models/edge", stream)
    watched.wait_for("edge (local)", 0)
    watched.end()
    (told,) = watched.faults
    assert told.startswith("server: http://127.0.0.1")
    assert "cannot be reached" in told
    assert told.endswith("edge (local) answers")


def test_which_fallback() -> None:
    """The local network is the one that is chosen, else the bundle of the served one's name, else the photo network."""
    assert server_fallback.local_name("http://shop:1/v2/models/edge", None) == "edge"
    assert server_fallback.local_name("http://shop:1/v2/models/shop-7", None) == "kiosk"
    assert server_fallback.local_name("http://shop:1/v2/models/edge", "kiosk") == "kiosk"
    assert server_fallback.local_name("http://shop:1/v2/models/edge", "none") is None
    with pytest.raises(MissingError, match="cannot be reached"):
        Networks([f"grpc://127.0.0.1:{free_port()}/edge"], fallback="none")
    with pytest.raises(BadInputError, match="no model 'nosuch'"):
        Networks([f"grpc://127.0.0.1:{free_port()}/edge"], fallback="nosuch")


def test_keys(server: Server) -> None:
    """The keys change between a served network and one of this machine; its precision is its server's affair."""
    networks = Networks(["edge", server.url("grpc", "kiosk")])
    assert "Loading grpc://" in networks.choose(1)
    wait_until(lambda: any(networks.poll(0.0)), "the served network")
    assert (networks.classifier.name, networks.classifier.engine) == ("kiosk", "remote")
    assert "server" in networks.toggle_precision()
    networks.choose(0)
    wait_until(lambda: any(networks.poll(0.0)), "the local network")
    assert networks.classifier.engine == "openvino"
    networks.close()


def test_precision_and_then_a_lost_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """A served network that takes the place of one whose precisions are being compared ends the comparison, and its
    server may go away then as at any time."""
    here = load.load("edge")
    monkeypatch.setattr(engine, "load", lambda *_, **__: here)
    networks = Networks(["edge", "http://shop:1/v2/models/edge"], fallback="none")
    networks.toggle_precision()
    wait_until(lambda: any(networks.poll(0.0)), "the other precision")
    networks.choose(1)
    wait_until(lambda: any(networks.poll(0.0)), "the served network")
    monkeypatch.setattr(engine, "load", lambda *_, **__: away(None))

    def away(_: object) -> Any:
        raise ServerError("the server is away")

    with pytest.raises(MissingError, match="is away"):
        networks.ask(away)
    assert networks.compared() == ""
    networks.choose(0)
    wait_until(lambda: any(networks.poll(0.0)), "the local network")
    for _ in range(30):
        networks.took(1.0)
    assert networks.compared() == ""
    networks.close()


def test_flapping(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that is well when it is looked for and fails every frame is asked ever more seldom."""
    monkeypatch.setattr(server_fallback, "PROBE_S", 0.01)
    here = load.load("edge")

    class Failing:
        input_shape, settings, runtime_precision = here.input_shape, here.settings, here.runtime_precision

        def __call__(self, images: Any) -> Any:
            raise ServerError("the answer is 500")

    monkeypatch.setattr(engine, "load", lambda *_, **__: replace(here, name="flapping", run=Failing()))
    served = Served("http://shop:1/v2/models/edge", None)
    image, waits = np.zeros((1, 28, 28, 1), np.uint8), []
    for _ in range(5):
        assert served.classifier.name == "flapping"
        assert served.ask(lambda classifier: (classifier(image), classifier.name)[1]) == "edge (local)"
        waits.append(served._wait_s)
        wait_until(served.poll, "the server's return")
    served.close()
    assert waits == [0.01, 0.02, 0.04, 0.08, 0.16]


def test_no_fallback(stream: str, server: Server) -> None:
    """Without a local network a lost server is a network that gives no answer, and no frame waits for it."""
    networks = Networks([server.url("grpc", "edge")], fallback="none")

    def fail(_: object) -> None:
        raise ServerError("the server is away", "Look at it")

    for _ in range(2):
        with pytest.raises(MissingError, match=r"^the server is away$"):
            networks.ask(fail)
    assert (networks.away, networks.compared()) == ("the server is away", "")
    assert "server" in networks.toggle_precision()
    wait_until(lambda: networks.poll(0.0)[0] == "edge is served again", "the server's return")
    assert networks.classifier.engine == "remote"
    networks.close()


@pytest.mark.linux_only("SIGSTOP is POSIX's")
@pytest.mark.skipif(os.name == "nt", reason="no SIGSTOP")
def test_goes_on_without_its_server(server: Server, stream: str) -> None:
    """Cameras whose server is stopped or killed go on with their local network, or show that nothing answers, say so,
    and return to the server, also where it serves another version by then, which whoever began with the first one is
    told."""
    began = load.load(server.url("http", "edge"))
    cameras = [Watched(server.url(protocol, "edge"), stream) for protocol in PROTOCOLS]
    alone = Watched(server.url("http", "edge"), stream, fallback="none")
    for watched in (*cameras, alone):
        watched.wait_for("edge", 0)
    server.process.send_signal(signal.SIGSTOP)
    for watched in cameras:
        watched.wait_for("edge (local)", 1)
    alone.wait_for_nothing()
    server.process.send_signal(signal.SIGCONT)
    for watched in cameras:
        watched.wait_for("edge", 2)
    alone.wait_for("edge", 0)
    server.kill()
    for watched in cameras:
        watched.wait_for("edge (local)", 3)
    alone.wait_for_nothing()
    server.start("edge", "--precision", "fp16")
    server.wait()
    for watched in cameras:
        watched.wait_for("edge", 4)
        watched.end()
        hung, well, killed, again = watched.faults
        assert "gives no answer within 0.4 s" in hung
        assert killed.endswith("edge (local) answers")
        assert well == again == "server: works again"
    alone.wait_for("edge", 0)
    alone.end()
    assert [told.split(":")[0] for told in alone.faults] == ["network", "server", "server", "network"] * 2
    with pytest.raises(engine.ChangedError, match="another model than when this began"):
        began(np.zeros((1, 28, 28, 1), np.uint8))
    assert load.load(server.url("http", "edge")).precision == "fp16"
