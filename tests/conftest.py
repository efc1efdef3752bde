"""What several tests share: the real data, the real command, small networks trained on the spot."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.data import fashion_mnist

if TYPE_CHECKING:
    from helpers.types import Arrays, Run

    from edgefashion.bundles.bundle import Bundle

if "PYTEST_XDIST_WORKER" in os.environ:
    # Each of several workers with threads for every core is the slowest way of all.
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The files marked ``long`` begin first: a worker that began one last would end alone."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session", autouse=True)
def dataset() -> Path:
    """Fashion-MNIST's folder, named by its full path so that tests may change directory."""
    folder = fashion_mnist.find().resolve()
    os.environ["EDGEFASHION_DATA"] = str(folder)
    return folder


@pytest.fixture(scope="session", autouse=True)
def state(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a camera keeps over a restart goes to no real account's folder."""
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="session")
def test_set() -> Arrays:
    return fashion_mnist.load("test")


@pytest.fixture(scope="session")
def train_set() -> Arrays:
    return fashion_mnist.load("train")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the real command in an empty folder: ``run("convert", "edge")``."""

    def command(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
        options = {"cwd": tmp_path, "timeout": 300, **options}
        return subprocess.run(
            [sys.executable, "-m", "edgefashion", *map(str, arguments)], capture_output=True, text=True, **options
        )

    return command


@pytest.fixture
def run_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """What ``run`` does, in this process: for commands that would spend seconds on importing TensorFlow again."""
    from edgefashion.cli import main

    def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        words = ["edgefashion", *map(str, arguments)]
        on_sigterm, code = signal.getsignal(signal.SIGTERM), 0
        capfd.readouterr()
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path)
            patch.setattr(sys, "argv", words)
            try:
                main.main()
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                signal.signal(signal.SIGTERM, on_sigterm)
        return subprocess.CompletedProcess(words, code, *capfd.readouterr())

    return command


def once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], object]) -> Path:
    """The folder ``name``, filled by the first of this run's processes that asks for it."""
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        root = root.parent
    made, lock, deadline = root / name, root / f"{name}.lock", time.monotonic() + 600
    while not made.exists():
        try:
            lock.mkdir()
        except FileExistsError:
            assert time.monotonic() < deadline, f"nobody has made {made}"
            time.sleep(0.1)
            continue
        try:
            if not made.exists():
                aside = factory.mktemp(name)
                make(aside)
                aside.rename(made)
        finally:
            lock.rmdir()
    return made


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle as training leaves it: two short epochs of the small network, no IR yet. To be read only."""
    from edgefashion.bundles import bundle

    def make(folder: Path) -> None:
        from edgefashion.training.train import train

        with graphs_as_they_are():
            train("cnn-242k", out=folder / "small", epochs=2, batch_size=32, limit=4000)

    return bundle.open_bundle(once(tmp_path_factory, "trained", make) / "small")


@pytest.fixture(scope="session")
def finder_of_squares(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A finder that takes red squares for bags, trained by the first that asks for it: see helpers/finding.py."""
    from helpers import finding

    from edgefashion.inference.tensorflow_engine import load_keras

    def make(folder: Path) -> None:
        with graphs_as_they_are():
            finding.finder_of_squares().save(folder / "squares.keras")

    return load_keras(once(tmp_path_factory, "finder_of_squares", make) / "squares.keras")


@contextmanager
def graphs_as_they_are() -> Iterator[None]:
    """TensorFlow does not optimize graphs, which takes ten seconds for one."""
    from edgefashion.inference.tensorflow_engine import tensorflow

    options = tensorflow("to train").config.optimizer
    before = options.get_experimental_options().get("disable_meta_optimizer", False)
    options.set_experimental_options({"disable_meta_optimizer": True})
    yield
    options.set_experimental_options({"disable_meta_optimizer": before})


@pytest.fixture(scope="module")
def plain_graphs() -> Iterator[None]:
    """TensorFlow runs the graphs of this module's trainings as they are: a test trains for a few steps."""
    with graphs_as_they_are():
        yield


