"""What a camera keeps for teaching: which garments, what of them, and what becomes of it when the disk does not do."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import cv2
import numpy as np
import pytest
from helpers.camera import wait_until
from helpers.collecting import garment, names
from helpers.events import Heard
from helpers.finding import bundle_with_finder
from helpers.hand_made import FPS, FRAME_WH, Named, Screen, clip, networks, prediction, seen, standing

from edgefashion.camera import collecting, loop, wording
from edgefashion.camera.app import run_camera
from edgefashion.camera.collecting import Collecting
from edgefashion.camera.collecting_choice import Choice
from edgefashion.camera.moment import Kept
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.camera.several import Several, at_once
from edgefashion.camera.sources.source import Frame, open_source
from edgefashion.camera.standing import StandingAnswer
from edgefashion.data import collected
from edgefashion.data.collection import Limits
from edgefashion.errors import BadInputError
from edgefashion.inference import preprocess
from edgefashion.inference.finder import Region
from edgefashion.inference.garment_picture import cut_out, kept_part, may_be_kept, revision_of
from edgefashion.inference.predict import Prediction
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.types import Arrays
    from numpy.typing import NDArray

    from edgefashion.camera.sources.source import Source
    from edgefashion.inference.classifier import Classifier

COAT, SHIRT = (100, 40, 60, 80), (180, 60, 60, 80)
NETWORK = cast("Classifier", Named())
Scene = Callable[[int], Prediction]


def sure(number: int) -> Prediction:
    return prediction(seen(COAT))


def unsure(number: int) -> Prediction:
    return prediction(seen(COAT, "Coat", 0.5, Pullover=0.4))


def wavering(number: int) -> Prediction:
    """Sure of another name in every tenth frame."""
    return prediction(seen(COAT, "Bag" if number % 10 == 9 else "Coat"))


# --- Which -----------------------------------------------------------------------------------


def chosen(scene: Scene, count: int, rate: float = 0.0, *, fps: int = FPS, take: bool = True) -> list[tuple[int, str]]:
    """The frames in which a garment is chosen, and why."""
    choice, several, found = Choice(rate, draw=random.Random(0).random), Several(), []
    for number in range(count):
        said = scene(number)
        for each in choice(number / fps, said, several(number / fps, said, FRAME_WH, NETWORK)):
            found.append((number, each.why))
            if take:
                choice.took(number / fps, each)
    return found


@pytest.mark.parametrize(
    ("scene", "rate", "why"),
    [
        (sure, 0.0, []),
        (sure, 1.0, ["sample"]),
        (unsure, 0.0, ["unsure", "unsure", "unsure"]),
        (unsure, 1.0, ["unsure", "unsure", "unsure"]),
        (wavering, 0.0, ["changed", "changed", "changed"]),
        (lambda number: prediction(), 1.0, []),
        (lambda number: sure(0) if number % 30 < 8 else prediction(), 1.0, []),  # a moment is no visit
    ],
    ids=["sure", "sample", "unsure", "unsure at any rate", "changed", "nothing", "in passing"],
)
def test_which_garments_are_kept(scene: Scene, rate: float, why: list[str]) -> None:
    """In 17 seconds: one that stays unsure at longer and longer intervals, a sure one once if at all."""
    found = chosen(scene, 17 * FPS, rate)
    assert [reason for _, reason in found] == why
    if len(found) == 3:
        first, second, third = (number / FPS for number, _ in found)
        assert 0.5 <= first < 2
        assert second - first >= 5
        assert third - second >= 10


def test_the_rate_is_of_garments() -> None:
    """Of sure garments that come and go the set share is kept, each once."""

    def coming_and_going(number: int) -> Prediction:
        return sure(number) if number % 16 < 8 else prediction()

    visits = 80
    kept = chosen(coming_and_going, 16 * visits, rate=0.3, fps=5)
    assert 0.15 * visits < len(kept) < 0.45 * visits
    assert {why for _, why in kept} == {"sample"}


def test_what_was_not_taken_comes_again() -> None:
    """A garment that there was no time for is chosen again in the next frame."""
    numbers = [number for number, _ in chosen(unsure, 30, take=False)]
    assert numbers == list(range(numbers[0], 30))
    assert len(numbers) > 10


def test_pictures_of_their_own() -> None:
    """Of a folder's pictures each is looked at by itself, and nothing has to stand for a while."""
    choice = Choice(0.0, apart=True)
    whys = []
    for number, scene in enumerate((unsure, sure, unsure)):
        said = scene(0)
        found = choice(float(number), said, at_once(said, FRAME_WH))
        whys.append([each.why for each in found])
        for each in found:
            choice.took(float(number), each)
    assert whys == [["unsure"], [], ["unsure"]]


