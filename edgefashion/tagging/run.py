"""Name the garments in every picture of an inventory: decoded by processes, one row a picture.

The network is asked in batches, in this process, or where a finder looks for several garments, in those processes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import queue
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from edgefashion.bundles import model_files
from edgefashion.data.picture_walk import LeftOut
from edgefashion.inference.classifier import BATCH
from edgefashion.tagging import inventory, picture, several
from edgefashion.tagging.collecting import Collecting, CollectOptions
from edgefashion.tagging.patience import patiently
from edgefashion.tagging.picture import Prepared
from edgefashion.tagging.pool import CHUNK, Looked, Pool
from edgefashion.tagging.row import Row
from edgefashion.tagging.several import Named
from edgefashion.tagging.table import Ledger

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier, Done

Progress = Callable[[int, int | None, float], None]
"""Called with the pictures that have their row, how many there are (None while they are counted), and the
pictures a second of this run."""

PATIENCE_S: Final = 60.0
"""A server of the model that is away or busy is asked again for so long."""

_TURN_S: Final = 1.0
"""Pictures that waited so long for a full batch are inferred without one."""

_PROGRESS_S: Final = 0.25
"""How often the progress is told."""


@dataclass(frozen=True)
class TagOptions:
    """How to tag."""

    workers: int | None = None
    """Processes that decode; None: one a core."""
    on_progress: Progress | None = None
    single: bool = False
    """Take each picture for one garment, whatever the network could find."""
    collect: CollectOptions | None = None
    """Where the network finds several: which garments are kept for teaching, and where."""


@dataclass(frozen=True)
class Summary:
    """What a run did, and how long each stage took."""

    pictures: int
    """Of those asked for, that have their row in the output."""
    errors: int
    """Rows this run wrote for pictures that could not be read."""
    done_before: int
    """Pictures that had their row from an earlier run."""
    seconds: float
    """How long this run took."""
    reading_s: float = 0.0
    decoding_s: float = 0.0
    finding_s: float = 0.0
    inference_s: float = 0.0
    other_s: float = 0.0
    """Handing over, rows and the output."""
    first_error: str = ""
    """The first error row, of this run if it has one."""
    errors_before: int = 0
    """Pictures that an earlier run could not read, and that this one passed over."""
    left_out: dict[str, int] = field(default_factory=dict)
    """Files that are no pictures or a system's own, by reason."""
    left_out_told: str = ""
    """The same in words."""
    collected: int = 0
    """Garments kept for teaching."""
    not_collected: str = ""
    """Why not all were kept that should have been; empty where they were."""

    @property
    def rate(self) -> float:
        """Pictures a second, of this run."""
        return (self.pictures - self.done_before) / self.seconds if self.seconds else 0.0

    @property
    def shares(self) -> dict[str, float]:
        """Each stage's share of the time spent; empty where that was not measured.

        Reading is the time waited for a disk or a network. The others are processor time.
        """
        stages = ("reading", "decoding", "finding", "inference", "other")
        spent = {stage: float(getattr(self, f"{stage}_s")) for stage in stages}
        whole = sum(spent.values())
        return {stage: seconds / whole for stage, seconds in spent.items()} if whole else {}


def made_with(classifier: Classifier, *, single: bool = False) -> dict[str, str]:
    """What the rows depend on. Two runs may write into one table only if this is the same for both."""
    from edgefashion.version import __version__

    source, settings = classifier.source, classifier.settings
    # A served model has no file here: its server says the hash, or at least who it is.
    network = model_files.sha256_of(source) if source else settings["sha256"] or settings["server"]
    known = json.dumps([network, classifier.labels, classifier.rule.as_json()])
    return {
        "model": classifier.name,
        "sha256": hashlib.sha256(known.encode()).hexdigest(),
        "precision": classifier.precision,
        "version": __version__,
        **several.made_with(classifier, single=single),
    }


