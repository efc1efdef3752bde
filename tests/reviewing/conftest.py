"""A review page over a folder of drawn garments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from helpers.reviewing import shop

from edgefashion.reviewing.page import ReviewPage


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shop(tmp_path / "shop")


@pytest.fixture
def opened(folder: Path) -> Iterator[Callable[..., ReviewPage]]:
    """Opens a page for the folder, or several."""
    pages: list[ReviewPage] = []

    def open_page(**options: Any) -> ReviewPage:
        pages.append(ReviewPage(folder, **({"web": "127.0.0.1:0"} | options)))
        return pages[-1]

    yield open_page
    for page in pages:
        page.close()


@pytest.fixture
def page(opened: Callable[..., ReviewPage]) -> ReviewPage:
    return opened()
