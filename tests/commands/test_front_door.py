"""What `from edgefashion import ...` gives: every command as a function, documented, at no cost until it is used."""

from __future__ import annotations

import doctest
import importlib
import inspect
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers.scenes import coco, put_scenes, thing

import edgefashion
from edgefashion import errors
from edgefashion.bench.report import BenchOptions
from edgefashion.conversion import post_training
from edgefashion.data import fashion_mnist

if TYPE_CHECKING:
    from helpers.types import Arrays

pytestmark = pytest.mark.long

FUNCTIONS = [
    "load",
    "read_image",
    "predict",
    "train",
    "finetune",
    "teach",
    "convert",
    "quantize",
    "build",
    "evaluate",
    "evaluate_photos",
    "evaluate_scenes",
    "benchmark",
    "tag",
    "serve",
    "run_camera",
    "export_ovms",
    "export_pack",
    "install_pack",
]
NAMES = [
    *FUNCTIONS,
    "Classifier",
    "EdgeFashionError",
    "BadInputError",
    "GateError",
    "MissingError",
    "LABELS",
    "__version__",
]
EXAMPLES = [*FUNCTIONS, "Classifier"]


def _section(name: str, title: str) -> str:
    """A section of the docstring of what ``name`` is; empty where it has none."""
    text = inspect.getdoc(getattr(edgefashion, name)) or ""
    found = re.search(rf"^{title}:\n(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""


def test_all_is_there() -> None:
    """Every promised name is in `__all__`, resolves, and is listed by `dir`; no other is promised."""
    assert sorted(edgefashion.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(edgefashion))
    for name in NAMES:
        assert getattr(edgefashion, name) is not None
    assert all(inspect.isfunction(getattr(edgefashion, name)) for name in FUNCTIONS)
    with pytest.raises(AttributeError, match="no attribute 'fly'"):
        edgefashion.fly  # noqa: B018


def test_types_are_those_of_the_modules() -> None:
    """What a type checker is told of each name is what the name is: the same object of the same module."""
    source = inspect.getsource(edgefashion)
    told = dict[str, Any]()
    for module, names in re.findall(r"^    from (edgefashion\.[\w.]+) import (.+)$", source, re.MULTILINE):
        for pair in names.split(", "):
            there, _, here = pair.partition(" as ")
            told[here or there] = getattr(importlib.import_module(module), there)
    assert sorted([*told, "__version__"]) == sorted(NAMES)
    assert [name for name, of in told.items() if getattr(edgefashion, name) is not of] == []


def test_importing_costs_nothing() -> None:
    """`import edgefashion` and its errors bring none of the libraries, and `--help` none either."""
    code = """
import sys
import edgefashion
from edgefashion import EdgeFashionError, BadInputError, GateError, MissingError, LABELS
heavy = {"numpy", "cv2", "openvino", "rich", "typer", "tensorflow", "PIL"} & set(sys.modules)
assert not heavy, heavy
ours = {name for name in sys.modules if name.startswith("edgefashion.")}
assert ours == {"edgefashion.errors", "edgefashion.labels", "edgefashion.version"}, ours
dir(edgefashion), edgefashion.__all__
assert "numpy" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# --- The docstrings --------------------------------------------------------------------------


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_function_is_documented(name: str) -> None:
    """The docstring names every parameter, what is raised, and has an example that asserts something."""
    what = getattr(edgefashion, name)
    if name in FUNCTIONS:
        told = re.findall(r"^    (\w+): \S", _section(name, "Args"), re.MULTILINE)
        missing = set(inspect.signature(what).parameters) - set(told)
        assert missing == set()
    raised = re.findall(r"^    (\w+): \S", _section(name, "Raises"), re.MULTILINE)
    assert raised
    assert all(issubclass(getattr(errors, each), errors.EdgeFashionError) for each in raised)
    examples = doctest.DocTestParser().get_examples(_section(name, "Example"))
    assert any(example.want for example in examples)


def _bad_photos(folder: Path) -> Path:
    (folder / "photos" / "Dress").mkdir(parents=True)
    (folder / "photos" / "Dress" / "a.jpg").write_bytes(b"no picture")
    return folder / "photos"


def _keras_run() -> Any:
    """A photo network run by an engine that gives no mask."""
    import dataclasses

    class Runner:
        input_shape = (160, 160, 3)

    return dataclasses.replace(edgefashion.load("kiosk"), run=Runner())  # type: ignore[arg-type]


# The function, a call of it that goes wrong, and the error.
MISTAKES: list[tuple[str, Callable[[Path], object], str]] = [
    ("load", lambda f: edgefashion.load("nowhere"), "BadInputError"),
    ("load", lambda f: edgefashion.load("http://127.0.0.1:9/v2/models/none"), "MissingError"),
    ("Classifier", lambda f: edgefashion.load("edge")(np.zeros((1, 28, 28, 1), np.float32)), "BadInputError"),
    ("read_image", lambda f: edgefashion.read_image(f / "none.jpg"), "BadInputError"),
    ("predict", lambda f: edgefashion.predict(_keras_run(), np.zeros((9, 9, 3), np.uint8)), "BadInputError"),
    ("train", lambda f: edgefashion.train("cnn-242k", out=f / "m", epochs=0), "BadInputError"),
    ("finetune", lambda f: edgefashion.finetune([f], f / "m"), "BadInputError"),
    ("finetune", lambda f: edgefashion.finetune([f], f / "m", epochs=0), "BadInputError"),
    ("teach", lambda f: edgefashion.teach([f / "none"], f / "m"), "BadInputError"),
    ("teach", lambda f: edgefashion.teach([_bad_photos(f)], f / "m"), "BadInputError"),
    ("convert", lambda f: edgefashion.convert("nowhere"), "BadInputError"),
    ("quantize", lambda f: edgefashion.quantize(_edge(), max_drop=7), "BadInputError"),
    ("build", lambda f: edgefashion.build("edge", f / "m", int8=True, max_drop=7), "BadInputError"),
    ("build", lambda f: edgefashion.build("edge", f / "m", frame_wh=(20, 480)), "BadInputError"),
    ("build", lambda f: edgefashion.build("kiosk", f / "m", int8=True), "BadInputError"),
    ("build", lambda f: edgefashion.build(["edge", "edge"], f / "m", scale="0-1"), "BadInputError"),
    ("evaluate_photos", lambda f: edgefashion.evaluate_photos(edgefashion.load(), _bad_photos(f)), "BadInputError"),
    ("evaluate_scenes", lambda f: edgefashion.evaluate_scenes(edgefashion.load(), f), "BadInputError"),
    ("benchmark", lambda f: edgefashion.benchmark("edge", rounds=0), "BadInputError"),
    ("benchmark", lambda f: edgefashion.benchmark("edge", html=f / "page.pdf"), "BadInputError"),
    ("tag", lambda f: edgefashion.tag([f / "none"], f / "tags.csv"), "BadInputError"),
    ("tag", lambda f: edgefashion.tag([f], f / "tags.csv", engine="abacus"), "BadInputError"),
    ("serve", lambda f: edgefashion.serve(["nowhere"], http_port=0, grpc_port=0), "BadInputError"),
    ("run_camera", lambda f: edgefashion.run_camera(source=str(f / "none.mp4"), headless=True), "BadInputError"),
    ("run_camera", lambda f: edgefashion.run_camera(sauce="0"), "BadInputError"),
    ("run_camera", lambda f: edgefashion.run_camera(fps=0), "BadInputError"),
    ("run_camera", lambda f: edgefashion.run_camera(source="99", headless=True), "MissingError"),
    ("export_ovms", lambda f: edgefashion.export_ovms(["edge"], Path(__file__).parent), "BadInputError"),
    ("export_pack", lambda f: edgefashion.export_pack("nowhere"), "BadInputError"),
    ("install_pack", lambda f: edgefashion.install_pack(f / "none.edgepack"), "BadInputError"),
]


def _edge() -> Any:
    from edgefashion.bundles import resolve

    return resolve.resolve("edge").bundle


@pytest.mark.parametrize(("name", "call", "error"), MISTAKES, ids=[f"{m[0]}-{n}" for n, m in enumerate(MISTAKES)])
def test_what_is_raised_is_what_is_documented(
    name: str, call: Callable[[Path], object], error: str, tmp_path: Path
) -> None:
    """A mistake raises the error that the docstring names, and nothing is left behind."""
    with pytest.raises(errors.EdgeFashionError) as caught:
        call(tmp_path)
    assert type(caught.value).__name__ == error or error in {base.__name__ for base in type(caught.value).__mro__}
    assert re.search(rf"^    {error}: ", _section(name, "Raises"), re.MULTILINE)
    assert not (tmp_path / "m").exists()


# --- The examples ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays, photo_folder: Path) -> Path:
    """What the examples work on: a photo, a folder of four pictures, a clip, a shop's labelled photos, scenes."""
    import cv2

    from edgefashion.camera import demo_clip
    from edgefashion.data import drawn

    folder = tmp_path_factory.mktemp("examples")
    images, labels = test_set
    shirt = images[np.flatnonzero(labels == 0)[0]]
    cv2.imwrite(str(folder / "shirt.jpg"), drawn.photo_of(shirt, np.random.default_rng(0)))
    (folder / "photos").mkdir()
    for number, image in enumerate(images[:4]):
        cv2.imwrite(str(folder / "photos" / f"{number}.png"), demo_clip.scene_of(image))
    demo_clip.make_clip(folder / "clip.mp4", images[:2], frames_each=15)
    for path in sorted(photo_folder.rglob("sender[01]-0?.jpg")):  # three of each of two senders in each folder
        put = folder / "shop" / path.parent.name / path.name
        put.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, put)
    boxes = thing(1, 1, 1, (0, 0, 64, 64)), thing(2, 2, 2, (0, 0, 64, 64))  # a coat and jeans
    put_scenes(folder / "scenes", coco(*boxes, pictures=2))
    return folder


