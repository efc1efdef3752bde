"""What the camera keeps for teaching: garments that it is not sure of, each cut out of its frame, no face in it.

The loop only chooses, which takes no time. All else is done in a thread, and what that has no time for is left out.
"""

from __future__ import annotations

import platform
import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.camera.answers import time_of
from edgefashion.camera.collecting_choice import Choice, Chosen
from edgefashion.camera.privacy import RecentHeads, is_alone
from edgefashion.data.collection import OF_LATE, Collection, Limits
from edgefashion.inference.garment_picture import MOST_HIDDEN, cut_out, facts_of, kept_part, may_be_kept
from edgefashion.system.addresses import shown
from edgefashion.system.text import is_url, reason_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.settings import CameraSettings
    from edgefashion.camera.sources.source import Frame, Source
    from edgefashion.camera.standing import StandingAnswer
    from edgefashion.inference.classifier import Classifier
    from edgefashion.inference.predict import Prediction
    from edgefashion.inference.preprocess import Box

RETRY_S: Final = 10.0
"""How often it is tried whether there is room again."""

LOOK_S: Final = 600.0
"""How often pictures that are too old are looked for while none comes."""

CLOSE_LIMIT_S: Final = 3.0
"""How long the end waits for the last pictures."""

_QUEUED: Final = 4


@dataclass(frozen=True, eq=False)
class _Job:
    chosen: Chosen
    image: NDArray[np.uint8]
    heads: Sequence[Box] | None
    """None where nothing has looked for them yet."""
    classifier: Classifier
    time: str


class Collecting:
    """Keeps pictures of a camera's garments, in a thread of its own."""

    def __init__(
        self,
        folder: Path,
        limits: Limits,
        source: Source,
        *,
        camera: str = "",
        rate: float = 0.0,
        whole: bool = False,
        privacy: bool = False,
    ) -> None:
        """``rate`` is the share of garments the network is sure of that are kept too, 0 to 1; with ``whole`` all of
        the frame is kept. ``privacy``: what is kept is what is shown. Raises :class:`BadInputError` for a folder that
        cannot be used."""
        self._collection = Collection(folder, limits)
        self._collection.open()
        self._camera, self._whole, self._privacy = camera, whole, privacy
        self._source = source
        self._choice, self._heads = Choice(rate, apart=source.apart), RecentHeads()
        self._jobs: queue.Queue[_Job | None] = queue.Queue(_QUEUED)
        self._failed = ""
        self._thread = threading.Thread(target=self._run, name="collecting", daemon=True)
        self._thread.start()

    @property
    def kept(self) -> int:
        """Pictures kept so far."""
        return self._collection.kept

    @property
    def fault(self) -> str:
        """Why nothing is kept at the moment; empty while all is well."""
        return self._failed

    def take(
        self,
        frame: Frame,
        seen: Prediction,
        answer: StandingAnswer,
        classifier: Classifier,
        shown_image: NDArray[np.uint8] | None,
    ) -> None:
        """Choose from a ``frame`` of which ``classifier`` has said ``seen``, after which ``answer`` stands.

        ``shown_image`` is what is shown of it. Never waits.
        """
        time_s = time_of(frame, self._source)
        heads = self._heads(time_s, seen.heads, alone=is_alone(answer))
        chosen = self._choice(time_s, seen, answer)
        image = shown_image if self._privacy else frame.image
        if image is None or classifier.finder is None:  # nothing has looked for faces, or could
            return
        for each in chosen:
            part = kept_part(each.garment.box, (image.shape[1], image.shape[0]), whole=self._whole)
            if self._jobs.full() or not may_be_kept(each.garment, seen.people, heads, part):
                continue
            job = _Job(each, image, heads if answer.several else None, classifier, _now())
            self._jobs.put_nowait(job)
            self._choice.took(time_s, each)

    def forget(self) -> None:
        """The source is lost, or another network answers: what was seen before is no ground for a choice any more."""
        self._choice.reset()

    def close(self) -> None:
        """Keep what is waiting, for a few seconds at most. May be called twice."""
        try:
            self._jobs.put(None, timeout=CLOSE_LIMIT_S)
        except queue.Full:  # the disk does not answer
            return
        self._thread.join(CLOSE_LIMIT_S)

    # --- In the thread ------------------------------------------------------------------------

    def _run(self) -> None:
        looked_s = tried_s = time.monotonic()
        while True:
            try:
                job = self._jobs.get(timeout=RETRY_S)
            except queue.Empty:
                job = None
            else:
                if job is None:
                    return
            now_s = time.monotonic()
            if self._failed and now_s - tried_s < RETRY_S:
                continue
            try:
                if self._failed:
                    tried_s = now_s
                    self._collection.try_out()
                if job is not None:
                    self._keep(job)
                elif now_s - looked_s >= LOOK_S:
                    looked_s = now_s
                    self._collection.look(anew=True)
                self._failed = ""
            except Exception as error:  # a disk may fail in any way, and the camera runs on
                self._failed, tried_s = reason_of(error), time.monotonic()

    def _keep(self, job: _Job) -> None:
        garment = job.chosen.garment
        heads = job.heads
        if heads is None:
            people, heads = _found_in(job.image, job.classifier)
            size_wh = job.image.shape[1], job.image.shape[0]
            if not may_be_kept(garment, people, heads, kept_part(garment.box, size_wh, whole=self._whole)):
                return
        cut = cut_out(job.image, garment.box, heads, whole=self._whole)
        if cut.hidden > MOST_HIDDEN:
            return
        facts = facts_of(garment, job.classifier, why=job.chosen.why, time=job.time, camera=self._camera, box=cut.box)
        self._collection.keep(cut.image, facts, by=cut.garment)


def of_settings(settings: CameraSettings, source: Source) -> Collecting | None:
    """What ``settings`` ask for; None where nothing is to be kept. Raises :class:`BadInputError`."""
    if settings.collect is None:
        return None
    limits = Limits(
        most_an_hour=settings.collect_most_an_hour,
        days=settings.collect_days,
        mb=settings.collect_mb,
        of_late=0 if source.apart else OF_LATE,
    )
    return Collecting(
        settings.collect,
        limits,
        source,
        camera=f"{platform.node()} {_called(settings.source)}".strip(),
        rate=settings.collect_rate,
        whole=settings.collect_whole,
        privacy=settings.privacy,
    )


def _called(source: str) -> str:
    """A source as a place's name: without the account in an address, and without a file's folders."""
    return f"camera {source}" if source.isdecimal() else shown(source) if is_url(source) else Path(source).name


def _found_in(image: NDArray[np.uint8], classifier: Classifier) -> tuple[list[Box], list[Box]]:
    """Where people and heads are. The loop does not use the finder while it looks for one garment alone."""
    assert classifier.finder is not None
    whole = (0, 0, image.shape[1], image.shape[0])
    found = classifier.finder.find(image)
    people, heads = ([each.in_pixels(whole) for each in found if each.kind == kind] for kind in ("person", "head"))
    return people, heads


def _now() -> str:
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")
