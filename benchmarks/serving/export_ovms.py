"""Does what a server is given answer as `predict` does, and what does it cost? On photos and product shots.

    python benchmarks/serving/export_ovms.py PHOTOS [--count 600] [--rounds 15]

Exports the shipped models as `edgefashion export ovms` does, and gives them what OpenVINO Model Server gives: files
decoded by OpenCV, unchanged, and resized by it where they are out of range. PHOTOS is a folder of photos, a
sub-folder a label, for ``kiosk``; ``edge`` gets as many product shots drawn from Fashion-MNIST's test images, at sizes
from 80 to 1600 pixels. For comparison ``kiosk`` is asked what it would say had its input one size, so that the server
resized. Then the times of decoding, of `predict` after it, and of the served IR, one thread each, and its memory, size
by size. Writes ``benchmarks/serving/results/export_ovms.json`` and prints it as Markdown tables.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from edgefashion import load
from edgefashion.conversion.graph.any_size import BOX
from edgefashion.conversion.ovms.repository import export
from edgefashion.conversion.ovms.served_ir import Reader
from edgefashion.data import drawn, fashion_mnist, photo_folders
from edgefashion.data.images import decode_image
from edgefashion.inference import decision, preprocess
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.predict import see
from edgefashion.system import machine

SIZES_WH = ((640, 480), (1280, 720), (1920, 1440), (4000, 3000))
RESULTS = Path(__file__).parent / "results" / "export_ovms.json"


def main() -> None:
    import cv2

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path)
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--memory-of", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.memory_of:
        path, width, height = options.memory_of
        print(memory_mb(Path(path), (int(width), int(height))))
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        done = export(["edge", "kiosk"], Path(folder) / "served")
        paths = {v.served.name: v.path / "model.xml" for v in done.versions}
        answers = [
            agreement("kiosk", paths["kiosk"], photo_files(options.photos, options.count)),
            agreement("edge", paths["edge"], shots(options.count)),
        ]
        costs = [cost(name, path, size, options.rounds) for name, path in paths.items() for size in SIZES_WH]
    results = {"machine": machine.describe(), "settings": {"count": options.count, "rounds": options.rounds}}
    RESULTS.write_text(json.dumps({**results, "answers": answers, "costs": costs}, indent=1) + "\n", encoding="utf-8")
    print(table(answers, costs))


# --- Answers ---------------------------------------------------------------------------------


def photo_files(folder: Path, count: int) -> Iterable[tuple[bytes, tuple[int, ...]]]:
    """Files and the classes that are right for each, spread over the labels in their order; () for Unknown."""
    found = photo_folders.scan(folder).photos
    for at in np.linspace(0, len(found) - 1, min(count, len(found))).astype(int):
        photo = found[at]
        yield photo.path.read_bytes(), photo_folders.members(photo.label) if photo.known else ()


def shots(count: int) -> Iterable[tuple[bytes, tuple[int, ...]]]:
    """Product shots as JPEG files, and the class of each."""
    import cv2

    images, labels = fashion_mnist.load("test")
    rng = np.random.default_rng(0)
    for image, label in zip(images[:count], labels, strict=False):
        width, height = (int(edge) for edge in np.exp(rng.uniform(np.log(80), np.log(1600), 2)))
        yield cv2.imencode(".jpg", drawn.shot_of(image, rng, (width, height)))[1].tobytes(), (int(label),)


class Tally:
    """Answers beside `predict`'s, picture by picture."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier
        self._seen: dict[str, list[float]] = {}

    def add(self, given: Any, expected: Any, members: tuple[int, ...]) -> None:
        """The probabilities given, those of `predict`, and the classes that are right, if any is."""
        labels, rule = self._classifier.labels, self._classifier.rule
        ours, theirs = (decision.decide(p, labels, rule, 1) for p in (given, expected))
        rejected = not (ours.accepted or theirs.accepted)
        row = {
            "difference": np.abs(given - expected).mean(),
            "same": ours.label == theirs.label,
            "decided": rejected or (ours.label, ours.accepted) == (theirs.label, theirs.accepted),
        }
        if members:
            row |= {"right": given.argmax() in members, "right_predict": expected.argmax() in members}
        for key, value in row.items():
            self._seen.setdefault(key, []).append(float(value))

    def means(self) -> dict[str, float]:
        return {key: statistics.fmean(values) for key, values in self._seen.items()}


