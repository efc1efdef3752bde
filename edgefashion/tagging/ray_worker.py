"""Drives Ray for ``tag --engine ray``, in a process of its own: paths come in, rows go out.

Ray waits for minutes where it cannot connect, ends its process where it loses its cluster, writes to the screen
and leaves processes behind when it is killed. Here it may: :mod:`edgefashion.system.reaper` clears up behind it.

The first message is a :class:`Job`, each of the others has ``paths``. The answers are ``{"loaded": Ray's version}`` and
``{"ready": CPUs}``; then ``{"rows": [...], "spent": {...}}`` as they come, and ``{"done": true}`` after each list of
paths; at last ``{"failed": text, "missing": bool}``, or ``{"lost": "a node"}``, after which another process of this
kind may go on.
"""

from __future__ import annotations

import functools
import hashlib
import json
import logging
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.bundles.bundle import FINDER_FILES
from edgefashion.bundles.facts import Thresholds
from edgefashion.errors import BadInputError, EdgeFashionError, MissingError
from edgefashion.inference.classifier import BATCH
from edgefashion.inference.decision import Rule
from edgefashion.system.addresses import shown
from edgefashion.system.processes import Parent
from edgefashion.system.reaper import GRACE_S
from edgefashion.system.text import last_line, reason_of, whole_number
from edgefashion.tagging import logins, several
from edgefashion.tagging.formats import to_record
from edgefashion.tagging.pool import Pool
from edgefashion.tagging.run import Events, Run

if TYPE_CHECKING:
    from edgefashion.inference.classifier import Classifier
    from edgefashion.tagging.row import Row

KNOCK_LIMIT_S: Final = 5.0
"""For a cluster's machine to answer at all."""

LOOPBACK: Final = "127.0.0.2"
"""A local Ray listens here. (127.0.0.1 it takes for the name of the machine on its network.)"""

STORE_BYTES: Final = 200 * 2**20
"""Memory for objects of a local Ray: paths and rows, no pictures."""

MOST: Final = 4 * BATCH
"""Pictures that an actor is given at once, at most."""

LEAST: Final = 16

STAGES: Final = ("reading_s", "decoding_s", "finding_s", "inference_s", "other_s")
_TURN_S: Final = 1.0
_OPTIONS: Final = {"log_to_driver": False, "logging_level": logging.ERROR}


@dataclass(frozen=True)
class Job:
    """What every actor is to know."""

    files: dict[str, str]
    """Of the model: path here -> SHA-256, the file to load first."""
    labels: tuple[str, ...]
    rule: dict[str, Any]
    """As ``thresholds`` stand in a bundle."""
    precision: str
    version: str
    """Of edgefashion: two versions may answer differently."""
    here: str
    """The folder that relative paths begin in."""
    address: str | None = None
    """Of a cluster; None for a Ray of our own."""
    cpus: int = 1
    """Of a Ray of our own."""
    folder: str = ""
    """For what a Ray of our own keeps on the disk."""
    logins: dict[str, list[str]] = field(default_factory=dict)
    """What is known of accounts, as :func:`edgefashion.tagging.logins.known` says it."""
    every: bool = False
    """Every garment of a picture is to be named: the files are those of a bundle with a finder."""


class Tagger:
    """An actor: the model, loaded once, with one thread, and one process that decodes for it."""

    def __init__(self, job: Job, files: Sequence[Any]) -> None:
        """``files``: Ray's references to the bytes of the job's files."""
        import ray

        self._events = Events()
        contents: list[bytes] = ray.get(list(files))
        self._refusal = _refusal(job, contents)
        """Why this node must not answer, to be told in place of an answer."""
        if self._refusal is not None:
            return
        logins.learn(job.logins)
        with _folder_of(job, contents) as model:
            self._classifier = _loaded(job, model)
        with suppress(OSError):  # then the pictures are told to be missing
            os.chdir(job.here)
        # It ends with this process, whatever ends that.
        networks = functools.partial(_networks, job, contents) if job.every else None
        self._pool = Pool(1, self._classifier.takes_photos, self._events.put, self._events.put, networks).__enter__()

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Blocks of paths, as JSON, to answers, as JSON: their rows, and the seconds spent."""
        return {"answer": [json.dumps(self._answer(json.loads(paths))).encode() for paths in batch["paths"]]}

    def _answer(self, paths: list[str]) -> dict[str, Any]:
        if self._refusal is not None:
            return {"failed": f"Ray gave up: {self._refusal}", "missing": True}
        block = _Block()
        run = Run(self._classifier, iter(paths), block, events=self._events)
        run.until_done(self._pool)
        spent = vars(run.summary(0.0))
        return {"rows": list(map(to_record, block.rows)), "spent": {stage: spent[stage] for stage in STAGES}}


def _refusal(job: Job, contents: Sequence[bytes]) -> str | None:
    """Why a node must not answer; None if it may."""
    from edgefashion.version import __version__

    if __version__ != job.version:
        return f"a node of the cluster has edgefashion {__version__}, here is {job.version}. Install the same on all"
    for name, digest, content in zip(job.files, job.files.values(), contents, strict=True):
        if hashlib.sha256(content).hexdigest() != digest:
            return f"{Path(name).name} came to a node altered. Run the same command again"
    return None


@contextmanager
def _folder_of(job: Job, contents: Sequence[bytes]) -> Iterator[Path]:
    """The job's files in a folder, which is gone after the block: the first of them."""
    from edgefashion.bundles.guard import check

    with tempfile.TemporaryDirectory(prefix="edgefashion-") as folder:
        paths = [Path(folder) / Path(name).name for name in job.files]
        for path, content in zip(paths, contents, strict=True):
            path.write_bytes(content)
        for path in paths:
            if path.suffix == ".xml":
                # By its hash it is the file that was tried where the command runs.
                check.vouch(path, finder=path.name in FINDER_FILES)
        yield paths[0]


