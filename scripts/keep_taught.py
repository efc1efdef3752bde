"""Put into the shipped photo network's bundle what a shop's teaching needs of the pictures it learned from.

    python scripts/keep_taught.py models/kiosk --photos DIR [--photos DIR] --scenes DIR

Features alone, no picture: of some pictures it was trained on, so that a new head keeps what the old one knew, and of
some that were held out (fold 0, as in ``scripts/train_kiosk.py``), so that it is measured whether it does. No picture
can be made of them again: a picture's 1,280 numbers are averages over its whole area.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.bundles import card, draft, resolve
from edgefashion.inference import taught
from edgefashion.inference.features import Features
from edgefashion.labels import NO_GARMENT, UNKNOWN
from edgefashion.training import held_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from edgefashion.data.photo_folders import Photo

LEARNED, HELD = 1250, 620
"""Pictures that are kept: together at most 2 MB."""

OFTEN = {UNKNOWN: 3.0, NO_GARMENT: 1.5}
"""What is none of the labels looks like most things: it gets so many times the pictures of a label."""


def spread(photos: Sequence[Photo], count: int) -> list[int]:
    """Positions of ``count`` photos: the labels by :data:`OFTEN`, of each label as many senders and kinds as can be."""
    rng = np.random.default_rng(0)
    of: dict[str, list[int]] = defaultdict(list)
    for at in rng.permutation(len(photos)).tolist():
        of[photos[at].label].append(at)
    for label, positions in of.items():
        seen: dict[tuple[str, str | None], int] = defaultdict(int)
        rank = {}
        for at in positions:
            key = photos[at].sender, photos[at].kind
            rank[at] = seen[key]
            seen[key] += 1
        of[label] = sorted(positions, key=lambda at: rank[at])
    share = {label: OFTEN.get(label, 1.0) for label in of}
    chosen: list[int] = []
    while len(chosen) < count and any(of.values()):
        left = {label: share[label] for label in of if of[label]}
        room = (count - len(chosen)) / sum(left.values())
        for label, weight in left.items():
            take = min(len(of[label]), max(1, int(room * weight)))
            chosen += of[label][:take]
            of[label] = of[label][take:]
    return sorted(chosen[:count])


def main() -> None:
    """Choose the pictures, compute their features, write them into the bundle."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--scenes", type=Path, action="append", required=True)
    given = parser.parse_args()
    made = resolve.resolve(given.bundle).bundle
    assert made is not None
    parts = held_out.part_in_fold(given.photos, given.scenes, 0)
    features = Features(made)
    pieces = []
    for held, photos, marked, count in (
        (False, parts.fit_photos, parts.fit_scenes, LEARNED),
        (True, parts.held_photos, parts.held_scenes, HELD),
    ):
        some = held_out.Parts([], [], [photos[at] for at in spread(photos, count)], marked, [], parts.labels)
        found, views = some.held_views()
        plain = [at for at, photo in enumerate(found) if not photo.also]
        chosen = [plain[at] for at in spread([found[at] for at in plain], count)]
        pieces.append(taught.Taught.of(features(views[chosen]), [found[at].label for at in chosen], held=held))
    kept = taught.joined(pieces)
    with draft.draft(made.path, made) as making:
        taught.save(making.part("taught"), kept, features.network)
        card.write_card(making)
    size = making.path.name, made.path.stat()
    print(size[0], {label: kept.labels.count(label) for label in sorted(set(kept.labels))})


if __name__ == "__main__":
    main()