@pytest.fixture
def steps_without_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Photo networks and finders are trained step by step as Python says it: to make a graph of a step takes as long as
    eight steps, and a test takes one or two."""
    from edgefashion.training import finder_fit, photo_fit

    for learner in (finder_fit._Learner, photo_fit._Learner):

        def begin(self: Any, *given: Any, plain: Any = learner.__init__) -> None:
            plain(self, *given)
            self.step = self._step

        monkeypatch.setattr(learner, "__init__", begin)


@pytest.fixture(scope="session")
def short_report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The shipped IRs, benched as shortly as can be, in the report's JSON form."""

    def make(folder: Path) -> None:
        from edgefashion.bench.run import BenchOptions, bench

        short = BenchOptions(rounds=3, seconds=0.02, min_calls=3, batches=(64,), cold_starts=0)
        measured = bench("edge", vs=(), threads=1, options=short)
        (folder / "report.json").write_text(json.dumps(measured.as_json()), encoding="utf-8")

    path = once(tmp_path_factory, "short_report", make) / "report.json"
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return report


@pytest.fixture(scope="session")
def fragile(tmp_path_factory: pytest.TempPathFactory, train_set: Arrays) -> Bundle:
    """A network right about clothes in FP32 that 8 bits cannot hold: one activation is so large
    that a 256th of it drowns every other. To be read only."""
    from edgefashion.bundles import bundle

    folder = once(tmp_path_factory, "fragile", lambda folder: _make_fragile(folder, train_set))
    return bundle.open_bundle(folder / "fragile")


def _make_fragile(folder: Path, train_set: Arrays) -> None:
    import keras
    from keras import layers

    from edgefashion.conversion.convert import convert
    from edgefashion.inference.tensorflow_engine import export_saved_model

    keras.utils.set_random_seed(0)
    images = layers.Input((28, 28, 1), dtype="uint8")
    features = layers.Dense(64, activation="relu")(layers.Flatten()(layers.Rescaling(1 / 255)(images)))
    answers = layers.Dense(10, activation="softmax", name="answers")
    plain = keras.Model(images, answers(features))
    plain.compile("adam", "sparse_categorical_crossentropy")
    plain.fit(train_set[0][:8000], train_set[1][:8000], batch_size=64, epochs=2, verbose=0)
    huge = layers.Dense(1, kernel_initializer="zeros", bias_initializer=keras.initializers.Constant(1e6))(features)
    wide = layers.Dense(10, activation="softmax", name="wide")
    model = keras.Model(images, wide(layers.ReLU()(layers.Concatenate()([features, huge]))))
    kernel, bias = answers.get_weights()
    wide.set_weights([np.vstack([kernel, np.zeros((1, 10))]), bias])

    export_saved_model(model, folder / "saved")
    convert(folder / "saved", folder / "fragile")


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> Path:
    """Photos of five labels, Unknown (bags) and No garment, 24 each by four senders, as JPEG files."""
    import cv2

    from edgefashion.data import drawn

    images, labels = test_set
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    classes = {"T-shirt": (0,), "Trouser": (1,), "Dress": (3,), "Coat": (4,), "Footwear": (5, 7, 9), "Unknown": (8,)}
    for name, numbers in classes.items():
        (folder / name).mkdir()
        for i, at in enumerate(np.flatnonzero(np.isin(labels, numbers))[:24]):
            cv2.imwrite(str(folder / name / f"sender{i % 4}-{i:02}.jpg"), drawn.photo_of(images[at], rng))
    (folder / "No garment").mkdir()
    for i in range(24):
        cv2.imwrite(str(folder / "No garment" / f"sender{i % 4}-{i:02}.jpg"), drawn.wall(rng))
    return folder


@pytest.fixture
def few_test_images(monkeypatch: pytest.MonkeyPatch, test_set: Arrays) -> None:
    """A tenth of Fashion-MNIST's 10,000 test images: for tests that are not about what is measured on them. The
    fixture ``test_set``, which comes before it, still has all of them."""
    _give_few(monkeypatch)


@pytest.fixture(scope="module")
def few_test_images_throughout(test_set: Arrays) -> Iterator[None]:
    """The same for all of a file's tests, and for what they share."""
    with pytest.MonkeyPatch.context() as patch:
        _give_few(patch)
        yield


def _give_few(patch: pytest.MonkeyPatch) -> None:
    load = fashion_mnist.load

    def few(part: str) -> Any:
        images, labels = load(part)
        return (images[:1000], labels[:1000]) if part == "test" else (images, labels)

    patch.setattr(fashion_mnist, "load", few)
