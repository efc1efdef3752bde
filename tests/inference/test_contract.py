"""The contract of a model made elsewhere: told, measured, and the same in numpy and in the graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError, GateError, MissingError
from edgefashion.inference import contract
from edgefashion.inference.contract import Contract, Feed, normalised, ranged
from edgefashion.inference.contract_graph import with_contract
from edgefashion.inference.contract_measure import Network, measure
from edgefashion.inference.told import Told, give
from edgefashion.labels import LABELS

ALPHABET: Final = tuple(int(place) for place in np.argsort(np.argsort(LABELS)))
"""The place of each label where folders' names gave the order."""

FEEDS: Final[dict[str, Feed]] = {
    "0-255": ranged(0, 255),
    "0-1": ranged(0, 1),
    "-1-1": ranged(-1, 1),
    "Fashion-MNIST's": normalised(0, 1, (0.2860,), (0.3530,)),
    "MNIST's": normalised(0, 1, (0.1307,), (0.3081,)),
    "ImageNet's": normalised(0, 1, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inverted": ranged(0, 1).inverted(),
    "inverted bytes": ranged(0, 255).inverted(),
    "centred bytes": ranged(-128, 127),
}


@cache
def _trained() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A softmax regression on pixels from 0 to 1, trained on the first 2,500 training images: weights and bias."""
    images, labels = fashion_mnist.load("train")
    pixels, wanted = (
        (images[:2500].reshape(-1, 784) / 255).astype(np.float32),
        np.eye(10, dtype=np.float32)[labels[:2500]],
    )
    weights: NDArray[Any] = np.zeros((784, 10), np.float32)
    bias: NDArray[Any] = np.zeros(10, np.float32)
    pace: NDArray[Any] = np.zeros((784, 10), np.float32)
    for _ in range(150):
        off = np.asarray(contract.as_probabilities(pixels @ weights + bias, contract.LOGITS)) - wanted
        pace = 0.9 * pace - 0.05 * pixels.T @ off / len(pixels)
        weights, bias = weights + pace, bias - 0.5 * off.mean(0)
    logits, at = pixels @ weights + bias, np.arange(len(labels[:2500]))

    def loss(sure: float) -> float:
        return -float(np.log(contract.as_probabilities(logits * sure, contract.LOGITS)[at, labels[:2500]]).mean())

    sure = min(np.linspace(0.5, 5, 46), key=loss)  # as a whole training ends: neither too sure nor too little
    return weights * sure, bias * sure


def _logits(pixels: NDArray[Any], feed: Feed) -> NDArray[np.float64]:
    """The regression's logits for pixels (n, 28, 28, c) that were fed by ``feed``."""
    weights, bias = _trained()
    real = (pixels - np.array(feed.offset, np.float32)) / np.array(feed.factor, np.float32) / 255
    mixed = real @ np.array([2, -1.5, 0.5], np.float32)[: real.shape[-1]] / (2 if real.shape[-1] == 1 else 1)
    return np.asarray(mixed.reshape(len(real), -1) @ weights + bias)


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    raised = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(raised / raised.sum(1, keepdims=True))


READ: Final[dict[str, Callable[[NDArray[np.float64]], NDArray[np.float64]]]] = {
    contract.LOGITS: lambda logits: logits,
    contract.PROBABILITIES: _softmax,
    contract.LOGARITHMS: lambda logits: (
        logits
        - logits.max(1, keepdims=True)
        - np.log(np.exp(logits - logits.max(1, keepdims=True)).sum(1, keepdims=True))
    ),
    contract.SIGMOIDS: lambda logits: 1 / (1 + np.exp(-np.clip(logits, -80, 80))),
    contract.ROUNDED: lambda logits: np.round(_softmax(logits) * 64) / 64,
}


def _network(
    feed: str = "0-1",
    shape: tuple[int, ...] = (28, 28, 1),
    answer: str = contract.LOGITS,
    order: tuple[int, ...] = (),
    *,
    first: bool = True,
    spoilt: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda logits: logits,
) -> Network:
    """A model as somebody made it; ``first``: its answers are the first of its outputs, else another head is."""

    def ask(pixels: NDArray[Any]) -> dict[str, NDArray[Any]]:
        given = pixels.astype(np.float32)
        given = given.transpose(0, 2, 3, 1) if shape[0] == 3 else given
        given = given if given.shape[-1] == 3 else given.reshape(len(given), 28, 28, 1)
        answers = READ[answer](spoilt(_logits(given, FEEDS[feed])))
        answers = answers[:, np.argsort(order)] if order else answers
        heads = {"features": np.zeros((len(given), 7)), "other": np.tile(np.eye(10)[3], (len(given), 1))}
        return {"label": answers} if first else {**heads, "label": answers}

    return Network("theirs.onnx", shape, np.dtype(np.float32), contract.PLAIN, ask, ranged(0, 1), "usual")


@cache
def _right() -> float:
    images, labels = fashion_mnist.load("test")
    return float(np.mean(_logits(images[:500] / np.float32(255), ranged(0, 1)).argmax(1) == labels[:500]))


def _reads(network: Network, by: Contract) -> NDArray[np.float32]:
    """The probabilities of 500 test images, the network fed and read by a contract."""
    images = fashion_mnist.load("test")[0][:500]
    raw = network.ask(by.pixels(images, by.table(network.dtype)))[by.output]
    return by.probabilities(raw)


@pytest.mark.parametrize(
    ("feed", "shape", "answer", "order", "first"),
    [
        ("0-255", (28, 28, 1), contract.PROBABILITIES, (), True),
        ("0-1", (28, 28), contract.PROBABILITIES, (), True),
        ("0-1", (784,), contract.SIGMOIDS, (), True),
        ("0-1", (1, 28, 28), contract.LOGITS, (), True),
        ("-1-1", (28, 28, 1), contract.LOGARITHMS, (), True),
        ("Fashion-MNIST's", (1, 28, 28), contract.LOGITS, (), True),
        ("MNIST's", (1, 28, 28), contract.LOGARITHMS, (), False),
        ("ImageNet's", (3, 28, 28), contract.LOGITS, (), True),
        ("0-1", (28, 28, 3), contract.PROBABILITIES, (), False),
        ("inverted", (28, 28, 1), contract.PROBABILITIES, (), True),
        ("inverted bytes", (784,), contract.ROUNDED, (), True),
        ("centred bytes", (28, 28, 1), contract.PROBABILITIES, (), True),
        ("-1-1", (28, 28, 1), contract.SIGMOIDS, ALPHABET, False),
        ("0-255", (28, 28), contract.LOGITS, ALPHABET, True),
    ],
)
def test_what_its_author_meant_is_found(
    feed: str, shape: tuple[int, ...], answer: str, order: tuple[int, ...], first: bool
) -> None:
    """Whatever a model is fed, in whatever shape, whatever it answers, in whatever order and at whichever output: it is
    read as its author read it, and no confidence is above 1."""
    network = _network(feed, shape, answer, order, first=first)
    by = measure(network, Told(labels="measured"))
    assert (by.answer, by.order, by.output) == (answer, order, "label")
    wanted = FEEDS[feed]
    np.testing.assert_allclose(by.factor, wanted.factor, rtol=1e-6)
    np.testing.assert_allclose(by.offset, wanted.offset, atol=1e-6)
    read = _reads(network, by)
    assert np.mean(read.argmax(1) == fashion_mnist.load("test")[1][:500]) == pytest.approx(_right(), abs=0.01)
    assert read.min() >= 0
    assert read.sum(1).max() <= 1 + 1e-5


@pytest.mark.parametrize(
    ("network", "said", "message"),
    [
        (
            _network(order=ALPHABET),
            Told(),
            r'in another order.*Give --labels "Ankle boot,Bag,Coat,.*or --labels measured',
        ),
        (_network("0-255"), Told(scale="0-1", anyway=False), r"as given.*claims.*Leave --scale, --mean and --std out"),
        (_network(spoilt=lambda logits: 0 * logits), Told(), r"does not fit .* best of 0-1, .*also inverted.*--anyway"),
        (_network(spoilt=lambda logits: 9 * np.roll(logits, 3, 0)), Told(), r"does not fit .*claims 9"),
        (_network(), Told(labels=",".join(reversed(LABELS))), r"does not fit .*claims"),
    ],
)
def test_what_fits_nothing_is_a_failed_gate(network: Network, said: Told, message: str) -> None:
    """A model whose labels are in another order, or that is right far less often than it claims, is refused with what
    was tried and with what goes on; it goes on when told to."""
    with pytest.raises(GateError, match=message) as failed:
        measure(network, said)
    assert "\n" not in str(failed.value)
    assert failed.value.exit_code == 1
    measure(network, Told(**{**vars(said), "anyway": True}))


@pytest.mark.parametrize(
    ("said", "feed"),
    [
        (Told(scale="0-1"), ranged(0, 1)),
        (Told(scale="-1-1"), ranged(-1, 1)),
        (Told(scale="-0.5-0.5"), ranged(-0.5, 0.5)),
        (Told(scale="1-0"), ranged(0, 1).inverted()),
        (Told(scale="255-0"), ranged(0, 255).inverted()),
        (Told(scale="1--1"), ranged(-1, 1).inverted()),
        (Told(mean="0.5", std="0.5"), ranged(-1, 1)),
        (Told(mean="0.286"), normalised(0, 1, (0.286,), (1,))),
        (Told(scale="0-255", mean="127.5", std="127.5"), ranged(-1, 1)),
        (Told(std="0.2,0.3,0.4"), normalised(0, 1, (0,), (0.2, 0.3, 0.4))),
    ],
)
def test_what_is_told_is_taken(said: Told, feed: Feed) -> None:
    """--scale, --mean and --std say what a byte becomes."""
    told = contract.told_feed(said)
    assert told is not None
    np.testing.assert_allclose(told.factor, feed.factor, rtol=1e-6)
    np.testing.assert_allclose(told.offset, feed.offset, atol=1e-6)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (Told(scale="0-0"), "--scale must be two numbers"),
        (Told(scale="bytes"), "--scale must be two numbers"),
        (Told(scale="0-nan"), "--scale must be two numbers"),
        (Told(std="0"), "--std must be above 0"),
        (Told(mean="nan"), "--mean must be a number"),
        (Told(mean="0.1,0.2"), "--mean must be a number, or three"),
        (Told(mean="123"), "Give --scale 0-255 with it"),
        (Told(labels="Shirt,Bag"), "2 names are given"),
        (Told(labels="Shirt,Bag,Hat"), "'Hat' is none of them"),
        (Told(labels="no/such/file"), "neither ten names"),
        (Told(labels=",".join(["Bag"] * 10)), "10 names are given, some twice"),
    ],
)
def test_what_cannot_be_meant_is_refused(said: Told, message: str) -> None:
    """Options that mean nothing are refused in one line before any work."""
    with pytest.raises(BadInputError, match=message) as refused:
        give(said)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "labels",
    [
        "Ankle boot, Bag, Coat, Dress, Pullover, Sandal, Shirt, Sneaker, T-shirt/top, Trouser",
        "ankle_boots,bag,coat,dress,pullover,sandals,shirt,sneaker,tshirt,trousers",
        "9,8,4,3,2,5,6,7,0,1",
    ],
)
def test_labels_are_known_by_what_people_call_them(labels: str, tmp_path: Any) -> None:
    """Labels are given by name, by number, or as the lines of a file."""
    assert Told(labels=labels).order() == ALPHABET
    (tmp_path / "labels.txt").write_text(labels.replace(",", "\n") + "\n", encoding="utf-8")
    assert Told(labels=str(tmp_path / "labels.txt")).order() == ALPHABET


