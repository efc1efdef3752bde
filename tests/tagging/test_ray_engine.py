"""Tagging on Ray: a real cluster of two nodes on loopback, which may fail as it likes, gives what one machine gives."""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import psutil
import pytest
from helpers import finding
from helpers.reaper import LIMIT_S, kept
from helpers.types import Arrays

from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.camera import demo_clip
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference import load
from edgefashion.inference.classifier import Classifier
from edgefashion.system.processes import child_environment
from edgefashion.tagging import ray_engine
from edgefashion.tagging.ray_worker import LEAST
from edgefashion.tagging.run import TagOptions, tag
from edgefashion.tagging.table import read_rows

pytestmark = [
    pytest.mark.linux_only("two nodes on one machine need Linux's loopback addresses"),
    pytest.mark.skipif(sys.platform != "linux", reason="two nodes on one machine need Linux's loopback"),
]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load.load(PHOTO_MODEL, purpose="throughput")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> list[str]:
    """Enough for a dozen blocks; two cannot be read."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number:03}.jpg" for number in range(12 * LEAST)]
    for path, image in zip(paths, test_set[0], strict=False):
        cv2.imwrite(str(path), cv2.resize(demo_clip.scene_of(image), (320, 240)))
    paths[5].write_bytes(b"no picture")
    paths[100].write_bytes(paths[6].read_bytes()[:500])
    return list(map(str, paths))


@dataclass
class Cluster:
    """It runs."""

    address: str
    second: int
    """The keeper of the node that is no head."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    """Two nodes of one CPU, each with an address of its own on loopback."""
    # Short: the paths of Ray's sockets have a limit.
    folder = tempfile.mkdtemp(prefix="ef-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        head = [
            "--head",
            "--node-ip-address=127.0.0.2",
            "--port=0",
            "--include-dashboard=false",
        ]
        stack.enter_context(node(folder, [*head, f"--temp-dir={folder}"]))
        found = Path(folder, "ray_current_cluster")
        wait_until(lambda: found.exists() and bool(found.read_text()))
        address = found.read_text().strip()
        # Its keeper may clear up what is its own; the sockets of both are in the head's folder.
        own = tempfile.mkdtemp(prefix="ef-", dir="/tmp")
        second = stack.enter_context(node(own, [f"--address={address}", "--node-ip-address=127.0.0.3"]))
        yield Cluster(address, second)


@contextmanager
def node(folder: str, arguments: list[str]) -> Iterator[int]:
    """A node, up; nothing of it is left on leaving the block, or if the tests are killed."""
    script = str(Path(sys.executable).with_name("ray"))
    ray = [script, "start", "--block", "--num-cpus=1", "--object-store-memory=100000000"]
    with kept([sys.executable, "-P", *ray, *arguments], folder, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if b"Ray runtime started" in line:
                break
        else:
            pytest.fail("a node of Ray did not start")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield process.pid
        if process.poll() is None:
            kill(process.pid)


def kill(keeper: int) -> None:
    """A node is gone, as by a power cut."""
    for process in psutil.Process(keeper).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            process.kill()


def wait_until(is_so: Callable[[], object]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s, "in vain"
        time.sleep(0.05)


def test_unreachable(classifier: Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that is not there, or is something else, is one line within a bounded time, and nothing is written."""
    out = tmp_path / "tags.jsonl"
    picture = tmp_path / "a.png"
    picture.write_bytes(b"never read")
    monkeypatch.setattr(ray_engine, "CONNECT_LIMIT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        addresses = {
            "127.0.0.1:1": (MissingError, "no Ray cluster answers at 127.0.0.1:1 .*refused.* Check --ray-address"),
            "ray://a:1": (BadInputError, "no address of a Ray cluster. Give host:port"),
            f"127.0.0.1:{'9' * 5000}": (BadInputError, "no address of a Ray cluster. Give host:port"),
            "127.0.0.1:\u00b2": (BadInputError, "no address of a Ray cluster. Give host:port"),
            f"127.0.0.1:{silent.getsockname()[1]}": (MissingError, "does not take part as a Ray cluster"),
        }
        for address, (kind, said) in addresses.items():
            with pytest.raises(kind, match=said):
                ray_engine.tag_on_ray(classifier, [str(picture)], out, address=address)
    assert sorted(tmp_path.iterdir()) == [picture]


