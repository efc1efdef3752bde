"""Garments followed from frame to frame: their numbers, and names that do not flicker."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from helpers.hand_made import RULE, seen

from edgefashion.camera.standing import StandingGarment
from edgefashion.camera.tracker import DROP_S, Tracker
from edgefashion.inference.decision import Rule
from edgefashion.labels import PHOTO_LABELS

if TYPE_CHECKING:
    from edgefashion.inference.predict import SeenGarment

FPS = 15
Frames = Sequence[Sequence["SeenGarment"]]

COAT, BAG = (200, 100, 300, 400), (800, 300, 200, 200)


def follow(frames: Frames, fps: float = FPS, tracker: Tracker | None = None) -> list[tuple[StandingGarment, ...]]:
    """What stands after each frame."""
    tracker = tracker or Tracker()
    return [tracker(number / fps, garments, PHOTO_LABELS, RULE) for number, garments in enumerate(frames)]


def names(stood: Sequence[tuple[StandingGarment, ...]]) -> list[tuple[tuple[int | None, str | None], ...]]:
    """The numbers and accepted names that stood, each run of frames once."""
    told = [tuple((one.id, one.label if one.accepted else None) for one in garments) for garments in stood]
    return [each for each, _ in itertools.groupby(told)]


def frames(of: Callable[[int], Sequence[SeenGarment]], count: int) -> Frames:
    return [of(number) for number in range(count)]


def crossing(number: int) -> list[SeenGarment]:
    """A coat that goes to the right, and trousers that go to the left before it, at 600 pixels a second."""
    return [
        seen((100 + 40 * number, 100, 250, 400), "Coat"),
        seen((1000 - 40 * number, 120, 250, 400), "Trouser"),
    ]


def hidden_while_crossing(number: int) -> list[SeenGarment]:
    """The same, but where they overlap the coat alone is found."""
    return crossing(number)[: 1 if 9 <= number <= 12 else 2]


def trembling(number: int) -> list[SeenGarment]:
    """A coat whose box trembles by a tenth of its size, and that every third frame misses."""
    across, down = np.random.default_rng(number).integers(-30, 30, 2)
    return [] if number % 3 == 2 else [seen((200 + int(across), 100 + int(down), 300, 400))]


def leaves_and_returns(away: int) -> Callable[[int], list[SeenGarment]]:
    """A coat that is out of view for so many frames, beside a bag that stays."""
    return lambda number: [seen(BAG, "Bag"), *([] if 20 <= number < 20 + away else [seen(COAT)])]


# The scene, its frames, and what stands, each once: the garments' numbers and names.
SCENES = [
    pytest.param(lambda _: [seen(COAT)], 30, [(), ((1, "Coat"),)], id="one"),
    pytest.param(lambda _: [seen(COAT), seen(BAG, "Bag")], 30, [(), ((1, "Coat"), (2, "Bag"))], id="two"),
    pytest.param(crossing, 25, [(), ((1, "Coat"), (2, "Trouser"))], id="crossing"),
    pytest.param(hidden_while_crossing, 25, [(), ((1, "Coat"), (2, "Trouser"))], id="hidden while crossing"),
    pytest.param(trembling, 60, [(), ((1, "Coat"),)], id="trembling, with gaps"),
    pytest.param(lambda n: [seen(COAT)] if n % 20 == 0 else [], 60, [()], id="a frame now and then"),
    pytest.param(leaves_and_returns(5), 60, [(), ((1, "Bag"), (2, "Coat"))], id="out of view for a third of a second"),
    pytest.param(
        leaves_and_returns(15),
        60,
        [(), ((1, "Bag"), (2, "Coat")), ((1, "Bag"),), ((1, "Bag"), (3, "Coat"))],
        id="out of view for a second",
    ),
    pytest.param(lambda _: [seen(COAT, "No garment", 0.9)], 30, [()], id="what the network takes for no garment"),
    pytest.param(
        lambda _: [seen((200, 100, 400, 500)), seen((300, 300, 120, 120), "Bag")],
        30,
        [(), ((1, "Coat"), (2, "Bag"))],
        id="a bag before a coat",
    ),
    pytest.param(
        lambda n: [seen((200, 100, 400, 500))] if n < 20 else [seen((340, 290, 120, 120), "Bag")],
        40,
        [(), ((1, "Coat"),), ((1, "Coat"), (2, "Bag")), ((2, "Bag"),)],
        id="a bag in the place of a coat",
    ),
    pytest.param(
        lambda n: [seen(COAT, "Coat" if n < 30 else "Trouser")],
        60,
        [(), ((1, "Coat"),), ((1, "Trouser"),)],
        id="exchanged at its place",
    ),
]


@pytest.mark.parametrize(("scene", "count", "stood"), SCENES)
def test_garments_keep_their_numbers_and_names(
    scene: Callable[[int], list[SeenGarment]],
    count: int,
    stood: list[tuple[tuple[int, str], ...]],
) -> None:
    """Whatever garments do, one that stays in view keeps one number and one name; nothing else is ever shown."""
    assert names(follow(frames(scene, count))) == stood


# What the network says frame by frame, after it has been sure of a coat for a second: shares of the labels.
BORDERS: dict[str, Callable[[int], dict[str, float]]] = {
    "the floor, up and down every frame": lambda n: {"Coat": 0.7 + 0.04 * (-1) ** n},
    "the floor, up and down twice a second": lambda n: {"Coat": 0.7 + 0.04 * (-1) ** (n // 7)},
    "just below the floor": lambda n: {"Coat": 0.67},
    "two names by turns, every frame": lambda n: {"Coat": 0.45 + 0.4 * (n % 2), "Pullover": 0.5 - 0.4 * (n % 2)},
    "Unknown every fourth frame": lambda n: {"Unknown": 0.8} if n % 4 == 0 else {"Coat": 0.95},
    "No garment on the border": lambda n: {"No garment": 0.2 + 0.03 * (-1) ** (n // 7), "Coat": 0.76},
}


@pytest.mark.parametrize("fps", [10, 15, 30])
@pytest.mark.parametrize("case", BORDERS)
def test_a_name_on_the_border_stays(case: str, fps: int) -> None:
    """A name that stands is not lost, and does not come and go, while the network wavers about it."""
    said = BORDERS[case]
    before = [[seen(COAT, share=0.95)]] * fps

    def wavering(number: int) -> SeenGarment:
        (label, share), *others = said(number).items()
        return seen(COAT, label, share, **dict(others))

    stood = follow([*before, *([wavering(number)] for number in range(10 * fps))], fps)
    assert names(stood) == [(), ((1, "Coat"),)]


def test_neck_and_neck() -> None:
    """Of two names that would both be accepted and lead by turns, the one that stands stays, until the other leads
    clearly."""

    def even(number: int) -> list[SeenGarment]:
        lead = 0.04 * (-1) ** (number // 10)
        return [seen(COAT, "Dress", 0.45 + lead, Bag=0.45 - lead)]

    sure = [[seen(COAT, "Dress")]] * FPS
    assert names(follow([*sure, *frames(even, 150)])) == [(), ((1, "Dress"),)]
    clear = [[seen(COAT, "Bag", 0.55, Dress=0.35)]] * 60
    assert names(follow([*sure, *clear])) == [(), ((1, "Dress"),), ((1, "Bag"),)]


@pytest.mark.parametrize("period", [1, 2, 4, 7, 15])
def test_names_do_not_flicker(period: int) -> None:
    """Though the network is as sure as can be of one name and of another by turns, what stands changes once a second
    at most."""
    wavering = [[seen(COAT, ("Coat", "Dress")[number // period % 2])] for number in range(300)]
    stood = [garments[0].label if garments[0].accepted else None for garments in follow(wavering) if garments]
    changes = [place for place in range(1, len(stood)) if stood[place] != stood[place - 1]]
    assert all(later - earlier >= FPS for earlier, later in itertools.pairwise(changes))


def test_a_doubt_is_told_and_stays() -> None:
    """Of two names that share neither is accepted and both are told, in one order whichever leads."""
    said = [[seen(COAT, "Coat", 0.45 + 0.03 * (-1) ** n, Pullover=0.45 - 0.03 * (-1) ** n)] for n in range(60)]
    stood = [garments[0] for garments in follow(said) if garments]
    assert {(one.accepted, one.doubt) for one in stood} == {(False, ("Coat", "Pullover"))}
    assert {one.label for one in stood} <= {"Coat", "Pullover"}


def test_a_doubt_ends_soon() -> None:
    """Where a garment that was not named is turned to the camera, its name stands within a second."""
    unsure = [[seen(COAT, "Coat", 0.45, Pullover=0.45)]] * FPS
    stood = follow([*unsure, *[[seen(COAT)]] * FPS])
    assert names(stood) == [(), ((1, None),), ((1, "Coat"),)]
    assert stood[-1][0].confidence == pytest.approx(0.95, abs=0.01)


def test_a_kind_of_shoe() -> None:
    """A kind of shoe is named where it is sure enough, the group where it is not, and on the border what stood."""
    sneaker = [[seen(COAT, "Sneaker", 0.9)]] * 30
    border = [[seen(COAT, "Sneaker", 0.70, Sandal=0.20)]] * 60  # 0.78 of the group: between the two floors
    mixed = [[seen(COAT, "Sneaker", 0.5, Sandal=0.4)]] * 60
    assert names(follow([*sneaker, *border])) == [(), ((1, "Sneaker"),)]
    assert names(follow([*sneaker, *mixed])) == [(), ((1, "Sneaker"),), ((1, "Footwear"),)]
    assert names(follow([*mixed, *border])) == [(), ((1, "Footwear"),)]


def test_boxes_rest_and_follow() -> None:
    """A box trembles less than the finder's, and is where the garment is, a frame or two behind."""
    rng = np.random.default_rng(0)
    found = [(200 + int(x), 100 + int(y), 300, 400) for x, y in rng.normal(0, 8, (100, 2))]
    stood = follow([[seen(box)] for box in found])[10:]
    shown = np.array([garments[0].box[:2] for garments in stood])
    assert shown.std(0).mean() < 0.7 * np.array(found)[:, :2].std()
    assert abs(shown.mean(0) - (200, 100)).max() < 3
    moving = follow([[seen((10 * number, 100, 300, 400))] for number in range(60)])
    assert 10 * 59 - 20 <= moving[-1][0].box[0] < 10 * 59
    assert moving[-1][0].in_frame == (10 * 59, 100, 300, 400)


