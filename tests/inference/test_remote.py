"""A model as a URL: the same answers, one line for every failure, and a camera that goes on without its server."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pytest
from helpers.camera import NetworkCamera, wait_until

from edgefashion.bench import run
from edgefashion.bundles import model_files
from edgefashion.camera import demo_clip, loop, server_fallback
from edgefashion.camera.events.event import Event
from edgefashion.camera.moment import Moment
from edgefashion.camera.networks import Networks
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.camera.server_fallback import Served
from edgefashion.camera.sources.source import open_source
from edgefashion.data.images import write_png
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference import load
from edgefashion.inference.decision import Rule
from edgefashion.inference.finder import CELLS_SHAPE
from edgefashion.inference.remote import address, engine
from edgefashion.inference.remote.client import Client, Limits
from edgefashion.inference.remote.errors import RefusedError, ServerError
from edgefashion.system import extras
from edgefashion.training import distillation

if TYPE_CHECKING:
    from helpers.types import Arrays, Run

PROTOCOLS: Final = ("http", "grpc")
SOON: Final = Limits(0.3, 0.3)


class Server:
    """`edgefashion serve` as a process, with its ports kept when it is started again."""

    def __init__(self, *models: str) -> None:
        self._ports = ["--port=0", "--grpc-port=0"]
        self.start(*models)
        self.wait()

    def start(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edgefashion", "serve", *arguments, "--workers=1", *self._ports],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def wait(self) -> None:
        """Return once it is ready."""
        assert self.process.stdout is not None
        told = json.loads(self.process.stdout.readline())
        self._urls = {protocol: str(told[protocol]) for protocol in PROTOCOLS}
        ports = [url.rpartition(":")[2] for url in self._urls.values()]
        self._ports = [f"--port={ports[0]}", f"--grpc-port={ports[1]}"]

    def url(self, protocol: str, model: str) -> str:
        return f"{self._urls[protocol]}/v2/models/{model}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of both shipped models; the last test ends it."""
    running = Server("edge", "kiosk")
    yield running
    running.kill()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# --- The URL ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "server", "model", "shown"),
    [
        ("http://shop:8080/v2/models/edge", "shop:8080", "edge", "http://shop:8080/v2/models/edge"),
        ("https://shop/v2/models/edge/", "shop", "edge", "https://shop/v2/models/edge"),
        ("http://shop/behind/a/proxy/v2/models/m", "shop/behind/a/proxy", "m", None),
        ("http://[::1]:80/v2/models/edge", "[::1]:80", "edge", None),
        ("grpc://shop:1/edge", "shop:1", "edge", "grpc://shop:1/edge"),
        ("grpc://shop:1/v2/models/edge", "shop:1", "edge", "grpc://shop:1/edge"),
        ("http://me:pass%40word@shop:1/v2/models/edge", "shop:1", "edge", "http://shop:1/v2/models/edge"),
        ("grpc://me@shop:1/my%20edge", "shop:1", "my edge", "grpc://shop:1/my edge"),
    ],
)
def test_address(url: str, server: str, model: str, shown: str | None) -> None:
    """A URL names server and model, a proxy's folder before them, and may be shown without its password."""
    found = address.parse(url)
    assert (found.server, found.model, str(found)) == (server, model, shown or url)
    assert "pass" not in repr(found)
    assert address.parse(found.with_account) == found


@pytest.mark.parametrize(
    "url",
    [
        "http://shop:8080",
        "http://shop:8080/edge",
        "http://shop:8080/v2/models/",
        "http://shop:8080/v2/models/edge/infer",
        "http://shop:99999/v2/models/edge",
        "http://shop:0/v2/models/edge",
        "http://shop:http/v2/models/edge",
        "http://shop:/v2/models/edge",
        "http:///v2/models/edge",
        "http://[::1/v2/models/edge",
        "http://shop/v2/models/ed ge",
        "http://shop/v2/models/edge?version=1",
        "grpc://shop/edge",
        "grpc://shop:1/folder/edge",
        "ftp://me:secret@shop/v2/models/edge",
        "http://me:secret@shop:x/v2/models/edge",
    ],
)
def test_no_address(url: str) -> None:
    """A URL with no model, no server, no port or one that cannot be is refused in one line, its password kept."""
    with pytest.raises(BadInputError) as refused:
        load.load(url)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


