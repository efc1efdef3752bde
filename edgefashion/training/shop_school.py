"""A shop's lessons: what is taught, to which head, and what is kept of the start's own pictures."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import numpy as np

from edgefashion.bundles.bundle import Bundle
from edgefashion.inference import taught
from edgefashion.inference.head import Head, read_head
from edgefashion.labels import PHOTO_LABELS, UNKNOWN
from edgefashion.training import shop_head, shop_material
from edgefashion.training.shop_head import HeadOptions, Lessons
from edgefashion.training.shop_material import Folds, Shop
from edgefashion.training.shop_progress import Kept

UNKNOWN_COUNTS: Final = 3.0
"""What the start's pictures of Unknown count beside those of any other label: it is most of the world."""

EpochDone = Callable[[int, int, float, float], None]
"""Takes the epochs done, their number in all, the share of the pictures that are right, and the seconds left."""


class School:
    """What is taught, to whom, and by what."""

    def __init__(
        self,
        start: Bundle,
        shop: Shop,
        folds: Folds,
        own: taught.Taught,
        labels: tuple[str, ...],
        options: HeadOptions,
    ) -> None:
        self.start, self.shop, self.folds, self.labels, self.options = start, shop, folds, labels, options
        self.head = read_head(start.verified("fp16"))
        self.anchors, self.pinned = own.part(~own.held), own.part(own.held)
        self.right = shop_material.right_table(shop.labels, labels)
        likely = self.head(shop.features[:, 0])
        self.counts = {name: shop.labels.count(name) for name in sorted(set(shop.labels))}
        """Pictures of each label."""
        self.new = [label for label in labels if label not in PHOTO_LABELS]
        self.means = {label: likely[[name == label for name in shop.labels]].mean(0) for label in self.new}
        """For each new label what the start makes of its photos, in the mean: (classes,)."""
        self.taken_for = {label: PHOTO_LABELS[int(mean[:-2].argmax())] for label, mean in self.means.items()}

    def key(self) -> str:
        """What a run is known by again: other pictures, labels or options are another run. So are other folds: a head
        would else be asked for pictures that it has learned from."""
        told = hashlib.sha256(repr((self.options, self.labels, self.start.sha256_of("fp16"))).encode())
        told.update(self.shop.features[:, 0].tobytes())
        told.update("\n".join(self.shop.labels).encode())
        told.update(self.folds.fold.tobytes())
        return told.hexdigest()

    @property
    def begin(self) -> Head:
        """The start's head, with a place for each new label."""
        if not self.new:
            return self.head
        return shop_head.widened(self.head, np.stack([self.means[label] for label in self.new]))

    def heads(self, kept: Kept, on_epoch: EpochDone | None) -> tuple[list[Head], list[dict[str, float]]]:
        """A head for each fold, which has not learned from it; the first is the one that ships."""
        begin = self.begin
        total, history = self.folds.count * self.options.epochs, list[dict[str, float]]()
        while len(kept.heads) < self.folds.count:
            fold = len(kept.heads)
            state = kept.state or shop_head.State.begin(begin)
            kept.state = state

            def told(done: int, _: int, right: float, left_s: float, fold: int = fold) -> None:
                if fold == 0:
                    history.append({"epoch": float(done), "accuracy": right})
                kept.save_now_and_then()
                if on_epoch:
                    rest = (self.folds.count - fold - 1) * self.options.epochs
                    here = self.options.epochs - done
                    on_epoch(
                        fold * self.options.epochs + done,
                        total,
                        right,
                        left_s * (1 + rest / here) if here else left_s,
                    )

            try:
                shop_head.fit(begin, self.lessons(fold), self.options, state, told)
            except BaseException:  # Ctrl-C: what was learned is kept
                kept.save()
                raise
            kept.heads.append(state.head)
            kept.state = None
            kept.save_now_and_then()
        kept.save()  # what follows can be interrupted too
        return kept.heads, history or [{"epoch": float(self.options.epochs)}]

    def lessons(self, fold: int) -> Lessons:
        """The shop's pictures but for a fold (-1: all of them), and the start's. Each label counts the same, however
        many pictures it has; the start's Unknown counts more."""
        teaches = (self.folds.fold != fold) | (fold < 0)
        views = self.shop.features[teaches]
        count, many = views.shape[:2]
        names = [name for name, keep in zip(self.shop.labels, teaches, strict=True) if keep]
        here = {name: names.count(name) for name in set(names)}
        anchors = {name: self.anchors.labels.count(name) for name in set(self.anchors.labels)}
        weight = np.repeat([1 / (here[name] * many) for name in names], many)
        of_start = [
            self.options.anchors * (UNKNOWN_COUNTS if name == UNKNOWN else 1.0) / anchors[name]
            for name in self.anchors.labels
        ]
        return Lessons(
            np.concatenate([views.reshape(count * many, -1), self.anchors.features]),
            np.concatenate(
                [
                    np.repeat(self.right[teaches], many, 0),
                    shop_material.right_table(self.anchors.labels, self.labels),
                ]
            ),
            np.concatenate([weight, of_start]).astype(np.float32),
        )
