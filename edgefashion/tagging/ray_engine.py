"""Tagging on Ray Data: on the cores of this machine, or of all the machines of a Ray cluster.

The walk, the output and its journal stay in this process. A child drives Ray
(:mod:`edgefashion.tagging.ray_worker`), and actors all over the cluster look at the pictures as
:mod:`edgefashion.tagging.run` does: each has the model loaded once, with one thread, and one process that decodes for
it. Decoded pictures do not leave their machine. Where a node is lost the child ends, and another one asks the nodes
that are left for what has no row yet.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.bundles import model_files, resolve
from edgefashion.data.picture_walk import LeftOut
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference import foreign_files
from edgefashion.system.extras import need
from edgefashion.system.files import sha256
from edgefashion.system.processes import Child, Message
from edgefashion.tagging import inventory, logins, several
from edgefashion.tagging.errors import RayLostError
from edgefashion.tagging.formats import from_record
from edgefashion.tagging.row import Row
from edgefashion.tagging.run import Before, Count, Summary, TagOptions, made_with
from edgefashion.tagging.table import Ledger

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier

CONNECT_LIMIT_S: Final = 30.0
"""For a cluster to take us in. Ray itself would try for minutes."""

START_LIMIT_S: Final = 120.0
"""For a Ray of our own to start: 6 s on an idle machine of 2 cores."""

WINDOW: Final = 100_000
"""Pictures handed to Ray at a time: the memory it takes stays the same however many there are, and the seconds that
the actors take to start again are few beside the minutes they work."""

STALL_S: Final = 600.0
"""Without any answer for so long the child is given up, and another one goes on."""

REJOIN_S: Final = 2.0
"""After a loss, for the cluster to notice it too."""

LOSSES: Final = 5
"""Times in a row that a part of Ray may be lost with no picture looked at in between."""

END_LIMIT_S: Final = 15.0
"""For Ray to end, killed where it does not."""


def tag_on_ray(
    classifier: Classifier,
    paths: Sequence[str],
    out: Path,
    options: TagOptions | None = None,
    address: str | None = None,
) -> Summary:
    """What :func:`edgefashion.tagging.run.tag` does, on Ray: the same rows, resumable the same way.

    ``address``: of a Ray cluster this machine is a node of (``host:port``, or ``auto``); None starts a Ray on this
    machine with ``options.workers`` actors (a core each by default), which ends with the call. The cluster's nodes
    need edgefashion installed and must reach the pictures by the same paths or URLs; the model is sent to them.
    Raises what :func:`~edgefashion.tagging.run.tag` does, and :class:`MissingError` without Ray, for a cluster that
    cannot be joined in ``CONNECT_LIMIT_S``, and where Ray is lost; rows that had come by then are kept.
    """
    options = options or TagOptions()
    need("ray", "to tag on several machines")
    if os.name == "nt":
        raise MissingError("the Ray engine needs Linux or macOS. Leave --engine ray out")
    every = several.needed(classifier, single=options.single)
    job = _job(classifier, address, options.workers, every=every)
    with Ledger(out, made_with(classifier, single=options.single)) as ledger:
        inventory.check(paths)
        tally = _Tally(ledger, options, Count(paths) if options.on_progress else None)
        left_out = LeftOut()
        to_do = tally.without_row(inventory.walk(paths, left_out))
        with _Ray({**job, "logins": logins.known()}) as ray:
            while window := list(islice(to_do, WINDOW)):
                _tag_window(ray, window, ledger, tally)
        ledger.finish()
    return replace(tally.summary(), left_out=left_out.as_json(), left_out_told=left_out.told())


def _tag_window(ray: _Ray, window: list[str], ledger: Ledger, tally: _Tally) -> None:
    """Have all these pictures tagged, those of a lost node by the others."""
    losses = 0
    while window:
        try:
            for rows in ray.tagged(window, tally.spent):
                tally.add(rows)
                losses = 0
            return
        except _LostError as error:
            losses += 1
            if losses > LOSSES:
                raise RayLostError(
                    f"the Ray cluster lost {error} {losses} times in a row. Look after it, then run the same "
                    "command again: it goes on where it stopped"
                ) from None
            ray.end()
            window = [path for path in window if not ledger.has(path)]


class _Tally:
    """Rows, as they come, written and counted."""

    def __init__(self, ledger: Ledger, options: TagOptions, count: Count | None) -> None:
        self.spent = Counter[str]()
        self._ledger, self._on_progress, self._count = ledger, options.on_progress, count
        self._began_s = time.monotonic()
        self._before = Before()
        self._new = self._errors = 0
        self._first_error = ""

    def without_row(self, paths: Iterator[str]) -> Iterator[str]:
        """The pictures that have no row yet; the others are counted."""
        for path in paths:
            if self._ledger.has(path):
                self._before.add(self._ledger.error_of(path))
            else:
                yield path

    def add(self, rows: list[Row]) -> None:
        """Write rows."""
        self._ledger.add(rows)
        self._new += len(rows)
        failed = [row.error for row in rows if row.error is not None]
        self._errors += len(failed)
        self._first_error = self._first_error or next(iter(failed), "")
        if self._on_progress and self._count:
            rate = self._new / (time.monotonic() - self._began_s)
            self._on_progress(self._before.pictures + self._new, self._count.total, rate)

    def summary(self) -> Summary:
        """What was done."""
        seconds: dict[str, Any] = dict(self.spent)
        return Summary(
            self._before.pictures + self._new,
            self._errors,
            self._before.pictures,
            time.monotonic() - self._began_s,
            first_error=self._first_error or self._before.first_error,
            errors_before=self._before.errors,
            **seconds,
        )


def _job(classifier: Classifier, address: str | None, workers: int | None, *, every: bool) -> dict[str, Any]:
    """What the actors need to know, and where the model's files are."""
    from edgefashion.version import __version__

    source = classifier.source
    files = [path for path in model_files.files_of(source) if path.is_file()] if source else []
    if classifier.engine != "openvino" or not files:
        raise BadInputError(f"{classifier.name} cannot be sent to a cluster. Give a bundle with an IR, or an IR")
    if foreign_files.is_foreign(resolve.resolve(files[0])):
        # How it is fed and read was told or measured here, and each node would find out anew.
        raise BadInputError(
            f"{source} was made elsewhere, and --engine ray runs bundles. Convert the model first, and give the bundle"
        )
    if every:
        assert classifier.finder is not None
        classifier.finder.make_ready()  # tried here: the other machines take it for sound
        files += [path for path in several.files_of(classifier) if path not in files]
    return {
        "files": {str(path.absolute()): sha256(path) for path in files},
        "labels": classifier.labels,
        "rule": classifier.rule.as_json(),
        "precision": classifier.precision,
        "version": __version__,
        "here": str(Path.cwd()),
        "address": address,
        "cpus": workers or os.cpu_count() or 1,
        "every": every,
    }


