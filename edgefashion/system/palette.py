"""Every colour that the camera and ``predict --explain`` show: window, recording, page and single pictures.

A colour is red, green, blue from 0 to 255. OpenCV takes it from :func:`bgr`, a style sheet from :func:`css`.
"""

from __future__ import annotations

from typing import Final

Colour = tuple[int, int, int]
"""Red, green, blue."""

GARMENT: Final[Colour] = (64, 220, 151)
"""An accepted answer and its garment's box. No channel is below 63: see ``camera/outputs/lettering.py``."""

UNSURE: Final[Colour] = (250, 180, 64)
"""An answer that is not accepted, and its box."""

ALARM: Final[Colour] = (255, 90, 90)
"""A camera that is lost, and the sign that something is being recorded."""

WHITE: Final[Colour] = (255, 255, 255)
GREY: Final[Colour] = (205, 205, 205)
"""Figures and what matters less."""

DARK: Final[Colour] = (23, 24, 26)
"""The rim around a line, so that it shows on any picture."""

OF_STATE: Final = {"garment": GARMENT, "unknown": UNSURE, "none": WHITE}
"""The colour of each state of an answer."""


def bgr(colour: Colour) -> Colour:
    """``colour`` in OpenCV's order: blue, green, red."""
    return colour[2], colour[1], colour[0]


def css(colour: Colour) -> str:
    """``colour`` as a style sheet writes it: ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


# The page's colours by the names that its style sheet uses. Each ``on-`` colour is for text on the colour of its name;
# ``doubt`` is for an answer that is not accepted, ``bad`` for a camera that is lost, ``void`` for a missing picture.
PAGE_LIGHT: Final = {
    "paper": "#f4f2ee",
    "surface": "#ffffff",
    "line": "#d9d5cd",
    "text": css(DARK),
    "quiet": "#5a5d61",
    "good": "#0a6b4f",
    "on-good": "#ffffff",
    "good-soft": "#bfe3d6",
    "doubt": "#ffe4b3",
    "on-doubt": "#4a2e00",
    "bad": "#a8201a",
    "on-bad": "#ffffff",
    "alarm": "#a8201a",
    "void": "#e3dfd8",
    "on-void": "#4a4d51",
}
PAGE_DARK: Final = {
    "paper": "#0e1012",
    "surface": "#191c20",
    "line": "#30353b",
    "text": "#f0f1f2",
    "quiet": "#a6adb5",
    "good": css(GARMENT),
    "on-good": "#04231a",
    "good-soft": "#0f7a54",
    "doubt": "#5a3d0a",
    "on-doubt": "#ffe4b3",
    "bad": "#b3261e",
    "on-bad": "#ffffff",
    "alarm": "#ff8a80",
    "void": "#050607",
    "on-void": "#a6adb5",
}


def page_css() -> str:
    """The page's colours as custom properties, ``--paper`` and so on, for a light and a dark screen."""
    light, dark = (
        " ".join(f"--{name}: {value};" for name, value in colours.items()) for colours in (PAGE_LIGHT, PAGE_DARK)
    )
    return f":root {{ {light} }}\n@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