# --- What of them ----------------------------------------------------------------------------

PERSON, HEAD = (80, 0, 120, 240), (120, 5, 30, 35)
WORN: dict[str, Any] = {"label": "Coat", "share": 0.5, "Pullover": 0.4, "worn": 0.9}


@pytest.mark.parametrize(
    ("box", "worn", "people", "heads", "whole", "kept"),
    [
        (COAT, 0.05, [], [], False, True),
        (COAT, 0.05, [PERSON], [HEAD], False, True),
        (COAT, 0.05, [PERSON], [], False, False),  # the holder's face may be in it
        (COAT, 0.9, [PERSON], [HEAD], False, True),
        (COAT, 0.9, [PERSON], [], False, False),
        (COAT, 0.9, [], [], False, False),  # nobody knows whose it is, and where the head
        (COAT, 0.9, [PERSON, (200, 0, 60, 200)], [HEAD], False, True),  # another's head is not in the picture
        (COAT, 0.9, [PERSON, (150, 0, 60, 200)], [HEAD], False, False),
        ((100, 150, 60, 80), 0.9, [PERSON], [], False, True),  # trousers, far below the head
        ((100, 150, 60, 80), 0.9, [PERSON], [], True, False),
        ((100, 40, 60, 47), 0.05, [], [], False, False),  # too small
    ],
)
def test_no_unknown_head_is_kept(
    box: Any, worn: float, people: list[Any], heads: list[Any], whole: bool, kept: bool
) -> None:
    """A picture in which there may be a head that nobody found is not kept."""
    part = kept_part(box, (320, 240), whole=whole)
    assert may_be_kept(seen(box, worn=worn), people, heads, part) is kept


def test_what_a_picture_shows() -> None:
    """A garment with its margin of a tenth, nothing else of the frame, and where in it the garment is; or all of it."""
    image = garment(0, (320, 240))
    cut = cut_out(image, COAT, [(0, 0, 20, 20)])
    np.testing.assert_array_equal(cut.image, image[32:128, 94:166])
    assert (cut.box, cut.hidden) == ((6, 8, 60, 80), 0.0)
    whole = cut_out(image, COAT, [(110, 60, 20, 20)], whole=True)
    assert whole.image.shape == image.shape
    assert (whole.box, whole.garment.shape) == (COAT, cut.image.shape)
    hidden = np.argwhere((whole.image != image).any(2))
    assert [*hidden.min(0), *hidden.max(0)] == pytest.approx([56, 106, 83, 133], abs=1)


# --- While the camera runs -------------------------------------------------------------------


class Pictures:
    """A live source, as far as collecting asks."""

    live, apart, fps = True, False, 0.0


class Finding(Named):
    """A network with a finder."""

    finder: object = object()
    source = Path("models/shop/revisions/0002-ab12cd34/int8.xml")


def collector(folder: Path, **options: Any) -> Collecting:
    limits = options.pop("limits", Limits(reserve_bytes=0))
    return Collecting(folder, limits, cast("Source", Pictures()), camera="kiosk-17 camera 0", **options)


