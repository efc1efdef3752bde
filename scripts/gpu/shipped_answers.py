"""What the shipped teachers answer to the training images, for ``fashion.py ask --also``.

    python scripts/gpu/shipped_answers.py OUT/shipped.npy

Needs the base install alone, and ten minutes of two cores; no GPU. The answers are kept in the user's cache.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from edgefashion.data import fashion_mnist, splits
from edgefashion.training import distillation
from edgefashion.training.zoo.registry import architecture


def main() -> None:
    """Ask, and write them."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    images, labels = fashion_mnist.load("train")
    fit, _ = splits.split(labels, splits.VALIDATION_SPLIT)
    recipe = architecture("edge").recipe

    def tell(done: int, views: int) -> None:
        print(f"variant {done + 1} of {views}", file=sys.stderr)

    answers = distillation.answers(recipe.teacher, images.reshape(-1, 28, 28, 1)[fit], recipe.augment, tell)
    np.save(Path(sys.argv[1]), answers)


if __name__ == "__main__":
    main()
