"""From what was found in a picture to garments with names, the main one first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edgefashion.data.images import read_image
from edgefashion.inference import scene
from edgefashion.inference.finder import Finder, Region
from edgefashion.inference.load import load
from edgefashion.inference.predict import predict
from edgefashion.labels import PHOTO_LABELS


def region(kind: str = "upper", box: tuple[float, ...] = (0.4, 0.4, 0.2, 0.2), worn: float = 0.9) -> Region:
    return Region(kind, box, 0.9, worn)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (region(worn=0.1), region(box=(0.1, 0.1, 0.8, 0.8))),
        (region(box=(0.2, 0.2, 0.6, 0.6)), region(box=(0.3, 0.3, 0.3, 0.3))),
        (region(box=(0.4, 0.4, 0.2, 0.2)), region(box=(0.0, 0.0, 0.2, 0.2))),
    ],
    ids=["held before worn", "large before small", "in the middle before at the rim"],
)
def test_the_main_garment(first: Region, second: Region) -> None:
    """The main garment is the one that is held up; of several the large one in the middle."""
    assert scene.importance(first) > scene.importance(second)


def test_a_kind_tells_garments_apart() -> None:
    """Of a shirt below an open coat both boxes look like the coat; the finder's kind tells which one is meant."""
    both: NDArray[np.float32] = np.zeros(12, np.float32)
    both[PHOTO_LABELS.index("Coat")], both[PHOTO_LABELS.index("Shirt")] = 0.6, 0.4
    as_upper, as_outer = (scene.as_kind(both, region(kind), PHOTO_LABELS) for kind in ("upper", "outer"))
    assert PHOTO_LABELS[as_upper.argmax()] == "Shirt"
    assert PHOTO_LABELS[as_outer.argmax()] == "Coat"
    assert as_upper.sum() == pytest.approx(1)


def test_a_held_garment_is_named_without_its_kind() -> None:
    """Nothing covers a garment that is held: what the network says of it stands, whatever kind the finder saw."""
    coat = np.eye(12, dtype=np.float32)[PHOTO_LABELS.index("Coat")] * 0.6 + np.full(12, 0.4 / 12, np.float32)
    assert scene.as_kind(coat, region("upper", worn=0.1), PHOTO_LABELS) is coat


@pytest.mark.parametrize(
    ("found", "lone"),
    [
        ([region(box=(0.1, 0.1, 0.8, 0.8), worn=0.0)], True),
        ([region(box=(0.1, 0.1, 0.8, 0.8), worn=0.0), region("bag", (0.2, 0.2, 0.2, 0.2), worn=0.0)], True),
        ([region(box=(0.1, 0.1, 0.8, 0.8), worn=0.9)], False),
        ([region(box=(0.4, 0.4, 0.2, 0.2), worn=0.0)], False),
        ([region(box=(0.0, 0.1, 0.45, 0.8), worn=0.0), region("lower", (0.5, 0.1, 0.45, 0.8), worn=0.0)], False),
    ],
    ids=["alone", "with its pocket", "worn", "far away", "two"],
)
def test_a_lone_garment(found: list[Region], lone: bool) -> None:
    """A garment that fills the picture by itself is named by the whole picture; one of several, one that is worn and
    one that is far away are cut out."""
    placed = [(each, each.in_pixels((0, 0, 100, 100))) for each in found]
    assert (scene.lone_garment(placed) is not None) == lone


@pytest.mark.parametrize(
    ("masked", "expected"),
    [
        ((110, 110, 80, 180), (105, 105, 90, 190)),
        ((100, 100, 100, 200), (100, 100, 100, 200)),
        ((120, 90, 90, 220), (110, 95, 95, 210)),
        ((400, 400, 100, 200), (100, 100, 100, 200)),  # somewhere else
        ((150, 200, 20, 20), (100, 100, 100, 200)),  # a button
        ((0, 0, 600, 600), (100, 100, 100, 200)),  # everything: no mask was found
    ],
)
def test_a_box_is_tightened(masked: tuple[int, int, int, int], expected: tuple[int, int, int, int]) -> None:
    """A garment's box is the middle between the finder's and its mask's; where the two mean other things it stays."""
    assert scene.tightened((100, 100, 100, 200), masked) == expected


SOMEBODY = region("person", (0.3, 0.1, 0.3, 0.8))


@pytest.mark.parametrize(
    ("garment", "found", "stays"),
    [
        (region(box=(0.35, 0.2, 0.2, 0.3)), [SOMEBODY], True),
        (region("bag", box=(0.57, 0.4, 0.1, 0.2)), [SOMEBODY], True),  # carried beside
        (region(box=(0.85, 0.3, 0.05, 0.1)), [SOMEBODY], False),  # on a passer-by
        (region(box=(0.85, 0.3, 0.05, 0.1)), [], True),  # nobody is found: nothing is known
        (region(box=(0.85, 0.3, 0.1, 0.2), worn=0.1), [SOMEBODY], True),  # it hangs on the wall
        (region(box=(0.85, 0.3, 0.05, 0.1)), [SOMEBODY, region("person", (0.8, 0.2, 0.15, 0.4))], True),
    ],
)
def test_passers_by_are_left_out(garment: Region, found: list[Region], stays: bool) -> None:
    """What is worn outside of everybody who was found is on somebody far behind, and is not told."""
    assert scene.in_front([garment], [garment, *found]) == ([garment] if stays else [])


