"""What the tests of the server share: one server a process, and what it is to answer."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from helpers.serve import MAX_BYTES, MAX_IMAGES, Server
from numpy.typing import NDArray

from edgefashion import load
from edgefashion.camera import demo_clip
from edgefashion.data import fashion_mnist
from edgefashion.inference.classifier import Classifier


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    limits = f"--max-request-mb={MAX_BYTES / 1e6}", f"--max-images={MAX_IMAGES}", "--max-megapixels=2", "--timeout=20.5"
    with Server("kiosk", "edge", *limits) as made:
        yield made
        code, said = made.end()
        # Whatever the tests sent it, there is no error of the server's own, and no traceback.
        assert (code, said) == (143, "")


@pytest.fixture(scope="session")
def classifiers() -> dict[str, Classifier]:
    return {name: load(name) for name in ("edge", "kiosk")}


@pytest.fixture(scope="session")
def scene() -> NDArray[np.uint8]:
    return demo_clip.scene_of(fashion_mnist.load("test")[0][1])


@pytest.fixture(scope="session")
def pictures(scene: NDArray[np.uint8]) -> list[bytes]:
    """A JPEG of a scene, and a PNG of an empty wall."""
    wall = np.full((200, 300, 3), demo_clip.BACKGROUND, np.uint8)
    return [cv2.imencode(".jpg", scene)[1].tobytes(), cv2.imencode(".png", wall)[1].tobytes()]
