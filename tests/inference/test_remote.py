"""A model as a URL: the same answers as here, and one line for what a URL cannot do."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import shipped

from edgefashion.bench import run
from edgefashion.bundles import model_files
from edgefashion.camera import demo_clip
from edgefashion.data.images import write_png
from edgefashion.errors import BadInputError
from edgefashion.inference import load
from edgefashion.inference.remote import address, engine
from edgefashion.inference.remote.client import Client, Limits
from edgefashion.inference.remote.errors import RefusedError

if TYPE_CHECKING:
    from helpers.types import Arrays, Run
from helpers.served import PROTOCOLS, Server


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server of both shipped models; the last test ends it."""
    running = Server("edge", "kiosk")
    yield running
    running.kill()


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
    assert (told["model"], told["precision"], told["accuracy"]) == ("edge", "int8", shipped.accuracy("edge", "int8"))


def test_bench(server: Server) -> None:
    """A served model has a row of its own in a bench, with several requests at once beside one at a time."""
    quick = run.BenchOptions(rounds=1, seconds=0.05, min_calls=5, cold_starts=0)
    report = run.bench(server.url("grpc", "edge"), options=quick)
    (row,) = report.rows
    assert (row.engine, row.name, row.precision) == ("remote", "Server, gRPC INT8", "int8")
    assert row.accuracy == pytest.approx(shipped.accuracy("edge", "int8"))
    assert row.throughput_async_fps
    assert row.settings["in_flight"] == 1
    assert any("those of the one that asks" in note for note in report.notes)


# --- What cannot be done --------------------------------------------------------------------


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


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_unknown_model(server: Server, protocol: str, run_here: Run) -> None:
    """A model the server does not have is bad input; over HTTP the ones it has are named."""
    done = run_here("evaluate", server.url(protocol, "nosuch"))
    assert done.returncode == 2
    assert "has no model 'nosuch'" in done.stderr
    assert ("It has: edge, kiosk" in done.stderr) == (protocol == "http")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_too_large(server: Server, protocol: str) -> None:
    """A request beyond the server's limit of bytes is refused for good in both protocols: asking again is no use."""
    client = Client(address.parse(server.url(protocol, "edge")), Limits())
    with pytest.raises(RefusedError, match="refuses the request"):
        client.infer(np.zeros((60_000, 28, 28, 1), np.uint8), ["probabilities"])
    client.close()
