"""Drives Ray for ``tag --engine ray``, in a process of its own: paths come in, rows go out.

Ray waits for minutes where it cannot connect, ends its process where it loses its cluster, writes to the screen as
and leaves processes behind when it is killed. Here it may: :mod:`edgefashion.keeper` clears up behind it.

One JSON text a line. In come a :class:`Job`, then lists of paths; out go {"loaded": Ray's version}, {"ready": CPUs},
{"rows": [...], "spent": {...}} as they come, {"done": true} after each list, {"failed": text, "missing": bool} at last.
"""

from __future__ import annotations

import faulthandler
import hashlib
import json
import logging
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion import tag_look, tag_walk, tag_worker
from edgefashion.errors import BadInputError, EdgeFashionError, MissingError, without_password
from edgefashion.originals import BATCH
from edgefashion.tag_formats import from_json, reason_of, to_json
from edgefashion.tag_look import Prepared
from edgefashion.tag_pool import PATIENCE_S
from edgefashion.tag_rows import Row

if TYPE_CHECKING:
    from numpy.typing import NDArray

KNOCK_LIMIT_S: Final = 5.0
"""For a cluster's machine to answer at all."""

LOOPBACK: Final = "127.0.0.2"
"""A local Ray listens here. (127.0.0.1 it takes for the name of the machine on its network.)"""

STORE_BYTES: Final = 200 * 2**20
"""Memory for objects of a local Ray: paths and rows, no pictures."""

STALL_S: Final = 3 * PATIENCE_S
"""Without any answer for so long a pass is given up."""

READERS: Final = 8
"""Pictures behind URLs that an actor reads at once."""

STAGES: Final = ("reading", "decoding", "finding")
_TURN_S: Final = 1.0
_OPTIONS: Final = {"log_to_driver": False, "logging_level": logging.ERROR}


@dataclass(frozen=True)
class Job:
    """What every actor is to know."""

    files: dict[str, str]
    """Of the model: path here -> SHA-256, the file to load first."""
    labels: tuple[str, ...]
    threshold: float
    precision: str
    version: str
    """Of edgefashion: two versions may answer differently."""
    here: str
    """The folder that relative paths begin in."""
    address: str | None = None
    """Of a cluster; None for a Ray of our own."""
    cpus: int = 1
    """Of a Ray of our own."""
    patience_s: float = PATIENCE_S
    """For one picture, before the actor that is at it ends itself."""
    folder: str = ""
    """For what a Ray of our own keeps on the disk."""


class Tagger:
    """An actor: the model, loaded once, and one thread that looks at pictures."""

    def __init__(self, job: Job, files: Sequence[Any]) -> None:
        """``files``: Ray's references to the bytes of the job's files."""
        import cv2
        import ray

        import edgefashion
        from edgefashion import classify, guard

        if edgefashion.__version__ != job.version:
            raise RuntimeError(
                f"a node of the cluster has edgefashion {edgefashion.__version__}, here is {job.version}. "
                "Install the same on all"
            )
        cv2.setNumThreads(1)
        with tempfile.TemporaryDirectory(prefix="edgefashion-") as folder:
            paths = [Path(folder) / Path(name).name for name in job.files]
            for path, digest, content in zip(paths, job.files.values(), ray.get(list(files)), strict=True):
                if hashlib.sha256(content).hexdigest() != digest:
                    raise RuntimeError(f"{path.name} came to a node altered. Run the same command again")
                path.write_bytes(content)
            guard.vouch(paths[0])  # by its hash it is the file that was tried where the command runs
            self._classifier = classify.load(paths[0], precision=job.precision, purpose="throughput", threads=1)
        with suppress(OSError):  # then the pictures are told to be missing
            os.chdir(job.here)
        self._job = job

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[bytes]]:
        """Blocks of paths, as JSON, to answers, as JSON: their rows, and the seconds spent."""
        self._alive_s = 0.0
        try:
            return {"answer": [json.dumps(self._answer(json.loads(paths))).encode() for paths in batch["paths"]]}
        finally:
            faulthandler.cancel_dump_traceback_later()

    def _answer(self, paths: list[str]) -> dict[str, Any]:
        # Waiting for a network is done by several, reading from a disk by one: the core is this thread's.
        if any(map(tag_walk.is_url, paths)):
            with ThreadPoolExecutor(READERS) as pool:
                looked = list(pool.map(self._prepared, paths))
        else:
            looked = list(map(self._prepared, paths))
        rows = [one for one in looked if isinstance(one, Row)]
        prepared = [one for one in looked if isinstance(one, Prepared)]
        spent = {f"{stage}_s": sum(getattr(one, f"{stage}_s") for one in prepared) for stage in STAGES}
        labels, threshold = self._job.labels, self._job.threshold
        rows += [tag_look.row_of(one, None, None, labels, threshold) for one in prepared if one.pixels is None]
        asked = [one for one in prepared if one.pixels is not None]
        began_s = time.perf_counter()
        if asked:
            self._classifier.start(
                np.stack([one.pixels for one in asked]),  # type: ignore[misc]
                lambda answers, masks: rows.extend(self._rows(asked, answers, masks)),
            )
            self._classifier.wait()
        spent["inference_s"] = time.perf_counter() - began_s
        return {"rows": list(map(to_json, rows)), "spent": spent}

    def _prepared(self, path: str) -> Prepared | Row:
        self._is_alive()
        try:
            return tag_worker.prepared_of(path, None, self._classifier.takes_photos)
        except tag_worker.NotReadError as error:
            return Row(path, error=str(error))

    def _rows(
        self, asked: list[Prepared], answers: NDArray[np.float32], masks: NDArray[np.float32] | None
    ) -> Iterator[Row]:
        for at, one in enumerate(asked):
            mask = None if masks is None else masks[at]
            yield tag_look.row_of(one, answers[at], mask, self._job.labels, self._job.threshold)

    def _is_alive(self) -> None:
        """This process ends itself where the next picture does not come in time: what hangs may hold all of Python."""
        now_s = time.monotonic()
        if now_s - self._alive_s > _TURN_S:
            self._alive_s = now_s
            faulthandler.dump_traceback_later(self._job.patience_s + _TURN_S, exit=True)


