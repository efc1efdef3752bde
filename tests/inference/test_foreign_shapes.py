"""Whatever a model made elsewhere takes and gives, it is read, or refused in one line that says what it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefashion.bundles.guard import check
from edgefashion.errors import BadInputError
from edgefashion.inference import contract_measure, foreign_files
from edgefashion.inference.load import load
from edgefashion.inference.told import Told

UNPROVEN = Told(scale="0-1", anyway=True)
"""These networks are not trained."""


@pytest.fixture(autouse=True)
def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard has tests of its own, and takes a process for each file."""
    monkeypatch.setattr(check, "check", lambda *_, **__: None)
    monkeypatch.setattr(check, "vouch", lambda *_, **__: None)


def _model(
    shape: list[int],
    dtype: str = "f32",
    *,
    classes: int = 10,
    ends: list[int] | None = None,
    fixed: bool = False,
    inputs: int = 1,
    features: bool = False,
) -> Any:
    """A linear softmax on images of ``shape``; ``ends`` is its answer's shape, ``fixed`` has the batch of one written
    into it, ``features`` has another output first."""
    import openvino as ov
    from openvino import opset13 as ops

    kind = getattr(ov.Type, dtype)
    taken = [ops.parameter(shape if number == 0 else [1, 3], kind, name=f"x{number}") for number in range(inputs)]
    pixels = int(np.prod(shape[1:])) if min(shape[1:]) > 0 else 784
    given = ops.convert(taken[0], "f32")
    if fixed:  # in two steps: OpenVINO sees through one, and takes any batch
        given = ops.relu(ops.reshape(given, np.array([2, pixels // 2]), special_zero=False))
    flat = ops.reshape(given, np.array([1 if fixed else -1, pixels]), special_zero=False)
    weights = np.random.default_rng(0).normal(0, 0.05, (pixels, classes)).astype(np.float32)
    answer = ops.softmax(ops.matmul(flat, weights, False, False), 1)
    if inputs > 1:
        shop = ops.reduce_sum(ops.convert(taken[1], "f32"), np.array([1]), keep_dims=True)
        answer = ops.add(answer, ops.multiply(shop, np.float32(0)))
    answer = ops.reshape(answer, np.array(ends), special_zero=False) if ends else answer
    answer = ops.convert(answer, dtype) if dtype in ("f64", "bf16") else answer
    results = [ops.result(flat), ops.result(answer)] if features else [ops.result(answer)]
    return ov.Model(results, taken, "theirs")


def _saved(model: Any, folder: Path) -> Path:
    import openvino as ov

    ov.save_model(model, folder / "theirs.xml", compress_to_fp16=False)
    return folder / "theirs.xml"


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ([1, 28, 28, 1], {}),
        ([-1, 28, 28, 1], {}),
        ([1, 1, 28, 28], {"dtype": "f64"}),
        ([1, 28, 28], {"dtype": "f16"}),
        ([1, 28, 28], {"dtype": "bf16"}),
        ([1, 784], {"dtype": "u8"}),
        ([1, 784], {"dtype": "i64"}),
        ([1, 28, 28, 3], {}),
        ([1, 3, 28, 28], {}),
        ([1, 28, 28, 1], {"fixed": True}),
        ([1, 28, 28, 1], {"ends": [-1, 10, 1, 1]}),
        ([1, 28, 28, 1], {"ends": [-1, 1, 10]}),
        ([1, 28, 28, 1], {"features": True}),
    ],
)
def test_it_is_read(shape: list[int], options: dict[str, Any], tmp_path: Path, test_set: Any) -> None:
    """Every layout and type of one 28x28 image is fed, and ten values in any shape, at any output, are read, by one
    image at a time and by many alike."""
    path = _saved(_model(shape, **options), tmp_path)
    scale = "0-255" if options.get("dtype") in ("u8", "i64") else "0-1"
    classifier = load(path, told=Told(scale=scale, anyway=True))
    images = test_set[0][:70]
    many = classifier(images)
    assert many.shape == (70, 10)
    assert (classifier.labels, classifier.input_shape, classifier.source) == (classifier.labels, (28, 28, 1), path)
    np.testing.assert_allclose(many.sum(1), 1, atol=2e-3)
    np.testing.assert_allclose(np.concatenate([classifier(images[i : i + 1]) for i in range(5)]), many[:5], atol=1e-5)
    assert np.ptp(many, 0).max() > 0.01


@pytest.mark.parametrize("fixed", [False, True])
def test_it_is_started(fixed: bool, tmp_path: Path, test_set: Any) -> None:
    """A whole batch handed over, as tagging does, is answered as when it is asked, whatever batch the file takes."""
    path = _saved(_model([1, 28, 28, 1], fixed=fixed), tmp_path)
    classifier = load(path, purpose="throughput", told=UNPROVEN)
    assert classifier.settings["batch"] == (1 if fixed else 64)
    images = test_set[0][:64].reshape(-1, 28, 28, 1)
    answered: list[Any] = []
    errors: list[BaseException] = []
    for count in (64, 3, 1):
        classifier.start(images[:count], lambda probabilities, _: answered.append(probabilities), errors.append)
        classifier.wait()
    assert errors == []
    assert [len(probabilities) for probabilities in answered] == [64, 3, 1]
    single = load(path, told=UNPROVEN)
    for probabilities in answered:
        np.testing.assert_allclose(probabilities, single(images[: len(probabilities)]), atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "options", "says"),
    [
        ([1, 28, 28, 1], {"inputs": 2}, r"has 2 inputs \(x0 .*, x1 .*\); one image is expected"),
        ([1, 32, 32, 1], {}, r"takes \[1,32,32,1\], not 28x28 grey images"),
        ([1, 28, 28, 4], {}, "not 28x28 grey images"),
        ([1, 28, 28, 1], {"classes": 5}, r"answers .* \[5\] for an image, not one value for each of the 10 garments"),
        ([1, 28, 28, 1], {"classes": 11}, r"\[11\] for an image"),
        ([1, 28, 28, 1], {"dtype": "boolean"}, "takes boolean, not an image's numbers"),
    ],
)
def test_it_is_refused(shape: list[int], options: dict[str, Any], says: str, tmp_path: Path) -> None:
    """What takes no such image or gives no ten values is refused in one line, with its inputs or outputs by name."""
    path = _saved(_model(shape, **options), tmp_path)
    with pytest.raises(BadInputError, match=says) as refused:
        foreign_files.read(path, UNPROVEN)
    assert "\n" not in str(refused.value)
    assert "theirs.xml" in str(refused.value)


def test_an_ir_of_ours_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An IR that says itself what it is is loaded as it is; one that does not is measured once, for all its threads."""
    calls: list[str] = []
    measured = contract_measure.measure

    def counted(network: Any, said: Any) -> Any:
        calls.append(network.named)
        return measured(network, said)

    monkeypatch.setattr(foreign_files, "measure", counted)
    path = _saved(_model([1, 28, 28, 1]), tmp_path)
    for _ in range(2):
        load(path, told=UNPROVEN)
    assert calls == [str(path)]
    with foreign_files.temporary_ir(path, UNPROVEN) as (ir, _):
        load(ir)
    assert calls == [str(path)]