# --- The same answers ------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_same_answers(server: Server, protocol: str, test_set: Arrays) -> None:
    """A served network tells the same facts, probabilities and masks as one here, in batches and from threads."""
    images = test_set[0][:300]
    for name in ("edge", "kiosk"):
        there, here = load.load(server.url(protocol, name)), load.load(name)
        for fact in ("name", "labels", "rule", "precision", "input_shape", "takes_photos"):
            assert getattr(there, fact) == getattr(here, fact)
        assert (there.engine, there.source) == ("remote", None)
        assert here.source is not None
        assert there.settings["sha256"] == model_files.sha256_of(here.source)
        assert np.array_equal(there(images[:70]), here(images[:70]))
    photos = np.random.default_rng(0).integers(0, 256, (18, 160, 160, 3)).astype(np.uint8)
    for got, expected in zip(there.look(photos[0]), here.look(photos[0]), strict=True):
        assert np.array_equal(got, expected)
    probabilities, masks = engine.load(server.url(protocol, "kiosk"), purpose="throughput").run.look(photos)  # type: ignore[attr-defined]
    assert masks.shape == (18, 20, 20)
    assert np.array_equal(masks[17], here.look(photos[17])[1])
    several: list[Any] = []
    threads = [threading.Thread(target=lambda: several.append(there(photos[:3]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(several) == 4
    assert all(np.array_equal(each, probabilities[:3]) for each in several)
    assert there(photos[:0]).shape == (0, len(here.labels))


def test_nothing_is_patched(server: Server) -> None:
    """Asking a server leaves the standard library's sockets, threads and sleep as they are."""
    load.load(server.url("http", "edge"))
    from gevent import monkey

    assert not any(monkey.is_module_patched(name) for name in ("socket", "threading", "time", "select", "ssl"))


def test_commands(server: Server, run_here: Run, tmp_path: Path, test_set: Arrays) -> None:
    """What evaluate and predict print of a served model is what they print of the same one here."""
    picture = tmp_path / "boot.png"
    write_png(picture, demo_clip.scene_of(test_set[0][0]))
    for protocol in PROTOCOLS:
        there = run_here("predict", server.url(protocol, "kiosk"), picture, "--json")
        assert there.returncode == 0, there.stderr
        assert there.stdout == run_here("predict", "kiosk", picture, "--json").stdout
    told = json.loads(run_here("evaluate", server.url("http", "edge"), "--json").stdout)
    assert (told["model"], told["precision"], told["accuracy"]) == ("edge", "int8", 0.9464)


def test_bench(server: Server) -> None:
    """A served model has a row of its own in a bench, with several requests at once beside one at a time."""
    quick = run.BenchOptions(rounds=1, seconds=0.05, min_calls=5, cold_starts=0)
    report = run.bench(server.url("grpc", "edge"), options=quick)
    (row,) = report.rows
    assert (row.engine, row.name, row.precision) == ("remote", "Server, gRPC INT8", "int8")
    assert row.accuracy == pytest.approx(0.9464)
    assert row.throughput_async_fps
    assert row.settings["in_flight"] == 1
    assert any("those of the one that asks" in note for note in report.notes)


# --- What fails ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("convert", "URL"),
        ("evaluate", "URL", "--precision", "int8"),
        ("bench", "URL", "--isa", "avx2"),
        ("bench", "URL", "--threads", "1"),
        ("bench", "URL", "--vs", "litert"),
        ("predict", "URL"),
        ("camera", "--fallback", "URL", "--headless", "URL"),
    ],
)
def test_not_by_url(words: tuple[str, ...], server: Server, run_here: Run) -> None:
    """What cannot be done with a served model says so in one line, without the URL's password."""
    url = server.url("http", "edge").replace("://", "://me:secret@")
    done = run_here(*(url if word == "URL" else word for word in words))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1, done.stderr
    assert "secret" not in done.stderr


def test_no_teacher() -> None:
    """A served model is no teacher: what it says today need not be what it says tomorrow."""
    with pytest.raises(BadInputError, match="cannot teach"):
        distillation._teacher("http://shop:1/v2/models/edge")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_unknown_model(server: Server, protocol: str, run_here: Run) -> None:
    """A model the server does not have is bad input; over HTTP the ones it has are named."""
    done = run_here("evaluate", server.url(protocol, "nosuch"))
    assert done.returncode == 2
    assert "has no model 'nosuch'" in done.stderr
    assert ("It has: edge, kiosk" in done.stderr) == (protocol == "http")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_no_server(protocol: str, run_here: Run) -> None:
    """A server that is not there is something missing (exit code 3), told in one line without the password."""
    done = run_here("evaluate", f"{protocol}://me:secret@127.0.0.1:{free_port()}/v2/models/edge")
    assert done.returncode == 3
    assert "cannot be reached" in done.stderr
    assert done.stderr.count("\n") == 1
    assert "secret" not in done.stderr


@contextmanager
def answering(reply: Callable[[str, bytes], tuple[int, str, bytes]]) -> Iterator[int]:
    """A server of HTTP that answers each path and body with what ``reply`` gives: status, type and body."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            given = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, kind, body = reply(self.path, given)
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 (http.server's name)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        threading.Thread(target=found.serve_forever, args=(0.02,), daemon=True).start()
        yield found.server_port
        found.shutdown()


OURS: Final = {"name": "images", "datatype": "UINT8", "shape": [-1, 28, 28, 1]}


@pytest.mark.parametrize(
    ("status", "body", "error", "words"),
    [
        (404, b"<html>nothing here</html>", RefusedError, "no server of the Open Inference protocol"),
        (200, b"<html>welcome</html>", ServerError, ""),
        (200, b"[]", RefusedError, "no server of the Open Inference protocol"),
        (401, b'{"error": "who are you"}', RefusedError, "another account (who are you)"),
        (503, b'{"error": "draining"}', ServerError, "draining"),
        (500, b"", ServerError, ""),
        (200, b'{"inputs": [], "outputs": []}', BadInputError, "no model of edgefashion: it takes nothing"),
        (
            200,
            b'{"inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 3]}], "outputs": []}',
            BadInputError,
            "takes x FP32[1, 3]",
        ),
        (200, json.dumps({"inputs": [OURS], "outputs": [{"name": "probabilities"}]}).encode(), ServerError, "no infer"),
    ],
)
def test_strangers(status: int, body: bytes, error: type[Exception], words: str) -> None:
    """A server that is none of ours, or not well, is told apart from one that is, in one line."""
    with (
        answering(lambda *_: (status, "application/json", body)) as port,
        pytest.raises(error) as told,
    ):
        load.load(f"http://127.0.0.1:{port}/v2/models/edge")
    assert words in str(told.value)
    assert "\n" not in str(told.value)


class Pretending:
    """A server that answers what a test wants, and notes what it was asked for."""

    def __init__(self, shape: tuple[int, ...], **facts: object) -> None:
        self.shape = shape
        told = {"labels": ["a", "b"], "accept_threshold": 0.5, "precision": "int8", "input_shape": shape}
        self.facts = {**told, **facts}
        self.status = 200
        self.asked: list[tuple[str, int]] = []
        """Paths, each with how many images came."""
        self.tensors = {"probabilities": np.zeros((1, 2), np.float32)}

    def __call__(self, path: str, body: bytes) -> tuple[int, str, bytes]:
        number, answer = 0, {}
        if path.endswith("/infer"):
            asked, _ = json.JSONDecoder().raw_decode(body.decode("latin-1"))
            number = asked["inputs"][0]["shape"][0]
            outputs = [self._tensor(each["name"], number) for each in asked["outputs"]]
            answer = {"model_name": "m", "outputs": outputs, "parameters": {"facts": json.dumps(self.facts)}}
        elif path.endswith("/m"):
            inputs = [{"name": "images", "datatype": "UINT8", "shape": [-1, *self.shape]}]
            answer = {"inputs": inputs, "outputs": [{"name": "probabilities"}, {"name": "mask"}]}
        self.asked.append((path, number))
        return self.status, "application/json", json.dumps(answer).encode()

    def _tensor(self, name: str, number: int) -> dict[str, Any]:
        one = self.tensors[name]
        data = np.repeat(one, number, 0)
        kind = {"f": f"FP{8 * one.itemsize}", "i": f"INT{8 * one.itemsize}", "U": "BYTES"}[one.dtype.kind]
        return {"name": name, "datatype": kind, "shape": list(data.shape), "data": data.ravel().tolist()}


@pytest.mark.parametrize(
    "wrong",
    [
        {"mask": np.zeros((1, 400), np.float32)},
        {"mask": np.zeros((1, 2, 2), np.float32)},
        {"mask": np.zeros((1, 20, 20), np.int32)},
        {"mask": np.full((1, 20, 20), "a")},
        {"probabilities": np.zeros((1, 3), np.float32)},
        {"probabilities": np.zeros((1, 2, 1), np.float32)},
        {"probabilities": np.full((1, 2), "a")},
        {"probabilities": np.zeros((1, 2), np.float64)},
    ],
    ids=lambda wrong: " ".join(f"{name} {tensor.dtype}{tensor.shape}" for name, tensor in wrong.items()),
)
def test_wrong_tensors(wrong: dict[str, np.ndarray[Any, Any]]) -> None:
    """Tensors of another shape or type in mid-run are a server's failure, after which a camera goes on by itself."""
    pretending = Pretending((160, 160, 3))
    with answering(pretending) as port:
        there = load.load(f"http://127.0.0.1:{port}/v2/models/m")
        pretending.tensors = {**pretending.tensors, "mask": np.zeros((1, 20, 20), np.float32)}
        assert there.look(np.zeros((160, 160, 3), np.uint8))[1].shape == (20, 20)
        pretending.tensors |= wrong
        with pytest.raises(ServerError, match="answers"):
            there.look(np.zeros((160, 160, 3), np.uint8))


def test_the_servers_finder() -> None:
    """A server's finder is asked with the frame as the finder takes it; what is no answer of one is the server's
    failure, another finder in mid-run another model, and a server that tells of none has none."""
    pretending = Pretending((160, 160, 3))
    with answering(pretending) as port:
        url = f"http://127.0.0.1:{port}/v2/models/m"
        assert load.load(url).finder is None
        pretending.facts |= {"finder_floor": 0.5, "finder_sha256": "00ff"}
        pretending.tensors["cells"] = np.zeros((1, *CELLS_SHAPE), np.float32)
        pretending.tensors["cells"][0, 16, 8, 0] = 0.75
        found = load.load(url).finder
        assert found is not None
        assert (found.floor, found.sha256) == (0.5, "00ff")
        assert [(one.kind, one.score) for one in found.find(np.zeros((300, 200, 3), np.uint8))] == [("upper", 0.75)]
        pretending.tensors["cells"] = np.zeros((1, 4, 4, 41), np.float32)
        with pytest.raises(ServerError, match="answers cells"):
            found.find(np.zeros((300, 200, 3), np.uint8))
        pretending.tensors["cells"] = np.zeros((1, *CELLS_SHAPE), np.float32)
        pretending.facts["finder_sha256"] = "ff00"
        with pytest.raises(engine.ChangedError):
            found.find(np.zeros((300, 200, 3), np.uint8))
        pretending.facts["finder_floor"] = float("nan")
        with pytest.raises(BadInputError, match="no sound limit"):
            load.load(url)


def test_a_model_that_left_is_not_looked_for() -> None:
    """In mid-run a server that knows the model no more is asked once: a frame that waits is answered by another."""
    pretending = Pretending((28, 28, 1))
    with answering(pretending) as port:
        there = load.load(f"http://127.0.0.1:{port}/v2/models/m")
        pretending.status, before = 404, len(pretending.asked)
        with pytest.raises(RefusedError, match="has no model 'm'"):
            there(np.zeros((1, 28, 28, 1), np.uint8))
        assert pretending.asked[before:] == [("/v2/models/m/infer", 1)]


def test_the_server_bounds_a_request() -> None:
    """No request has more images than the server says it takes, also where that changes in mid-run."""
    pretending = Pretending((28, 28, 1), max_images=3)
    with answering(pretending) as port:
        there = load.load(f"http://127.0.0.1:{port}/v2/models/m")
        images, before = np.zeros((5, 28, 28, 1), np.uint8), len(pretending.asked)
        assert there(images).shape == (5, 2)
        pretending.facts["max_images"] = 9
        assert there(images[:1]).shape == (1, 2)
        assert there(images).shape == (5, 2)
        assert [number for _, number in pretending.asked[before:]] == [2, 2, 1, 1, 5]
        pretending.facts["labels"] = ["a", "c"]
        with pytest.raises(engine.ChangedError):
            there(images)


def test_the_servers_rule() -> None:
    """The rule is the server's, an older server's without floors; another rule in mid-run is another model, and
    floors that are none are refused."""
    pretending = Pretending((28, 28, 1))
    with answering(pretending) as port:
        url = f"http://127.0.0.1:{port}/v2/models/m"
        assert load.load(url).rule == Rule(0.5)
        pretending.facts |= {"floors": {"a": 0.75}, "kind_floor": 0.9}
        there = load.load(url)
        assert there.rule == Rule(0.5, {"a": 0.75}, 0.9)
        pretending.facts["floors"] = {"a": 0.5}
        with pytest.raises(engine.ChangedError):
            there(np.zeros((1, 28, 28, 1), np.uint8))
        for wrong in ({"floors": [0.5]}, {"floors": {"a": "high"}}, {"floors": {"a": 2}}, {"kind_floor": "x"}):
            pretending.facts |= {"floors": {}, "kind_floor": None, **wrong}
            with pytest.raises(BadInputError, match="does not tell its labels and threshold"):
                load.load(url)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_too_large(server: Server, protocol: str) -> None:
    """A request beyond the server's limit of bytes is refused for good in both protocols: asking again is no use."""
    client = Client(address.parse(server.url(protocol, "edge")), Limits())
    with pytest.raises(RefusedError, match="refuses the request"):
        client.infer(np.zeros((60_000, 28, 28, 1), np.uint8), ["probabilities"])
    client.close()


@pytest.mark.linux_only("SIGINT to another process is POSIX's")
@pytest.mark.skipif(os.name == "nt", reason="no SIGINT to another process")
def test_interrupted() -> None:
    """Ctrl-C ends a process whose server hangs with several requests, without waiting for them."""
    pretending, hanging, ended = Pretending((28, 28, 1)), threading.Semaphore(0), threading.Event()

    def reply(path: str, body: bytes) -> tuple[int, str, bytes]:
        if (answer := pretending(path, body)) and pretending.asked[-1][1] > 1:
            hanging.release()
            ended.wait()
        return answer

    code = """
import sys
import numpy as np
from edgefashion.inference.remote import engine
from edgefashion.inference.remote.client import Limits
there = engine.load(sys.argv[1], purpose="throughput", limits=Limits(5, 3600))
there(np.zeros((1000, 28, 28, 1), np.uint8))
"""
    with answering(reply) as port:
        url = f"http://127.0.0.1:{port}/v2/models/m"
        process = subprocess.Popen([sys.executable, "-c", code, url], stderr=subprocess.DEVNULL)
        try:
            for _ in range(engine.IN_FLIGHT):
                assert hanging.acquire(timeout=60)
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=60) != 0
        finally:
            process.kill()
            ended.set()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_silence_has_an_end(protocol: str) -> None:
    """A server that takes the connection and says nothing, or a byte now and then, is given up."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{protocol}://127.0.0.1:{silent.getsockname()[1]}/v2/models/edge"
        with pytest.raises(ServerError, match=r"within 0\.3 s|before receiving SETTINGS"):
            engine.load(url, limits=SOON)
        stop = threading.Event()

        def drip() -> None:
            connection, _ = silent.accept()
            connection, _ = silent.accept()
            with connection:
                connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
                while not stop.wait(0.05):
                    connection.send(b"a")

        if protocol == "http":
            dripping = threading.Thread(target=drip, daemon=True)
            dripping.start()
            with pytest.raises(ServerError, match=r"within 0\.3 s"):
                engine.load(url, limits=SOON)
            stop.set()
            dripping.join()


def test_without_tritonclient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without tritonclient a URL names the extra that brings it."""
    monkeypatch.setattr(extras, "installed", lambda _: False)
    with pytest.raises(MissingError, match=r"edgefashion\[remote\]"):
        load.load("http://shop:1/v2/models/edge")


# --- The camera ------------------------------------------------------------------------------


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
        self.frames = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(url, source, more), daemon=True)
        self._thread.start()

    def _run(self, url: str, source: str, more: dict[str, Any]) -> None:
        networks = Networks([url], **more)
        loop.run(networks, open_source(source), stop=self._stop, outputs=[ReopeningOutput(self, None)], events=[self])

    def take(self, moment: Moment) -> None:
        self.frames = moment.health.frames
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
    """Cameras whose server is stopped or killed go on with their local network, say so, and return to the server,
    also where it serves another version by then, which whoever began with the first one is told."""
    began = load.load(server.url("http", "edge"))
    cameras = [Watched(server.url(protocol, "edge"), stream) for protocol in PROTOCOLS]
    for watched in cameras:
        watched.wait_for("edge", 0)
    server.process.send_signal(signal.SIGSTOP)
    for watched in cameras:
        watched.wait_for("edge (local)", 1)
    server.process.send_signal(signal.SIGCONT)
    for watched in cameras:
        watched.wait_for("edge", 2)
    server.kill()
    for watched in cameras:
        watched.wait_for("edge (local)", 3)
    server.start("edge", "--precision", "fp16")
    server.wait()
    for watched in cameras:
        watched.wait_for("edge", 4)
        watched.end()
        hung, well, killed, again = watched.faults
        assert "gives no answer within 0.4 s" in hung
        assert killed.endswith("edge (local) answers")
        assert well == again == "server: works again"
    with pytest.raises(engine.ChangedError, match="another model than when this began"):
        began(np.zeros((1, 28, 28, 1), np.uint8))
    assert load.load(server.url("http", "edge")).precision == "fp16"