# Each would spend seconds on importing TensorFlow again, or on what its example is not about.
HERE = ("benchmark", "build", "convert", "finetune", "quantize", "teach", "train")


@pytest.fixture
def few_images(monkeypatch: pytest.MonkeyPatch, plain_graphs: None, steps_without_graphs: None) -> None:
    """Fewer images to measure on and to calibrate on, and no cold starts: how right and how fast a network is is not
    what these examples are about."""
    load, quantize = fashion_mnist.load, post_training.quantize_plain

    def few(part: str) -> Any:
        return tuple(each[:60] for each in load(part)) if part == "test" else load(part)

    monkeypatch.setattr(fashion_mnist, "load", few)
    monkeypatch.setattr("edgefashion.training.finetune.FASHION_VALIDATION", 50)
    monkeypatch.setattr("edgefashion.bench.pictures.FASHION_IMAGES", 200)
    monkeypatch.setattr("edgefashion.bench.benchmark.BenchOptions", partial(BenchOptions, min_calls=3, cold_starts=0))

    def quickly(fp32: Path, images: Sequence[Any], **how: Any) -> Any:
        return quantize(fp32, images[:30], **how)

    monkeypatch.setattr("edgefashion.conversion.quantize.quantize_plain", quickly)


def _put(shop: Path, folder: Path) -> None:
    for path in shop.iterdir():
        (folder / path.name).symlink_to(path)


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in HERE])
def test_the_example_is_true(name: str, shop: Path, tmp_path: Path) -> None:
    """The example of the docstring, typed into Python in a folder of its own, answers what it says."""
    _put(shop, tmp_path)
    (tmp_path / "example.txt").write_text(_section(name, "Example"), encoding="utf-8")
    code = "import doctest, sys; sys.exit(doctest.testfile('example.txt', module_relative=False).failed)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", HERE)
def test_the_example_of_long_work_is_true(
    name: str, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_images: None
) -> None:
    """The example of a function that works for long, run in a folder of its own, answers what it says."""
    _put(shop, tmp_path)
    monkeypatch.chdir(tmp_path)
    example = doctest.DocTestParser().get_doctest(_section(name, "Example"), {}, name, None, None)
    said: list[str] = []
    assert doctest.DocTestRunner().run(example, out=said.append).failed == 0, "".join(said)
