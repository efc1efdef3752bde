"""The contract of a model made elsewhere, measured: what its author meant is found, what contradicts it is said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
from helpers.contracts import ALPHABET, FEEDS, READ, SHIRTS, logits_of, trained
from helpers.contracts import network as made
from numpy.typing import NDArray

from edgefashion.data import fashion_mnist
from edgefashion.errors import BadInputError, GateError, MissingError
from edgefashion.inference import contract, told
from edgefashion.inference.contract import Contract, ranged
from edgefashion.inference.contract_measure import Network, measure
from edgefashion.inference.told import Told
from edgefashion.labels import LABELS


@pytest.fixture(scope="module", autouse=True)
def _read_once() -> Iterator[None]:
    """Fashion-MNIST, which each measurement reads anew, is unpacked once for all of them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "load", cache(fashion_mnist.load))
        yield


@cache
def _right() -> float:
    images, labels = fashion_mnist.load("test")
    return float(np.mean(logits_of(images[:500] / np.float32(255), ranged(0, 1)).argmax(1) == labels[:500]))


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
    network = made(feed, shape, answer, order, first=first)
    by = measure(network, Told(labels="measured"))
    assert (by.answer, by.order, by.output) == (answer, order, "label")
    wanted = FEEDS[feed]
    np.testing.assert_allclose(by.factor, wanted.factor, rtol=1e-6)
    np.testing.assert_allclose(by.offset, wanted.offset, atol=1e-6)
    read = _reads(network, by)
    assert np.mean(read.argmax(1) == fashion_mnist.load("test")[1][:500]) == pytest.approx(_right(), abs=0.01)
    assert read.min() >= 0
    assert read.sum(1).max() <= 1 + 1e-5


@pytest.mark.parametrize("feed", ["0-255", "0-1", "-1-1", "Fashion-MNIST's", "inverted"])
@pytest.mark.parametrize("sure", [0.4, 0.6])
def test_a_network_that_is_not_sure(feed: str, sure: float) -> None:
    """A network that is less sure than it is right, as with smoothed labels, is fed as its author fed it; and that is
    not called in doubt where it is told."""
    network = made(feed, answer=contract.PROBABILITIES, spoilt=lambda logits: sure * logits)
    by = measure(network, Told())
    np.testing.assert_allclose(by.factor, FEEDS[feed].factor, rtol=1e-6)
    if feed in ("0-255", "0-1", "-1-1"):
        assert not measure(network, Told(scale=feed)).doubt


@pytest.mark.parametrize(
    ("network", "said", "message"),
    [
        (
            made(order=ALPHABET),
            Told(),
            r'in another order.*Give --labels "Ankle boot,Bag,Coat,.*or --labels measured',
        ),
        (made(order=SHIRTS), Told(), r"in another order.*Give --labels \"Shirt,Trouser,.*T-shirt/top,Sneaker"),
        (made("0-255"), Told(scale="0-1", anyway=False), r"as given.*claims.*Leave --scale.*% with 0-255\)"),
        (made(spoilt=lambda logits: 0 * logits), Told(), r"does not fit .* best of 0-1, .*also inverted.*--anyway"),
        (made(spoilt=lambda logits: 9 * np.roll(logits, 3, 0)), Told(), r"does not fit .*claims 9"),
        (made(), Told(labels=",".join(reversed(LABELS))), r"does not fit .*claims"),
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
    ("network", "said", "doubt"),
    [
        (made("0-1"), Told(scale="0-0.25"), r"fits pixels of 0-1 better than 0-0.25, as given: .* Leave --scale"),
        (made("-1-1"), Told(scale="0-1", anyway=True), r"fits pixels of -1-1 better than 0-1, as given"),
        (made("inverted"), Told(scale="0-1", anyway=True), r"fits pixels of 0-1, inverted better"),
        (made("0-1"), Told(scale="0-1"), ""),
        (made("-1-1"), Told(mean="0.5", std="0.5"), ""),
        (made("Fashion-MNIST's"), Told(mean="0.2859", std="0.3529"), ""),
        (made(order=SHIRTS), Told(labels=",".join(LABELS)), r"shows .* another order .* Give --labels measured"),
        (made(), Told(labels=",".join(LABELS[n] for n in SHIRTS)), r"another order than is taken: in T-shirt/top,"),
        (made(order=ALPHABET), Told(anyway=True), r"in Ankle boot,Bag,.* are right, not \d"),
        (made(order=SHIRTS), Told(labels=",".join(LABELS[n] for n in SHIRTS)), ""),
        (made(), Told(labels=",".join(LABELS)), ""),
        (made(), Told(), ""),
    ],
)
def test_what_is_told_and_contradicted_is_said(network: Network, said: Told, doubt: str) -> None:
    """A model goes on as it was told to, and where training images show another feed or order beyond doubt, it is said
    in one line which, and by how much; what was told rightly is not doubted."""
    by = measure(network, said)
    assert re.search(doubt, by.doubt) if doubt else by.doubt == ""
    assert "\n" not in by.doubt
    heard: list[str] = []
    told.listen(None, heard.append)
    told.say("found", by.doubt)
    told.say("found", by.doubt)
    told.forget()
    assert heard == [by.doubt] * bool(doubt)


def test_a_wrong_output_is_told_with_the_right_ones() -> None:
    """--output names one of those that have ten values, or is refused with their names."""
    network = made(first=False)
    assert measure(network, Told(output="2")).output == "label"
    with pytest.raises(BadInputError, match=r"--output features .* Those that have: other, label"):
        measure(network, Told(output="features"))
    for output in ("3", "-1", "\u00b2", "9" * 5000):
        with pytest.raises(BadInputError, match=r"has no ten values\. Those that have: other, label"):
            measure(network, Told(output=output))
    with pytest.raises(GateError, match="does not fit"):
        measure(network, Told(output="other"))


@pytest.mark.parametrize("answer", READ)
def test_without_images_the_files_own_hints_count(answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Fashion-MNIST is not on the machine, the file's hint is taken and said to be unmeasured; which kind of
    answers it gives is seen all the same."""
    trained()

    def missing(part: str) -> None:
        raise MissingError(part)

    monkeypatch.setattr(fashion_mnist, "load", missing)
    by = measure(made(answer=answer))
    assert (by.scale, by.answer) == ("0-1", answer)
    assert "not measured: Fashion-MNIST is not on this machine" in by.chosen
