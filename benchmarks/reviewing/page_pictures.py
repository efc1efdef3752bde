"""Make the pictures of docs/teach.md: the review page with drawn garments, as Chromium shows it on screen and phone.

PYTHONPATH=tests python benchmarks/reviewing/page_pictures.py

The garments are Fashion-MNIST's, drawn on floors: nobody's photos. What the network says of them, what it is taught and
the verdict are those of this run.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from base64 import b64decode
from pathlib import Path

import cv2
import numpy as np
from helpers.browser import Browser, chromium
from PIL import Image

from edgefashion.data import collected, drawn, fashion_mnist, images
from edgefashion.data.collected import Facts
from edgefashion.labels import LABELS
from edgefashion.packs.install import install
from edgefashion.reviewing.page import ReviewPage

PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
MOST_BYTES = 60_000
DAYS = (23, 24, 25)
DECIDED = {"Polo": ("T-shirt/top", 24), "School blazer": ("Coat", 22), "Bag": ("Bag", 12)}
"""By label: what is drawn, and how many."""
MISTAKEN = {("Polo", 3): "Coat", ("Polo", 10): "Bag", ("School blazer", 8): "T-shirt/top", ("School blazer", 15): "Bag"}
"""What is drawn in the place of the label's own."""
UNDECIDED = {"T-shirt/top": 14, "Coat": 12, "Bag": 9, "Dress": 8, "Sneaker": 5}
DESKTOP, PHONE = (1280, 800), (360, 740)


def main() -> None:
    """Make a shop's folder, open its page, and take a picture of each view."""
    out = PICTURES.resolve()
    out.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        os.chdir(work)  # what is taught comes into models/ here
        install(Path("kiosk"), name="shop")  # as docs/teach.md says: it is what "Take it back" leads to
        folder = shop(Path("shop"))
        with ReviewPage(folder, web="127.0.0.1:0") as page, chromium(900) as browser:
            wait(browser, page, DESKTOP, light=True)
            deadline_s = time.monotonic() + 120
            while not page.review.doubts.count and time.monotonic() < deadline_s:
                time.sleep(1)
            wait(browser, page, DESKTOP, light=True)
            take(browser, out / "review.webp")
            undecided = [one.name for one in page.review.folder.now().undecided]
            name = max(undecided, key=lambda one: len(page.review.like(one)))
            browser.evaluate(f"document.querySelector('[data-id=\"{name}\"]').click()")
            browser.evaluate("document.querySelector('[data-act=like]').click()")
            browser.wait_until("document.getElementById('title').textContent === 'All like this'")
            take(browser, out / "review-like.webp")
            pick(browser, "doubted")
            browser.wait_until("document.getElementById('title').textContent === 'Likely mistakes'")
            take(browser, out / "review-mistakes.webp")
            browser.evaluate("document.querySelector('[data-act=closer]').click()")
            browser.wait_until("document.getElementById('closer').open")
            take(browser, out / "review-closer.webp")
            wait(browser, page, PHONE, light=False)
            take(browser, out / "review-phone.webp")
            wait(browser, page, DESKTOP, light=True)
            browser.evaluate(
                "document.getElementById('teach-open').click();document.getElementById('teach-go').click()"
            )
            done = "document.getElementById('teach-verdict').checkVisibility()"
            while not browser.evaluate(done) and page.teaching.state()["exit"] in (None, 0):
                time.sleep(1)
            print(*page.teaching.state()["lines"], sep="\n")
            take(browser, out / "review-teach.webp")
        os.chdir("/")


def shop(folder: Path) -> Path:
    """A shop's folder: decided pictures of three days, a few of them under a wrong label, and pictures to decide."""
    folder.mkdir()
    used = dict.fromkeys(LABELS, 0)
    for label, (of, count) in DECIDED.items():
        for number in range(count):
            drawn_as = MISTAKEN.get((label, number), of)
            collected.move(add(folder, drawn_as, used, DAYS[number % 3]), label)
    for of, count in UNDECIDED.items():
        for number in range(count):
            add(folder, of, used, DAYS[number % 3])
    return folder


def add(folder: Path, of: str, used: dict[str, int], day: int) -> collected.Picture:
    """Another drawn garment of Fashion-MNIST's class ``of``, as a camera would collect it on that day."""
    pictures, classes = fashion_mnist.load("test")
    number = int(np.flatnonzero(classes == LABELS.index(of))[used[of]])
    used[of] += 1
    picture = drawn.photo_of(pictures[number], np.random.default_rng(number), (300, 400))
    jpeg = bytes(cv2.imencode(".jpg", picture)[1].tobytes())
    time_of_day = f"{9 + used[of] % 9:02}:{used[of] % 60:02}:{number % 60:02}"
    facts = Facts(time=f"2026-11-{day}T{time_of_day}+00:00", camera="front")
    return collected.write(folder, jpeg, facts, images.perceptual_hash(picture))


def wait(browser: Browser, page: ReviewPage, size: tuple[int, int], *, light: bool) -> None:
    browser.open(page.url, size[0], height_px=size[1], dark=not light, still=True)
    browser.wait_until("document.querySelectorAll('#grid li').length > 5")


def pick(browser: Browser, group: str) -> None:
    chosen = f"(pick => {{pick.value = '{group}'; pick.dispatchEvent(new Event('change'))}})"
    browser.evaluate(f"{chosen}(document.getElementById('pick'))")


def take(browser: Browser, to: Path) -> None:
    """What the screen shows, as a small WebP."""
    time.sleep(1.5)  # for the small pictures
    png = b64decode(browser.call("Page.captureScreenshot", captureBeyondViewport=False)["data"])
    for quality in (85, 70, 55, 40):
        small = io.BytesIO()
        Image.open(io.BytesIO(png)).save(small, "WEBP", quality=quality, method=6)
        if small.tell() <= MOST_BYTES:
            break
    to.write_bytes(small.getvalue())
    print(f"{to.name}: {small.tell():,} bytes")


if __name__ == "__main__":
    main()
