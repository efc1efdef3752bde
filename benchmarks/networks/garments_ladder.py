"""What each kind of picture is worth to the photo network: the recipe, a step shorter each time.

    python benchmarks/networks/garments_ladder.py PHOTOS SHOP EMPTY WORN --tagged DIR --marked DIR [--steps 1200]

The folders are those of ``scripts/train_kiosk.py``. Every rung is trained from ImageNet's weights, with as many steps,
one seed and one held-out fifth: first with photos of garments lying or hanging alone, then with one source more each
time; then all of it without the online shop's pictures. Held-out garments are named, nothing rejected, by the
original. The shares go to results/garments_ladder.json, a row a rung; a rung that is there is not trained again.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from garment_folds import figures_of

from edgefashion.data import scenes
from edgefashion.training import held_out, photo_fit
from edgefashion.training.options import FinetuneOptions

RESULTS = Path(__file__).parent / "results" / "garments_ladder.json"


@dataclass(frozen=True)
class Rung:
    """What a network of the ladder learns from."""

    name: str
    folders: tuple[str, ...]
    scenes: tuple[str, ...] = ()
    without: tuple[str, ...] = ("cut",)


RUNGS = (
    Rung("photos lying or hanging", ("photos",)),
    Rung("+ shelves, goods and hands without a garment", ("photos", "empty")),
    Rung("+ worn garments cut out of street photos", ("photos", "empty"), ("worn",)),
    Rung("+ the online shop's pictures", ("photos", "empty", "shop"), ("worn",)),
    Rung("+ lying garments cut out", ("photos", "empty", "shop"), ("worn",), ()),
    Rung("+ tagged street photos, marked by the finder", ("photos", "empty", "shop"), ("worn", "tagged"), ()),
    Rung("+ the shop's worn pictures, marked so", ("photos", "empty", "shop"), ("worn", "tagged", "marked"), ()),
    Rung("all without the online shop's pictures", ("photos", "empty"), ("worn", "tagged"), ()),
)


def main() -> None:
    """Train what is missing, and measure it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photos", "shop", "empty", "worn"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--tagged", type=Path, required=True, help="as scripts/mark_worn.py makes it of tagged photos")
    parser.add_argument("--marked", type=Path, required=True, help="the same of the shop's worn pictures")
    parser.add_argument("--steps", type=int, default=1200)
    given = parser.parse_args()
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    everything = held_out.part_in_fold([given.photos, given.shop, given.empty], [given.worn], 0)
    for rung in RUNGS:
        if rung.name in kept:
            continue
        # The same pictures are held out of every rung, whatever it learns from.
        folders = [getattr(given, name) for name in rung.folders]
        fit = [photo for photo in everything.fit_photos if any(folder in photo.path.parents for folder in folders)]
        marked = everything.apart([s for name in rung.scenes for s in scenes.scan_scenes(getattr(given, name)).scenes])
        once = FinetuneOptions(epochs=1)
        done = photo_fit.train(fit, once, [], marked=marked, without=rung.without, steps=given.steps)
        kept[rung.name] = figures_of(done.model, everything, given.photos)
        RESULTS.write_text(json.dumps(kept, indent=1, default=float) + "\n", encoding="utf-8")
        print(rung.name, json.dumps({name: of.get("strict", of) for name, of in kept[rung.name].items()}), flush=True)


if __name__ == "__main__":
    main()
