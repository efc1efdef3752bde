"""Tagging an inventory: pictures a second, where the time goes, memory, and how near the CPU's JPEG decoding it comes.

    python benchmarks/tagging/tag.py PHOTOS SCRATCH                # 100,000 pictures, 20 GB in SCRATCH: half an hour
    python benchmarks/tagging/tag.py PHOTOS SCRATCH --count 2000   # the same in small
    python benchmarks/tagging/tag.py answers PHOTOS                # decoded smaller: are the answers the same?

The pictures are JPEGs of 1200x1600 made from the photos in the folder PHOTOS, each cropped, mirrored and lit otherwise;
they stay in SCRATCH for the next time. Measured side by side, in interleaved rounds on a part of them: ``tag`` with
several numbers of processes; the bare decoder (Pillow's libjpeg-turbo, ``Image.load``, nothing done with the pixels) in
as many processes as the CPU has cores, at the full size and at the size ``tag`` decodes; and ``predict``, a picture at
a time. Then the command itself tags all of them, its memory and its workers' sampled twice a second. Writes
``benchmarks/tagging/results/tag.json``.
"""

from __future__ import annotations

import argparse
import io
import itertools
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from PIL import Image

from edgefashion import load
from edgefashion.data import images
from edgefashion.inference import decision, preprocess
from edgefashion.inference.predict import predict_files
from edgefashion.system import machine
from edgefashion.system.files import written_aside
from edgefashion.tagging import inventory
from edgefashion.tagging.picture import LEAST_PX
from edgefashion.tagging.run import TagOptions, tag

