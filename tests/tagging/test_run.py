"""Every picture of an inventory gets its row, once, whatever happens to the run."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import fsspec
import numpy as np
import psutil
import pytest
from PIL import Image

from edgefashion import load
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference import preprocess
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.predict import predict_files
from edgefashion.inference.remote.errors import ServerError
from edgefashion.tagging import inventory as tag_walk
from edgefashion.tagging import pool
from edgefashion.tagging.picture import prepare
from edgefashion.tagging.row import Row
from edgefashion.tagging.run import Summary, TagOptions, made_with, tag
from edgefashion.tagging.table import read_rows

if TYPE_CHECKING:
    from helpers.types import Arrays, Run

MANY = 500


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return load("kiosk", purpose="throughput")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> Path:
    """A folder with garments in pictures of several sizes and kinds, and with files that are none."""
    folder = tmp_path_factory.mktemp("shop")
    (folder / "more").mkdir()
    images = preprocess.as_photos(test_set[0][:12])
    for number, image in enumerate(images):
        place = folder / "more" if number % 3 else folder
        size_wh = (200 + 10 * number, 300)
        Image.fromarray(image).resize(size_wh).save(place / f"{number:02}.{('jpg', 'png', 'webp')[number % 3]}")
    whole = (folder / "00.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "text.png").write_text("no picture")
    (folder / "notes.txt").write_text("no picture either")
    header = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + (60_000).to_bytes(4, "big") * 2 + b"\x08\x02\x00\x00\x00"
    (folder / "bomb.png").write_bytes(header + b"\x00" * 64)
    return folder


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Path:
    """Many pictures: hard links to one, for their names are what counts."""
    folder = tmp_path_factory.mktemp("inventory")
    for number in range(MANY):
        (folder / f"{number:03}.jpg").hardlink_to(shop / "00.jpg")
    return folder


def _tag(classifier: Classifier, out: Path, *paths: str | Path) -> tuple[dict[str, Row], Summary]:
    """Tag in this process; the rows by path, each of which is there once."""
    summary = tag(classifier, [str(path) for path in paths], out, TagOptions(workers=1))
    rows = list(read_rows(out))
    by_path = {row.path: row for row in rows}
    assert len(by_path) == len(rows) == summary.pictures
    return by_path, summary


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "edgefashion", "tag", *map(str, arguments), "--workers", "1"]


@pytest.mark.parametrize("model", ["kiosk", "edge"])
def test_as_predict(model: str, classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """A picture's row says what predict says of it, and what cannot be read has a row that says why."""
    if model != classifier.name:
        classifier = load(model, purpose="throughput")
    rows, summary = _tag(classifier, tmp_path / "tags.jsonl", shop)
    single = load(model)
    seen = dict(predict_files(single, [shop]))
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


@pytest.mark.parametrize(("photos", "size_wh"), [(True, (1001, 1335)), (False, (1333, 1001))])
def test_decoded_smaller(photos: bool, size_wh: tuple[int, int], test_set: Arrays) -> None:
    """Of a large JPEG decoded smaller, the network sees the same and the box is at the full size."""
    image = Image.fromarray(preprocess.as_photos(test_set[0][:1])[0]).resize(size_wh, Image.Resampling.BICUBIC)
    encoded = {}
    for kind in ("jpeg", "png"):
        image.save(file := io.BytesIO(), kind, **({"quality": 95} if kind == "jpeg" else {}))
        file.seek(0)
        encoded[kind] = prepare(file, kind, photos)
    small, full = encoded["jpeg"], encoded["png"]
    assert (small.width, small.height) == (full.width, full.height) == size_wh
    assert small.pixels is not None
    assert full.pixels is not None
    assert np.abs(small.pixels.astype(int) - full.pixels).mean() < 3
    assert np.allclose(small.within, full.within, atol=12)
    assert (int(small.phash, 16) ^ int(full.phash, 16)).bit_count() <= 4


def test_started(classifier: Classifier, test_set: Arrays) -> None:
    """Batches handed to the queue are answered with the probabilities and masks of single pictures."""
    images = np.stack([preprocess.view(image) for image in preprocess.as_photos(test_set[0][:70])])
    answers = {}
    errors: list[BaseException] = []
    for at in range(0, len(images), 64):
        classifier.start(images[at : at + 64], lambda p, masks, at=at: answers.update({at: (p, masks)}), errors.append)  # type: ignore[misc]
    classifier.wait()
    probabilities = np.concatenate([answers[at][0] for at in (0, 64)])
    masks = np.concatenate([answers[at][1] for at in (0, 64)])
    single = load("kiosk")
    for at in (0, 63, 64, 69):
        p, mask = single.look(images[at])
        assert np.allclose(probabilities[at], p, atol=1e-4)
        assert np.allclose(masks[at], mask, atol=1e-3)


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
                _tag(classifier, tmp_path / f"{number}.jsonl", shop / "00.jpg")
    with monkeypatch.context() as patched:
        patched.setattr(Classifier, "start", lambda *_: None)  # no call back at all
        patched.setattr(Classifier, "wait", fails)
        with pytest.raises(ArithmeticError):
            _tag(classifier, tmp_path / "4.jsonl", shop / "00.jpg")
    _tag(classifier, tmp_path / "5.jsonl", shop / "00.jpg")
    with pytest.raises(BadInputError, match="65 images"):
        classifier.start(np.zeros((65, *classifier.input_shape), np.uint8), fails, fails)


