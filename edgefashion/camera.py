"""The loop: frame, garment, classify, decide, show. Made to run for months with nobody watching.

Nothing that fails around it ends it: a source is opened anew, an output is opened anew, a network that cannot be used
leaves the one in use. It ends when the user says so, at the end of a file, and after ``max_failures`` of its source.
"""

from __future__ import annotations

import collections
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion import garment, sources
from edgefashion.decide import Said, Smoother, Steady
from edgefashion.errors import EdgeFashionError
from edgefashion.moments import Event, EventSink, Health, Moment, now
from edgefashion.picture_watch import PictureWatch
from edgefashion.predict import Prediction, part, predict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.kept_open import KeptOpen
    from edgefashion.lineup import Lineup

READ_TIMEOUT_S: Final = 0.1
"""How long the loop waits for a frame before it looks at its stop signal and its outputs again."""

EARLY: Final = 0.25
"""Share of a frame's time by which a live one may come too early: a camera at that very rate must not lose frames to
its jitter."""

NOTE_S: Final = 3.0
"""How long a line about a key stays on the screen."""

NO_ANSWER: Final = "the network gives no answer"

SHOWING: Final = ("window", "page", "recording")
"""Outputs for whose sake the loop runs even if nobody reads its events."""

_RECENT: Final = 30


@dataclass(frozen=True)
class LoopOptions:
    """What a run of the loop is to do besides answering."""

    mirror: bool = False
    privacy: bool = False
    """Show and keep nothing but the garment's box."""
    highest_fps: float = 15.0
    """A live source's frames beyond this rate are not even decoded."""
    answers_fps: float = 15.0
    """A live source's frames beyond this rate are shown, with the answer before them, and not looked at."""
    real_time: bool = False
    """Play a file at its own speed: somebody looks."""
    snapshots: Path | None = None
    """Folder for snapshots and clips; None switches both off."""


@dataclass(frozen=True)
class Summary:
    """What a run of the loop did."""

    frames: int
    seconds: float
    reconnects: int
    """Times the source was lost."""
    faults: int
    """Whatever else failed."""
    unheard: bool = False
    """It ended because whoever read its events has left and nobody else was told or shown anything."""


OnAnswer = Callable[[sources.Frame, Prediction], Any]
"""Called with every answered frame and what that one frame said."""


def run(
    lineup: Lineup,
    source: sources.Source,
    *,
    stop: threading.Event | None = None,
    outputs: Sequence[KeptOpen] = (),
    events: Sequence[EventSink] = (),
    on_answer: OnAnswer | None = None,
    options: LoopOptions | None = None,
) -> Summary:
    """Answer the frames of ``source`` until it ends, ``stop`` is set or an output's key says quit.

    A live source gives its newest frame, a file all of them. Everything handed in is closed on the way out. Raises
    :class:`MissingError` when a live source has failed too often, :class:`BadInputError` for a file that cannot be
    read.
    """
    loop = _Loop(lineup, source, outputs, events, on_answer, options or LoopOptions())
    try:
        loop.run(stop or threading.Event())
    finally:
        loop.close()
    return loop.summary()


