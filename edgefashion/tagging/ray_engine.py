"""Tagging on Ray Data: on the cores of this machine, or of all the machines of a Ray cluster.

The walk, the output and its journal stay in this process; a child drives Ray (:mod:`edgefashion.tagging.ray_worker`), and
actors all over the cluster look at the pictures as :mod:`edgefashion.tagging.run` does: each has the model loaded once, with
one thread, and one process that decodes for it. Decoded pictures do not leave their machine. Where a node is lost the
child ends, and another one asks the nodes that are left for what has no row yet.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

from edgefashion.errors import BadInputError, MissingError
from edgefashion.system.extras import need
from edgefashion.system.files import sha256
from edgefashion.system.processes import child_environment
from edgefashion.tagging import inventory
from edgefashion.tagging.formats import from_json
from edgefashion.tagging.row import Row
from edgefashion.tagging.run import Count, Summary, TagOptions, made_with
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
    Raises what :func:`~edgefashion.tagging.run.tag` does, and :class:`MissingError` without Ray, for a cluster that cannot
    be joined in ``CONNECT_LIMIT_S``, and where Ray is lost; rows that had come by then are kept.
    """
    options = options or TagOptions()
    need("ray", "to tag on several machines")
    if os.name == "nt":
        raise MissingError("the Ray engine needs Linux or macOS. Leave --engine ray out")
    began_s = time.monotonic()
    before = new = errors = 0
    first_error = ""
    spent = Counter[str]()
    job = _job(classifier, address, options.workers)
    with Ledger(out, made_with(classifier)) as ledger:
        inventory.check(paths)
        count = Count(paths) if options.on_progress else None

        def without_row() -> Iterator[str]:
            nonlocal before
            for path in inventory.walk(paths):
                if ledger.has(path):
                    before += 1
                else:
                    yield path

        to_do, ray, losses = without_row(), _Ray(job), 0
        window = list(islice(to_do, WINDOW))
        with ray:
            while window:
                try:
                    for rows in ray.tagged(window, spent):
                        ledger.add(rows)
                        losses = 0
                        new += len(rows)
                        failed = [row.error for row in rows if row.error is not None]
                        errors += len(failed)
                        first_error = first_error or next(iter(failed), "")
                        if options.on_progress and count:
                            rate = new / (time.monotonic() - began_s)
                            options.on_progress(before + new, count.total, rate)
                    window = list(islice(to_do, WINDOW))
                except _LostError as error:
                    losses += 1
                    if losses > LOSSES:
                        raise MissingError(
                            f"the Ray cluster lost {error} {losses} times in a row. Look after it, then run the same "
                            "command again: it goes on where it stopped"
                        ) from None
                    ray.end()
                    window = [path for path in window if not ledger.has(path)]
        ledger.finish()
    return Summary(before + new, errors, before, time.monotonic() - began_s, first_error=first_error, **spent)


def _job(classifier: Classifier, address: str | None, workers: int | None) -> dict[str, Any]:
    """What the actors need to know, and where the model's files are."""
    from edgefashion import __version__

    source = classifier.source
    files = [path for path in (source, source.with_suffix(".bin")) if path.is_file()] if source else []
    if classifier.engine != "openvino" or not files:
        raise BadInputError(f"{classifier.name} cannot be sent to a cluster. Give a bundle with an IR, or an IR")
    return {
        "files": {str(path.absolute()): sha256(path) for path in files},
        "labels": classifier.labels,
        "threshold": classifier.accept_threshold,
        "precision": classifier.precision,
        "version": __version__,
        "here": str(Path.cwd()),
        "address": address,
        "cpus": workers or os.cpu_count() or 1,
    }


class _LostError(Exception):
    """A part of Ray is gone; the rest can go on."""


def _hear(child: IO[str], answers: queue.SimpleQueue[str]) -> None:
    for line in child:
        answers.put(line)
    answers.put("")


class _Ray:
    """The child that drives Ray, and all that it starts: gone on leaving the block, and with this process."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._answers: queue.SimpleQueue[str] = queue.SimpleQueue()

        self._process: subprocess.Popen[str] | None = None
        self._joined = False
        """It has been: what goes wrong from now on may come right again."""

    def __enter__(self) -> _Ray:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _start(self) -> None:
        # Short: Ray's sockets lie in it, and their paths must not exceed 107 bytes.
        folder = tempfile.mkdtemp(prefix="ef-ray-", dir="/tmp" if Path("/tmp").is_dir() else None)  # noqa: S108
        self._log = Path(folder) / "log"
        self._answers = queue.SimpleQueue[str]()
        lifeline, self._lifeline = os.pipe()
        python = [sys.executable, "-P", "-m"]
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [
                        *python,
                        "edgefashion.system.reaper",
                        str(lifeline),
                        folder,
                        *python,
                        "edgefashion.tagging.ray_worker",
                    ],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env=self._environment(),
                    pass_fds=(lifeline,),
                    start_new_session=True,  # a Ctrl-C is for us to act on
                )
        finally:
            os.close(lifeline)
        arguments = self._process.stdout, self._answers
        threading.Thread(target=_hear, args=arguments, name="ray", daemon=True).start()
        self._say({**self._job, "folder": folder})
        self._wait_for_ready()

    def end(self) -> None:
        """End the child and all that it started; it starts anew when it is needed."""
        process, self._process = self._process, None
        if process is None:
            return
        os.close(self._lifeline)
        with suppress(OSError):
            assert process.stdin
            process.stdin.close()
        try:
            process.wait(END_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def tagged(self, paths: list[str], spent: Counter[str]) -> Iterator[list[Row]]:
        """The rows of the pictures, as they come, in no order; adds the seconds that all actors together spent.
        Raises :class:`_LostError` where a part of Ray is lost, and :class:`MissingError` where all of it is."""
        if self._process is None:
            if self._joined:
                time.sleep(REJOIN_S)
            self._start()
            self._joined = True
        self._say(paths)
        while not (answer := self._answer()).get("done"):
            spent.update(answer["spent"])
            yield [from_json(fields) for fields in answer["rows"]]

    def _wait_for_ready(self) -> None:
        address = self._job["address"]
        try:
            self._next(START_LIMIT_S)
            self._next(START_LIMIT_S if address is None else CONNECT_LIMIT_S)
        except queue.Empty:
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
        return child_environment(**more)

    def _say(self, what: Any) -> None:
        assert self._process
        assert self._process.stdin
        with suppress(OSError):  # the child has ended: what it said before comes next
            self._process.stdin.write(json.dumps(what) + "\n")
            self._process.stdin.flush()

    def _answer(self) -> dict[str, Any]:
        try:
            answer = self._next(STALL_S)
        except queue.Empty:
            raise _LostError("track of the work") from None
        if "lost" in answer:
            raise _LostError(answer["lost"])
        return answer

    def _next(self, limit_s: float | None) -> dict[str, Any]:
        line = self._answers.get(timeout=limit_s)
        if not line:
            if self._joined:  # with the node it was joined to, it may be
                raise _LostError("a node")
            raise MissingError("Ray has ended unasked. Run the same command again: it goes on where it stopped")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer:
            if "AuthToken" in self._log.read_text(errors="replace"):
                raise MissingError(
                    "the Ray cluster wants its token. Set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN as on its head"
                )
            raise (MissingError if answer["missing"] else BadInputError)(answer["failed"])
        return answer
