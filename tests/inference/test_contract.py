"""The contract of a model made elsewhere: told, kept, and the same in numpy and in the graph."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from helpers.contracts import ALPHABET, FEEDS, READ, logits_of, trained

from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError
from edgefashion.inference import contract
from edgefashion.inference.contract import Contract, Feed, normalised, ranged
from edgefashion.inference.contract_graph import with_contract
from edgefashion.inference.told import Told, give


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


def _graph(by: Contract, answer: str) -> Any:
    """A linear OpenVINO model that is fed as ``by`` says, with another output first."""
    import openvino as ov
    from openvino import opset13 as ops

    feed = Feed("", by.factor, by.offset)
    weights, bias = trained()
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
    raw = READ[answer](logits_of(images / np.float32(255), ranged(0, 1)))
    expected = by.probabilities(raw[:, np.argsort(order)] if order else raw)
    for batch in (1, 16):
        ir.reshape([batch, 28, 28, 1])
        compiled = ov.Core().compile_model(ir, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        got = np.concatenate([compiled(images[at : at + batch])[0] for at in range(0, 16, batch)])
        off = 2e-4 if answer != contract.ROUNDED else 1 / 32  # a rounding may fall to either side
        np.testing.assert_allclose(got, expected, atol=off)


SHARES = np.array([[0.7, 0.1, 0.1, *[0.1 / 7] * 7], [0.05, 0.5, 0.25, *[0.2 / 7] * 7]])


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (SHARES, contract.PROBABILITIES),
        (SHARES * 100, contract.ROUNDED),
        (np.round(SHARES * 100), contract.ROUNDED),
        (np.round(SHARES * 255), contract.ROUNDED),
        (SHARES * 256 / 255, contract.ROUNDED),
        (SHARES * 0.5, contract.SIGMOIDS),
        (np.log(SHARES), contract.LOGARITHMS),
        (np.log(SHARES) + 3, contract.LOGITS),
        (np.log(SHARES) - np.log(SHARES).min(), contract.LOGITS),
        (-SHARES, contract.LOGITS),
        (SHARES * np.array([[1], [5]]), contract.LOGITS),
    ],
)
def test_what_kind_of_answers_these_are(raw: Any, kind: str) -> None:
    """Shares of any sum, per cent or bytes, are known as shares and are as sure as they say: no softmax goes on top."""
    assert contract.kind_of(raw) == kind
    read = contract.as_probabilities(raw, kind)
    assert read.max() <= 1 + 1e-6
    if kind in (contract.ROUNDED, contract.PROBABILITIES, contract.LOGARITHMS):
        np.testing.assert_allclose(read, SHARES, atol=0.03)


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