def main() -> None:
    """Serve the process that started us until it closes our stdin."""
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def tell(**what: Any) -> None:
        print(json.dumps(what), file=answers, flush=True)

    try:
        job = Job(**json.loads(sys.stdin.readline()))
        job = replace(job, labels=tuple(job.labels))
        if job.address is not None:
            _knock(job.address)
        import ray.data

        tell(loaded=ray.__version__)
        tell(ready=_join(job))
        files = [ray.put(Path(name).read_bytes()) for name in job.files]
        for line in sys.stdin:
            for answer in _tagged(job, files, json.loads(line)):
                tell(**answer)
            tell(done=True)
    except EdgeFashionError as error:
        tell(failed=str(error), missing=isinstance(error, MissingError))
    except Exception as error:
        tell(failed=_blamed(error), missing=True)


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
            raise MissingError(f"{_one_line(error)}. Check --ray-address, and that the cluster runs") from error
        except RuntimeError as error:
            if "Version mismatch" not in str(error):
                raise
            raise MissingError(f"{_one_line(error)}. Install the same Ray and Python on all machines") from error
    return _cpus()


def _cpus() -> int:
    import ray

    return int(sum(node["Resources"].get("CPU", 0) for node in ray.nodes() if node["Alive"]))


def _knock(address: str) -> None:
    """Raise unless something listens at ``host:port``: Ray would try for two minutes."""
    host, _, port = address.rpartition(":")
    if address == "auto":
        return
    if not host or "/" in host or not port.isdecimal():
        raise BadInputError(f"--ray-address {address} is no address of a Ray cluster. Give host:port, or auto")
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_LIMIT_S).close()
    except (OSError, OverflowError) as error:
        raise MissingError(
            f"no Ray cluster answers at {address} ({reason_of(error)}). Check --ray-address, and that the cluster runs"
        ) from error


def _tagged(job: Job, files: list[Any], paths: list[str]) -> Iterator[dict[str, Any]]:
    """What the actors answer, a block at a time, in the order they are ready."""
    left = dict.fromkeys(paths)
    for size in (BATCH, BATCH, 1, 1):
        # One by one what was lost twice, be it with its nodes or because a picture among them ends every process.
        before = len(left)
        try:
            for answer in _passed(job, files, list(left), size):
                for row in answer["rows"]:
                    left.pop(from_json(row).path, None)
                yield answer
        except Exception as error:
            # A node went, or the wait for one that is gone was given up: what is left comes in the next pass.
            given_up = "never ran" in str(error) or type(error).__name__ == "ExecutionTimeoutError"
            if len(left) == before and not given_up:
                raise
        if not left:
            return
    said = "ended the processes that read it. Replace it or leave it out"
    yield {"rows": [to_json(Row(path, error=without_password(f"{path} {said}"))) for path in left], "spent": {}}


def _passed(job: Job, files: list[Any], paths: list[str], size: int) -> Iterator[dict[str, Any]]:
    """One pass over pictures, ``size`` a task."""
    import ray.data

    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.print_on_execution_start = False
    # An actor started again in place of a lost one may wait for a core that an idle one holds: the next pass frees it.
    context.execution_no_progress_timeout_s = STALL_S
    context.max_errored_blocks = -1  # those come in the next pass
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    blocks = [{"paths": json.dumps(paths[at : at + size]).encode()} for at in range(0, len(paths), size)]
    actors = max(1, min(_cpus(), len(blocks)))
    rows = ray.data.from_items(blocks, override_num_blocks=len(blocks)).map_batches(
        Tagger,
        fn_constructor_args=(job, files),
        batch_size=None,
        num_cpus=1,
        max_restarts=-1,
        max_task_retries=1,
        compute=ray.data.ActorPoolStrategy(
            min_size=1, max_size=actors, max_tasks_in_flight_per_actor=None if size > 1 else 1
        ),
    )
    for batch in rows.iter_batches(batch_size=None, batch_format="numpy"):
        for line in batch["answer"]:
            yield json.loads(line)


def _blamed(error: Exception) -> str:
    """The last line of what Ray says, which names the error in the actor; above it is a traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    said = lines[-1].removeprefix("RuntimeError: ").rstrip(".")
    if "No module named" in said:
        return f"a node of the cluster lacks a package ({said}). Install the same edgefashion on all of them"
    return f"Ray gave up: {said}"


def _one_line(error: BaseException) -> str:
    return " ".join((str(error) or type(error).__name__).split()).rstrip(".")


if __name__ == "__main__":
    # By its own name: what belongs to __main__ would be sent to the nodes, in place of what is installed there.
    from edgefashion.tag_ray_worker import main as by_name

    by_name()
