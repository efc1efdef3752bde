"""The fields of ``bundle.json``, read by their kinds: for one of another kind a ValueError names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgefashion.labels import fault_of


def is_number(value: Any) -> bool:
    """True for a number that something can have measured, or be limited by."""
    # Python's JSON knows NaN, infinities, and numbers that no float can hold: no measurement and no limit.
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def is_share(value: Any) -> bool:
    """True for a number from 0 to 1."""
    return is_number(value) and 0 <= value <= 1


def number(told: Mapping[str, Any], name: str) -> float | None:
    """A number; None where there is none."""
    value = told.get(name)
    if value is not None and not is_number(value):
        raise ValueError(f"{name} is no number")
    return value


def whole(told: Mapping[str, Any], name: str) -> int | None:
    """A whole number; None where there is none."""
    value = number(told, name)
    if value is not None and not isinstance(value, int):
        raise ValueError(f"{name} is no whole number")
    return value


def seed(told: Mapping[str, Any], name: str) -> int | None:
    """A whole number that random numbers can be drawn by; None where there is none."""
    value = whole(told, name)
    if value is not None and value < 0:
        raise ValueError(f"{name} is below 0")
    return value


def held_out_share(told: Mapping[str, Any], name: str) -> float | None:
    """A share that leaves at least as many to train on; None where there is none."""
    value = number(told, name)
    if value is not None and not 0 <= value <= 0.5:
        raise ValueError(f"{name} is no number from 0 to 0.5")
    return value


def text(told: Mapping[str, Any], name: str) -> str | None:
    """A text; None where there is none."""
    value = told.get(name)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{name} is no text")
    return value


def given_text(told: Mapping[str, Any], name: str) -> str:
    """A text that is not blank, of a field that is there."""
    value = told[name]
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{name} is no text")
    return value


def table(name: str, value: Any) -> dict[str, Any]:
    """``value``, which is to be a table."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is no table")
    return value


def numbers(told: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """A table of numbers, or of nulls; None where there is none."""
    value = mapping(told, name)
    for key in value or {}:
        number(value or {}, key)
    return value


def mapping(told: Mapping[str, Any], name: str) -> dict[str, Any] | None:
    """A table; None where there is none."""
    value = told.get(name)
    return None if value is None else table(name, value)


def image_shape(told: Mapping[str, Any]) -> tuple[int, ...]:
    """(height, width, channels) of one image."""
    shape = given_list(told, "input_shape", int, "numbers")
    if len(shape) != 3 or not all(edge is not True and 0 < edge < 2**31 for edge in shape):
        raise ValueError("input_shape is no height, width and number of channels")
    return shape


def listed(told: Mapping[str, Any], name: str, kind: type, of: str) -> tuple[Any, ...] | None:
    """As :func:`given_list`; None where there is none."""
    return None if told.get(name) is None else given_list(told, name, kind, of)


def given_list(told: Mapping[str, Any], name: str, kind: type, of: str) -> tuple[Any, ...]:
    """What a list that is not empty holds, all of one ``kind``, which an error calls ``of``."""
    value = told[name]
    if not isinstance(value, list) or not value or not all(isinstance(item, kind) for item in value):
        raise ValueError(f"{name} is no list of {of}")
    return tuple(value)


def labels(told: Mapping[str, Any]) -> tuple[str, ...]:
    """A network's names, with which an answer can be told."""
    given = given_list(told, "labels", str, "names")
    if wrong := fault_of(given):
        raise ValueError(f"labels {wrong}")
    return given