@contextmanager
def _networks(job: Job, contents: Sequence[bytes]) -> Iterator[several.Network]:
    """What the process that decodes loads the classifier by."""
    with _folder_of(job, contents) as model:
        yield {"bundle": str(model.parent), "precision": job.precision, "rule": job.rule}


def _loaded(job: Job, model: Path) -> Classifier:
    from edgefashion.inference import load

    loaded = load.load(model, precision=job.precision, purpose="throughput", threads=1)
    # What an IR by itself does not say.
    return replace(loaded, labels=job.labels, rule=Rule.of(Thresholds.from_json(job.rule)))


class _Block:
    """A block's rows."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def has(self, path: str) -> bool:  # noqa: ARG002 (what has its row is not sent)
        return False

    def error_of(self, path: str) -> None:  # noqa: ARG002 (as above)
        return None

    def add(self, rows: Iterable[Row]) -> None:
        self.rows += rows


def main() -> None:
    """Serve the process that started us until it closes our stdin."""
    # Not to ignore SIGTERM, by which the reaper asks Ray to end in order.
    parent = Parent(grace_s=GRACE_S, ignore_signals=False)
    try:
        job = Job(**parent.receive())
        job = replace(job, labels=tuple(job.labels))
        if job.address is not None:
            _knock(job.address)
        import ray.data

        parent.send({"loaded": ray.__version__})
        parent.send({"ready": _join(job)})
        files = [ray.put(Path(name).read_bytes()) for name in job.files]
        threading.Thread(target=_watch_nodes, args=(parent,), name="nodes", daemon=True).start()
        while True:
            for answer in _tagged(job, files, parent.receive()["paths"]):
                parent.send(answer)
            parent.send({"done": True})
    except EOFError:
        return
    except EdgeFashionError as error:
        parent.send({"failed": str(error), "missing": isinstance(error, MissingError)})
    except Exception as error:
        # Above the last line of what Ray says of an actor's error is a traceback.
        said = last_line(str(error)) or type(error).__name__
        advice = "Check that all nodes run and have the same edgefashion installed"
        parent.send({"failed": f"Ray gave up: {said.rstrip('.')}. {advice}", "missing": True})


def _join(job: Job) -> int:
    """Connect to the cluster or start a Ray; returns its CPUs."""
    import ray

    if job.address is None:
        ray.init(
            address="local",
            num_cpus=job.cpus,
            include_dashboard=False,
            object_store_memory=STORE_BYTES,
            _node_ip_address=LOOPBACK if sys.platform == "linux" else None,
            _temp_dir=job.folder,
            **_OPTIONS,
        )
    else:
        try:
            ray.init(address=job.address, **_OPTIONS)
        except ConnectionError as error:
            raise MissingError(
                f"{reason_of(error)}. Check --ray-address, that the cluster runs, and, if its head has them, that "
                "RAY_AUTH_MODE and RAY_AUTH_TOKEN are the same here"
            ) from error
        except RuntimeError as error:
            raise MissingError(f"{reason_of(error)}. Install the same Ray and Python on all machines") from error
    return _cpus()


def _cpus() -> int:
    import ray

    return int(sum(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]))


def _knock(address: str) -> None:
    """Raise unless something listens at ``host:port``: Ray would try for two minutes."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    number = whole_number(port)
    if not host or "/" in host or number is None:
        raise BadInputError(f"--ray-address {shown(address)} is no address of a Ray cluster. Give host:port, or auto")
    try:
        socket.create_connection((host.strip("[]"), number), KNOCK_LIMIT_S).close()
    except (OSError, OverflowError, UnicodeError) as error:
        raise MissingError(
            f"no Ray cluster answers at {shown(address)} ({reason_of(error)}). "
            "Check --ray-address, and that the cluster runs"
        ) from error


def _watch_nodes(parent: Parent) -> None:
    """End this process once a node is gone. What it had in hand a new process asks for, of the nodes that are left: an
    actor that Ray starts in a lost one's place may wait for ever for a core that an idle one holds."""
    there = _nodes()
    while (now := _nodes()) >= there:
        there = now
        time.sleep(_TURN_S)
    parent.send({"lost": "a node"})
    os._exit(0)


def _nodes() -> set[str]:
    import ray

    return {node["NodeID"] for node in ray.nodes() if node["Alive"]}


def _tagged(job: Job, files: list[Any], paths: list[str]) -> Iterator[dict[str, Any]]:
    """What the actors answer, a block at a time, in the order they are ready."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    cpus = max(1, _cpus())
    # Several for each actor, so that they end at about the same time.
    size = min(MOST, max(LEAST, len(paths) // (4 * cpus)))
    blocks = [{"paths": json.dumps(paths[at : at + size]).encode()} for at in range(0, len(paths), size)]
    rows = ray.data.from_items(blocks, override_num_blocks=len(blocks)).map_batches(
        Tagger,
        fn_constructor_args=(job, files),
        batch_size=None,
        num_cpus=1,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=min(cpus, len(blocks))),
    )
    for batch in rows.iter_batches(batch_size=None, batch_format="numpy"):
        for line in batch["answer"]:
            yield json.loads(line)


if __name__ == "__main__":
    # By its own name: what belongs to __main__ would be sent to the nodes, in place of what is installed there.
    from edgefashion.tagging.ray_worker import main as by_name

    by_name()
