"""The rule by which answers count: chosen on some photos, it holds on others."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.types import Arrays
from numpy.typing import NDArray

from edgefashion.bundles.facts import Thresholds
from edgefashion.evaluation.acceptance import Chosen, choose_rule, is_right, lowest
from edgefashion.inference.decision import Rule, decide_all, group_shares, shows_none
from edgefashion.inference.load import load
from edgefashion.labels import LABELS, PHOTO_LABELS

Truths = list[tuple[str, ...]]
ONES = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Shirt", "Bag")


def counted(rule: Rule, probabilities: NDArray[np.float32], truths: Truths) -> tuple[float, float]:
    """Share accepted, and share of these that is right, by the answers themselves."""
    rights = [
        is_right(answer.label, truth)
        for row, answer, truth in zip(probabilities, decide_all(probabilities, PHOTO_LABELS, rule), truths, strict=True)
        if answer.accepted and not shows_none(row, PHOTO_LABELS)
    ]
    return len(rights) / len(truths), float(np.mean(rights)) if rights else 1.0


def drawn(
    rng: np.random.Generator, n: int, likely: dict[str, float], sure: float = 2.0
) -> tuple[NDArray[np.float32], Truths]:
    """Answers of a network that is right as often as it says, to the power ``likely`` gives for a label."""
    names = list(likely)
    probabilities: NDArray[np.float32] = np.zeros((n, len(PHOTO_LABELS)), np.float32)
    truths: Truths = []
    for row in probabilities:
        first, second = rng.choice(len(names), 2, replace=False)
        share = 1 / (1 + np.exp(-rng.normal(sure, 1.5)))
        share = max(share, 1 - share)
        row[PHOTO_LABELS.index(names[first])] = share
        row[PHOTO_LABELS.index(names[second])] = 1 - share
        right = rng.random() < share ** likely[names[first]]
        truths.append((names[first if right else second],))
    return probabilities, truths


HONEST = dict.fromkeys(ONES, 1.0)


@pytest.fixture(scope="module")
def fashion(test_set: Arrays) -> tuple[NDArray[np.float32], Truths]:
    """What the shipped photo network says to 6,000 test images, which it was not trained on."""
    images, labels = test_set
    return load("kiosk", purpose="throughput")(images[:6000]), [(LABELS[label],) for label in labels[:6000]]


def test_what_is_accepted_is_right(fashion: tuple[NDArray[np.float32], Truths]) -> None:
    """Chosen on half of a real network's answers, the rule lets 97 % be right of what counts in the other half, where
    without floors fewer are, and most answers still count; the kinds of shoe that are told are as right."""
    probabilities, truths = fashion
    chosen = choose_rule(probabilities[:3000], truths[:3000])
    accepted, right = counted(chosen.rule, probabilities[3000:], truths[3000:])
    assert right >= 0.965
    assert accepted >= 0.75
    without = Rule(chosen.rule.threshold, {}, chosen.rule.kind_floor)
    assert counted(without, probabilities[3000:], truths[3000:])[1] < 0.95
    assert chosen.rule.kind_floor is not None
    shown = decide_all(probabilities[3000:], PHOTO_LABELS, chosen.rule)
    kinds = [
        (a.label, t)
        for a, t in zip(shown, truths[3000:], strict=True)
        if a.label in ("Sandal", "Sneaker", "Ankle boot")
    ]
    assert len(kinds) > 700
    assert np.mean([is_right(*kind) for kind in kinds]) >= 0.955


def test_it_tells_its_own_figures(fashion: tuple[NDArray[np.float32], Truths]) -> None:
    """What a choice says of the answers it was made on is what the rule makes of them, and the bundle's thresholds are
    the rule."""
    probabilities, truths = fashion
    chosen = choose_rule(probabilities[:2000], truths[:2000])
    assert (chosen.accepted, chosen.right) == counted(chosen.rule, probabilities[:2000], truths[:2000])
    assert (chosen.right or 0) >= chosen.target
    thresholds = chosen.thresholds("these")
    assert Rule.of(Thresholds.from_json(thresholds.as_json())) == chosen.rule
    assert thresholds.chosen_on == "these"
    assert chosen.as_json()["rule"] == chosen.rule.as_json()


@pytest.mark.parametrize(("n", "of_the_best"), [(300, 0.6), (3000, 0.85)])
def test_on_drawn_answers(n: int, of_the_best: float) -> None:
    """However many answers it is chosen on, the rule's promise is kept on 8,000 others, on average over ten choices,
    and so many count of those that a choice on the others themselves would let count: the more, the more it knew."""
    rng = np.random.default_rng(0)
    others, truths = drawn(rng, 8000, HONEST, sure=4.0)
    held = [counted(choose_rule(*drawn(rng, n, HONEST, sure=4.0)).rule, others, truths) for _ in range(10)]
    accepted, right = np.mean(held, 0)
    assert 0.97 <= right < 0.99
    surest_first = np.argsort(-others.max(1), kind="stable").tolist()
    hits = np.cumsum([is_right(PHOTO_LABELS[others[i].argmax()], truths[i]) for i in surest_first])
    best = (np.flatnonzero(hits / np.arange(1, len(hits) + 1) >= 0.97)[-1] + 1) / len(hits)
    assert best > 0.5
    assert accepted > of_the_best * best


def test_a_label_that_is_too_sure_has_a_higher_floor() -> None:
    """Of a label whose shares promise too much more is wanted than of one whose shares are true."""
    given = drawn(np.random.default_rng(0), 4000, {**HONEST, "Shirt": 3.0, "Trouser": 0.5})
    floors = choose_rule(*given).rule.floors
    assert floors["Shirt"] > max(floors[name] for name in ONES if name != "Shirt")
    assert floors["Trouser"] < min(floors[name] for name in ONES if name != "Trouser")


def test_few_answers_decide_little() -> None:
    """A label with a handful of answers, all right or half of them wrong, has about the floor of the others; the same
    with many answers has one of its own."""
    rng = np.random.default_rng(0)
    probabilities, truths = drawn(rng, 3000, {name: 1.0 for name in ONES if name != "Bag"})
    floors = {}
    for count in (4, 400):
        bags = np.zeros((count, len(PHOTO_LABELS)), np.float32)
        bags[:, PHOTO_LABELS.index("Bag")] = 0.97
        bags[:, PHOTO_LABELS.index("Unknown")] = 0.03
        for wrong in (0, 2):
            said: Truths = [("Unknown",) if wrong and i % wrong == 0 else ("Bag",) for i in range(count)]
            rule = choose_rule(np.concatenate([probabilities, bags]), truths + said).rule
            floors[count, wrong] = rule.floors["Bag"] - float(np.mean([rule.floors[name] for name in ONES[:-1]]))
    assert abs(floors[4, 0]) < 0.1
    assert abs(floors[4, 2]) < 0.1
    assert floors[400, 0] < min(-0.1, floors[4, 0])
    assert floors[400, 2] > floors[4, 2]


def test_too_few_photos_to_choose_on() -> None:
    """Of fewer photos than could prove anything, however right, the shares are taken at their word."""
    probabilities, truths = drawn(np.random.default_rng(0), 30, HONEST, sure=6.0)
    assert set(choose_rule(probabilities, truths).rule.floors.values()) == {0.97}
    rule = choose_rule(probabilities[:0], []).rule
    assert (rule.threshold, set(rule.floors.values()), rule.kind_floor) == (0.0, {0.97}, None)


def test_nothing_is_accepted_that_is_never_sure() -> None:
    """Where no share makes an answer right often enough, none counts."""
    rng = np.random.default_rng(0)
    probabilities, truths = drawn(rng, 1000, HONEST)
    chosen = choose_rule(probabilities, [(str(rng.choice(ONES)),) for _ in truths])
    assert set(chosen.rule.floors.values()) == {1.0}
    assert (chosen.accepted, chosen.right) == (0.0, None)


def test_what_can_be_defended_is_right() -> None:
    """A second label that is as right for a photo lets more answers count."""
    rng = np.random.default_rng(0)
    probabilities, truths = drawn(rng, 2000, HONEST)
    first = [max(shares, key=lambda name: shares[name]) for shares in rows(probabilities)]
    both = [(*truth, answer) if i % 2 else truth for i, (truth, answer) in enumerate(zip(truths, first, strict=True))]
    assert choose_rule(probabilities, both).accepted > choose_rule(probabilities, truths).accepted + 0.1


def rows(probabilities: NDArray[np.float32]) -> list[dict[str, float]]:
    shares = group_shares(probabilities, PHOTO_LABELS)
    return [{name: float(of[i]) for name, of in shares.items()} for i in range(len(probabilities))]


def shoes(rng: np.random.Generator, right: float, known: bool) -> Chosen:
    """What is chosen on 600 shoes whose likeliest kind, of four fifths, is right so often."""
    kinds = ("Sandal", "Sneaker", "Ankle boot")
    probabilities, truths = np.full((600, len(PHOTO_LABELS)), 0.001, np.float32), []
    for row in probabilities:
        first, second = rng.permutation(3)[:2]
        row[PHOTO_LABELS.index(kinds[first])], row[PHOTO_LABELS.index(kinds[second])] = 0.78, 0.19
        truths.append((kinds[first if rng.random() < right else second],) if known else ("Footwear",))
    return choose_rule(probabilities, truths)


def test_kinds() -> None:
    """The kind of shoe is told where it is known to be right as often as is wanted: not where it is less often, and
    not where the photos do not tell it; the shoes are accepted in either case."""
    rng = np.random.default_rng(0)
    sure, unsure, not_told = shoes(rng, 0.995, True), shoes(rng, 0.9, True), shoes(rng, 1.0, False)
    assert sure.rule.kind_floor == pytest.approx(0.78 / 0.971, abs=0.005)
    assert (sure.kinds_told, unsure.kinds_told, not_told.kinds_told) == (600, 0, 0)
    assert unsure.rule.kind_floor is None
    assert not_told.rule.kind_floor is None
    assert {chosen.accepted for chosen in (sure, unsure, not_told)} == {1.0}


def test_lowest() -> None:
    """From the lowest value on up enough are right, equal values together, and few right answers prove little."""
    values = np.repeat([0.9, 0.8, 0.7], 1000)
    right = np.concatenate([np.ones(1000), np.ones(1000), np.zeros(1000)]).astype(bool)
    assert lowest(values, right, 0.97) == 0.8
    assert lowest(values, right, 0.6) == 0.7
    # Half of the 0.8 are wrong: all of them stay away, however they are ordered.
    assert lowest(values, np.r_[right[:1500], ~right[1500:2000], right[2000:]], 0.97) == 0.9
    assert lowest(np.linspace(1, 0.5, 20), np.ones(20, bool), 0.97) is None
    assert lowest(np.linspace(1, 0.5, 200), np.ones(200, bool), 0.97) == 0.5
    assert lowest(np.zeros(0), np.zeros(0, bool), 0.5) is None


@pytest.mark.parametrize(
    ("answer", "labels", "right"),
    [
        ("T-shirt/top", ("T-shirt",), True),
        ("Coat", ("Pullover", "Coat"), True),
        ("Coat", ("Pullover",), False),
        ("Sneaker", ("Footwear",), True),
        ("Footwear", ("Sneaker",), True),
        ("Sandal", ("Sneaker",), False),
        ("Bag", ("Unknown",), False),
        ("", ("Bag",), False),
        ("Kilt", ("Bag",), False),
        ("Bag", (), False),
    ],
)
def test_is_right(answer: str, labels: tuple[str, ...], right: bool) -> None:
    """A name is right where one of the photo's labels is the same thing, its group or its member."""
    assert is_right(answer, labels) is right