def tag(classifier: Classifier, paths: Sequence[str], out: Path, options: TagOptions | None = None) -> Summary:
    """Write a row for every picture in ``paths`` (files, folders, globs, URLs) to ``out``, each once.

    ``classifier`` is best loaded with the purpose ``"throughput"``. What has its row from a run that was stopped is
    passed over. A picture that cannot be read gets a row that says why. Raises :class:`BadInputError` for a path
    that leads to nothing and an output that cannot be written, :class:`MissingError` for a package that is missing.
    """
    options = options or TagOptions()
    workers = options.workers or _usable_cores()
    every = several.needed(classifier, single=options.single)
    networks = several.at_hand(classifier, options.collect) if every else None
    collecting = Collecting(options.collect) if options.collect else None
    with Ledger(out, made_with(classifier, single=options.single)) as ledger:
        inventory.check(paths)
        count = Count(paths) if options.on_progress else None
        left_out = LeftOut()
        run = Run(classifier, inventory.walk(paths, left_out), ledger, options.on_progress, count)
        run.collecting = collecting
        with Pool(workers, classifier.takes_photos, run.events.put, run.events.put, networks) as pool:
            run.until_done(pool)
        ledger.finish()
    summary = replace(run.summary(pool.spent_s), left_out=left_out.as_json(), left_out_told=left_out.told())
    return replace(summary, collected=collecting.kept, not_collected=collecting.lacking) if collecting else summary