def test_made_with(classifier: Classifier, tmp_path: Path) -> None:
    """Rows are of one kind by all that makes them: every file of the network, its labels and its threshold."""
    folder = tmp_path / "saved_model"
    (folder / "variables").mkdir(parents=True)
    weights = folder / "variables" / "data"
    weights.write_bytes(b"1")
    saved = replace(classifier, source=folder)
    known = [made_with(saved), made_with(replace(saved, accept_threshold=0.9)), made_with(classifier)]
    weights.write_bytes(b"2")
    known.append(made_with(saved))
    assert len({made["sha256"] for made in known}) == 4
    assert made_with(load("kiosk")) == made_with(classifier)


def test_review_over_the_table(shop: Path, tmp_path: Path, run_here: Run) -> None:
    """A page is not written over its table, nor over what lies beside it, and nothing is done before that is said."""
    for name in ("t.csv", "./t.csv", "t.csv.partial", "t.csv.made_with"):
        done = run_here("tag", shop, "--out", tmp_path / "t.csv", "--review", f"{tmp_path}/{name}")
        assert done.returncode == 2
        assert "belongs to the table" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_gone_from_memory(classifier: Classifier, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture that this process cannot read has a row that says so, and those with it their answers."""
    files = fsspec.filesystem("memory")
    for name in ("a", "b", "c"):
        files.pipe(f"/tag-gone/{name}.jpg", (shop / "00.jpg").read_bytes())
    real = tag_walk.read_here

    def read_here(path: str) -> bytes | None:
        if path.endswith("b.jpg"):
            raise OSError(5, "Gone\n" + "x" * 10_000)
        return real(path)

    monkeypatch.setattr(tag_walk, "read_here", read_here)
    rows, _ = _tag(classifier, tmp_path / "t.jsonl", "memory://tag-gone")
    told = rows["memory://tag-gone/b.jpg"].error or ""
    assert told.startswith("memory://tag-gone/b.jpg cannot be read: Gone xxx")
    assert len(told) < 500
    assert [bool(row.error) for _, row in sorted(rows.items())] == [False, True, False]


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
        _tag(classifier, tmp_path / "t.jsonl", shop / "00.jpg")
    assert len(asked) > 1


def test_each_once(classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """Whichever ways lead to a picture it has one row; links that lead in a circle end, and a name may be no text."""
    (tmp_path / "shop").mkdir()
    for name in ("a.jpg", "b.JPG"):
        (tmp_path / "shop" / name).hardlink_to(shop / "00.jpg")
    strange = os.fsencode(tmp_path / "shop" / "c") + b"\xff[1].jpg"
    os.link(shop / "00.jpg", strange)
    (tmp_path / "shop" / "circle").symlink_to(tmp_path)
    (tmp_path / "shop" / "self.jpg").symlink_to(tmp_path / "shop" / "self.jpg")
    given = tmp_path / "shop"
    paths = (given, given / "a.jpg", given / "." / "*.jpg", f"{given}/../shop/**/*", f"{given}/", os.fsdecode(strange))
    rows, _ = _tag(classifier, tmp_path / "tags.parquet", *paths)
    assert {os.path.basename(path) for path in rows} == {"a.jpg", "b.JPG", os.fsdecode(b"c\xff[1].jpg")}  # noqa: PTH119
    assert not any(row.error for row in rows.values())


def test_named_outright(classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """A file named on the command line is tried whatever its suffix, and one that is gone by then has a row."""
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    rows, _ = _tag(classifier, tmp_path / "tags.csv", shop / "notes.txt", tmp_path / "gone.jpg")
    assert "is no BMP" in (rows[str(shop / "notes.txt")].error or "")
    assert "No such file" in (rows[str(tmp_path / "gone.jpg")].error or "")


@pytest.mark.parametrize(
    ("path", "error", "told"),
    [
        ("nowhere.jpg", BadInputError, "does not exist"),
        ("*.jpg", BadInputError, "holds no picture"),
        (".", BadInputError, "holds no picture"),
        ("memory://nothing/*.jpg", BadInputError, "holds no picture"),
        ("zip://*.jpg::nowhere.zip", BadInputError, "cannot be listed"),
        ("nonsense://user:secret@host/a.jpg", BadInputError, "//...@host"),
        ("s3://shop/", MissingError, r"pip install 'fsspec\[s3\]'"),
    ],
)
def test_path_to_nothing(
    path: str,
    error: type[Exception],
    told: str,
    classifier: Classifier,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A path that leads to no picture is refused before any work, in one line, and nothing is written."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=told) as refused:
        tag(classifier, [path], Path("tags.csv"))
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_urls(classifier: Classifier, shop: Path, tmp_path: Path) -> None:
    """Pictures in archives and behind URLs are tagged like files, those in this process's memory too."""
    with zipfile.ZipFile(tmp_path / "shop.zip", "w") as archive:
        for name in ("00.jpg", "more/01.png", "cut.jpg"):
            archive.write(shop / name, name)
    fsspec.filesystem("memory").pipe("/tag-test/00.jpg", (shop / "00.jpg").read_bytes())
    whole = f"zip://::{tmp_path}/shop.zip"
    paths = (whole, f"zip://*.jpg::{tmp_path}/shop.zip", "memory://tag-test", f"file://{shop}/more/01.png")
    rows, _ = _tag(classifier, tmp_path / "tags.jsonl", *paths)
    inside = {f"zip://{name}::{tmp_path}/shop.zip" for name in ("00.jpg", "more/01.png", "cut.jpg")}
    assert set(rows) == inside | {"memory://tag-test/00.jpg", f"file://{shop}/more/01.png"}
    here, _ = _tag(classifier, tmp_path / "here.jsonl", shop / "00.jpg")
    expected = vars(here[str(shop / "00.jpg")])
    for url in (f"zip://00.jpg::{tmp_path}/shop.zip", "memory://tag-test/00.jpg"):
        assert vars(rows[url]) == expected | {"path": url}
    assert [path for path, row in rows.items() if row.error] == [f"zip://cut.jpg::{tmp_path}/shop.zip"]


HOSTILE = """
import os, signal, sys, time
if "edgefashion.tagging.pool_worker" in sys.orig_argv:
    from edgefashion.tagging import picture
    real = picture.prepare
    def prepare(file, name, photos):
        if name.endswith("crash.jpg"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if name.endswith("hang.jpg"):
            time.sleep(600)
        if name.endswith("killed.jpg"):
            try:
                os.mkdir(name + ".once")
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return real(file, name, photos)
    picture.prepare = prepare
"""


def test_worker_that_dies_or_hangs(
    classifier: Classifier, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A picture that its process dies of or hangs at has a row that says so, and every other one its answer; a
    process that was killed once is no fault of the picture's."""
    (tmp_path / "sitecustomize.py").write_text(HOSTILE)
    (tmp_path / "in").mkdir()
    for name in ("a", "crash", "e", "hang", "killed", "x"):
        (tmp_path / "in" / f"{name}.jpg").hardlink_to(shop / "00.jpg")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setattr(pool, "PATIENCE_S", 4.0)
    rows, summary = _tag(classifier, tmp_path / "tags.jsonl", tmp_path / "in")
    errors = {Path(path).stem: row.error for path, row in rows.items() if row.error}
    assert set(errors) == {"crash", "hang"}
    assert "SIGSEGV" in (errors["crash"] or "")
    assert "longer than 4 s" in (errors["hang"] or "")
    assert len(rows) == 6
    assert summary.errors == 2


@pytest.fixture
def started(tmp_path: Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Runs that a test starts; none outlives it."""
    running: list[subprocess.Popen[str]] = []
    yield running
    for process in running:
        process.kill()
        process.communicate()


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
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not out.exists()
    assert workers
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    done = subprocess.run([*_command(inventory, "--out", out), "--json"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert (summary["pictures"], summary["errors"]) == (MANY, 0)
    assert 0 < summary["done_before"] < MANY
    assert sorted(row.path for row in read_rows(out)) == sorted(tag_walk.walk([str(inventory)]))
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_stopped(number: int, code: int, inventory: Path, tmp_path: Path, started: list[subprocess.Popen[str]]) -> None:
    """Ctrl-C and SIGTERM end a run cleanly: its processes end, its rows are kept, and it says how to go on."""
    process = _begun(started, tmp_path / "tags.csv", inventory, 1)
    workers = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == code, told
    assert told.strip() == "stopped; what is tagged is kept: the same command goes on"
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


@pytest.mark.skipif(os.name != "posix", reason="a limit of POSIX makes writing fail")
def test_full_disk(inventory: Path, tmp_path: Path) -> None:
    """A disk that is full in mid-write ends the run in one line; with room again it goes on, and nothing is lost."""
    out = tmp_path / "tags.jsonl"
    arguments = _command(inventory, "--out", out)[3:]
    full = subprocess.run([sys.executable, "-c", FULL, *arguments], capture_output=True, text=True, timeout=120)
    assert full.returncode in (2, 3), full.stderr
    assert full.stderr.count("\n") == 1
    assert "cannot be written" in full.stderr
    assert not out.exists()
    done = subprocess.run([*_command(inventory, "--out", out), "--json"], capture_output=True, text=True, timeout=120)
    assert 0 < json.loads(done.stdout)["done_before"] < MANY
    assert len({row.path for row in read_rows(out)}) == MANY


def test_workers_are_light() -> None:
    """A process that decodes pictures imports neither OpenVINO nor TensorFlow."""
    code = "import sys, edgefashion.tagging.pool_worker, edgefashion.tagging.picture, edgefashion.tagging.inventory; print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert "edgefashion.tagging.picture" in modules
    assert not {"openvino", "tensorflow", "pyarrow", "rich"} & set(modules)
