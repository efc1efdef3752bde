"""Answers of a network that finds every garment: through the loop, on the screen, in events, and hidden."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from helpers.events import Heard
from helpers.hand_made import Scene, Screen, clip, networks, picture, prediction, seen

from edgefashion.camera import loop
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.camera.sources.source import open_source
from edgefashion.data.images import write_png
from edgefashion.inference import preprocess

if TYPE_CHECKING:
    from edgefashion.camera.events.event import Event
    from edgefashion.camera.moment import Moment

COAT, BAG = (100, 40, 120, 180), (230, 120, 70, 70)
SOMEBODY, HEAD = (60, 0, 220, 240), (130, 30, 60, 60)


def run(
    scene: Scene, source: Path, patch: pytest.MonkeyPatch, asked: list[dict[str, Any]] | None = None, **options: Any
) -> tuple[list[Event], list[Moment]]:
    """The events and moments of a run over ``source``, of whose pictures the network says ``scene``."""
    heard, screen = Heard(), Screen()
    loop.run(
        networks(scene, patch, asked),
        open_source(str(source)),
        outputs=[ReopeningOutput(screen, None)],
        events=[heard],
        options=loop.LoopOptions(**options),
    )
    return heard.events, screen.taken


def test_every_garment_is_told_and_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The network is asked for all of the whole frame; the event tells every garment, and the moment has them, the main
    one first, its name the answer; a condition's event has none."""
    asked: list[dict[str, Any]] = []
    scene = prediction(seen(BAG, "Bag"), seen(COAT))
    events, moments = run(lambda _: scene, clip(tmp_path / "clip.avi", 20), monkeypatch, asked)
    assert asked == [{}] * 20
    answer, end = events
    assert (answer.frame, answer.state, answer.label, answer.confidence) == (3, "garment", "Coat", 0.95)
    assert answer.garments is not None
    assert [(one["label"], one["box"], one["accepted"], one["worn"]) for one in answer.garments] == [
        ("Coat", list(COAT), True, 0.05),
        ("Bag", list(BAG), True, 0.05),
    ]
    assert (end.state, end.garments) == ("ended", None)
    last = [moment for moment in moments if moment.health.well][-1]
    assert [garment.label for garment in last.garments] == ["Coat", "Bag"]
    assert (last.state, last.label, last.box, last.guide, last.several) == ("garment", "Coat", COAT, None, True)


def test_single_is_as_without_a_finder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With ``single`` the network is asked for one garment in the guide's square, and told is that one, without a
    number."""
    asked: list[dict[str, Any]] = []
    garment = preprocess.Garment(np.zeros((160, 160, 3), np.uint8), COAT)
    one = replace(prediction(seen(COAT)), garment=garment)
    events, moments = run(lambda _: one, clip(tmp_path / "clip.avi", 20), monkeypatch, asked, single=True)
    guide = preprocess.guide_box(320, 240)
    assert all((options["within"], options["single"]) == (guide, True) for options in asked)
    assert [(event.state, event.label) for event in events] == [("garment", "Coat"), ("ended", None)]
    assert events[0].garments == [
        {"label": "Coat", "confidence": 0.95, "accepted": True, "box": list(COAT), "worn": None, "id": None}
    ]
    assert (moments[-2].guide, moments[-2].box, moments[-2].several) == (guide, COAT, False)


def test_pictures_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture of a folder is answered by itself: no garment has a number, and none outlives its picture."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        write_png(folder / f"{number}.png", picture(number))
    scenes = [prediction(seen(COAT)), prediction(), prediction(seen(BAG, "Bag"), seen(COAT, "Dress"))]
    events, _ = run(lambda number: scenes[number], folder, monkeypatch)
    told = [(event.state, [(one["label"], one["id"]) for one in event.garments or []]) for event in events]
    assert told == [
        ("garment", [("Coat", None)]),
        ("none", []),
        ("garment", [("Dress", None), ("Bag", None)]),
        ("ended", []),
    ]


def test_chosen_names_are_shown_and_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The moments carry the names that are to be shown, and the events the network's own."""
    names = {"Coat": "Mantel"}
    events, moments = run(
        lambda _: prediction(seen(COAT)), clip(tmp_path / "clip.avi", 10), monkeypatch, labels=names, details=True
    )
    assert events[0].label == "Coat"
    assert events[0].garments
    assert events[0].garments[0]["label"] == "Coat"
    assert all(moment.labels == names and moment.details for moment in moments)


@pytest.mark.parametrize("details", [False, True])
def test_what_the_network_saw_is_for_technicians(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, details: bool
) -> None:
    """What the network saw is in a moment with details only."""
    garment = preprocess.Garment(np.zeros((160, 160, 3), np.uint8), COAT)
    one = replace(prediction(seen(COAT)), garment=garment)
    _, moments = run(lambda _: one, clip(tmp_path / "clip.avi", 10), monkeypatch, details=details)
    assert (moments[5].pixels is not None) == details


# --- Privacy ----------------------------------------------------------------------------------


def hidden_scene(number: int) -> Any:
    """Somebody who holds a coat before the face from the tenth picture on, and whose head two pictures miss."""
    found = [seen(COAT)] if number >= 10 else []
    return prediction(*found, people=(SOMEBODY,), heads=() if number in (20, 21) else (HEAD,))


def test_only_garments_are_seen_and_no_head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With privacy a frame shows the garments that stand, and nothing else: neither what is beside them, nor a garment
    that is not confirmed, nor a head, also where a frame has missed it."""
    source = clip(tmp_path / "clip.avi", 40)
    _, moments = run(hidden_scene, source, monkeypatch, privacy=True)
    shown = list({id(moment.image): moment.image for moment in moments if moment.image is not None}.values())
    x, y, w, h = COAT
    for number, (image, frame) in enumerate(zip(shown, frames_of(source), strict=True)):
        same = (image == frame).all(2)
        stands = number >= 13
        below = same[y + 100 : y + h, x : x + w]  # the coat less the head before it
        assert below.all() == stands
        for outside in (same[:, : x - 1], same[:, x + w + 1 :], same[: y - 1], same[y : y + 55, 135:185]):
            assert outside.mean() < 0.1


def test_a_head_of_another_picture_hides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder's pictures no head is hidden but their own."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        write_png(folder / f"{number}.png", picture(number))
    scenes = [prediction(seen(COAT), heads=(HEAD,)), prediction(seen(COAT))]
    _, moments = run(lambda number: scenes[number], folder, monkeypatch, privacy=True)
    x, y, w, h = COAT
    whole = [
        bool((moment.image == picture(number))[y : y + h, x : x + w].all())
        for number, moment in enumerate(moments[:2])
        if moment.image is not None
    ]
    assert whole == [False, True]


def frames_of(source: Path) -> list[Any]:
    """The clip's frames, as the camera reads them."""
    capture = cv2.VideoCapture(str(source))
    found: list[Any] = []
    while True:
        ok, frame = capture.read()
        if not ok:
            return found
        found.append(frame)
