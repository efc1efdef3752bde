"""The loop: frame, garment, classify, decide, show."""

from __future__ import annotations

import collections
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from edgefashion import display, garment, sources
from edgefashion.decide import Smoother
from edgefashion.errors import BadInputError
from edgefashion.predict import Prediction, predict

if TYPE_CHECKING:
    from edgefashion.classify import Classifier

READ_TIMEOUT_S: Final = 0.1
"""How long the loop waits for a frame before it looks at its stop signal and window again."""


@dataclass(frozen=True)
class Event:
    """One line of the event stream."""

    time: str
    """UTC, ISO 8601 with milliseconds."""
    frame: int
    state: str
    """garment, none, unknown, reconnecting or ended."""
    label: str | None
    """The likeliest label; also where the state is unknown, for whoever reads the log."""
    confidence: float | None
    latency_ms: float | None
    """From the frame leaving the source to its answer."""


@dataclass(frozen=True)
class Summary:
    """What a run of the loop did."""

    frames: int
    seconds: float


EventSink = Callable[[Event], None]


def run(
    classifier: Classifier,
    source: sources.Source,
    *,
    stop: threading.Event | None = None,
    events: EventSink | None = None,
    window: display.Window | None = None,
    recorder: display.Recorder | None = None,
    mirror: bool = False,
) -> Summary:
    """Answer every frame of ``source`` until it ends, ``stop`` is set or the window is closed.

    A live source gives its newest frame; a file gives all, at its own speed in a window and as
    fast as they can be answered without one. Everything handed in is closed on the way out.
    """
    stop = stop or threading.Event()
    smoother = Smoother()
    rate = _Rate()
    last_state, frames, began = "", -1, time.monotonic()

    def emit(
        state: str,
        number: int,
        label: str | None = None,
        confidence: float | None = None,
        latency_ms: float | None = None,
    ) -> None:
        if events:
            now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            events(Event(now, number, state, label, confidence, latency_ms))

    answered = 0
    due_s = began
    picture = display.draw_waiting("waiting", None) if window else None
    last_image = None
    try:
        while not stop.is_set():
            frame = source.read(READ_TIMEOUT_S)
            if frame is None:
                if source.state == "ended":
                    break
                if source.state == "reconnecting" and last_state != "reconnecting":
                    smoother.reset()
                    emit("reconnecting", frames)
                    last_state = "reconnecting"
                    rate = _Rate()
                    if window:
                        picture = display.draw_waiting("reconnecting", last_image, mirror)
                if window and picture is not None and not window.show(picture):
                    break
                continue
            frames = frame.number
            height, width = frame.image.shape[:2]
            guide = garment.guide_box(width, height)
            seen = predict(classifier, frame.image, within=guide, smoother=smoother)
            latency_ms = (time.monotonic() - frame.time_s) * 1000
            state = state_of(seen)
            label = seen.answer.label if seen.answer else None
            confidence = seen.answer.confidence if seen.answer else None
            emit(state, frame.number, label, confidence, latency_ms)
            last_state, last_image = state, frame.image
            answered += 1
            if window is None and recorder is None:
                continue
            picture = display.draw(
                frame.image,
                state=state,
                label=label,
                confidence=confidence,
                guide=guide,
                box=seen.garment.box if seen.garment and seen.answer else None,
                pixels=seen.garment.pixels if seen.garment else None,
                fps=rate.tick(),
                latency_ms=latency_ms,
                mirror=mirror,
            )
            if recorder:
                if source.live:
                    recorder.write_at(picture, frame.time_s)
                else:
                    recorder.write(picture)
            if window:
                now = time.monotonic()
                due_s = now if source.live else max(now, due_s + 1 / source.fps)
                if not window.show(picture, round((due_s - now) * 1000)):
                    break
    finally:
        source.close()
        for sink in (recorder, window):
            if sink:
                sink.close()
        emit("ended", frames)
    return Summary(answered, time.monotonic() - began)


def state_of(seen: Prediction) -> str:
    """The event state for what was seen: garment, unknown or none."""
    if seen.answer is None:
        return "none"
    return "garment" if seen.answer.accepted else "unknown"


class _Rate:
    """Frames a second over the last 30 frames."""

    def __init__(self) -> None:
        self._times: collections.deque[float] = collections.deque(maxlen=30)

    def tick(self) -> float:
        self._times.append(time.monotonic())
        span = self._times[-1] - self._times[0]
        return (len(self._times) - 1) / span if span else 0.0


def json_lines(out: TextIO) -> EventSink:
    """An event sink that writes JSON Lines to ``out``, each line flushed."""

    def write(event: Event) -> None:
        print(json.dumps(asdict(event)), file=out, flush=True)

    return write


def open_events(path: Path) -> TextIO:
    """Open an event file for appending. Raises :class:`BadInputError` if it cannot be written."""
    try:
        return path.open("a", encoding="utf-8")
    except OSError as error:
        raise BadInputError(f"--events {path} cannot be written: {error.strerror}. Choose another place") from error