def test_a_wrong_output_is_told_with_the_right_ones() -> None:
    """--output names one of those that have ten values, or is refused with their names."""
    network = _network(first=False)
    assert measure(network, Told(output="2")).output == "label"
    with pytest.raises(BadInputError, match=r"--output features .* Those that have: other, label"):
        measure(network, Told(output="features"))
    with pytest.raises(GateError, match="does not fit"):
        measure(network, Told(output="other"))


@pytest.mark.parametrize("answer", READ)
def test_without_images_the_files_own_hints_count(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Fashion-MNIST is not on the machine, the file's hint is taken and said to be unmeasured; which kind of
    answers it gives is seen all the same."""
    _trained()

    def missing(part: str) -> None:
        raise MissingError(part)

    monkeypatch.setattr(fashion_mnist, "load", missing)
    by = measure(_network(answer=answer))
    assert (by.scale, by.answer) == ("0-1", answer)
    assert "not measured: Fashion-MNIST is not on this machine" in by.chosen


def _graph(by: Contract, answer: str) -> Any:
    """A linear OpenVINO model that is fed as ``by`` says, with another output first."""
    import openvino as ov
    from openvino import opset13 as ops

    feed = Feed("", by.factor, by.offset)
    weights, bias = _trained()
    taken = ops.parameter([1, *by.shape], ov.Type.f32, name="x")
    given = ops.transpose(taken, np.array([0, 2, 3, 1])) if by.shape[0] == 3 else taken
    given = ops.reshape(given, np.array([-1, 784, by.channels]), special_zero=False)
    real = ops.divide(ops.subtract(given, np.array(feed.offset, np.float32)), np.array(feed.factor, np.float32) * 255)
    flat = ops.reshape(ops.reduce_mean(real, np.array([2])), np.array([-1, 784]), special_zero=False)
    logits = ops.add(ops.matmul(flat, weights.astype(np.float32), False, False), bias.astype(np.float32))
    logits = ops.gather(logits, np.argsort(by.order), np.int64(1)) if by.order else logits
    ends = {
        contract.LOGITS: lambda x: x,
        contract.PROBABILITIES: lambda x: ops.softmax(x, 1),
        contract.LOGARITHMS: lambda x: ops.log_softmax(x, 1),
        contract.SIGMOIDS: ops.sigmoid,
        contract.ROUNDED: lambda x: ops.divide(
            ops.round(ops.multiply(ops.softmax(x, 1), np.float32(64))), np.float32(64)
        ),
    }
    return ov.Model([ops.result(flat), ops.result(ends[answer](logits))], [taken], "theirs")


@pytest.mark.parametrize("answer", READ)
@pytest.mark.parametrize(
    ("feed", "shape", "order"),
    [
        ("0-1", (28, 28, 1), ()),
        ("inverted bytes", (784,), ALPHABET),
        ("ImageNet's", (3, 28, 28), ()),
        ("-1-1", (28, 28, 3), ALPHABET),
    ],
)
def test_the_graph_does_what_numpy_does(feed: str, shape: tuple[int, ...], order: tuple[int, ...], answer: str) -> None:
    """The IR that a contract was put into takes bytes and answers probabilities in Fashion-MNIST's order, one image or
    many, as numpy reads the same answers."""
    import openvino as ov

    of = FEEDS[feed]
    by = Contract(feed, of.factor, of.offset, shape, answer, order, "", 1)
    ir = with_contract(_graph(by, answer), by, 1)
    images = fashion_mnist.load("test")[0][:16]
    raw = READ[answer](_logits(images / np.float32(255), ranged(0, 1)))
    expected = by.probabilities(raw[:, np.argsort(order)] if order else raw)
    for batch in (1, 16):
        ir.reshape([batch, 28, 28, 1])
        compiled = ov.Core().compile_model(ir, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        got = np.concatenate([compiled(images[at : at + batch])[0] for at in range(0, 16, batch)])
        off = 2e-4 if answer != contract.ROUNDED else 1 / 32  # a rounding may fall to either side
        np.testing.assert_allclose(got, expected, atol=off)


@pytest.mark.parametrize("dtype", ["float32", "float16", "float64", "uint8", "int8", "int32"])
@pytest.mark.parametrize("stored", [(0.0, 0), (1 / 255, 0), (2 / 255, 127), (2 / 255, -1), (1.0, -128)])
def test_bytes_as_a_file_stores_them_come_back(dtype: str, stored: tuple[float, int]) -> None:
    """What stands for a byte in a file's own numbers is the byte again by the file's own scale and zero point."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        feed, stored = ranged(-1, 1), (0.0, 0)
    else:
        own = contract.own_range(kind, stored)
        assert own is not None
        feed = own
    by = Contract(feed.name, feed.factor, feed.offset, (784,))
    table = by.table(kind, stored)
    real = (table.astype(np.float64) - stored[1]) * stored[0] if stored[0] else table.astype(np.float64)
    back = (real - by.offset[0]) / by.factor[0]
    kept = np.abs(back[:, 0] - np.arange(256)) <= (0.7 if dtype == "float16" else 0.01)
    clipped = kind.kind != "f" and (table[:, 0] == np.iinfo(kind).min) | (table[:, 0] == np.iinfo(kind).max)
    assert (kept | clipped).all()
    assert kept.sum() > 120
    assert Contract.from_json(by.as_json()) == by


@pytest.mark.parametrize(
    "told",
    [{}, {"scale": "0-1"}, {"answer": "guess"}, {"order": [0, 1]}, {"shape": [32, 32]}, {"factor": ["a"]}, {"x": 1}],
)
def test_a_broken_contract_is_named(told: dict[str, Any]) -> None:
    """What is no contract in a bundle raises ValueError, whatever it is."""
    whole = Contract("0-1", (1 / 255,), (0.0,), (784,)).as_json()
    with pytest.raises(ValueError, match="contract"):
        Contract.from_json({**whole, **told} if told and "scale" not in told else told)