def _usable_cores() -> int:
    """Cores that this process may use: in a container they may be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class _Answered:
    """What the network said to a batch."""

    prepared: Sequence[Prepared]
    probabilities: NDArray[np.float32]
    masks: NDArray[np.float32] | None


class Rows(Protocol):
    """Where rows go: a :class:`~edgefashion.tagging.table.Ledger`, or less."""

    def has(self, path: str) -> bool: ...

    def error_of(self, path: str) -> str | None: ...

    def add(self, rows: Iterable[Row]) -> None: ...


@dataclass
class Before:
    """Pictures that had their row from an earlier run."""

    pictures: int = 0
    errors: int = 0
    first_error: str = ""

    def add(self, error: str | None) -> None:
        """Count one, ``error`` as :meth:`~edgefashion.tagging.table.Ledger.error_of` gives it."""
        self.pictures += 1
        if error is not None:
            self.errors += 1
            self.first_error = self.first_error or error


class Events(queue.SimpleQueue[Looked | _Answered | BaseException]):
    """What the pool's and the network's threads tell a run. A pool may serve one run after the other."""


class Run:
    """Pictures on their way: handed to the pool, collected into batches, answered, written.

    All of this happens in one thread. The pool's threads and the network's only put what they have into ``events``.
    """

    def __init__(
        self,
        classifier: Classifier,
        names: Iterator[str],
        ledger: Rows,
        on_progress: Progress | None = None,
        count: Count | None = None,
        events: Events | None = None,
    ) -> None:
        self.events = Events() if events is None else events
        self.collecting: Collecting | None = None
        """Takes what was cut out for teaching."""
        self._classifier, self._ledger, self._on_progress = classifier, ledger, on_progress
        self._names, self._count = names, count
        self._under_way: set[str] = set()
        # Pictures under way at most: enough that no process and no stream of the network waits for another.
        self._most = (int(classifier.settings.get("streams", 1)) + 2) * BATCH
        self._prepared: list[Prepared] = []
        self._asked = 0
        self._all_named = False
        self._new = self._errors = 0
        self._before = Before()
        self._first_error = ""
        self._spent = Counter[str]()
        self._began_s, self._cpu_s, self._own_s = time.monotonic(), time.process_time(), time.thread_time()
        self._told_s = self._began_s

    def until_done(self, pool: Pool) -> None:
        """Tag everything."""
        try:
            while not (self._supply(pool) and not self._under_way):
                try:
                    event = self.events.get(timeout=_TURN_S)
                except queue.Empty:
                    if self._asked:
                        self._classifier.wait()  # raises what an inference failed with
                    self._infer()  # pictures come slowly: those that are there do not wait for a full batch
                else:
                    self._take(event)
                    if len(self._prepared) >= BATCH or (self._all_named and self._is_last()):
                        self._infer()
                self._tell(time.monotonic())
        finally:
            # The network's threads must not call back into a run that is over.
            self._classifier.wait()
        self._tell(None)

    def summary(self, pool_s: float) -> Summary:
        """What was done; ``pool_s`` is what the pool's threads spent in this process."""
        other_s = time.thread_time() - self._own_s + pool_s
        spent = self._spent
        counted_s = self._count.spent_s if self._count else 0.0
        return Summary(
            pictures=self._before.pictures + self._new,
            errors=self._errors,
            first_error=self._first_error or self._before.first_error,
            done_before=self._before.pictures,
            errors_before=self._before.errors,
            seconds=time.monotonic() - self._began_s,
            reading_s=spent["reading"],
            decoding_s=spent["decoding"],
            finding_s=spent["finding"],
            inference_s=spent["inference"] + max(0.0, time.process_time() - self._cpu_s - other_s - counted_s),
            other_s=other_s,
        )

    def _supply(self, pool: Pool) -> bool:
        """Keep the pool supplied; True if there is no picture left to hand to it."""
        while not self._all_named and len(self._under_way) + CHUNK <= self._most + len(pool) * 3 * CHUNK:
            chunk: list[str] = []
            for name in self._names:
                if self._ledger.has(name):
                    self._before.add(self._ledger.error_of(name))
                    self._tell(time.monotonic())
                elif name not in self._under_way:
                    self._under_way.add(name)
                    chunk.append(name)
                    if len(chunk) == CHUNK:
                        break
            else:
                self._all_named = True
            if chunk:
                pool.put(chunk)
        return self._all_named

    def _is_last(self) -> bool:
        """True if every picture under way waits for the batch to be full."""
        return len(self._prepared) == len(self._under_way)

    def _take(self, event: Looked | _Answered | BaseException) -> None:
        if isinstance(event, BaseException):
            raise event
        rows: list[Row] = []
        if isinstance(event, _Answered):
            self._asked -= 1
            labels, rule = self._classifier.labels, self._classifier.rule
            rows += picture.rows_of(event.prepared, event.probabilities, event.masks, labels, rule)
        else:
            for looked in event:
                rows += self._looked(looked)
        self._ledger.add(rows)
        self._new += len(rows)
        self._under_way.difference_update(row.path for row in rows)

    def _looked(self, looked: Prepared | Named | Row) -> list[Row]:
        """The picture's row, where it is known by now."""
        if isinstance(looked, Row):
            self._errors += 1
            self._first_error = self._first_error or looked.error or ""
            return [looked]
        for stage in ("reading", "decoding", "finding", *(["inference"] if isinstance(looked, Named) else [])):
            self._spent[stage] += getattr(looked, f"{stage}_s")
        if isinstance(looked, Named):
            if self.collecting:
                self.collecting.take(looked.cuts)
            return [looked.row]
        if looked.pixels is None:
            return [picture.row_of(looked, None, None, self._classifier.labels, self._classifier.rule)]
        self._prepared.append(looked)
        return []

    def _infer(self) -> None:
        """Hand what has been prepared to the network, a batch at most."""
        batch, self._prepared = self._prepared[:BATCH], self._prepared[BATCH:]
        if batch:
            pixels = np.stack([prepared.pixels for prepared in batch])  # type: ignore[misc]
            # A row needs no pixels.
            asked = [replace(prepared, pixels=None) for prepared in batch]
            self._asked += 1
            self._ask(pixels, lambda p, masks: self.events.put(_Answered(asked, p, masks)))

    def _ask(self, pixels: NDArray[np.uint8], done: Done) -> None:
        """Start a batch."""
        patiently(lambda: self._classifier.start(pixels, done, self.events.put), PATIENCE_S)

    def _tell(self, now_s: float | None) -> None:
        if self._on_progress and (now_s is None or now_s - self._told_s > _PROGRESS_S):
            rate = self._new / max(1e-9, time.monotonic() - self._began_s)
            self._on_progress(self._before.pictures + self._new, self._count.total if self._count else None, rate)
            self._told_s = now_s or 0.0


class Count(threading.Thread):
    """Counts the pictures of this machine while the first are being tagged."""

    def __init__(self, paths: Sequence[str]) -> None:
        super().__init__(name="count", daemon=True)
        self.total: int | None = None
        self.spent_s = 0.0
        self._paths = paths
        self.start()

    def run(self) -> None:
        # The run itself raises what is wrong with a path.
        with contextlib.suppress(Exception):
            # A remote store is not listed a second time just to count.
            if all(map(inventory.is_here, self._paths)):
                self.total = sum(1 for _ in inventory.walk(self._paths))
        self.spent_s = time.thread_time()
