"""Every picture of an inventory gets its row, once, whatever happens to the run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from helpers.progress import without_progress
from helpers.tagging import MANY, tag_here
from PIL import Image

from edgefashion import load
from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.decision import Rule
from edgefashion.inference.predict import predict_files
from edgefashion.inference.remote.errors import ServerError
from edgefashion.tagging.inventory import walk
from edgefashion.tagging.row import Row
from edgefashion.tagging.run import TagOptions, made_with, tag
from edgefashion.tagging.table import read_rows


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Path:
    """Many pictures: hard links to one, for their names are what counts."""
    folder = tmp_path_factory.mktemp("inventory")
    for number in range(MANY):
        (folder / f"{number:03}.jpg").hardlink_to(shop / "00.jpg")
    return folder


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "edgefashion", "tag", *map(str, arguments), "--workers", "1"]


@pytest.mark.parametrize("model", ["kiosk", "edge"])
def test_as_predict(model: str, classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """A picture's row says what predict says of it, and what cannot be read has a row that says why."""
    if model != classifier.name:
        classifier = load(model, purpose="throughput")
    rows, summary = tag_here(classifier, tmp_path / "tags.jsonl", shop)
    single = load(model)
    seen = dict(predict_files(single, [shop], single=True))
    assert set(rows) == {str(path) for path in seen}
    for path, prediction in seen.items():
        row = rows[str(path)]
        if isinstance(prediction, BadInputError):
            assert row == Row(str(path), error=str(prediction))
            continue
        said = prediction.as_json(str(path))
        found = list(row.box) if row.box else None
        assert (row.label, row.accepted, found) == (said["label"], said["accepted"], said["box"])
        assert [label for label, _ in row.top] == [label for label, _ in said["top"]]
        assert row.confidence == pytest.approx(said["confidence"], abs=1e-4)
        with Image.open(path) as picture:
            assert (row.width, row.height) == picture.size
        assert len(row.phash or "") == 16
    assert summary.errors == 3
    assert sum(summary.shares.values()) == pytest.approx(1)


