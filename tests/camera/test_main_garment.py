"""Which of several garments is the main one, and that it stays so."""

from __future__ import annotations

from helpers.hand_made import FRAME_WH, standing

from edgefashion.camera.main_garment import LEAD_S, MainGarment, by_rank

COAT = standing("Coat", (400, 100, 400, 500), id=1)
BAG = standing("Bag", (100, 100, 200, 200), id=2)
WORN = standing("T-shirt/top", (300, 50, 700, 600), id=3, worn=0.95, held=False)


def first(main: MainGarment, time_s: float, *garments: object) -> int | None:
    return main(time_s, garments, FRAME_WH)[0].id  # type: ignore[arg-type]


def test_held_before_worn_then_the_largest_in_the_middle() -> None:
    """Held garments go before worn ones however small they are; of the same size the one in the middle goes first."""
    assert by_rank([WORN, BAG, COAT], FRAME_WH) == [COAT, BAG, WORN]
    corner = standing("Shirt", (0, 0, 300, 300), id=4)
    middle = standing("Dress", (490, 210, 290, 290), id=5)
    assert by_rank([corner, middle], FRAME_WH) == [middle, corner]


def test_the_main_one_is_first_and_the_others_follow_by_rank() -> None:
    """All garments are given, the main one first; without any there is none."""
    main = MainGarment()
    assert main(0.0, [WORN, BAG, COAT], FRAME_WH) == (COAT, BAG, WORN)
    assert main(0.1, [], FRAME_WH) == ()


def test_it_changes_late() -> None:
    """Another garment has to be clearly larger for a while; one that is a little larger, or for a moment, is not it."""
    main = MainGarment()
    little = standing("Dress", (400, 100, 420, 520), id=6)
    large = standing("Dress", (300, 50, 600, 600), id=6)
    assert first(main, 0.0, COAT) == 1
    for number in range(40):
        assert first(main, 0.1 * number, COAT, little) == 1
    assert first(main, 4.0, COAT, large) == 1
    assert first(main, 4.1, COAT, little) == 1
    assert first(main, 4.2, COAT, large) == 1
    assert first(main, 4.2 + LEAD_S - 0.01, COAT, large) == 1
    assert first(main, 4.2 + LEAD_S, COAT, large) == 6
    assert first(main, 5.0, COAT, little) == 6


def test_it_changes_at_once_where_one_is_held_up() -> None:
    """Who holds a garment up wants its name: it is the main one from its first frame on. So it is with the next where
    the main one has left."""
    main = MainGarment()
    assert first(main, 0.0, WORN) == 3
    assert first(main, 0.1, WORN, BAG) == 2
    assert first(main, 0.2, WORN) == 3
