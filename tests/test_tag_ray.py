"""Tagging on Ray: a real cluster of two nodes on loopback, which may fail as it likes, gives what one machine gives."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import psutil
import pytest

from edgefashion import classify, demo, tag_ray
from edgefashion.bundle import PHOTO_MODEL
from edgefashion.children import child_environment
from edgefashion.errors import BadInputError, MissingError
from edgefashion.originals import BATCH
from edgefashion.tag import TagOptions, tag
from edgefashion.tag_files import read_rows
from tests.conftest import Arrays

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="two nodes on one machine need Linux's loopback")

LIMIT_S = 120.0


@pytest.fixture(scope="module")
def classifier() -> classify.Classifier:
    return classify.load(PHOTO_MODEL, purpose="throughput")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> list[str]:
    """A little more than three blocks; each begins with a pipe, and two pictures cannot be read."""
    folder = tmp_path_factory.mktemp("pictures")
    paths = [folder / f"{number:03}.jpg" for number in range(3 * BATCH + 10)]
    for path, image in zip(paths, test_set[0], strict=False):
        cv2.imwrite(str(path), cv2.resize(demo.scene_of(image), (320, 240)))
    paths[5].write_bytes(b"no picture")
    paths[BATCH + 5].write_bytes(paths[6].read_bytes()[:500])
    for path in pipes(list(map(str, paths))):
        (folder / "content.jpg").write_bytes(Path(path).read_bytes())
        Path(path).unlink()
        os.mkfifo(path)
    return list(map(str, paths))


def pipes(pictures: Sequence[str]) -> list[str]:
    """Pictures that take as long as the test likes, one in each block."""
    return list(pictures[::BATCH])


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
            f"--temp-dir={folder}",
        ]
        stack.enter_context(node(folder, [*head, f"--temp-dir={folder}"]))
        found = Path(folder, "ray_current_cluster")
        wait_until(lambda: found.exists() and bool(found.read_text()))
        address = found.read_text().strip()
        second = stack.enter_context(node(folder, [f"--address={address}", "--node-ip-address=127.0.0.3"]))
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


@contextmanager
def kept(command: list[str], folder: str, **options: Any) -> Iterator[subprocess.Popen[bytes]]:
    lifeline, ours = os.pipe()
    keeper = [sys.executable, "-P", "-m", "edgefashion.keeper", str(lifeline), folder, *command]
    process = subprocess.Popen(keeper, pass_fds=(lifeline,), env=child_environment(), start_new_session=True, **options)
    os.close(lifeline)
    try:
        yield process
    finally:
        os.close(ours)
        process.wait(LIMIT_S)


def wait_until(is_so: Callable[[], object]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s, "in vain"
        time.sleep(0.05)


def reader_of(pipe: str) -> int | None:
    """The descriptor to write with, once somebody waits for the pipe's content."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return None


def feed(pictures: Sequence[str], done: threading.Event, writers: dict[str, int] | None = None) -> None:
    """Give whoever reads a pipe the picture, as often as it is read."""
    content = Path(pictures[0]).with_name("content.jpg").read_bytes()
    writers = writers or {}
    while not done.is_set():
        for pipe in pipes(pictures):
            writer = writers.pop(pipe, None) or reader_of(pipe)
            if writer is not None:
                with suppress(BrokenPipeError):
                    os.write(writer, content)
                os.close(writer)
        time.sleep(0.05)


def test_keeper(tmp_path: Path) -> None:
    """What a command started, in sessions of its own and without a parent, ends when the one who asked is gone."""
    pids = tmp_path / "pids"
    folder = tmp_path / "folder"
    folder.mkdir()
    script = f"setsid sh -c 'echo $$ >> {pids}; exec sleep 1000' & echo $$ >> {pids}; sleep 1000"
    with kept(["sh", "-c", script], str(folder)):
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        left = [psutil.Process(int(pid)) for pid in pids.read_text().split()]
    assert not any(process.is_running() for process in left)
    assert not folder.exists()
    with kept(["sh", "-c", "exit 7"], str(folder)) as process:
        assert process.wait(LIMIT_S) == 7


