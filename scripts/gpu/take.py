"""Turn what ``fit.py`` trained on a GPU into networks that ``scripts/train_kiosk.py`` goes on with.

python scripts/gpu/take.py OUT.keras naming-0.npz
python scripts/gpu/take.py OUT.finder.keras finder.npz
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from edgefashion.training.zoo import efficientnet_lite0, photo
from edgefashion.training.zoo.finder import finder


def main() -> None:
    """Write the network, its scales folded away, and its history beside it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("weights", type=Path)
    given = parser.parse_args()
    stored = np.load(given.weights)
    make = finder if any(key.startswith("fuse32") for key in stored.files) else photo.kiosk
    trained, plain = make(to_train=True), make()
    for layer in trained.layers:
        if layer.weights:
            layer.set_weights([stored[f"{layer.name}|{at}"].astype(np.float32) for at in range(len(layer.weights))])
    efficientnet_lite0.fold(trained, plain)
    plain.save(given.out)
    given.out.with_suffix(".json").write_text(given.weights.with_suffix(".json").read_text())


if __name__ == "__main__":
    main()
