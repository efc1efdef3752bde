"""The server's figures for Prometheus, beside KServe's own."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from prometheus_client import REGISTRY, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from starlette.requests import ClientDisconnect

from edgefashion.bundles.running import running
from edgefashion.serving.protocol import refusal_of

if TYPE_CHECKING:
    from kserve import ModelRepository
    from prometheus_client.metrics_core import Metric

    from edgefashion.serving.admission import Gate

_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)


class _Running:
    """Tells which revision of each model answers, and whether that is on probation before a camera."""

    def __init__(self, models: ModelRepository) -> None:
        self._models = models

    def collect(self) -> Iterator[Metric]:
        which = InfoMetricFamily("edgefashion_model", "What answers, by model", labels=["model"])
        proving = GaugeMetricFamily(
            "edgefashion_on_probation", "1 while a camera compares the revision with the one before", labels=["model"]
        )
        for name, model in sorted(self._models.get_models().items()):
            now = model.running
            which.add_metric([name], {"revision": now.revision or "", "sha256": now.sha256 or ""})
            proving.add_metric([name], float(running(name, model.first.source).probation))
        yield which
        yield proving


class Metrics:
    """Counts requests of both protocols; made once a process, as prometheus_client's registry is."""

    def __init__(self, gate: Gate, models: ModelRepository) -> None:
        self._models = frozenset(models.get_models())
        REGISTRY.register(_Running(models))
        labels = ("model", "protocol")
        self._requests = Counter("edgefashion_requests", "Requests to infer, by outcome", (*labels, "outcome"))
        self._seconds = Histogram(
            "edgefashion_request_seconds", "From a request's headers to its answer", labels, buckets=_BUCKETS
        )
        Gauge("edgefashion_queue_length", "Requests that wait for a thread").set_function(lambda: gate.waiting)
        computing = Gauge("edgefashion_requests_in_flight", "Requests being computed or waiting for it")
        computing.set_function(lambda: gate.inside)
        Gauge("edgefashion_draining", "1 from SIGTERM on").set_function(lambda: gate.draining)

    @contextmanager
    def watch(self, model: str, protocol: str) -> Iterator[None]:
        """Count one request and time it, whatever becomes of it."""
        model = model if model in self._models else ""  # a client could fill the memory with names of its own
        start_s = time.perf_counter()
        outcome = "gone"  # what a cancelled request keeps: the client left, or the server ends
        try:
            yield
            outcome = "ok"
        except ClientDisconnect:
            raise
        except Exception as error:
            outcome = refusal_of(error)[0].outcome
            raise
        finally:
            self._requests.labels(model, protocol, outcome).inc()
            self._seconds.labels(model, protocol).observe(time.perf_counter() - start_s)