class _Loop:
    def __init__(
        self,
        lineup: Lineup,
        source: sources.Source,
        outputs: Sequence[KeptOpen],
        events: Sequence[EventSink],
        on_answer: OnAnswer | None,
        options: LoopOptions,
    ) -> None:
        self._lineup, self._source = lineup, source
        self._outputs, self._events, self._on_answer, self._options = list(outputs), events, on_answer, options
        self._smoother, self._steady, self._watch = Smoother(), Steady(), PictureWatch()
        self._began_s = time.monotonic()
        live = source.live
        self._frames = _Pace(options.highest_fps if live else source.fps or 1.0, EARLY if live else 0.0)
        self._answers = _Pace(options.answers_fps, EARLY)
        self._answered, self._number, self._faults = 0, -1, 0
        self._times: collections.deque[float] = collections.deque(maxlen=_RECENT)
        self._latencies: collections.deque[float] = collections.deque(maxlen=_RECENT)
        self._failing: dict[str, str] = {}
        # Of a file only trouble is told: that it is there was clear before.
        self._condition = ("starting" if source.live else "live", "")
        self._reasons: set[tuple[str, str]] = set()
        self._moment = Moment(self._began_s, Health(), mirror=options.mirror)
        self._note, self._note_until_s = "", 0.0
        self._clips: Any = None
        self._quit = self._help = self._unheard = False

    # --- One turn -----------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        if self._source.live:
            self._tell("starting")
        while not (stop.is_set() or self._quit):
            self._pace(stop)
            frame = self._source.read(READ_TIMEOUT_S)
            wrong = ""
            if frame is not None and self._source.live:
                wrong = self._watch.look(frame.image, frame.time_s)
                if self._watch.to_reopen(frame.time_s):
                    self._source.reopen(wrong)
            between = frame is not None and not wrong and self._is_between()
            seen = self._see(frame) if frame is not None and not wrong and not between else None
            if frame is not None:
                self._number = frame.number
                if not wrong and seen is None and (not between or "network" in self._failing):
                    wrong, frame = NO_ANSWER, None  # the picture is sound, but nothing of now is known of it
            self._show_condition(("stale", wrong) if wrong else (self._source.state, self._source.reason))
            if frame is not None and seen is not None:
                self._answer(frame, seen)
            else:
                self._wait(frame)
            self._hand_out()
            self._change_networks()
            self._check_sinks()
            for key in "".join(output.keys() for output in self._outputs):
                self._act_on(key)
            if self._source.state == "ended":
                return

    def _pace(self, stop: threading.Event) -> None:
        """Wait until the next frame is wanted."""
        if self._source.live or self._options.real_time:
            wait_s = self._frames.due_in_s(time.monotonic())
            if wait_s > 0:
                stop.wait(wait_s)
            self._frames.took(time.monotonic())

    def _is_between(self) -> bool:
        """Whether the next answer is not wanted yet."""
        if not self._source.live or self._options.answers_fps >= self._options.highest_fps:
            return False
        now_s = time.monotonic()
        if self._answers.due_in_s(now_s) > 0:
            return True
        self._answers.took(now_s)
        return False

    def _see(self, frame: sources.Frame) -> Prediction | None:
        """What this one frame says; None if the network gives no answer."""
        height, width = frame.image.shape[:2]
        guide = garment.guide_box(width, height)
        before_s = time.perf_counter()
        try:
            seen = predict(self._lineup.classifier, frame.image, within=guide, smoother=self._smoother)
        except Exception as error:  # the next frame may be another; a kiosk goes on
            self._fail("network", f"{self._lineup.classifier.name} gives no answer: {error}")
            return None
        self._fail("network", "")
        self._lineup.took((time.perf_counter() - before_s) * 1000)
        return seen

    def _answer(self, frame: sources.Frame, seen: Prediction) -> None:
        height, width = frame.image.shape[:2]
        guide = garment.guide_box(width, height)
        classifier = self._lineup.classifier
        latency_ms = (time.monotonic() - frame.time_s) * 1000
        self._answered += 1
        self._times.append(time.monotonic())
        self._latencies.append(latency_ms)
        if self._on_answer:
            self._on_answer(frame, seen)
        apart = self._source.apart
        said = said_of(seen)
        if apart:
            self._smoother.reset()
            stands: Said | None = said
        else:
            time_s = frame.time_s if self._source.live else frame.number / self._source.fps
            before = self._steady.stands
            stands = self._steady(time_s, said, part(frame.image, guide))
        confidence = _confidence(seen, stands) or (self._moment.confidence if stands == self._said() else None)
        box = seen.garment.box if seen.garment and seen.answer else None
        state, label = stands or ("none", None)
        self._moment = Moment(
            time.monotonic(),
            self._health(),
            state=state,
            label=label,
            confidence=confidence,
            latency_ms=latency_ms,
            image=self._showable(frame.image, box),
            taken_s=frame.time_s,
            guide=guide,
            box=box,
            pixels=seen.garment.pixels if seen.garment and not self._options.privacy else None,
            model=classifier.name,
            precision=classifier.precision,
            mirror=self._options.mirror,
        )
        if stands is not None and (apart or stands != before):
            likeliest = seen.answer.label if seen.answer and state == "unknown" else label
            self._tell(state, likeliest, confidence, latency_ms)

    def _said(self) -> Said:
        return self._moment.state, self._moment.label

    def _wait(self, frame: sources.Frame | None) -> None:
        """There is no new answer: show the picture there is, and how things are."""
        moment = replace(self._moment, time_s=time.monotonic(), health=self._health(), _drawn={})
        if not moment.health.well:
            moment = replace(moment, state="none", label=None, confidence=None, box=None, pixels=None, latency_ms=None)
        if frame is not None:
            moment = replace(moment, image=self._showable(frame.image, moment.box), taken_s=frame.time_s)
        self._moment = moment

    def _showable(self, image: NDArray[np.uint8], box: garment.Box | None) -> NDArray[np.uint8]:
        """What of a frame may be shown and kept."""
        if not self._options.privacy:
            return image
        from edgefashion import privacy

        return privacy.hide(image, box)

    # --- What is told -------------------------------------------------------------------------

    def _show_condition(self, condition: tuple[str, str]) -> None:
        """Tell a change of the source's condition, and a reason that has not been told since it was last live."""
        state, reason = condition
        if condition == self._condition or (state == "starting" and not reason):
            return
        was, self._condition = self._condition[0], condition
        if state == "live":
            self._reasons.clear()
            self._tell(state)
            return
        if state != was:
            self._smoother.reset()
            self._steady.reset()
            self._times.clear()
        # A stale source's reason counts the seconds; an ended one's is told at the very end.
        if (state == "stale" and was == "stale") or state == "ended" or condition in self._reasons:
            return
        self._reasons.add(condition)
        self._tell(state, reason=reason)

    def _tell(
        self,
        state: str,
        label: str | None = None,
        confidence: float | None = None,
        latency_ms: float | None = None,
        reason: str | None = None,
    ) -> None:
        event = Event(now(), self._number, state, label, confidence, latency_ms, reason or None)
        for sink in self._events:
            sink.tell(event)

    def _fail(self, what: str, text: str) -> None:
        """Note that ``what`` fails (``text`` says how) or works (the empty text), and tell what is new."""
        if text == self._failing.get(what, ""):
            return
        if text:
            self._failing[what] = text
            self._faults += 1
            self._tell("fault", reason=f"{what}: {text}")
        else:
            del self._failing[what]
            self._tell("fault", reason=f"{what}: works again")

    def _hand_out(self) -> None:
        now_s = time.monotonic()
        note = self._note if now_s < self._note_until_s else ""
        kept = self._kept()
        self._moment = replace(self._moment, note=note, kept=kept, help=self._help, _drawn={})
        if self._clips is not None:
            try:
                self._clips.take(self._moment)
            except Exception as error:  # a full disk ends the clip, not the camera
                self._fail("clip", str(error))
                self._say(f"The clip is lost: {error}")
        for output in self._outputs:
            failed = output.take(self._moment)
            if failed is not None:
                self._fail(output.name, failed)

    def _kept(self) -> str:
        """The sentence on what is stored right now."""
        keeping = [output.keeping for output in self._outputs] + [self._clips.keeping if self._clips else None]
        names = [name for name in keeping if name]
        return f"Recording to {' and '.join(names)}" if names else Moment.kept

    def _check_sinks(self) -> None:
        told = [sink for sink in self._events if not getattr(sink, "gone", False)]
        if self._events and not told and not any(output.name in SHOWING for output in self._outputs):
            self._quit = self._unheard = True
            return
        for place, sink in enumerate(self._events):
            name = "events" if len(self._events) == 1 else f"events {place + 1}"
            self._fail(name, sink.fault() or "")

    def _change_networks(self) -> None:
        note, fault = self._lineup.poll(time.monotonic())
        if note:
            self._say(note)
            self._smoother.reset()
            self._fail("model", "")
        if fault:
            self._fail("model", fault)
            self._say(fault)

    def _health(self) -> Health:
        now_s = time.monotonic()
        span_s = self._times[-1] - self._times[0] if len(self._times) > 1 else 0.0
        condition, reason = self._condition
        return Health(
            condition=condition,
            reason=reason,
            frame_age_s=None if self._moment.taken_s is None else now_s - self._moment.taken_s,
            fps=(len(self._times) - 1) / span_s if span_s else 0.0,
            latency_ms=statistics.median(self._latencies) if self._latencies else None,
            uptime_s=now_s - self._began_s,
            frames=self._answered,
            reconnects=self._source.losses,
            faults=self._faults,
        )

    # --- Keys ---------------------------------------------------------------------------------

    def _say(self, note: str) -> None:
        self._note, self._note_until_s = note, time.monotonic() + NOTE_S

    def _act_on(self, key: str) -> None:
        if key == "q":
            self._quit = True
        elif key == "m":
            self._options = replace(self._options, mirror=not self._options.mirror)
            self._moment = replace(self._moment, mirror=self._options.mirror)
        elif key == "h":
            self._help = not self._help
        elif key == "p":
            self._say(self._lineup.toggle_precision())
        elif key.isdigit() and key != "0":
            self._say(self._lineup.choose(int(key) - 1))
        elif key in "sr":
            self._keep(key)

    def _keep(self, key: str) -> None:
        """A snapshot, or the start or end of a clip."""
        from edgefashion import clips

        folder = self._options.snapshots
        if folder is None:
            self._say("Nothing is kept here: no folder was given for it")
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if key == "s":
                self._say(f"Kept as {clips.snapshot(self._moment, folder).name}")
            elif self._clips is not None and self._clips.keeping:
                self._say(f"Kept as {self._clips.stop().name}")
            else:
                self._clips = self._clips or clips.Clips(folder)
                self._say(f"Recording to {self._clips.start().name}")
        except (EdgeFashionError, OSError) as error:
            self._fail("clip", str(error))
            self._say(f"Not kept: {error}")

    # --- The end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Close everything, whatever fails about it."""
        self._source.close()
        reason = self._source.reason if self._source.state == "ended" and self._source.reason != "closed" else "stopped"
        self._tell("ended", reason=reason)
        closing = [self._lineup, *self._outputs, *([self._clips] if self._clips is not None else []), *self._events]
        for one in closing:
            try:
                one.close()
            except Exception as error:  # the others are still to be closed
                self._fail("closing", str(error))

    def summary(self) -> Summary:
        return Summary(
            self._answered, time.monotonic() - self._began_s, self._source.losses, self._faults, self._unheard
        )


class _Pace:
    """So many a second, on average, of what comes when it likes."""

    def __init__(self, rate: float, early: float) -> None:
        self._period_s = 1 / rate
        self._early_s = early * self._period_s
        self._due_s = 0.0

    def due_in_s(self, now_s: float) -> float:
        return self._due_s - self._early_s - now_s

    def took(self, now_s: float) -> None:
        # Along its own grid, unless that has fallen behind.
        self._due_s = max(self._due_s + self._period_s, now_s + self._period_s - self._early_s)


def said_of(seen: Prediction) -> Said:
    """What a frame's prediction says: the state, and the label of a garment."""
    if seen.answer is None:
        return "none", None
    return ("garment", seen.answer.label) if seen.answer.accepted else ("unknown", None)


def _confidence(seen: Prediction, stands: Said | None) -> float | None:
    """How sure the frame is of the answer that stands; None where it is not among its likeliest."""
    if stands is None or seen.answer is None or stands[0] == "none":
        return None
    if stands[0] == "unknown":
        return seen.answer.confidence
    return dict(seen.answer.top).get(stands[1] or "")
