"""The page's ``/metrics``: what Prometheus asks for, in its text format."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from edgefashion.bundles.running import Running
from edgefashion.camera.events.event import CONDITIONS
from edgefashion.camera.figures import MEASURES
from edgefashion.camera.moment import Health

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from edgefashion.camera.figures import Figures
    from edgefashion.camera.page.board import Board

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

UNSURE_LABEL: Final = "Not sure"
"""Counts the answers that were not sure. It is a name that monitors ask by, whatever the page says of them."""


def metrics(board: Board, viewers: Callable[[], Mapping[str, int]]) -> Callable[[], bytes]:
    """A function that gives the figures of now. ``viewers`` counts who watches, by stream.

    Beside our own it tells the process's memory, open files and CPU seconds, where the system has them.
    """
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest

    class Ours:
        def collect(self) -> Iterable[Metric]:
            return _families(board, viewers())

    registry = CollectorRegistry()
    registry.register(Ours())
    ProcessCollector(registry=registry)
    return lambda: generate_latest(registry)


def _families(board: Board, viewers: Mapping[str, int]) -> Iterable[Metric]:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

    from edgefashion.version import __version__

    moment = board.moment
    health = moment.health if moment else Health()

    def gauge(name: str, value: float | None, what: str) -> Metric:
        family = GaugeMetricFamily(f"edgefashion_{name}", what)
        if value is not None:
            family.add_metric([], value)
        return family

    yield gauge("healthy", float(board.why_not_well() is None), "1 while answers are of now, as /healthz says")
    condition = GaugeMetricFamily("edgefashion_source_condition", "1 for the source's condition", labels=["condition"])
    for name in CONDITIONS:
        condition.add_metric([name], float(name == health.condition))
    yield condition
    silent_s = None if board.handed_s is None else time.monotonic() - board.handed_s
    latency_s = None if health.latency_ms is None else health.latency_ms / 1000
    yield gauge("frame_age_seconds", board.frame_age_s(), "Since the newest frame left its source")
    yield gauge("moment_age_seconds", silent_s, "Since the camera's loop last handed something to the page")
    yield gauge("frames_per_second", health.fps, "Frames answered a second, of late")
    yield gauge("latency_seconds", latency_s, "Median from frame to answer, of late")
    yield gauge("uptime_seconds", health.uptime_s, "Since the camera's loop started")
    for name, value, what in (
        ("frames", health.frames, "Frames answered"),
        ("reconnects", health.reconnects, "Times the source was lost"),
        ("faults", health.faults, "Faults besides the source's"),
    ):
        yield CounterMetricFamily(f"edgefashion_{name}", what, value=value)
    answers = CounterMetricFamily("edgefashion_answers", "Stable answers given, by label", labels=["label"])
    counts = {label or UNSURE_LABEL: count for label, count in board.counts.copy().items()}
    for label, count in sorted(counts.items()):
        answers.add_metric([label], count)
    yield answers
    yield from _figures(moment.figures if moment else None)
    watching = GaugeMetricFamily("edgefashion_page_viewers", "Streams of the page that are open", labels=["stream"])
    for stream, count in sorted(viewers.items()):
        watching.add_metric([stream], count)
    yield watching
    facts = {"version": __version__, "model": moment.model if moment else ""}
    facts["precision"] = moment.precision if moment else ""
    now = moment.running if moment else Running()
    facts |= {"revision": now.revision or "", "sha256": now.sha256 or ""}
    yield gauge("on_probation", float(now.probation), "1 while a new revision is compared with the one before")
    yield InfoMetricFamily("edgefashion", "What runs", value=facts)


def _figures(figures: Figures | None) -> Iterable[Metric]:
    """Today's figures, of the hour and the day so far, what is expected of a day, and what the last one was not."""
    from prometheus_client.core import GaugeMetricFamily

    if figures is None:
        return
    spans = {"hour": figures.hour, "day": figures.day}
    visits = GaugeMetricFamily("edgefashion_visits", "Garments held up to the camera so far", labels=["span"])
    for span, counts in spans.items():
        visits.add_metric([span], counts.visits)
    yield visits
    for measure, (name, what) in _FIGURES.items():
        family = GaugeMetricFamily(f"edgefashion_{name}", what, labels=["span"])
        for span, counts in spans.items():
            if (value := counts.value(measure)) is not None:
                family.add_metric([span], value)
        yield family
    expected = GaugeMetricFamily(
        "edgefashion_expected", "What a day should have, as the report or the first days say", labels=["measure"]
    )
    for measure, value in figures.expected.items():
        expected.add_metric([measure], value)
    yield expected
    drift = GaugeMetricFamily(
        "edgefashion_drift", "1 where the last whole day departed beyond chance", labels=["measure"]
    )
    for measure in MEASURES:
        drift.add_metric([measure], float(measure in figures.departing))
    yield drift


_FIGURES: Final = {
    "not_sure": ("not_sure_ratio", "Share of the garments held up that were not sure"),
    "no_garment": ("no_garment_ratio", "Share of the time with no garment in view"),
    "confidence": ("confidence_mean", "Mean confidence of the garments held up, 0 to 1"),
    "brightness": ("brightness_mean", "Mean brightness of the pictures, 0 to 255"),
}
"""By measure: the gauge's name and meaning."""