def test_unreachable(classifier: classify.Classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that is not there, or is something else, is one line within a bounded time, and nothing is written."""
    out = tmp_path / "tags.jsonl"
    picture = tmp_path / "a.png"
    picture.write_bytes(b"never read")
    monkeypatch.setattr(tag_ray, "CONNECT_LIMIT_S", 1.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        addresses = {
            "127.0.0.1:1": (MissingError, "no Ray cluster answers at 127.0.0.1:1 .*refused.* Check --ray-address"),
            "ray://a:1": (BadInputError, "no address of a Ray cluster. Give host:port"),
            f"127.0.0.1:{silent.getsockname()[1]}": (MissingError, "does not take part as a Ray cluster"),
        }
        for address, (kind, said) in addresses.items():
            with pytest.raises(kind, match=said):
                tag_ray.tag_on_ray(classifier, [str(picture)], out, address=address)
    assert sorted(tmp_path.iterdir()) == [picture]


def test_other_version(
    classifier: classify.Classifier,
    cluster: Cluster,
    pictures: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A node with another edgefashion does not answer with what is not ours: it says so in one line."""
    monkeypatch.setattr("edgefashion.__version__", "0.0.1")
    with pytest.raises(MissingError, match=r"^Ray gave up: a node of the cluster has edgefashion .*here is 0.0.1"):
        tag_ray.tag_on_ray(classifier, pictures[1:4], tmp_path / "tags.jsonl", address=cluster.address)


def test_node_killed(classifier: classify.Classifier, cluster: Cluster, pictures: list[str], tmp_path: Path) -> None:
    """With a node killed in the middle of its work the table is complete, each picture in it once, and all the same
    as one machine's, unreadable pictures too."""
    out, alone = tmp_path / "tags.jsonl", tmp_path / "alone.jsonl"
    done = threading.Event()

    def kill_then_feed() -> None:
        writers: dict[str, int] = {}

        def both_wait() -> bool:
            writers.update({p: w for p in pipes(pictures) if p not in writers and (w := reader_of(p)) is not None})
            return len(writers) >= 2

        wait_until(both_wait)  # each node is in the middle of a block
        kill(cluster.second)
        feed(pictures, done, writers)

    killer = threading.Thread(target=kill_then_feed)
    killer.start()
    told: list[int] = []
    options = TagOptions(on_progress=lambda count, *_: told.append(count))
    try:
        summary = tag_ray.tag_on_ray(classifier, pictures, out, options, cluster.address)
        assert not psutil.pid_exists(cluster.second) or not psutil.Process(cluster.second).children()
        tag(classifier, pictures, alone)
    finally:
        done.set()
        killer.join()
    rows, expected = (sorted(read_rows(file), key=lambda row: row.path) for file in (out, alone))
    assert [row.path for row in rows] == sorted(pictures)
    assert rows == expected
    assert (summary.pictures, summary.errors, told[-1]) == (len(pictures), 2, len(pictures))


def test_killed(pictures: list[str], tmp_path: Path) -> None:
    """Killed in the middle, the command leaves nothing of the Ray it started, and goes on where it stopped."""
    out = tmp_path / "tags.jsonl"
    script = (
        "import sys; from pathlib import Path; from edgefashion import load, tag, tag_ray\n"
        f"tag_ray.tag_on_ray(load({PHOTO_MODEL!r}), sys.argv[2:], Path(sys.argv[1]), tag.TagOptions(workers=1))"
    )
    command = [sys.executable, "-P", "-c", script, str(out)]
    # The last one is a pipe that nobody writes into.
    first, waiting = pictures[1 : BATCH + 1], pictures[BATCH]
    journal = tmp_path / "tags.jsonl.partial"
    process = subprocess.Popen([*command, *first[:-1], *first[-1:], waiting], env=child_environment())
    try:
        wait_until(lambda: reader_of(waiting) is not None)
        left = psutil.Process(process.pid).children(recursive=True)
    finally:
        process.kill()
        process.wait()
    names = {name for one in left for name in [one.name()] if one.is_running()}
    assert any("raylet" in name for name in names)
    assert psutil.wait_procs(left, LIMIT_S)[1] == []
    assert journal.exists()