def test_who_has_left() -> None:
    """A garment that is gone stands a moment longer, at its place, and this frame is not said to show it."""
    stood = follow([*[[seen(COAT)]] * 15, *[[]] * 15])
    still = [garments for garments in stood[15:] if garments]
    assert 0 < len(still) <= DROP_S * FPS
    assert all(garments[0].in_frame is None and garments[0].box == COAT for garments in still)


@pytest.mark.parametrize("fps", [2, 5, 15, 29.97, 30])
def test_at_any_rate(fps: float) -> None:
    """At any rate a garment stands from the third frame on, and after a fifth of a second."""
    stood = follow([[seen(COAT)]] * 60, fps)
    first = next(number for number, garments in enumerate(stood) if garments)
    assert first == max(2, int(np.ceil(0.2 * fps - 1e-6)))
    assert names(stood) == [(), ((1, "Coat"),)]


def test_worn_and_held() -> None:
    """Whether a garment is worn changes once where it is clear, and not while that is on the border."""
    worn = [0.9] * 15 + [0.5 + 0.08 * (-1) ** (n // 5) for n in range(45)] + [0.1] * 15
    stood = follow([[seen(COAT, worn=share)] for share in worn])
    held = [garments[0].held for garments in stood if garments]
    assert [each for each, _ in itertools.groupby(held)] == [False, True]
    assert held.index(True) > 50


def test_another_network() -> None:
    """What another network says counts from its first frame on; number and name stand until its own are confirmed."""
    tracker = Tracker()
    before = follow([[seen(COAT)]] * 30, tracker=tracker)
    tracker.another_network()
    other = Rule(0.5)
    after = [tracker(2 + number / FPS, [seen(COAT, "Dress")], PHOTO_LABELS, other) for number in range(30)]
    assert names([*before, *after]) == [(), ((1, "Coat"),), ((1, "Dress"),)]
    assert after[0][0].confidence < 0.05


def test_another_network_while_a_garment_is_out_of_view() -> None:
    """A garment that the next frame does not show, of which nothing is sure, stands on over a change of network."""
    tracker = Tracker()
    before = follow([[seen(COAT, "Coat", 0.4, Dress=0.35)]] * 30, tracker=tracker)
    tracker.another_network()
    ((after,),) = [tracker(2.0, [], PHOTO_LABELS, RULE)]
    assert after == replace(before[-1][0], in_frame=None)


def test_reset() -> None:
    """After a loss of the source nothing stands until it is confirmed anew, under a number of its own."""
    tracker = Tracker()
    follow([[seen(COAT)]] * 30, tracker=tracker)
    tracker.reset()
    assert names(follow([[seen(COAT)]] * 30, tracker=tracker)) == [(), ((2, "Coat"),)]
