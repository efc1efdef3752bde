"""The colours: one table, in the orders and notations of OpenCV and style sheets."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import edgefashion.camera.page.page
from edgefashion.camera.outputs.lettering import GROUND
from edgefashion.system import palette

STATIC = Path(edgefashion.camera.page.page.__file__).with_name("static")


def test_notations() -> None:
    """OpenCV takes blue first, a style sheet red first in hexadecimal digits."""
    assert palette.bgr((1, 2, 250)) == (250, 2, 1)
    assert palette.css((1, 2, 250)) == "#0102fa"


@pytest.mark.parametrize("name", ["GARMENT", "UNSURE", "ALARM", "WHITE", "GREY"])
def test_words_can_be_laid_over_a_picture(name: str) -> None:
    """Every colour that words are written in is nowhere darker than the ground they are laid over."""
    assert min(getattr(palette, name)) >= GROUND


def test_the_page_has_no_colour_of_its_own() -> None:
    """The page's style sheet names colours of the palette only, and the palette none that the sheet does not use."""
    sheet = (STATIC / "page.css").read_text(encoding="utf-8")
    assert not re.search(r"#[0-9a-f]{3,8}\b(?=\s*[;,)}])|\brgba?\(|\bhsla?\(", sheet)
    used = set(re.findall(r"var\(--([a-z-]+)\)", sheet))
    assert used == set(palette.PAGE_LIGHT) == set(palette.PAGE_DARK)
    told = palette.page_css()
    assert told.count(f"--good: {palette.css(palette.GARMENT)};") == 1
    assert all(told.count(f"--{name}: ") == 2 for name in used)


def test_the_icon_has_the_page_s_green() -> None:
    """The icon is a file of its own; its green is the page's."""
    assert f'fill="{palette.PAGE_LIGHT["good"]}"' in (STATIC / "icon.svg").read_text(encoding="utf-8")