def show(to: Collecting, numbers: range, image: NDArray[np.uint8], scene: Scene = unsure) -> None:
    """Frames that show garments unlike those before."""
    several = Several()
    to.forget()
    for number in numbers:
        said = scene(number)
        answer = several(number / FPS, said, (320, 240), NETWORK)
        hidden = np.zeros_like(image)
        to.take(Frame(image, number / FPS, number), said, answer, cast("Classifier", Finding()), hidden)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is tried again at once whether there is room."""
    monkeypatch.setattr(collecting, "RETRY_S", 0.02)


def test_a_disk_that_fails_and_comes_back(tmp_path: Path, quick: None) -> None:
    """While nothing can be kept that is told, the loop is not held up, and all goes on by itself once it can be."""
    shop = tmp_path / "shop"
    made = collector(shop)
    show(made, range(20), garment(0, (320, 240)))
    wait_until(lambda: made.kept == 1, "the first picture")
    shop.rename(tmp_path / "away")
    show(made, range(20), garment(1, (320, 240)))
    wait_until(lambda: made.fault == "No such file or directory", "the fault")
    show(made, range(20), garment(2, (320, 240)))
    (tmp_path / "away").rename(shop)
    wait_until(lambda: not made.fault, "the disk")
    show(made, range(20), garment(3, (320, 240)))
    wait_until(lambda: made.kept >= 2, "the next picture")
    made.close()
    made.close()
    first = collected.listing(shop).undecided[0].facts()
    assert first
    assert (first.why, first.label, first.accepted, first.model) == ("unsure", "Coat", False, "kiosk")
    assert (first.camera, first.revision) == ("kiosk-17 camera 0", "0002-ab12cd34")
    assert first.box == (6, 8, 60, 80)


def test_a_full_disk_at_the_start(tmp_path: Path, quick: None) -> None:
    """A disk without room at the start is a fault and no error, and leaves no picture."""
    made = collector(tmp_path / "shop", limits=Limits(reserve_bytes=1 << 60))
    show(made, range(20), garment(0, (320, 240)))
    wait_until(lambda: made.fault.startswith("less than"), "the fault")
    made.close()
    assert names(tmp_path / "shop") == []


@pytest.mark.parametrize("privacy", [False, True])
def test_with_privacy_what_is_shown_is_kept(tmp_path: Path, privacy: bool) -> None:
    """With privacy a picture is cut out of what the screen shows, in which all outside of the garments is hidden."""
    made = collector(tmp_path / "shop", privacy=privacy)
    show(made, range(20), garment(0, (320, 240)))
    made.close()
    (picture,) = collected.listing(tmp_path / "shop").undecided
    kept = cv2.imread(str(picture.path))
    assert kept is not None
    assert bool(kept.max() < 10) is privacy  # what is shown is black here


@pytest.mark.parametrize(
    ("found", "kept"),
    [([], 1), ([("person", PERSON), ("head", HEAD)], 1), ([("person", PERSON)], 0), ([("head", (90, 30, 80, 90))], 0)],
    ids=["nobody", "a head", "no head", "all is hidden"],
)
def test_one_garment_alone(tmp_path: Path, found: list[tuple[str, Any]], kept: int) -> None:
    """Where one garment alone is named, heads are looked for in what is kept, and the same is left out."""

    class Finder:
        def find(self, picture: NDArray[np.uint8]) -> list[Region]:
            height, width = picture.shape[:2]
            return [
                Region(kind, (x / width, y / height, w / width, h / height), 0.9, 0.9) for kind, (x, y, w, h) in found
            ]

    class Single(Finding):
        finder = Finder()

    made, finding = collector(tmp_path / "shop"), Single()
    said = unsure(0)
    alone = StandingAnswer("unknown", None, 0.5, new=False, garments=(standing("Coat", COAT, accepted=False, id=None),))
    for number in range(20):
        frame = Frame(garment(0, (320, 240)), number / FPS, number)
        made.take(frame, said, alone, cast("Classifier", finding), None)
    made.close()
    assert made.fault == ""
    assert made.kept == kept


def test_people_move_pictures_while_it_runs(tmp_path: Path) -> None:
    """Somebody who decides about every picture as it comes disturbs nobody: each is there once."""
    made = collector(tmp_path / "shop")
    for number in range(5):
        show(made, range(20), garment(number, (320, 240)))
        wait_until(lambda number=number: made.kept == number + 1, "a picture")  # type: ignore[misc]
        for picture in collected.listing(tmp_path / "shop").undecided:
            assert collected.move(picture, f"label {number % 2}")
    made.close()
    assert made.fault == ""
    assert len(collected.listing(tmp_path / "shop").decided) == 5


def test_the_loop_says_what_it_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Screen, page and recording say that pictures are kept, a fault event and they that none are; the run goes on."""
    source, screen, heard = open_source(str(clip(tmp_path / "clip.mp4", 60, 30))), Screen(), Heard()
    made = Collecting(tmp_path / "shop", Limits(reserve_bytes=0), source)
    shop, away = tmp_path / "shop", tmp_path / "away"

    def scene(number: int) -> Prediction:
        if number == 30 and not away.exists():
            shop.rename(away)
        return unsure(number) if number < 30 else prediction(seen(SHIRT, "Shirt", 0.5, Coat=0.4))

    summary = loop.run(
        networks(scene, monkeypatch),
        source,
        outputs=[ReopeningOutput(screen, None)],
        events=[heard],
        options=loop.LoopOptions(real_time=True),
        collecting=made,
    )
    assert (summary.frames, summary.collected) == (60, 1)
    lines = list(dict.fromkeys(wording.kept(moment.kept) for moment in screen.taken))
    assert lines == ["Pictures of garments are kept", "Collecting has stopped: No such file or directory"]
    assert [event.reason for event in heard.events if event.state == "fault"] == ["collect: No such file or directory"]
    assert all(moment.kept.anything is (not moment.kept.not_collecting) for moment in screen.taken)


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        (Kept(collects=True), "Pictures of garments are kept"),
        (Kept("clip.mp4", collects=True), "Recording to clip.mp4. Pictures of garments are kept"),
        (Kept(not_collecting="No space left on device"), "Collecting has stopped: No space left on device"),
        (
            Kept(recordings=("a.mp4",), not_collecting="No space left on device"),
            "Recording to a.mp4. Collecting has stopped: No space left on device",
        ),
    ],
)
def test_what_is_kept_is_said(kept: Kept, says: str) -> None:
    """The line that says what is kept names the pictures of garments, and why none are."""
    assert wording.kept(kept) == says