class _LostError(Exception):
    """A part of Ray is gone; the rest can go on."""


class _Ray:
    """The child that drives Ray, and all that it starts: gone on leaving the block, and with this process."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._child: Child | None = None
        self._lifeline = -1
        self._joined = False
        """True once the cluster was joined: what goes wrong from then on may come right again."""

    def __enter__(self) -> _Ray:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """End the child and all that it started; another one is started when it is needed."""
        child, self._child = self._child, None
        if child is not None:
            os.close(self._lifeline)
            child.close(END_LIMIT_S)

    def tagged(self, paths: list[str], spent: Counter[str]) -> Iterator[list[Row]]:
        """The rows of the pictures, as they come, in no order; adds the seconds that all actors together spent.

        Raises :class:`_LostError` where a part of Ray is lost, and :class:`MissingError` where all of it is.
        """
        if self._child is None:
            if self._joined:
                time.sleep(REJOIN_S)
            self._child = self._start()
            self._wait_for_ready(self._child)
            self._joined = True
        self._child.send({"paths": paths})
        while not (answer := self._answer(self._child)).get("done"):
            spent.update(answer["spent"])
            yield [from_record(fields) for fields in answer["rows"]]

    def _start(self) -> Child:
        # Short: Ray's sockets lie in it, and their paths must not exceed 107 bytes.
        folder = tempfile.mkdtemp(prefix="ef-ray-", dir="/tmp" if Path("/tmp").is_dir() else None)  # noqa: S108
        lifeline, self._lifeline = os.pipe()
        try:
            child = Child(
                "edgefashion.tagging.ray_worker",
                name="ray",
                environment=self._environment(),
                inherit=lifeline,
                under=(sys.executable, "-P", "-m", "edgefashion.system.reaper", str(lifeline), folder),
            )
        finally:
            os.close(lifeline)
        child.send({**self._job, "folder": folder})
        return child

    def _wait_for_ready(self, child: Child) -> None:
        address = self._job["address"]
        try:
            self._next(child, START_LIMIT_S)
            self._next(child, START_LIMIT_S if address is None else CONNECT_LIMIT_S)
        except TimeoutError:
            if address is None:
                said = f"Ray did not start in {START_LIMIT_S:.0f} s. Leave --engine ray out, or try again"
            else:
                said = f"what answers at {address} does not take part as a Ray cluster's head. Check --ray-address"
            raise MissingError(said) from None

    def _environment(self) -> dict[str, str]:
        more = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DATA_DISABLE_PROGRESS_BARS": "1"}
        if self._job["address"] is None:
            # Else Ray would leave a token in the home folder; with one nobody else on the machine is served.
            more |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
        return more

    def _answer(self, child: Child) -> Message:
        try:
            answer = self._next(child, STALL_S)
        except TimeoutError:
            raise _LostError("track of the work") from None
        if "lost" in answer:
            raise _LostError(answer["lost"])
        return answer

    def _next(self, child: Child, limit_s: float) -> Message:
        try:
            answer = child.receive(limit_s)
        except EOFError:
            if self._joined:  # with the node it was joined to, it may be
                raise _LostError("a node") from None
            raise RayLostError(
                "Ray has ended unasked. Run the same command again: it goes on where it stopped"
            ) from None
        if "failed" in answer:
            raise (MissingError if answer["missing"] else BadInputError)(answer["failed"])
        return answer