def test_other_version(
    classifier: Classifier,
    cluster: Cluster,
    pictures: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A node with another edgefashion does not answer with what is not ours: it says so in one line."""
    monkeypatch.setattr("edgefashion.version.__version__", "0.0.1")
    with pytest.raises(MissingError, match=r"^Ray gave up: a node of the cluster has edgefashion .*here is 0.0.1"):
        ray_engine.tag_on_ray(classifier, pictures[1:4], tmp_path / "tags.jsonl", address=cluster.address)


def test_every_garment(cluster: Cluster, pictures: list[str], tmp_path: Path) -> None:
    """With a finder each machine gets the files of both networks, and the table is the same as one machine's."""
    both = load.load(finding.bundle_with_finder(tmp_path))
    out, alone = tmp_path / "tags.jsonl", tmp_path / "alone.jsonl"
    summary = ray_engine.tag_on_ray(both, pictures[: 2 * LEAST], out, address=cluster.address)
    tag(both, pictures[: 2 * LEAST], alone, TagOptions(workers=1))
    rows, expected = (sorted(read_rows(file), key=lambda row: row.path) for file in (out, alone))
    assert rows == expected
    assert (summary.pictures, summary.errors) == (2 * LEAST, 1)
    assert summary.inference_s > 0


def test_node_killed(classifier: Classifier, cluster: Cluster, pictures: list[str], tmp_path: Path) -> None:
    """With a node killed in the middle of the job the table is complete, each picture in it once, and all the same
    as one machine's, unreadable pictures too."""
    out, alone = tmp_path / "tags.jsonl", tmp_path / "alone.jsonl"
    done_at_loss: list[int] = []

    def kill_in_the_middle(done: int, *_: object) -> None:
        if not done_at_loss:
            done_at_loss.append(done)
            kill(cluster.second)

    options = TagOptions(on_progress=kill_in_the_middle)
    summary = ray_engine.tag_on_ray(classifier, pictures, out, options, cluster.address)
    assert 0 < done_at_loss[0] < len(pictures)
    tag(classifier, pictures, alone)
    rows, expected = (sorted(read_rows(file), key=lambda row: row.path) for file in (out, alone))
    assert [row.path for row in rows] == sorted(pictures)
    assert rows == expected
    assert (summary.pictures, summary.errors) == (len(pictures), 2)


class _Late(BaseHTTPRequestHandler):
    """Answers with a picture, but not before it has come."""

    picture: bytes
    has_come: threading.Event

    def do_GET(self) -> None:
        self.has_come.wait(LIMIT_S)
        self.send_response(200)
        self.send_header("Content-Type", "image/jpeg")
        self.send_header("Content-Length", str(len(self.picture)))
        self.end_headers()
        self.wfile.write(self.picture)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def late(pictures: list[str]) -> Iterator[tuple[str, threading.Event]]:
    """The URL of a picture, and what makes it come."""
    has_come = threading.Event()
    handler = type("Late", (_Late,), {"picture": Path(pictures[0]).read_bytes(), "has_come": has_come})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/late.jpg", has_come
        has_come.set()
        server.shutdown()


def test_killed(classifier: Classifier, pictures: list[str], tmp_path: Path, late: tuple[str, threading.Event]) -> None:
    """Killed in the middle, the command leaves nothing of the Ray it started, and goes on where it stopped."""
    out, (waiting, has_come) = tmp_path / "tags.jsonl", late  # the command is at work for as long as the test likes
    script = (
        "import sys; from pathlib import Path; from edgefashion import load\n"
        "from edgefashion.tagging import ray_engine, run\n"
        f"ray_engine.tag_on_ray(load({PHOTO_MODEL!r}), sys.argv[2:], Path(sys.argv[1]), run.TagOptions(workers=1))"
    )
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", script, str(out), *pictures[: 4 * LEAST], waiting], env=child_environment()
    )
    journal = tmp_path / "tags.jsonl.partial"
    try:
        wait_until(lambda: journal.exists() and len(journal.read_bytes().splitlines()) > 3 * LEAST)
        left = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.wait()
    assert any("raylet" in one.name() for one in left if one.is_running())
    assert psutil.wait_procs(left, LIMIT_S)[1] == []
    has_come.set()
    before = len(journal.read_bytes().splitlines()) - 1
    tag(classifier, [*pictures[: 4 * LEAST], waiting], out)
    assert before >= 3 * LEAST
    assert sorted(row.path for row in read_rows(out)) == sorted([*pictures[: 4 * LEAST], waiting])