def test_a_kind_never_hides_the_reject_label() -> None:
    """What the network takes for Unknown stays Unknown, whatever kind the finder has seen."""
    unknown = np.eye(12, dtype=np.float32)[PHOTO_LABELS.index("Unknown")]
    assert scene.as_kind(unknown, region("lower"), PHOTO_LABELS) == pytest.approx(unknown)


@pytest.mark.parametrize(
    ("box", "within"),
    [
        ((100, 100, 50, 100), (95, 90, 60, 110)),
        ((0, 0, 300, 200), (0, 0, 300, 200)),
        ((290, 5, 10, 10), (289, 4, 11, 12)),
        ((300, 10, 1, 50), (299, 5, 1, 60)),
    ],
)
def test_the_margin_stays_in_the_picture(box: tuple[int, int, int, int], within: tuple[int, int, int, int]) -> None:
    """A garment is looked at with a tenth of its box around it, as far as the picture goes."""
    assert scene.with_margin(box, 300, 200) == within


Found = Callable[[NDArray[np.uint8]], list[Region]]


class Finding(Finder):
    """A finder that has found what a test says."""

    found: tuple[Region, ...] = ()

    def find(self, picture: NDArray[np.uint8]) -> list[Region]:
        return list(self.found)


def finding(*found: Region) -> Finding:
    made = Finding(lambda: None, 0.3)  # type: ignore[arg-type, return-value]
    object.__setattr__(made, "found", found)
    return made


@pytest.fixture(scope="module")
def shirt_and_jeans(photo_folder: Path) -> NDArray[np.uint8]:
    """A T-shirt on the left and a trouser on the right, both drawn, of those that the network knows."""
    import cv2

    plain = load("kiosk")

    def known(label: str, said: str) -> NDArray[np.uint8]:
        for path in sorted((photo_folder / label).iterdir()):
            picture = np.asarray(cv2.resize(read_image(path), (300, 400)), np.uint8)
            seen = predict(plain, picture, single=True)
            if seen.answer and (seen.answer.label, seen.answer.confidence > 0.8) == (said, True):
                return picture
        raise AssertionError(f"the network knows no {label}")

    return np.hstack([known("T-shirt", "T-shirt/top"), known("Trouser", "Trouser")])


def test_two_garments_have_two_names(shirt_and_jeans: NDArray[np.uint8]) -> None:
    """Two garments side by side are named each by itself; the prediction's own answer is the main one's."""
    left, right = region(box=(0.02, 0.02, 0.46, 0.96), worn=0.0), region("lower", (0.52, 0.02, 0.46, 0.9), worn=0.0)
    classifier = replace(load("kiosk"), finder=finding(right, left))
    seen = predict(classifier, shirt_and_jeans)
    assert [garment.answer.label for garment in seen.garments] == ["T-shirt/top", "Trouser"]
    assert seen.answer == seen.garments[0].answer
    assert [entry["label"] for entry in seen.as_json("x")["garments"]] == ["T-shirt/top", "Trouser"]


def test_single_asks_no_finder(shirt_and_jeans: NDArray[np.uint8]) -> None:
    """With ``single`` the picture is one garment, as a network without a finder sees it."""
    plain = load("kiosk")
    found = predict(replace(plain, finder=finding(region())), shirt_and_jeans, single=True)
    alone = predict(replace(plain, finder=None), shirt_and_jeans)
    assert found.as_json("x") == alone.as_json("x")


def test_somebody_without_a_garment(shirt_and_jeans: NDArray[np.uint8]) -> None:
    """Where somebody is seen and no garment, there is no answer, but it is told where they stand."""
    somebody = Region("person", (0.25, 0.0, 0.5, 1.0), 0.9, 0.9)
    head = Region("head", (0.4, 0.0, 0.2, 0.25), 0.9, 0.9)
    seen = predict(replace(load("kiosk"), finder=finding(somebody, head)), shirt_and_jeans)
    assert (seen.answer, seen.garments) == (None, ())
    assert (seen.people, seen.heads) == (((150, 0, 300, 400),), ((240, 0, 120, 100),))


def test_a_head_alone_is_no_garment(shirt_and_jeans: NDArray[np.uint8]) -> None:
    """Where only a head is seen, the frame is not taken for a garment, and the head is told: privacy hides it."""
    seen = predict(
        replace(load("kiosk"), finder=finding(Region("head", (0.2, 0.1, 0.5, 0.8), 0.9, 0.9))), shirt_and_jeans
    )
    assert (seen.answer, seen.garments, len(seen.heads)) == (None, (), 1)


def test_nothing_found_is_looked_at_whole(shirt_and_jeans: NDArray[np.uint8]) -> None:
    """Where the finder finds nothing at all, the picture is looked at as one garment: a close-up fills it."""
    plain = load("kiosk")
    seen = predict(replace(plain, finder=finding()), shirt_and_jeans)
    assert seen.as_json("x") == predict(replace(plain, finder=None), shirt_and_jeans).as_json("x")


def test_a_speck_is_not_named(shirt_and_jeans: NDArray[np.uint8]) -> None:
    """A box of a few pixels shows too little: it is left out, and the others keep their names."""
    speck, right = region(box=(0.5, 0.5, 0.01, 0.01)), region("lower", (0.52, 0.02, 0.46, 0.9))
    seen = predict(replace(load("kiosk"), finder=finding(speck, right)), shirt_and_jeans)
    assert [garment.answer.label for garment in seen.garments] == ["Trouser"]