RESULTS = Path(__file__).parent / "results" / "tag.json"
SIZE_WH = (1200, 1600)
QUALITY = 85
A_FOLDER = 1000
SAMPLE = 4000
A_PART = 32
SINGLE = 200
ROUNDS = 5
EVERY_S = 0.5
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def main() -> None:
    if sys.argv[1:2] == ["answers"]:
        counted = {"answers": answers(list(inventory.walk(sys.argv[2:3])))}
        write(counted)
        print(json.dumps(counted, indent=1))
        return
    arguments = argparse.ArgumentParser()
    arguments.add_argument("photos", type=Path)
    arguments.add_argument("scratch", type=Path)
    arguments.add_argument("--count", type=int, default=100_000)
    arguments.add_argument("--rounds", type=int, default=ROUNDS)
    given = arguments.parse_args()
    photos = list(inventory.walk([str(given.photos)]))
    folders = make(photos, given.scratch, given.count)
    sample = folders[:: max(1, len(folders) * A_FOLDER // SAMPLE)]
    report: dict[str, Any] = {
        "machine": machine.describe(),
        "pictures": {"count": given.count, "size_wh": SIZE_WH, "quality": QUALITY, "bytes": mean_bytes(folders[0])},
        "large": rounds([str(folder) for folder in sample], given.rounds),
        "small": rounds([str(given.photos)], given.rounds),
        "whole": whole(folders, given.count),
    }
    write(report)
    print(json.dumps(report, indent=1))


def write(report: dict[str, Any]) -> None:
    """Replace the parts of the results that were measured."""
    before = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    with written_aside(RESULTS) as aside:
        aside.write_text(json.dumps(before | report, indent=1) + "\n", encoding="utf-8")


# --- The pictures ----------------------------------------------------------------------------


def make(photos: Sequence[str], scratch: Path, count: int) -> list[Path]:
    """The folders with the pictures, those made that are not there yet."""
    starts = range(0, count, A_FOLDER)
    folders = [scratch / f"{start // A_FOLDER:04}" for start in starts]
    jobs = [
        (list(photos), folder, start, min(A_FOLDER, count - start))
        for folder, start in zip(folders, starts, strict=True)
        if not folder.is_dir() or len(list(folder.iterdir())) != min(A_FOLDER, count - start)
    ]
    with processes() as pool:
        for done, _ in enumerate(pool.map(make_folder, jobs), 1):
            print(f"made {done} of {len(jobs)} folders", file=sys.stderr)
    return folders


def make_folder(job: tuple[list[str], Path, int, int]) -> None:
    photos, folder, start, count = job
    aside = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)
    aside.mkdir(parents=True)
    cv2.setNumThreads(1)
    for number in range(start, start + count):
        rng = np.random.default_rng(number)
        photo = images.read_image(Path(photos[number % len(photos)]))
        height, width = photo.shape[:2]
        # As much of it as can be had in a shop's upright shape, less up to a tenth.
        keep = rng.uniform(0.9, 1) * min(width / SIZE_WH[0], height / SIZE_WH[1])
        w, h = int(SIZE_WH[0] * keep), int(SIZE_WH[1] * keep)
        x, y = rng.integers(width - w + 1), rng.integers(height - h + 1)
        picture = cv2.resize(photo[y : y + h, x : x + w], SIZE_WH, interpolation=cv2.INTER_CUBIC)
        picture = cv2.convertScaleAbs(picture[:, :: rng.choice((-1, 1))], alpha=rng.uniform(0.8, 1.2))
        cv2.imwrite(str(aside / f"{number:06}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    aside.rename(folder)


def mean_bytes(folder: Path) -> int:
    return round(statistics.mean(path.stat().st_size for path in folder.iterdir()))


# --- Side by side ----------------------------------------------------------------------------


def rounds(paths: Sequence[str], count: int) -> dict[str, Any]:
    """Pictures a second of each way, medians of interleaved rounds, and the limit's ratio to ``tag``."""
    files = list(inventory.walk(paths))
    throughput, latency = load("kiosk", purpose="throughput"), load("kiosk")
    rates: dict[str, list[float]] = {}
    shares: list[dict[str, float]] = []
    tries = sorted({1, CORES, CORES + 1})
    with processes() as pool, tempfile.TemporaryDirectory() as scratch:
        decoded(pool, files[: 64 * CORES], None)  # the processes are there, and have their imports
        for number in range(count):
            for name, least_px in (("limit, full size", None), ("limit, as small", LEAST_PX[True])):
                rates.setdefault(name, []).append(decoded(pool, files, least_px))
            for workers in tries:
                out = Path(scratch) / f"{number}-{workers}.jsonl"
                summary = tag(throughput, paths, out, TagOptions(workers=workers))
                rates.setdefault(f"tag, {workers} workers", []).append(summary.rate)
                if workers == CORES:
                    shares.append(summary.shares)
            few = [Path(file) for file in files[number::count][:SINGLE]]
            began_s = time.perf_counter()
            for _ in predict_files(latency, few):
                pass
            rates.setdefault("predict, one at a time", []).append(len(few) / (time.perf_counter() - began_s))
    ours = rates[f"tag, {CORES} workers"]

    def ratio(name: str) -> dict[str, Any]:
        each = [theirs / mine for theirs, mine in zip(rates[name], ours, strict=True)]
        return {"median": statistics.median(each), "rounds": [round(one, 3) for one in each]}

    return {
        "pictures": len(files),
        "rounds": count,
        "pictures_per_s": {name: statistics.median(each) for name, each in rates.items()},
        "limit / tag": ratio("limit, full size"),
        "limit as small / tag": ratio("limit, as small"),
        "predict / tag": ratio("predict, one at a time"),
        "shares": {stage: statistics.median(one[stage] for one in shares) for stage in shares[0]},
    }


def processes() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(CORES, multiprocessing.get_context("spawn"))


def decoded(pool: ProcessPoolExecutor, files: Sequence[str], least_px: int | None) -> float:
    """Pictures a second that are decoded and no more."""
    began_s = time.perf_counter()
    parts = [files[at : at + A_PART] for at in range(0, len(files), A_PART)]
    for _ in pool.map(decode, parts, itertools.repeat(least_px)):
        pass
    return len(files) / (time.perf_counter() - began_s)


def decode(files: Sequence[str], least_px: int | None) -> None:
    for file in files:
        with Image.open(io.BytesIO(Path(file).read_bytes())) as picture:
            if least_px is not None:
                factor = least_px / min(picture.size)
                picture.draft(None, (int(np.ceil(picture.width * factor)), int(np.ceil(picture.height * factor))))
            picture.load()


# --- All of them -----------------------------------------------------------------------------


def whole(folders: Sequence[Path], count: int) -> dict[str, Any]:
    """The command on every picture, and its memory and its workers' when it was through with shares of them."""
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "tags.parquet"
        journal = out.with_name(out.name + ".partial")
        command = [sys.executable, "-m", "edgefashion", "tag", str(folders[0].parent), "--out", str(out), "--json"]
        began_s = time.perf_counter()
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        there = psutil.Process(process.pid)
        memory: list[tuple[int, float, float]] = []
        rows, read = 0, 0
        while process.poll() is None:
            time.sleep(EVERY_S)
            try:
                with journal.open("rb") as file:
                    file.seek(read)
                    new = file.read()
                rows, read = rows + new.count(b"\n"), read + len(new)
                rss = there.memory_info().rss, sum(worker.memory_info().rss for worker in there.children())
            except (OSError, psutil.Error):  # not yet, or not any more
                continue
            memory.append((rows, rss[0] / 1e6, rss[1] / 1e6))
        summary = json.loads(process.communicate()[0])
        seconds = time.perf_counter() - began_s
        table_bytes = out.stat().st_size
    at = {}
    for share in (0.1, 0.5, 1.0):
        _, parent, workers = min(memory, key=lambda one: abs(one[0] - share * count))
        at[f"{share:.0%}"] = {"parent": round(parent), "workers": round(workers)}
    peak = {"parent": round(max(m[1] for m in memory)), "workers": round(max(m[2] for m in memory))}
    summary.pop("out")
    return {**summary, "with_start_s": seconds, "memory_mb": at, "peak_mb": peak, "table_bytes": table_bytes}


# --- Decoded smaller -------------------------------------------------------------------------


def answers(photos: Sequence[str]) -> list[dict[str, Any]]:
    """In how many photos the answer changes where the decoder leaves a shorter edge of so many pixels."""
    classifier = load("kiosk", purpose="throughput")
    rows = []
    for size in (None, 800, 1200):
        files = [enlarged(photo, size) for photo in photos[:: 1 if size is None else 3]]
        views: dict[int | None, list[Any]] = {}
        for least_px in (None, preprocess.PHOTO_PX, 2 * preprocess.PHOTO_PX):
            pictures = (images.decode_image(io.BytesIO(file), "photo", least_px).image for file in files)
            views[least_px] = [preprocess.view(picture) for picture in pictures]
        full = classifier(np.stack(views.pop(None)))
        for least_px, seen in views.items():
            probabilities = classifier(np.stack(seen))
            said = [
                [
                    (None, False) if decision.shows_none(p, classifier.labels) else (answer.label, answer.accepted)
                    for p in each
                    for answer in [decision.decide(p, classifier.labels, classifier.rule)]
                ]
                for each in (full, probabilities)
            ]
            rows.append(
                {
                    "shorter_edge_px": size or "as they are",
                    "least_px": least_px,
                    "photos": len(files),
                    "other_label": sum(a[0] != b[0] for a, b in zip(*said, strict=True)),
                    "other_accepted": sum(a[1] != b[1] for a, b in zip(*said, strict=True)),
                    "largest_difference": float(np.abs(probabilities - full).max()),
                }
            )
    return rows


def enlarged(photo: str, shorter_px: int | None) -> bytes:
    """A photo's JPEG, as it is or made so large."""
    if shorter_px is None:
        return Path(photo).read_bytes()
    with Image.open(photo) as opened:
        picture = opened.convert("RGB")
    factor = shorter_px / min(picture.size)
    size_wh = round(picture.width * factor), round(picture.height * factor)
    picture.resize(size_wh, Image.Resampling.LANCZOS).save(file := io.BytesIO(), "JPEG", quality=90)
    return file.getvalue()


if __name__ == "__main__":
    main()
