"""What several tests of the camera share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from helpers.camera import NetworkCamera
from helpers.sources import capture_threads, children

from edgefashion.camera.page.page import Page


@pytest.fixture
def page() -> Iterator[Page]:
    opened = Page("127.0.0.1:0")
    yield opened
    opened.close()


@pytest.fixture
def network_camera() -> Iterator[NetworkCamera]:
    with NetworkCamera() as camera:
        yield camera
    assert not capture_threads(), "the test left a source open"
    assert not children(), "the test left a process"
