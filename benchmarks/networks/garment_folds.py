"""Five folds of the photo network: one recipe, each picture named by a network that never saw its sender or its group.

    python scripts/train_kiosk.py OUT --only naming --fold K --photos DIR ... --scenes DIR ...     # for each K
    python benchmarks/networks/garment_folds.py OUT.keras --fold K --photos DIR ... --scenes DIR ...

The folders are those of the training, in its order. Each fold's held-out garments are named, nothing rejected: photos
as they are, garments of scenes by their true box. The shares go to results/garment_folds.json, a row a fold;
with --teacher to those of networks that learned a teacher's answers too (scripts/gpu/fit.py).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from garments import share

from edgefashion.data import splits
from edgefashion.evaluation.acceptance import is_right
from edgefashion.evaluation.metrics import auroc
from edgefashion.inference import decision
from edgefashion.inference.tensorflow_engine import load_keras
from edgefashion.labels import NO_GARMENT, PHOTO_LABELS, UNKNOWN
from edgefashion.training import held_out, photo_bundle

if TYPE_CHECKING:
    import keras

    from edgefashion.data.photo_folders import Photo

RESULTS = Path(__file__).parent / "results" / "garment_folds.json"


def name_of(photo: Photo, first: Path) -> str:
    """Which of the sets a held-out picture belongs to."""
    if photo.sender.startswith("scene "):
        return "street, worn, by their true box"
    if first in photo.path.parents:
        return "photos, lying or hanging"
    return "studio, worn" if photo.worn else "studio, lying"


def figures_of(network: keras.Model, parts: held_out.Parts, first: Path) -> dict[str, Any]:
    """What a network makes of each held-out set, nothing rejected. ``first``: the folder of photos."""
    held, views = parts.held_views()
    answered = photo_bundle.probabilities(network, views)
    best = [PHOTO_LABELS[at] for at in decision.best(answered, PHOTO_LABELS)]
    known_score = decision.acceptance(answered, PHOTO_LABELS)
    set_of = np.array([name_of(photo, first) for photo in held])
    figures: dict[str, Any] = {}
    for name in sorted({*set_of[[photo.known for photo in held]]}):
        here = [i for i in np.flatnonzero(set_of == name) if held[i].known]
        unknown = [i for i in np.flatnonzero(set_of == name) if held[i].label == UNKNOWN]
        figures[name] = {
            "strict": share([is_right(best[i], [held[i].label]) for i in here]),
            "defensible": share([is_right(best[i], [held[i].label, *held[i].also]) for i in here]),
            "reject_auroc": auroc(known_score[here].tolist(), known_score[unknown].tolist()) if unknown else None,
            "per_label": {
                label: share([is_right(best[i], [label]) for i in here if held[i].label == label])
                for label in sorted({held[i].label for i in here})
            },
        }
    empty = [i for i, photo in enumerate(held) if photo.label == NO_GARMENT]
    figures["empty, called so"] = share([bool(decision.shows_none(answered[i], PHOTO_LABELS)) for i in empty])
    return figures


def main() -> None:
    """Measure one fold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", type=Path)
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--scenes", type=Path, action="append", required=True)
    parser.add_argument("--fold", type=int, choices=range(splits.FOLDS), required=True)
    parser.add_argument("--teacher", action="store_true")
    given = parser.parse_args()
    parts = held_out.part_in_fold(given.photos, given.scenes, given.fold)
    figures = figures_of(load_keras(given.network), parts, given.photos[0])
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    recipe = kept.setdefault("with a teacher" if given.teacher else "alone", {})
    recipe[f"fold {given.fold}"] = figures
    RESULTS.write_text(json.dumps(kept, indent=1, default=float, sort_keys=True) + "\n", encoding="utf-8")
    for name, of in figures.items():
        print(name, json.dumps(of, default=float))


if __name__ == "__main__":
    main()
