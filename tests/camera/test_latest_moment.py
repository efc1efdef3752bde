"""What is shown between two answers."""

from __future__ import annotations

import time
from typing import cast

import numpy as np
import pytest
from helpers.hand_made import Named, picture, prediction, seen

from edgefashion.camera.latest_moment import LatestMoment
from edgefashion.camera.moment import Health
from edgefashion.camera.several import at_once
from edgefashion.camera.sources.source import Frame
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.predict import Prediction

COAT = (100, 40, 120, 180)
LIVE, STALE = Health("live"), Health("stale")


def frame(number: int) -> Frame:
    return Frame(picture(number), time.monotonic(), number)


def after(said: Prediction, privacy: bool) -> LatestMoment:
    """The newest moment once the network has said that of a frame."""
    latest = LatestMoment(privacy=privacy)
    network = cast("Classifier", Named())
    latest.answered(frame(1), said, at_once(said, (320, 240)), 5.0, network, LIVE)
    return latest


@pytest.mark.parametrize("privacy", [False, True])
def test_a_frame_that_is_not_looked_at(privacy: bool) -> None:
    """A frame that nobody has looked at is shown with the boxes before it; with privacy the one before stays, in whose
    boxes is what was looked at."""
    latest = after(prediction(seen(COAT)), privacy)
    before = latest.moment
    newer = frame(2)
    latest.unanswered(newer, LIVE)
    assert latest.moment.garments == before.garments
    assert latest.moment.image is (before.image if privacy else newer.image)


def test_with_privacy_and_without_a_garment_all_is_hidden() -> None:
    """Where no garment stands a newer frame is shown, all of it hidden."""
    latest = after(prediction(), privacy=True)
    newer = frame(2)
    latest.unanswered(newer, LIVE)
    assert latest.moment.image is not None
    assert (latest.moment.image == newer.image).all(2).mean() < 0.1


def test_a_lost_source_has_no_garments() -> None:
    """Of a source that is not live any more no garment, nobody and no answer is left."""
    latest = after(prediction(seen(COAT, "Coat", 0.5, Pullover=0.4), people=((0, 0, 320, 240),)), privacy=False)
    assert latest.moment.doubt == ("Coat", "Pullover")
    latest.unanswered(None, STALE)
    lost = latest.moment
    assert (lost.state, lost.box, lost.garments, lost.doubt, lost.people) == ("none", None, (), None, False)
    assert np.array_equal(lost.image, picture(1))  # type: ignore[arg-type]
