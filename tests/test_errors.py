"""What an error says is one line, whatever a file is called."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from helpers.types import Run

from edgefashion.data import images
from edgefashion.errors import BadInputError, printable

NAMES = {
    "shirt.jpg": "shirt.jpg",
    "ネコ-Größe.jpg": "ネコ-Größe.jpg",
    "10.04.12\u202fPM \U0001f9d1\u200d\U0001f52c.png": "10.04.12\u202fPM \U0001f9d1\u200d\U0001f52c.png",
    "caf\udce9.jpg": "caf\\udce9.jpg",
    "line\nbreak.jpg": "line\\nbreak.jpg",
    "tab\there\r.jpg": "tab\\there\\r.jpg",
    "\x1b[31mred\x07.jpg": "\\x1b[31mred\\x07.jpg",
    "csi\x9b2J.jpg": "csi\\x9b2J.jpg",
    "gpj\u202e.exe": "gpj\\u202e.exe",
    "a\u2028b\u2066.jpg": "a\\u2028b\\u2066.jpg",
    "back\\slash.jpg": "back\\slash.jpg",
}


@pytest.mark.parametrize(("name", "shown"), NAMES.items())
def test_names_in_an_error(name: str, shown: str) -> None:
    """Bytes that are no text, line breaks, a terminal's escapes and turned writing are told in letters, once."""
    error = BadInputError(f"{name} is no picture. Give another")
    assert str(error) == f"{shown} is no picture. Give another"
    assert printable(error) == str(error)
    str(error).encode()


@pytest.mark.linux_only("names of bytes that are no text, and with a line break")
def test_any_name_on_a_strict_terminal(run: Run, tmp_path: Path) -> None:
    """A picture is a line, whatever it is called, and no letter that a terminal cannot take ends a run half way."""
    folder = tmp_path / "shop"
    folder.mkdir()
    images.write_png(folder / "plain.png", np.full((40, 40, 3), 200, np.uint8))
    for name in (b"caf\xe9.png", b"line\nbreak.png", b"\x1b[31mred.png", "Größe.png".encode()):
        shutil.copy(os.fsencode(folder / "plain.png"), os.fsencode(folder) + b"/" + name)
    (folder / os.fsdecode(b"z\xe9\n.png")).write_bytes(b"none")
    for encoding, umlaut in (("utf-8:strict", "Größe"), ("ascii:strict", "Gr\\xf6\\xdfe")):
        done = run("predict", "edge", folder, env=dict(os.environ, PYTHONIOENCODING=encoding))
        assert done.returncode == 2, done.stderr
        names = [line.rpartition("/")[2].partition(":")[0] for line in done.stdout.splitlines()]
        assert sorted(names) == sorted(
            [f"{umlaut}.png", "\\x1b[31mred.png", "caf\\udce9.png", "line\\nbreak.png", "plain.png"]
        )
        assert "z\\udce9\\n.png" in done.stderr
        assert len(done.stderr.splitlines()) == 1
