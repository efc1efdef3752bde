"""The ten classes of Fashion-MNIST, their order, their groups and the reject label."""

from __future__ import annotations

from collections.abc import Sequence
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

NO_GARMENT: Final = "No garment"
"""The answer to an empty room, a hand, a black or blurred frame: there is nothing to name."""

NAMELESS: Final = (UNKNOWN, NO_GARMENT)
"""The two answers that name no garment."""

PHOTO_LABELS: Final[tuple[str, ...]] = (*LABELS, *NAMELESS)
"""What a photo network tells apart: the ten, and the two ways of being none of them."""


_GROUP_OF: Final = {member: group for group, members in GROUPS.items() for member in members}


def group_of(label: str) -> str:
    """A label's group, or the label itself where it is in none."""
    return _GROUP_OF.get(label, label)


def groups(labels: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    """The ``labels`` with those of a group under the group's name: name -> positions in ``labels``."""
    found: dict[str, tuple[int, ...]] = {}
    for position, label in enumerate(labels):
        name = group_of(label)
        found[name] = (*found.get(name, ()), position)
    return found


def fault_of(labels: Sequence[str]) -> str | None:
    """What is wrong with a network's names, as a phrase behind "labels"; None where an answer can be told with them."""
    if len(set(labels)) < len(labels):
        return "name one thing twice"
    return "name no garment" if set(labels) <= set(NAMELESS) else None


def stands_for(name: str) -> frozenset[str]:
    """The labels that a name lets stand: a group's name its members, ``T-shirt`` the label ``T-shirt/top``, any other
    itself. A shop's own labels stand for themselves."""
    return frozenset(GROUPS.get(name, ("T-shirt/top" if name == "T-shirt" else name,)))


def folder_labels(of: tuple[str, ...]) -> tuple[str, ...]:
    """The names that folders of photos may have for a network with the labels ``of``: theirs, with ``T-shirt`` for
    ``T-shirt/top``, and the groups'."""
    told = tuple("T-shirt" if label == "T-shirt/top" else label for label in of)
    grouped = {group: members for group, members in GROUPS.items() if set(members) <= set(of)}
    members = tuple(label for of_group in grouped.values() for label in of_group)
    none = tuple(label for label in told if label in NAMELESS)
    return (*(label for label in told if label not in (*members, *none)), *grouped, *members, *none)
