"""Words for people: an argument as a shell takes it."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from edgefashion.system.text import openvino_reason, quoted, whole_number

NAMES = ["m1", "my models/m 1", "it's", "$HOME", "a;b", "*.onnx", "-m", "ü/b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_shell_takes_it_for_one_word(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is in a name, a POSIX shell makes one word of it, the name itself; a plain one stays as it is."""
    monkeypatch.setattr(os, "name", "posix")
    assert shlex.split(quoted(name)) == [name]
    assert quoted("models/m1") == "models/m1"


def test_a_path_is_quoted_as_its_text() -> None:
    """A path is told as it is written."""
    assert quoted(Path("a b") / "c") == quoted(str(Path("a b") / "c"))


def test_windows_takes_double_quotes(monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows single quotes would be part of the name: spaces are put in double ones."""
    monkeypatch.setattr(os, "name", "nt")
    assert (quoted("my models\\m 1"), quoted("C:\\models\\m1")) == ('"my models\\m 1"', "C:\\models\\m1")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("Summary:\n-- No conversion rule for DecodePng\nTo facilitate the conversion of it, see: https://a.b \n\n",
         "No conversion rule for DecodePng"),
        ("Exception from core.cpp:84:\nCannot read it. Please check that the file is there\n", "Cannot read it."),
        ("one line", "one line"),
        ("", "RuntimeError"),
    ],
)  # fmt: skip
def test_openvino_is_quoted_without_its_advice(said: str, told: str) -> None:
    """Of what OpenVINO says of a model its cause is told, in one line: neither a place in its source nor advice."""
    assert openvino_reason(RuntimeError(said)) == told


@pytest.mark.parametrize(
    ("said", "number"),
    [
        *(("0", 0), ("0010", 10), ("9" * 18, 10**18 - 1)),
        *(
            (said, None)
            for said in ("", " 1", "1\n", "-1", "+1", "1_0", "1.0", "0x1", "\u00b2", "\u0663", "9" * 19, "9" * 5000)
        ),
    ],
)
def test_a_whole_number(said: str, number: int | None) -> None:
    """Plain digits are a number; what else Python takes for one, and what it cannot hold as text, is none."""
    assert whole_number(said) == number
