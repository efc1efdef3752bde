"""One engine in one process, measured on request: the other end of :mod:`edgefashion.bench.worker_process`.

The first message says what is to be measured. The process answers it once it has answered its first image; then each
message says what to ``do``. Nothing else runs in the process, so its start, its memory and its threads are the
engine's alone (the thread that hears the parent sleeps until a message comes).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefashion.system.processes import Parent

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier, Runner

_WARM_UP_CALLS = 20
_THROUGHPUT_IMAGES = 2048
_PROFILED_IMAGES = 300


def main() -> None:
    """Serve one measuring process."""
    parent = Parent()
    spec = parent.receive()
    from edgefashion.errors import EdgeFashionError

    try:
        worker = _Worker(spec)
        parent.send(worker.first_answer())
        while True:
            request = parent.receive()
            parent.send(getattr(worker, request.pop("do"))(**request))
    except EdgeFashionError as error:
        parent.send({"error": str(error), "exit_code": error.exit_code})


class _Worker:
    def __init__(self, spec: dict[str, Any]) -> None:
        self._spec = spec
        self._classifier = self._load("latency")
        self._queue: Classifier | None = None
        self._photos = Path(spec["photos"]) if spec["photos"] else None
        """The labelled photos that accuracy is measured on; None: the first of Fashion-MNIST's test images."""
        self._images: NDArray[np.uint8] | None = None
        self._timed: NDArray[np.uint8] | None = None
        """What the times are taken with: pictures of the size that the network works on."""

    def _load(self, purpose: str) -> Classifier:
        from edgefashion.inference.classifier import ENGINES, Classifier
        from edgefashion.inference.decision import Rule
        from edgefashion.inference.load import load

        spec = self._spec
        if spec["engine"] == "remote":
            return load(spec["model"], purpose=purpose)
        if spec["engine"] not in ENGINES:
            path, run = Path(spec["model"]), _in_its_runtime(spec)
            labels = tuple(spec["labels"])
            return Classifier(path.name, labels, spec["engine"], spec["precision"], Rule(0.0), path, run)
        return load(
            spec["model"],
            engine=spec["engine"],
            precision=spec["precision"],
            threads=spec["threads"],
            purpose=purpose,
            device=spec.get("device"),
        )

    def first_answer(self) -> dict[str, Any]:
        import numpy as np

        self._classifier(np.zeros((1, *self._classifier.input_shape), np.uint8))
        return {"settings": self._classifier.settings}

    def prepare(self) -> dict[str, Any]:
        """Load the pictures and warm both paths up; tell the batch sizes to try."""
        from edgefashion.bench import pictures
        from edgefashion.bench.peers import BatchesRunner
        from edgefashion.data import fashion_mnist
        from edgefashion.inference import preprocess
        from edgefashion.inference.classifier import BATCH

        photos = self._spec["timed_photos"]
        if self._photos:
            self._timed = pictures.to_time(self._photos, photos)
        else:
            images, labels = fashion_mnist.load("test")
            self._images, self._labels = images[: self._spec["images"]], labels[: self._spec["images"]]
            self._timed = images[:_THROUGHPUT_IMAGES]
            if self._classifier.takes_photos:
                self._timed = preprocess.as_photos(images[:photos], preprocess.PHOTO_PX)
        for i in range(_WARM_UP_CALLS):
            self._classifier(self._timed[i : i + 1])
        self._classifier(self._timed)
        run = self._classifier.run
        return {"batches": run.batches(self._spec["batches"]) if isinstance(run, BatchesRunner) else [BATCH]}

    def latency(self, seconds: float, min_calls: int) -> dict[str, Any]:
        """Batch-1 calls, one after the other: each one's microseconds."""
        images, call, now = self._timed, self._classifier, time.perf_counter
        assert images is not None
        taken: list[float] = []
        end = now() + seconds
        while len(taken) < min_calls or now() < end:
            i = len(taken) % len(images)
            start = now()
            call(images[i : i + 1])
            taken.append(round((now() - start) * 1e6, 2))
        return {"latency_us": taken}

    def throughput(self, seconds: float, batch: int) -> dict[str, Any]:
        """Whole batches, synchronously: images a second."""
        stack = self._timed
        assert stack is not None
        self._classifier(stack[:batch])  # a peer opens its file of that size

        def once() -> int:
            if self._spec["engine"] == "keras-predict":
                # It batches by itself; one call per batch would measure its start-up instead.
                self._classifier(stack)
                return len(stack)
            for at in range(0, len(stack), batch):
                self._classifier(stack[at : at + batch])
            return len(stack)

        return {"throughput_fps": _rate(once, seconds)}

    def queue(self, seconds: float) -> dict[str, Any]:
        """OpenVINO's asynchronous queue with the throughput hint, or several requests to a server: images a second."""
        stack = self._timed
        assert stack is not None
        if self._queue is None:
            self._queue = self._load("throughput")
            self._queue(stack)
        queue = self._queue

        def once() -> int:
            queue(stack)
            return len(stack)

        return {"throughput_fps": _rate(once, seconds)}

    def memory(self) -> dict[str, Any]:
        from edgefashion.system.machine import peak_rss_mb

        return {"peak_rss_mb": peak_rss_mb()}

    def accuracy(self) -> dict[str, Any]:
        """Right answers to all the pictures."""
        from edgefashion.bench import pictures
        from edgefashion.inference import decision

        if self._photos:
            right, n = pictures.count_right(self._classifier, self._photos)
            return {"right": right, "n": n}
        assert self._images is not None
        answers = decision.likeliest(self._classifier(self._images))
        return {"right": int((answers == self._labels).sum()), "n": len(self._labels)}

    def precision(self) -> dict[str, Any]:
        """What the engine really runs in. Asked for last: some have to look it up at length."""
        told = {"runtime_precision": self._classifier.runtime_precision}
        if self._spec["engine"] != "openvino":
            return told
        from edgefashion.inference.openvino_engine import OpenVinoRunner

        assert isinstance(self._classifier.run, OpenVinoRunner)
        return {**told, "settings": self._classifier.run.settings_now()}  # AUTO may have gone over to another device

    def operations(self) -> dict[str, Any]:
        """One image's time, operation by operation; None for an engine that does not tell."""
        if self._spec["engine"] != "openvino" or self._spec.get("device", "CPU") != "CPU":
            return {"operations": None}
        from edgefashion.bench import operation_times

        assert self._timed is not None
        return {"operations": operation_times.profile(self._classifier, self._timed[:_PROFILED_IMAGES])}


def _in_its_runtime(spec: dict[str, Any]) -> Runner:
    """A peer with the files made for it, or a file from elsewhere in the runtime it was made for."""
    path, batches = Path(spec["model"]), tuple(spec["batches"])
    if spec["own"]:
        from edgefashion.inference.classifier import BATCH
        from edgefashion.inference.onnx_litert_engine import OwnRuntime

        most = max(BATCH, *batches)
        return OwnRuntime(path, **spec["own"], threads=spec["threads"], most=most)
    from edgefashion.bench.peers import Peer

    return Peer(path, spec["engine"], spec["precision"], spec["threads"], batches)


def _rate(once: Callable[[], int], seconds: float) -> float:
    start = time.perf_counter()
    done, elapsed = once(), time.perf_counter() - start
    while elapsed < seconds:
        done += once()
        elapsed = time.perf_counter() - start
    return done / elapsed


if __name__ == "__main__":
    main()
