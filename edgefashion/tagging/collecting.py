"""What tagging keeps of an inventory for teaching: garments that the network is not sure of, cut out of their pictures.

They are cut out where the pictures are decoded, and written by the one process that knows the folder's limits.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.data.collected import Facts
from edgefashion.data.collection import Collection, Limits, jpeg_of, smaller
from edgefashion.data.images import perceptual_hash
from edgefashion.errors import BadInputError, printable
from edgefashion.inference.garment_picture import (
    MOST_HIDDEN,
    SAMPLE,
    UNSURE,
    cut_out,
    facts_of,
    kept_part,
    may_be_kept,
)
from edgefashion.system.addresses import HIDDEN, shown
from edgefashion.system.text import is_url, reason_of
from edgefashion.tagging.remote_store import local_path

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier
    from edgefashion.inference.predict import Prediction

RETRY_S: Final = 10.0
"""How often it is tried whether there is room again."""


@dataclass(frozen=True)
class CollectOptions:
    """What is collected of an inventory."""

    folder: Path
    rate: float = 0.05
    """Share of the garments the network is sure of that are collected too, 0 to 1."""
    whole: bool = False
    """Keep the whole picture in the place of the garment alone."""
    mb: int = 200
    """Millions of bytes that the pictures have together that nobody has decided about."""

    def __post_init__(self) -> None:
        """Raises :class:`BadInputError` for a number out of its range."""
        if not 0 <= self.rate <= 1:
            raise BadInputError(f"the rate of --collect must be from 0 to 1, not {self.rate}")
        if self.mb < 1:
            raise BadInputError(f"the megabytes of --collect must be 1 or more, not {self.mb}")

    def wish(self) -> dict[str, Any]:
        """What :func:`cuts_of` needs to know of it, for another process."""
        return {"rate": self.rate, "whole": self.whole}


@dataclass(frozen=True)
class Cut:
    """A garment that may be kept."""

    jpeg: bytes
    facts: Facts
    phash: int

    def as_json(self) -> dict[str, Any]:
        """All but the JPEG, of which it tells the size."""
        return {"facts": asdict(self.facts), "phash": self.phash, "size": len(self.jpeg)}


def cuts_of(
    path: str, image: NDArray[np.uint8], seen: Prediction, classifier: Classifier, wish: dict[str, Any]
) -> tuple[Cut, ...]:
    """The garments of a picture that are to be kept; ``seen`` is in pixels of ``image``, BGR (h, w, 3)."""
    whole, size_wh = bool(wish["whole"]), (image.shape[1], image.shape[0])
    where = shown(path)
    cuts = []
    for place, garment in enumerate(seen.garments):
        # By the name, so that a run that goes on draws as the one before.
        drawn = zlib.crc32(f"{where} {place}".encode(errors="replace")) / 2**32
        why = UNSURE if not garment.answer.accepted else SAMPLE if drawn < wish["rate"] else None
        part = kept_part(garment.box, size_wh, whole=whole)
        if why is None or not may_be_kept(garment, seen.people, seen.heads, part):
            continue
        cut = cut_out(image, garment.box, seen.heads, whole=whole)
        if cut.hidden > MOST_HIDDEN:
            continue
        now = datetime.now(UTC).astimezone().isoformat(timespec="seconds")
        facts = facts_of(garment, classifier, why=why, time=now, camera=place_of(path), box=cut.box)
        small, facts = smaller(cut.image, facts)
        cuts.append(Cut(jpeg_of(small), facts, perceptual_hash(cut.garment)))
    return tuple(cuts)


def place_of(path: str) -> str:
    """The folder of a picture, or its archive and the folder in that, as one place: the same however it is given, and
    another one's is another.

    It is kept in pictures, which may go anywhere: no account or secret of a URL is in it, and of a folder of this
    machine the name with a hash of the whole path.
    """
    here = local_path(path) if is_url(path) else path
    if here is not None:
        return _place_here(os.path.dirname(here))  # noqa: PTH120 (bytes that are no text)
    first, *archives = shown(path).replace(f"//{HIDDEN}@", "//").split("::")
    scheme, _, inner = _without_query(first).partition("://")
    return "::".join([f"{scheme}://{inner.rpartition('/')[0]}", *map(_place_of_archive, archives)])


def _place_of_archive(path: str) -> str:
    here = local_path(path) if is_url(path) else path
    return _without_query(path) if here is None else _place_here(here)


def _place_here(path: str) -> str:
    real = os.path.realpath(path)
    told = hashlib.sha256(os.fsencode(real)).hexdigest()[:8]
    return f"{printable(os.path.basename(real))} {told}".strip()  # noqa: PTH119 (bytes that are no text)


def _without_query(url: str) -> str:
    return re.split(r"[?#]", url, maxsplit=1)[0] if url.startswith(("http://", "https://")) else url


def from_message(told: Sequence[dict[str, Any]], payload: bytes) -> tuple[Cut, ...]:
    """The cuts that :meth:`Cut.as_json` told of, their JPEGs one after the other in ``payload``."""
    cuts, at = [], 0
    for each in told:
        facts = each["facts"]
        top = tuple((label, share) for label, share in facts["top"])
        known = Facts(**facts | {"top": top, "box": tuple(facts["box"])})
        cuts.append(Cut(payload[at : at + each["size"]], known, each["phash"]))
        at += each["size"]
    return tuple(cuts)


class Collecting:
    """Writes what is kept. A disk that is full costs the table nothing."""

    def __init__(self, options: CollectOptions) -> None:
        """Raises :class:`BadInputError` for a folder that cannot be used."""
        self._collection = Collection(options.folder, Limits(mb=options.mb, makes_room=False))
        self._collection.open()
        self._mb, self._tried_s = options.mb, 0.0
        self._failed = ""

    @property
    def kept(self) -> int:
        """Pictures so far."""
        return self._collection.kept

    @property
    def lacking(self) -> str:
        """Why not all was kept; empty where it was."""
        if self._collection.full:
            return f"{self._mb:,} MB that nobody has decided about are there. Look through them, or allow more"
        return self._failed

    def take(self, cuts: Sequence[Cut]) -> None:
        """Keep what is wanted of ``cuts``."""
        for cut in cuts:
            if self._failed and time.monotonic() - self._tried_s < RETRY_S:
                return
            try:
                if self._collection.wants(cut.phash):
                    self._collection.put(cut.jpeg, cut.facts, cut.phash)
            except OSError as error:
                self._failed, self._tried_s = reason_of(error), time.monotonic()


def check_network(classifier: Classifier, *, single: bool, engine: str) -> None:
    """Raise :class:`BadInputError` where nothing would look for heads, or pictures are on other machines."""
    if engine != "local":
        raise BadInputError("--collect is for --engine local: the pictures are on this machine there. Leave one out")
    if single or classifier.finder is None:
        who = "with --single" if single else f"with {classifier.name}"
        what = "Leave --single out" if single else "Take another network, such as kiosk"
        raise BadInputError(f"{who} heads are not looked for, and what is collected may show no face. {what}")
