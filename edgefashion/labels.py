"""The ten classes of Fashion-MNIST, their order, their groups and the reject label."""

from __future__ import annotations

from typing import Final

LABELS: Final[tuple[str, ...]] = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""Fashion-MNIST's classes; a label's position is its class number."""

GROUPS: Final[dict[str, tuple[str, ...]]] = {"Footwear": ("Sandal", "Sneaker", "Ankle boot")}
"""Names that stand for several classes: an answer inside the group counts as right."""

UNKNOWN: Final = "Unknown"
"""The reject label: a thing that is none of the ten."""
