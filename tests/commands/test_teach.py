"""The whole way of teaching, as a shop goes it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from helpers.browser import Browser, chromium, press

from edgefashion.camera.outputs.recording import Recorder
from edgefashion.data import collected, drawn, fashion_mnist
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.types import Run
    from numpy.typing import NDArray

pytestmark = [pytest.mark.long, pytest.mark.linux_only("the browser is steered over inherited file descriptors")]

FPS, SHOWN, EMPTY = 4, 6, 3
"""A clip's frames a second; of each garment, and of the empty wall after it."""

NEW = {"Bag": "Satchel", "Ankle boot": "Welly"}
"""What the shop calls them."""

FIRST = "document.querySelector('#grid li')?.dataset.id ?? ''"


def drawings(label: str) -> list[NDArray[np.uint8]]:
    """Twenty drawn garments of a label, no two alike."""
    images, classes = fashion_mnist.load("test")
    of = np.flatnonzero(classes == LABELS.index(label))[:20]
    return [drawn.photo_of(images[at], np.random.default_rng(int(at)), (640, 480)) for at in of]


def clip(path: Path, garments: list[NDArray[np.uint8]]) -> None:
    """A film in which one garment after the other is shown to the camera."""
    film = Recorder(path, FPS)
    for garment in garments:
        for frame in (*[garment] * SHOWN, *[np.full_like(garment, 200)] * EMPTY):
            film.write(frame)
    film.close()


def decided(browser: Browser, folder: Path) -> None:
    """Every picture put under the shop's own name for it, by keyboard alone."""
    for _ in range(len(collected.listing(folder).undecided)):
        browser.wait_until(f"{FIRST} !== ''")
        name = browser.evaluate(FIRST)
        facts = next(picture.facts() for picture in collected.listing(folder).undecided if picture.name == name)
        assert facts is not None
        press(browser, "/", *NEW["Bag" if "Bag" in facts.camera else "Ankle boot"], "Enter")
        browser.wait_until(f"{FIRST} !== {name!r}")


def answer(run: Run, model: str, picture: Path) -> str:
    done = run("predict", model, picture, "--json")
    assert done.returncode == 0, done.stderr
    found: str = json.loads(done.stdout)["label"]
    return found


def carried_to_another_pc(run: Run, folder: Path) -> None:
    """The model as one file, installed under another name."""
    assert run("models", "export", "shop").returncode == 0
    (pack,) = folder.glob("*.edgepack")
    done = run("models", "install", pack, "--name", "till", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["tried"]["pictures"] > 10


def test_the_whole_way(run_here: Run, tmp_path: Path) -> None:
    """A camera collects, a person says in a browser what is what and presses Teach, the model answers with the shop's
    own names, also on another PC, and after Take it back with the old ones."""
    garments = {label: drawings(label) for label in NEW}
    assert run_here("models", "install", "kiosk", "--name", "shop").returncode == 0
    for label, of in garments.items():
        for number in range(2):
            film = tmp_path / f"{label.replace(' ', '-')}-{number}.mp4"
            clip(film, of[8 * number : 8 * number + 8])
            told = ("--collect", "photos", "--collect-rate", "1", "--collect-most-an-hour", "1000")
            watched = run_here("camera", "shop", "--source", film, "--headless", "--events", "events.jsonl", *told)
            assert watched.returncode == 0, watched.stderr
    folder = tmp_path / "photos"
    assert len(collected.listing(folder).undecided) >= 20
    command = [sys.executable, "-m", "edgefashion", "review", "photos", "--web", "127.0.0.1:0", "--no-browser"]
    review = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    try:
        assert review.stdout is not None
        address = review.stdout.readline().strip()
        with chromium(200) as browser:
            browser.open(address, 1280, height_px=800)
            decided(browser, folder)
            assert {below.name for below in folder.iterdir() if below.name in NEW.values()} == set(NEW.values())
            click = "document.getElementById('{}').click()"
            browser.evaluate(click.format("teach-open"))
            browser.evaluate(click.format("teach-go"))
            status = "document.getElementById('teach-status').textContent"
            until_s = time.monotonic() + 100
            while not browser.evaluate(f"{status}.startsWith('Taught in')"):
                assert time.monotonic() < until_s, browser.evaluate(status)
                time.sleep(0.5)
            assert "It is in use" in browser.evaluate(status)
            words = browser.evaluate("document.getElementById('teach-words').textContent")
            assert words.startswith("It got better")
            carried_to_another_pc(run_here, tmp_path)
            unseen = {}
            for label, of in garments.items():
                unseen[label] = tmp_path / f"{label}.png"
                cv2.imwrite(str(unseen[label]), of[-1])
                assert answer(run_here, "shop", unseen[label]) == NEW[label]
                assert answer(run_here, "till", unseen[label]) == NEW[label]
            browser.evaluate(click.format("teach-back"))
            browser.wait_until(f"{status}.startsWith('Cameras use the one before again')")
            for label, picture in unseen.items():
                assert answer(run_here, "shop", picture) not in NEW.values(), label
    finally:
        review.terminate()
        review.wait(20)
