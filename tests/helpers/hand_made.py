"""Garments in view as a network with a finder would give them, made by hand: predictions, and what stands of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers.camera import number_of, numbered, write_clip

from edgefashion.camera import answers
from edgefashion.camera.moment import Health, Moment
from edgefashion.camera.networks import Networks
from edgefashion.camera.standing import StandingGarment
from edgefashion.inference import load
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.decision import Rule, decide
from edgefashion.inference.predict import Prediction, SeenGarment
from edgefashion.labels import PHOTO_LABELS

if TYPE_CHECKING:
    from helpers.camera import Picture
    from numpy.typing import NDArray

    from edgefashion.inference.preprocess import Box

RULE = Rule(0.5, {"Coat": 0.7, "Pullover": 0.7, "Shirt": 0.7, "Footwear": 0.6}, kind_floor=0.8)

FRAME_WH = (1280, 720)

FPS = 15


@dataclass(frozen=True)
class Named:
    """As much of a classifier as whoever decides on its answers and shows them asks for."""

    name: str = "kiosk"
    precision: str = "int8"
    labels: tuple[str, ...] = PHOTO_LABELS
    rule: Rule = RULE


def shares(given: Mapping[str, float]) -> NDArray[np.float32]:
    """Probabilities (12,) in which the labels have what is ``given``, and the others the rest."""
    rest = (1 - sum(given.values())) / (len(PHOTO_LABELS) - len(given))
    return np.array([given.get(label, max(0.0, rest)) for label in PHOTO_LABELS], np.float32)


def seen(box: Box, label: str = "Coat", share: float = 0.95, worn: float = 0.05, **others: float) -> SeenGarment:
    """A garment that the network is ``share`` sure of; ``others``: what other labels have."""
    probabilities = shares({label: share, **others})
    return SeenGarment(decide(probabilities, PHOTO_LABELS, RULE), box, probabilities, 0.9, worn)


def prediction(*garments: SeenGarment, people: tuple[Box, ...] = (), heads: tuple[Box, ...] = ()) -> Prediction:
    """What a network with a finder says of a frame."""
    return Prediction(garments[0].answer if garments else None, None, garments, people, heads)


def standing(label: str, box: Box, *, accepted: bool = True, **others: Any) -> StandingGarment:
    """A garment as a moment has it."""
    facts: dict[str, Any] = {"confidence": 0.97, "worn": 0.05, "id": 1, "in_frame": box}
    return StandingGarment(label=label, accepted=accepted, box=box, **(facts | others))


def moment(image: Picture, *garments: StandingGarment, **others: Any) -> Moment:
    """A live moment of all garments in view, the first being the main one."""
    main = garments[0] if garments else None
    facts: dict[str, Any] = {
        "state": "none" if main is None else "garment" if main.accepted else "unknown",
        "label": main.label if main and main.accepted else None,
        "confidence": main.confidence if main else None,
        "doubt": main.doubt if main else None,
        "box": main.box if main else None,
        "model": "kiosk",
        "precision": "int8",
        "several": True,
    }
    health = Health("live", fps=15.0, latency_ms=23.4)
    return Moment(0.0, health, image=image, garments=garments, **(facts | others))


# --- Before a camera --------------------------------------------------------------------------

Scene = Callable[[int], Prediction]
"""What the network says of a frame, by the frame's number."""


def networks(scene: Scene, patch: pytest.MonkeyPatch, asked: list[dict[str, Any]] | None = None) -> Networks:
    """A camera's network that finds what ``scene`` says in the numbered pictures it is shown.

    It is the shipped photo network otherwise. ``asked`` gets the options of each question.
    """
    real = load.load("kiosk")

    def predict_scene(_: Classifier, picture: Picture, **options: Any) -> Prediction:
        if asked is not None:
            asked.append(options)
        return scene(number_of(picture))

    patch.setattr(answers, "predict", predict_scene)
    finding = replace(real, rule=RULE)
    return Networks(["kiosk"], load=lambda _: finding)


def picture(number: int) -> Picture:
    """A picture of 320x240 that carries ``number``, and all over it a grain that no blur leaves as it was."""
    grain = np.random.default_rng(number).integers(0, 100, (240, 320, 1))
    return np.asarray(numbered(number) * 0.6 + grain, np.uint8)


def clip(path: Path, count: int, fps: float = FPS) -> Path:
    """A video of so many pictures."""
    return write_clip(path, [picture(number) for number in range(count)], fps)


class Screen:
    """An output that keeps the moments it is handed, each with its image as it was."""

    name = "screen"
    shows = True
    keeping = None

    def __init__(self) -> None:
        self.taken: list[Moment] = []

    def take(self, moment: Moment) -> None:
        self.taken.append(moment)

    def keys(self) -> str:
        return ""

    def close(self) -> None:
        pass
