"""Measure the review page's two bounds on a photo folder: what is alike, and which labels are doubted.

python benchmarks/reviewing/measure.py PHOTOS

PHOTOS has a sub-folder for each label. Pairs of pictures are compared by the cosine of their features: how many of
those as close as a bound have the same label, and how many pictures have such a neighbour. Then labels are changed by
chance, one in twenty, and looked for.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefashion.bundles import resolve
from edgefashion.data import collected
from edgefashion.inference.features import KEPT_IN, Features, Kept, of_files
from edgefashion.reviewing import mistakes
from edgefashion.reviewing.watched_folder import WatchedFolder

RESULTS = Path(__file__).parent / "results"
BOUNDS = (0.6, 0.7, 0.75, 0.8, 0.85, 0.9)
SHARE = 0.05
"""Of the labels that are changed."""


def main() -> None:
    """Measure, print, and keep the result."""
    folder = Path(sys.argv[1])
    bundle = resolve.resolve("kiosk").bundle
    assert bundle is not None
    features = Features(bundle)
    pictures = {one.path: one for one in collected.listing(folder).decided}
    kept = Kept(folder / KEPT_IN, features.network, features.size)
    files, rows = of_files(features, list(pictures), kept)
    labels = [pictures[file].label or "" for file in files]
    watched = WatchedFolder(folder)
    places = [watched.place(pictures[file]) for file in files]
    told = {"photos": len(files), "alike": alike(rows, labels), "mistakes": changed(rows, labels, places)}
    print(json.dumps(told, indent=2))
    (RESULTS / "measure.json").write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def alike(rows: NDArray[np.float32], labels: list[str]) -> list[dict[str, float]]:
    """For each bound: the share of pairs with the same label, and of pictures with a neighbour."""
    whole = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    close = whole @ whole.T
    np.fill_diagonal(close, -1)
    same = np.array(labels)[:, None] == np.array(labels)[None]
    found = []
    for bound in BOUNDS:
        near = close >= bound
        shares = {"same_label": round(float(same[near].mean()), 4), "have_one": round(float(near.any(1).mean()), 4)}
        found.append({"bound": bound, "pairs": int(near.sum()) // 2, **shares})
    return found


def changed(rows: NDArray[np.float32], labels: list[str], places: list[str]) -> dict[str, Any]:
    """How many changed labels are among those that are doubted."""
    rng = np.random.default_rng(1)
    names = sorted(set(labels))
    wrong = set(rng.choice(len(labels), int(SHARE * len(labels)), replace=False).tolist())
    given = [
        str(rng.choice([name for name in names if name != label])) if i in wrong else label
        for i, label in enumerate(labels)
    ]
    found = mistakes.find(rows, given, places)
    hits = [one.index in wrong for one in found]
    return {"changed": len(wrong), "doubted": len(found), "found": sum(hits), "of_the_first_50": sum(hits[:50])}


if __name__ == "__main__":
    main()