def agreement(name: str, path: Path, files: Iterable[tuple[bytes, tuple[int, ...]]]) -> dict[str, Any]:
    """How far the served IR's answers are from `predict`'s, and how many are right of each."""
    import cv2

    reader, classifier = Reader(path), load(name, threads=1)
    served, one_size = Tally(classifier), Tally(classifier)
    counts = {"n": 0, "turned": 0, "found_by_one_alone": 0, "found_by_none": 0, "box_off": 0}
    for file, members in files:
        picture = decode_image(io.BytesIO(file), "a picture").image
        decoded = np.asarray(cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED), np.uint8)
        seen, answer = see(classifier, picture), reader(decoded)
        counts["n"] += 1
        counts["turned"] += decoded.shape[:2] != picture.shape[:2]
        nothing = BOX in answer and answer[BOX][0] < 0
        if seen is None or nothing:
            counts["found_by_none" if seen is None and nothing else "found_by_one_alone"] += 1
            continue
        served.add(answer["probabilities"], seen[1], members)
        if BOX in answer:
            cell = max(1, max(picture.shape) / preprocess.SEARCH_PX)
            counts["box_off"] += bool(np.abs(answer[BOX] - np.array(seen[0].box)).max() > 2 * cell)
        if classifier.takes_photos:
            # As a server would, had the input one size: from two pixels each way.
            colours = decoded if decoded.ndim == 3 else cv2.cvtColor(decoded, cv2.COLOR_GRAY2BGR)
            small = cv2.resize(colours[..., :3], (preprocess.PHOTO_PX, preprocess.PHOTO_PX))
            one_size.add(classifier(np.ascontiguousarray(small[..., ::-1], np.uint8))[0], seen[1], members)
    return {"model": name, **counts, **served.means(), "one_size": one_size.means()}


# --- Costs -----------------------------------------------------------------------------------


def cost(name: str, path: Path, size_wh: tuple[int, int], rounds: int) -> dict[str, Any]:
    """Times in milliseconds, medians of interleaved rounds, and memory."""
    import cv2

    reader, classifier = Reader(path), load(name, threads=1)
    picture = drawn.shot_of(fashion_mnist.load("test")[0][1], np.random.default_rng(0), size_wh)
    file = cv2.imencode(".jpg", picture)[1]
    steps: dict[str, Callable[[], Any]] = {
        "decode": lambda: cv2.imdecode(file, cv2.IMREAD_UNCHANGED),
        "predict": lambda: see(classifier, picture),
        "served": lambda: reader(picture),
    }
    times: dict[str, list[float]] = {step: [] for step in steps}
    for number in range(rounds + 2):
        for step, run in steps.items():
            start = time.perf_counter()
            run()
            if number >= 2:
                times[step].append((time.perf_counter() - start) * 1e3)
    words = [sys.executable, __file__, ".", "--memory-of", str(path), *map(str, size_wh)]
    memory = float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)
    medians = {f"{step}_ms": statistics.median(each) for step, each in times.items()}
    return {"model": name, "size_wh": size_wh, **medians, "memory_mb": memory}


def memory_mb(path: Path, size_wh: tuple[int, int]) -> float:
    """What a picture of that size adds to the most a process takes, above one of 64x64 pixels."""
    reader = Reader(path)
    reader(np.full((64, 64, 3), 200, np.uint8))
    picture = np.full((size_wh[1], size_wh[0], 3), 200, np.uint8)
    before = machine.peak_rss_mb()
    reader(picture)
    return machine.peak_rss_mb() - before


def table(answers: list[dict[str, Any]], costs: list[dict[str, Any]]) -> str:
    """Two Markdown tables: the answers, and what they cost."""
    titles = "model", "pictures", "label as `predict`", "decision as `predict`", "mean difference"
    lines = [f"| {' | '.join(titles)} | right, served | right, `predict` |", "|---|---|---|---|---|---|---|"]
    for row in answers:
        for note, measured in (("", row), (", resized by the server", row["one_size"])):
            if measured:
                decided = f"{measured['decided']:.2%}" if "decided" in measured else "-"
                cells = f"{measured['same']:.2%} | {decided} | {measured['difference']:.4f} | {measured['right']:.2%}"
                lines.append(f"| {row['model']}{note} | {row['n']} | {cells} | {row['right_predict']:.2%} |")
    lines += ["", "| model | picture | decoding, ms | `predict` after it, ms | served, ms | memory, MB |"]
    lines.append("|---|---|---|---|---|---|")
    for row in costs:
        width, height = row["size_wh"]
        cells = " | ".join(f"{row[f'{step}_ms']:.1f}" for step in ("decode", "predict", "served"))
        lines.append(f"| {row['model']} | {width}x{height} | {cells} | {row['memory_mb']:.0f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
