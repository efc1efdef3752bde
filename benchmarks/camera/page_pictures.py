"""Make the README's pictures of the page, as Chromium shows it on a screen and a phone.

PYTHONPATH=tests python benchmarks/camera/page_pictures.py

The answers are the shipped network's, the figures those of this run.
"""

from __future__ import annotations

import dataclasses
import statistics
import threading
import time
from pathlib import Path

import readme_pictures
from helpers.browser import chromium

from edgefashion import load
from edgefashion.camera import demo_clip
from edgefashion.camera.moment import Health, Moment
from edgefashion.camera.page.page import Page
from edgefashion.data import fashion_mnist
from edgefashion.inference import preprocess
from edgefashion.inference.predict import predict

RESULTS = Path(__file__).parent / "results"
SHOTS = (("page.png", 1280, 720, False), ("page-phone.png", 390, 844, True))
SHOWN = (16, 1, 12, 2)
"""Test images that were shown before, so that there are last answers."""


def main() -> None:
    """Hand the page answered frames as the camera's loop does, and take its pictures."""
    classifier = load()
    began_s = time.monotonic()
    page, end = Page("127.0.0.1:0"), threading.Event()
    frames = [demo_clip.scene_of(fashion_mnist.load("test")[0][number]) for number in SHOWN] + [readme_pictures.scene()]
    latencies_ms: list[float] = []

    def answer(frame_number: int) -> Moment:
        taken_s, image = time.monotonic(), frames[frame_number].copy()
        guide = preprocess.guide_box(image.shape[1], image.shape[0])
        seen = predict(classifier, image, within=guide)
        now_s = time.monotonic()
        latencies_ms.append((now_s - taken_s) * 1000)
        health = Health(
            "live",
            fps=len(latencies_ms) / (now_s - began_s),
            latency_ms=statistics.median(latencies_ms),
            uptime_s=now_s - began_s,
            frames=len(latencies_ms),
        )
        moment = Moment(now_s, health, image=image, taken_s=taken_s, guide=guide, model="kiosk", precision="int8")
        if seen.answer is None:
            return moment
        return dataclasses.replace(
            moment,
            state="garment" if seen.answer.accepted else "unknown",
            label=seen.answer.label,
            confidence=seen.answer.confidence,
            box=seen.garment.box if seen.garment else None,
        )

    def loop() -> None:
        while not end.wait(1 / demo_clip.FPS):
            page.take(answer(min(int(time.monotonic() - began_s) // 4, len(frames) - 1)))

    runner = threading.Thread(target=loop)
    runner.start()
    try:
        time.sleep(4 * len(frames))
        with chromium() as browser:
            for name, width_px, height_px, dark in SHOTS:
                browser.open(page.url, width_px, height_px=height_px, dark=dark, still=True)
                browser.wait_until("document.getElementById('picture').checkVisibility()")
                time.sleep(1)
                browser.screenshot(RESULTS / name)
    finally:
        end.set()
        runner.join()
        page.close()


if __name__ == "__main__":
    main()
