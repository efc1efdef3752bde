"""A MODEL is loaded by the engine that fits, or refused with what is known."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import edgefashion
from edgefashion.bundles import resolve
from edgefashion.errors import BadInputError
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import OpenVinoRunner
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.types import Arrays


def test_the_shipped_model_loads_by_default(test_set: Arrays) -> None:
    """``load()`` gives the shipped INT8 network, right about the test images as its card says."""
    classifier = edgefashion.load()
    assert (classifier.name, classifier.precision, classifier.labels) == ("edge", "int8", LABELS)
    images, labels = test_set
    stated = resolve.resolve("edge").bundle
    assert stated is not None
    measured = np.mean(classifier(images).argmax(1) == labels)
    # INT8 rounding differs a little between instruction sets.
    assert measured == pytest.approx(stated.test_accuracy("int8"), abs=0.003)


@pytest.mark.parametrize("engine", ["tensorflow", "keras", "keras-predict", "openvino"])
def test_every_engine_gives_the_same_probabilities(engine: str, test_set: Arrays) -> None:
    """In FP32 the four engines agree to 1e-4 on the same bytes."""
    images = test_set[0][:200]
    stored = np.load(resolve.resolve("edge").bundle.verified("reference"))["probabilities"][:200]  # type: ignore[union-attr]
    answers = load("edge", engine=engine, precision="fp32")(images)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers, stored, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"precision": "int4"}, BadInputError, "no precision named 'int4'"),
        ({"engine": "torch"}, BadInputError, "no engine named 'torch'"),
        ({"purpose": "fun"}, BadInputError, "no purpose named 'fun'"),
        ({"engine": "keras", "precision": "int8"}, BadInputError, "runs the original in fp32"),
        ({"model": "nobody"}, BadInputError, "no bundle of that name. Known bundles: .*edge"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], error: type[Exception], message: str) -> None:
    """An unknown engine, precision, purpose or model is answered with the known ones."""
    with pytest.raises(error, match=message):
        load(**options)


def test_something_is_done_while_it_is_compiled() -> None:
    """``meanwhile`` is called once and in the caller's thread, and the network answers as it does without."""
    calls: list[threading.Thread] = []
    image = np.full((1, 28, 28, 1), 100, np.uint8)
    beside = load("edge", meanwhile=lambda: calls.append(threading.current_thread()))
    assert calls == [threading.current_thread()]
    np.testing.assert_array_equal(beside(image), load("edge")(image))
    beside(np.repeat(image, 64, 0))
    assert len(calls) == 1


def test_what_goes_wrong_meanwhile_is_raised() -> None:
    """An error of ``meanwhile`` is the caller's."""

    def fail() -> None:
        raise RuntimeError("the picture")

    with pytest.raises(RuntimeError, match="the picture"):
        load("edge", meanwhile=fail)


def test_what_cannot_be_compiled_is_raised_meanwhile(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that cannot be compiled is refused as it is without anything beside it."""

    def refuse(*_: Any) -> None:
        raise BadInputError("cannot be run")

    monkeypatch.setattr(OpenVinoRunner, "_compile", refuse)
    calls: list[int] = []
    with pytest.raises(BadInputError, match="cannot be run"):
        load("edge", meanwhile=lambda: calls.append(1))
    assert calls == [1]


def test_an_altered_network_is_never_parsed(tmp_path: Path) -> None:
    """A flipped byte in an IR's weights is noticed before OpenVINO reads the file."""
    import shutil

    copy = Path(shutil.copytree(resolve.resolve("edge").path, tmp_path / "edge"))
    weights = copy / "int8.bin"
    raw = bytearray(weights.read_bytes())
    raw[1000] ^= 1
    weights.write_bytes(raw)
    for model in (copy, copy / "int8.xml"):
        with pytest.raises(BadInputError, match="was altered"):
            load(model)
