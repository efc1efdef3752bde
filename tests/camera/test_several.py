"""The answer that stands while several garments are in view, and when it is told."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import cast

import pytest
from helpers.hand_made import FRAME_WH, Named, prediction, seen

from edgefashion.camera.several import Several, at_once
from edgefashion.camera.standing import StandingAnswer
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.predict import Prediction

FPS = 15
COAT, BAG, SHIRT = (400, 100, 300, 400), (900, 300, 200, 200), (300, 50, 600, 600)
SOMEBODY = (250, 0, 700, 720)
NETWORK = cast("Classifier", Named())


def watch(scene: Callable[[int], Prediction], count: int) -> list[StandingAnswer]:
    """The answer after each frame."""
    several = Several()
    return [several(number / FPS, scene(number), FRAME_WH, NETWORK) for number in range(count)]


def told(answers: list[StandingAnswer]) -> list[tuple[str, str | None, list[tuple[str | None, bool]]]]:
    """What is told as events: the state, the label, and the garments' accepted names and whether they are held."""
    return [
        (answer.state, answer.told_label, [garment.name for garment in answer.garments])
        for answer in answers
        if answer.new
    ]


def test_nothing_in_view() -> None:
    """That nothing is in view is told once, after the time in which a garment would have been confirmed."""
    answers = watch(lambda _: prediction(), 30)
    assert told(answers) == [("none", None, [])]
    assert [answer.new for answer in answers].index(True) == 3
    assert not answers[-1].people


def test_nothing_before_a_slow_camera() -> None:
    """At two frames a second it takes three frames, as a garment would."""
    several = Several()
    new = [several(number / 2, prediction(), FRAME_WH, NETWORK).new for number in range(5)]
    assert new == [False, False, True, False, False]


def test_all_garments_are_told_with_the_main_one_first() -> None:
    """What stands is the main garment's answer, and every garment's; it is told once however long all of them stay."""
    answers = watch(lambda _: prediction(seen(BAG, "Bag"), seen(COAT)), 90)
    assert told(answers) == [("garment", "Coat", [("Coat", True), ("Bag", True)])]
    last = answers[-1]
    assert (last.label, last.several) == ("Coat", True)
    assert last.confidence == pytest.approx(0.95)
    assert {garment.id for garment in last.garments} == {1, 2}
    assert last.garments[0].as_json() == {
        "label": "Coat",
        "confidence": 0.95,
        "accepted": True,
        "box": list(COAT),
        "worn": 0.05,
        "id": last.garments[0].id,
    }


def test_a_change_of_the_others_is_told() -> None:
    """A bag that comes into view beside the coat is told, and that it has left; the answer is the coat all the time."""
    answers = watch(lambda n: prediction(seen(COAT), *([seen(BAG, "Bag")] if 30 <= n < 60 else [])), 90)
    assert told(answers) == [
        ("garment", "Coat", [("Coat", True)]),
        ("garment", "Coat", [("Coat", True), ("Bag", True)]),
        ("garment", "Coat", [("Coat", True)]),
    ]


def test_events_are_few() -> None:
    """However many garments come and go, there are a few events a second and never one a frame; the last one tells
    what stands in the end."""

    def bustle(number: int) -> Prediction:
        boxes = [(100 * place, 100 * (place % 3), 90, 90) for place in range(12)]
        there = [seen(box, "Bag") for place, box in enumerate(boxes) if (number // 8 + place) % 5 or number > 150]
        return prediction(*there)

    answers = watch(bustle, 180)
    at = [number for number, answer in enumerate(answers) if answer.new]
    assert len(at) > 5
    assert all(later - earlier >= 0.3 * FPS for earlier, later in itertools.pairwise(at))
    assert len(answers[at[-1]].garments) == len(answers[-1].garments) == 12


def test_somebody_who_wears_something_and_holds_nothing_up() -> None:
    """What is worn is the answer only while nothing is held up, and says that it is not held; a garment that is held up
    takes its place as soon as it is confirmed."""
    worn = seen(SHIRT, "T-shirt/top", worn=0.95)
    answers = watch(lambda n: prediction(worn, *([seen(COAT)] if n >= 30 else []), people=(SOMEBODY,)), 60)
    assert told(answers) == [
        ("garment", "T-shirt/top", [("T-shirt/top", False)]),
        ("garment", "Coat", [("Coat", True), ("T-shirt/top", False)]),
    ]
    assert [answer.label for answer in answers].index("Coat") == 33
    assert answers[-1].people


def test_somebody_comes_and_goes() -> None:
    """Whether somebody is in view changes once though the finder misses people now and then, and is no event."""
    answers = watch(lambda n: prediction(people=(SOMEBODY,) if n % 4 and n < 60 else ()), 120)
    people = [answer.people for answer in answers]
    assert [each for each, _ in itertools.groupby(people)] == [False, True, False]
    assert 45 < people.count(True) < 80
    assert told(answers) == [("none", None, [])]


def test_a_doubt() -> None:
    """Where two labels share the state is unknown, with both, and the likeliest is told."""
    answers = watch(lambda _: prediction(seen(COAT, "Coat", 0.5, Pullover=0.4)), 30)
    assert told(answers) == [("unknown", "Coat", [(None, True)])]
    assert answers[-1].doubt == ("Coat", "Pullover")
    assert answers[-1].label is None


def test_reset() -> None:
    """After a loss of the source nothing stands, and the same garment is told anew."""
    several = Several()
    scene = prediction(seen(COAT))
    for _ in range(2):
        answers = [several(number / FPS, scene, FRAME_WH, NETWORK) for number in range(15)]
        assert [answer.state for answer in answers] == ["none"] * 3 + ["garment"] * 12
        assert told(answers) == [("garment", "Coat", [("Coat", True)])]
        several.reset()


def test_a_picture_of_its_own() -> None:
    """A picture is answered at once, by itself, the main garment first; nothing has a number in it."""
    answer = at_once(prediction(seen(SHIRT, "Shirt", worn=0.9), seen(COAT), people=(SOMEBODY,)), FRAME_WH)
    assert told([answer]) == [("garment", "Coat", [("Coat", True), ("Shirt", False)])]
    assert [garment.id for garment in answer.garments] == [None, None]
    assert at_once(prediction(), FRAME_WH).state == "none"
