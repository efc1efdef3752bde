"""No command writes over what it was given to read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from helpers.photos import put
from helpers.scenes import coco, put_scenes, thing

from edgefashion.errors import BadInputError
from edgefashion.packs import signature
from edgefashion.system.files import check_not_read

if TYPE_CHECKING:
    from helpers.types import Run


def _photos(folder: Path) -> Path:
    put(folder, *(f"shop/Coat/sender{n}-{n}.png" for n in range(6)))
    return folder / "shop/Coat/sender1-1.png"


def _scenes(folder: Path) -> Path:
    put_scenes(folder / "shop", coco(thing(1, 1, 1, (4, 4, 40, 40))))
    return folder / "shop/cam-1.png"


def _film(folder: Path) -> Path:
    path = folder / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 64))
    for _ in range(3):
        writer.write(np.zeros((64, 64, 3), np.uint8))
    writer.release()
    return path


def _page(folder: Path) -> Path:
    (folder / "page.html").write_text("{}")
    return folder / "page.html"


def _settings(folder: Path) -> Path:
    (folder / "edgefashion.toml").write_text("headless = true\n")
    return folder / "edgefashion.toml"


@pytest.mark.parametrize(
    ("made", "command"),
    [
        (_photos, "predict edge shop/Coat/sender1-1.png --explain shop/Coat/sender1-1.png"),
        (_photos, "predict edge file://localhost/shop/Coat/sender1-1.png --explain shop/../shop/Coat/sender1-1.png"),
        (_photos, "predict edge shop/Coat/sender1-1.png --explain link.png"),
        (_photos, "evaluate edge --photos shop --plot shop/Coat/sender1-1.png"),
        (_photos, "bench kiosk --vs none --photos shop --chart shop/Coat/sender1-1.png"),
        (_scenes, "evaluate kiosk --scenes shop --sheet shop/cam-1.png"),
        (_film, "camera edge --source clip.avi --headless --events clip.avi"),
        (_film, "camera edge --source file://localhost/clip.avi --headless --events - --events link.png"),
        (_page, "bench edge --vs none --baseline page.html --html page.html"),
        (_settings, "camera edge --source nowhere.mp4 --events edgefashion.toml"),
        (_settings, "service task --config edgefashion.toml --at startup --out edgefashion.toml"),
    ],
)
def test_what_is_read_is_not_replaced(
    made: Callable[[Path], Path], command: str, run_here: Run, tmp_path: Path
) -> None:
    """Every command that writes a file beside inputs refuses to write over one of them, by whatever name, before the
    work; and the file stays as it was."""
    given = made(tmp_path)
    (tmp_path / "link.png").symlink_to(given)
    before = hashlib.sha256(given.read_bytes()).hexdigest()
    done = run_here(*command.replace("localhost", f"localhost{tmp_path}").split())
    assert (done.returncode, "is read by this very command" in done.stderr) == (2, True), done.stderr
    assert hashlib.sha256(given.read_bytes()).hexdigest() == before


def test_a_recording_goes_beside_its_source(run_here: Run, tmp_path: Path) -> None:
    """A film that is recorded under its own name stays: the recording gets another."""
    film = _film(tmp_path)
    before = film.read_bytes()
    done = run_here("camera", "edge", "--source", film, "--headless", "--events", os.devnull, "--record", film)
    assert done.returncode == 0, done.stderr
    assert "recording to clip-2.avi" in done.stderr
    assert film.read_bytes() == before


def test_a_signed_pack_replaces_no_key(tmp_path: Path) -> None:
    """``models sign --out`` writes packs only: a key that is named there stays."""
    (tmp_path / "key.pem").write_text("-----BEGIN EC PRIVATE KEY-----")
    with pytest.raises(BadInputError, match="packs are written"):
        signature.sign(tmp_path / "a.edgepack", tmp_path / "key.pem", out=tmp_path / "key.pem")


@pytest.mark.parametrize("out", ["new.png", "other.png", "\0.png", "x" * 300 + ".png"])
def test_what_is_not_read_may_be_replaced(out: str, tmp_path: Path) -> None:
    """A new file, another picture and what can be no file's name are no input; and inputs that are gone are none."""
    put(tmp_path, "one.png", "other.png")
    check_not_read(tmp_path / out, [tmp_path / "one.png", tmp_path / "gone.png", tmp_path / "\0"])
    with pytest.raises(BadInputError, match="would spoil it"):
        check_not_read(tmp_path / "one.png", [tmp_path / "gone.png", tmp_path / "one.png"])
