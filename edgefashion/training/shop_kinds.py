"""New labels that are kinds of old ones: a blazer is a coat, and some of the start's coats are blazers.

What the start's own pictures show more exactly nobody has written down. Where a picture of an old label is given a new
label whose photos the start takes for just that old one, nobody can say whether that is right. It is then neither a
gain nor a loss, and it is told. Only where most of an old label is swallowed that is a loss.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.inference import decision
from edgefashion.labels import NAMELESS, PHOTO_LABELS, group_of, stands_for
from edgefashion.training.shop_school import School

if TYPE_CHECKING:
    from numpy.typing import NDArray

KIN: Final = 0.2
"""What the start gives an old label, in the mean over a new label's photos, from which the new one may be a kind of
it."""

MOST: Final = 0.5
"""Share of an old label's pictures that may get new names before it is a loss."""


def renamed(
    school: School, probabilities: NDArray[np.float32], named: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], list[str]]:
    """Which of the start's held-out pictures (n,) have a new name that may be as right as the old one, and a sentence
    for each old label of which some have.

    ``probabilities`` (n, classes) are the new network's of these pictures; ``named`` (n,) tells where it says a name.
    """
    answers = [school.labels[at] for at in decision.best(probabilities, school.labels)]
    kin = {label: _kin(mean) for label, mean in school.means.items()}
    names = np.array(school.pinned.labels)
    plausible = np.array(
        [
            not kin.get(answer, frozenset()).isdisjoint(map(group_of, stands_for(str(name))))
            and (tells or name not in NAMELESS)
            for answer, name, tells in zip(answers, names, named.tolist(), strict=True)
        ],
        np.bool_,
    )
    told = []
    for name in sorted(set(names[plausible].tolist())):
        own = names == name
        count, new = int((plausible & own).sum()), Counter(np.array(answers)[plausible & own].tolist())
        called = " or ".join(label for label, _ in new.most_common(3))
        if count > MOST * own.sum():
            plausible &= ~own
            says = f"most of them: that is a loss. Add photos of {name} that are not {called}"
        else:
            says = f"which is right where it is a kind of {name}: they are not counted"
        told.append(f"{name}: {count:,} of {int(own.sum()):,} pictures are called {called} now, {says}")
    return plausible, told


def _kin(mean: NDArray[np.float32]) -> frozenset[str]:
    """The old labels, groups under their names, that a new label's photos are taken for, by their mean (12,)."""
    shares: Counter[str] = Counter()
    for label, share in zip(PHOTO_LABELS, mean.tolist(), strict=True):
        shares[group_of(label)] += share
    return frozenset(name for name, share in shares.items() if share >= KIN or name == shares.most_common(1)[0][0])
