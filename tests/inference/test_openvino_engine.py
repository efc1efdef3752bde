"""OpenVINO answers each image as it would alone, in the precision that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.errors import MissingError
from edgefashion.inference import preprocess
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import cpu_has_bf16

if TYPE_CHECKING:
    from helpers.types import Arrays


@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("purpose", ["latency", "throughput"])
def test_answers_do_not_depend_on_the_batch(count: int, purpose: str, test_set: Arrays) -> None:
    """However many images a call brings, each gets the answer it would get alone, in its place."""
    images = test_set[0][:count]
    single = load(precision="fp32")
    expected = np.concatenate([single(images[i : i + 1]) for i in range(count)]) if count else np.empty((0, 10))
    answers = load(precision="fp32", purpose=purpose)(images)
    assert answers.shape == (count, 10)
    np.testing.assert_allclose(answers, expected, atol=1e-5)


def test_an_answer_outlives_the_next_call(test_set: Arrays) -> None:
    """An array returned is the caller's: the next call does not write into it."""
    classifier = load()
    first = classifier(test_set[0][:1])
    kept = first.copy()
    classifier(test_set[0][1:2])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize(("precision", "expected"), [("fp32", "f32"), ("fp16", "f32"), ("bf16", "bf16")])
def test_precision_is_what_runs(precision: str, expected: str) -> None:
    """The executed graph's own precision is reported, and is the one asked for. An FP16 IR's weights are rounded, but
    it computes in FP32. Where the CPU cannot run BF16, asking for it says so instead of running something else."""
    if precision == "bf16" and not cpu_has_bf16():
        with pytest.raises(MissingError, match="cannot run BF16"):
            load(precision=precision)
    else:
        assert load(precision=precision).runtime_precision == expected


def test_started(test_set: Arrays) -> None:
    """Batches handed to the queue are answered with the probabilities and masks of single pictures."""
    images = np.stack([preprocess.view(image) for image in preprocess.as_photos(test_set[0][:70])])
    classifier, single = load("kiosk", purpose="throughput"), load("kiosk")
    answers: dict[int, Any] = {}
    errors: list[BaseException] = []
    for at in range(0, len(images), 64):
        classifier.start(images[at : at + 64], lambda p, masks, at=at: answers.update({at: (p, masks)}), errors.append)  # type: ignore[misc]
    classifier.wait()
    assert errors == []
    probabilities = np.concatenate([answers[at][0] for at in (0, 64)])
    masks = np.concatenate([answers[at][1] for at in (0, 64)])
    for at in (0, 63, 64, 69):
        p, mask = single.look(images[at])
        assert np.allclose(probabilities[at], p, atol=1e-4)
        assert np.allclose(masks[at], mask, atol=1e-3)