def test_failure_is_told(classifier: Classifier, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong where an answer is taken, or in inference itself, ends the run with it, more than once."""

    def fails(*_: object) -> None:
        raise ArithmeticError("so it is")

    class Answered:
        __init__ = fails

    with monkeypatch.context() as patched:
        patched.setattr("edgefashion.tagging.run._Answered", Answered)
        for number in range(3):
            with pytest.raises(ArithmeticError):
                tag_here(classifier, tmp_path / f"{number}.jsonl", shop / "00.jpg")
    with monkeypatch.context() as patched:
        patched.setattr(Classifier, "start", lambda *_: None)  # no call back at all
        patched.setattr(Classifier, "wait", fails)
        with pytest.raises(ArithmeticError):
            tag_here(classifier, tmp_path / "4.jsonl", shop / "00.jpg")
    tag_here(classifier, tmp_path / "5.jsonl", shop / "00.jpg")
    with pytest.raises(BadInputError, match="65 images"):
        classifier.start(np.zeros((65, *classifier.input_shape), np.uint8), fails, fails)


def test_made_with(classifier: Classifier, tmp_path: Path) -> None:
    """Rows are of one kind by all that makes them: every file of the network, its labels and its threshold."""
    folder = tmp_path / "saved_model"
    (folder / "variables").mkdir(parents=True)
    weights = folder / "variables" / "data"
    weights.write_bytes(b"1")
    saved = replace(classifier, source=folder)
    known = [made_with(saved), made_with(replace(saved, rule=Rule(0.9))), made_with(classifier)]
    weights.write_bytes(b"2")
    known.append(made_with(saved))
    assert len({made["sha256"] for made in known}) == 4
    assert made_with(replace(load("kiosk"), finder=None)) == made_with(classifier)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Runs that a test starts; none outlives it."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.communicate()


def test_server_that_dies(shop: Path, tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    """A run whose model is served goes on where the server is killed and started again in its midst."""
    pytest.importorskip("tritonclient")
    ports = ["--port=0", "--grpc-port=0"]

    def serve() -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "edgefashion", "serve", "kiosk", "--workers=1", *ports]
        started.append(
            process := subprocess.Popen(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        )
        return process

    server = serve()
    assert server.stdout is not None
    told = json.loads(server.stdout.readline())
    ports = [f"--port={told['http'].rpartition(':')[2]}", f"--grpc-port={told['grpc'].rpartition(':')[2]}"]
    served = load(f"{told['http']}/v2/models/kiosk", purpose="throughput")
    (tmp_path / "in").mkdir()
    for number in range(MANY):
        (tmp_path / "in" / f"{number}.jpg").hardlink_to(shop / "00.jpg")
    killed: list[int] = []

    def kill(done: int, total: int | None, rate: float) -> None:
        if done and not killed:
            server.kill()
            server.wait()
            killed.append(done)
            serve()

    out = tmp_path / "t.jsonl"
    summary = tag(served, [str(tmp_path / "in")], out, TagOptions(workers=1, on_progress=kill))
    assert 0 < killed[0] < MANY
    assert (summary.pictures, summary.errors) == (MANY, 0)
    assert {row.label for row in read_rows(out)} == {next(read_rows(out)).label}


def test_server_that_stays_away(
    classifier: Classifier, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is away for too long ends the run with its own error, after several askings."""
    asked = []

    def start(*_: object) -> None:
        asked.append(1)
        raise ServerError("away")

    monkeypatch.setattr(Classifier, "start", start)
    monkeypatch.setattr("edgefashion.tagging.run.PATIENCE_S", 0.5)
    with pytest.raises(ServerError, match="away"):
        tag_here(classifier, tmp_path / "t.jsonl", shop / "00.jpg")
    assert len(asked) > 1


def _begun(started: list[subprocess.Popen[str]], out: Path, inventory: Path, rows: int) -> subprocess.Popen[str]:
    """A run of the real command that has written so many rows more."""
    journal = out.with_name(out.name + ".partial")
    there = journal.read_bytes().count(b"\n") if journal.exists() else 0
    process = subprocess.Popen(
        _command(inventory, "--out", out), text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    started.append(process)
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s and process.poll() is None:
        if journal.exists() and journal.read_bytes().count(b"\n") >= there + rows + 1:  # and the journal's first line
            break
        time.sleep(0.002)
    return process


def test_killed(inventory: Path, tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    """Killed again and again, the run ends with every picture once, and leaves no process behind."""
    out = tmp_path / "tags.parquet"
    rng = np.random.default_rng(0)
    workers: list[psutil.Process] = []
    for _ in range(3):
        process = _begun(started, out, inventory, int(rng.integers(1, 40)))
        workers += psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.communicate()
        assert not out.exists()
    assert workers
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    done = subprocess.run([*_command(inventory, "--out", out), "--json"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["pictures"], summary["errors"]) == (MANY, 0)
    assert 0 < summary["done_before"] < MANY
    assert sorted(row.path for row in read_rows(out)) == sorted(walk([str(inventory)]))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.linux_only("SIGINT and SIGTERM to another process are POSIX's")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped(number: int, code: int, inventory: Path, tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    """Ctrl-C and SIGTERM end a run cleanly: its processes end, its rows are kept, and it says how to go on."""
    process = _begun(started, tmp_path / "tags.csv", inventory, 1)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert without_progress(told).strip() == "stopped; what is tagged is kept: the same command goes on"
    assert not any(worker.is_running() for worker in workers)
    (journal,) = tmp_path.iterdir()
    assert journal.name == "tags.csv.partial"


FULL = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000))
from edgefashion.cli.main import main
sys.argv = ["edgefashion", *sys.argv[1:]]
main()
"""


@pytest.mark.linux_only("RLIMIT_FSIZE is POSIX's")
@pytest.mark.skipif(os.name != "posix", reason="a limit of POSIX makes writing fail")
def test_full_disk(inventory: Path, tmp_path: Path) -> None:
    """A disk that is full in mid-write ends the run in one line; with room again it goes on, and nothing is lost."""
    out = tmp_path / "tags.jsonl"
    arguments = _command(inventory, "--out", out)[3:]
    full = subprocess.run([sys.executable, "-c", FULL, *arguments], capture_output=True, text=True, timeout=120)
    assert full.returncode in (2, 3), full.stderr
    assert without_progress(full.stderr).strip().count("\n") == 0
    assert "cannot be written" in full.stderr
    assert not out.exists()
    done = subprocess.run([*_command(inventory, "--out", out), "--json"], capture_output=True, text=True, timeout=120)
    assert 0 < json.loads(done.stdout)["done_before"] < MANY
    assert len({row.path for row in read_rows(out)}) == MANY