# --- The whole command -----------------------------------------------------------------------


def test_camera_collects(tmp_path: Path, test_set: Arrays, capsys: pytest.CaptureFixture[str]) -> None:
    """`camera --collect` keeps garments of a folder's pictures, says so at the start, and keeps each once."""
    photos = tmp_path / "photos"
    photos.mkdir()
    drawn = [test_set[0][test_set[1] == LABELS.index(label)][:3] for label in ("Pullover", "Trouser")]
    for number, pair in enumerate(zip(*(preprocess.as_photos(each, 150) for each in drawn), strict=True)):
        cv2.imwrite(str(photos / f"{number}.png"), np.hstack(pair))
    settings: dict[str, Any] = {"source": str(photos), "headless": True, "events": (str(tmp_path / "e.jsonl"),)}
    settings |= {"model": str(bundle_with_finder(tmp_path)), "collect": str(tmp_path / "shop"), "collect_rate": 1}
    first = run_camera(**settings)
    assert first.collected > 2
    assert f"pictures of garments are collected in {tmp_path / 'shop'}" in capsys.readouterr().err
    there = collected.listing(tmp_path / "shop").undecided
    assert len(there) == first.collected
    for each in there:
        facts = each.facts()
        assert facts
        assert facts.why in ("unsure", "sample")
        assert facts.camera.endswith(" photos")
    assert run_camera(**settings).collected == 0


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"collect": "{}", "model": "edge"}, "edge finds no heads.* Take another network, such as kiosk"),
        ({"collect_rate": 0.5}, "--collect-rate without --collect collects nothing. Give --collect DIR"),
        ({"collect": "{}", "collect_rate": 1.5}, "--collect-rate must be from 0 to 1, not 1.5"),
        ({"collect": "{}", "collect_rate": float("nan")}, "--collect-rate must be a number, not nan"),
        ({"collect": "{}", "collect_rate": True}, "--collect-rate must be a number, not True"),
        ({"collect": "{}", "collect_days": 0}, "--collect-days must be from 1 to 3,650, not 0"),
        ({"collect": "{}", "collect_mb": 0}, "--collect-mb must be from 1 to 1,000,000, not 0"),
        ({"collect": "{}", "collect_most_an_hour": 1.5}, "--collect-most-an-hour must be a whole number"),
    ],
    ids=str,
)
def test_what_cannot_be_collected(tmp_path: Path, given: dict[str, Any], says: str) -> None:
    """What cannot be done is told at the start, in a line that says what to do."""
    (tmp_path / "a.png").write_bytes(b"")
    cv2.imwrite(str(tmp_path / "a.png"), garment(0))
    filled: dict[str, Any] = {
        name: value.format(tmp_path) if isinstance(value, str) else value for name, value in given.items()
    }
    with pytest.raises(BadInputError, match=says):
        run_camera(source=str(tmp_path), headless=True, **filled)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (None, ""),
        ("models/shop/int8.xml", ""),
        ("models/shop/revisions/0002-ab12cd34/int8.xml", "0002-ab12cd34"),
        ("revisions/2026/models/shop/int8.xml", ""),
        ("revisions/2026/models/shop/revisions/0002-ab12cd34/int8.xml", "0002-ab12cd34"),
        ("revisions/mine/int8.xml", ""),
    ],
)
def test_revision_that_a_picture_is_kept_with(source: str | None, expected: str) -> None:
    """A revision is what a model's folder holds as one, whatever the folders above are called."""
    network = cast("Classifier", SimpleNamespace(source=source and Path(source)))
    assert revision_of(network) == expected
