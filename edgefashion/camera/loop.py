"""The loop: frame, garment, classify, decide, show. Made to run for months with nobody watching.

Nothing that fails around it ends it: a source is opened anew, an output is opened anew, a network that cannot be used
leaves the one in use. It ends when the user says so, at the end of a file, and after ``max_failures`` of its source.
"""

from __future__ import annotations

import collections
import statistics
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera.frame_rate import Pace
from edgefashion.camera.moment import EventSink, Health, Moment
from edgefashion.camera.outputs import clips
from edgefashion.camera.outputs.keeping import CLIP, SNAPSHOT, Keeping
from edgefashion.camera.outputs.reopening import KeptOpen, close_quietly
from edgefashion.camera.service import watchdog
from edgefashion.camera.sources.source import Frame, Source
from edgefashion.camera.sources.stuck_pictures import PictureWatch
from edgefashion.camera.stability import Said, Smoother, Steady
from edgefashion.camera.status_events import Telling
from edgefashion.errors import EdgeFashionError
from edgefashion.inference import preprocess
from edgefashion.inference.predict import Prediction, predict

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.camera.networks import Lineup
    from edgefashion.inference.classifier import Classifier

READ_TIMEOUT_S: Final = 0.1
"""How long the loop waits for a frame before it looks at its stop signal and its outputs again."""

EARLY: Final = 0.25
"""Share of a frame's time by which a live one may come too early: a camera at that very rate must not lose frames to
its jitter."""

NOTE_S: Final = 3.0
"""How long a line about a key stays on the screen."""

NO_ANSWER: Final = "the network gives no answer"

CLOSE_LIMIT_S: Final = 15.0
"""How long the end waits for all that is still to be written and closed; systemd waits for 30."""

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


OnAnswer = Callable[[Frame, Prediction], Any]
"""Called with every answered frame and what that one frame said."""


def run(
    lineup: Lineup,
    source: Source,
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
        source: Source,
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
        self._frames = Pace(options.highest_fps if live else source.fps or 1.0, EARLY if live else 0.0)
        self._answers = Pace(options.answers_fps, EARLY)
        self._answered = 0
        self._times: collections.deque[float] = collections.deque(maxlen=_RECENT)
        self._latencies: collections.deque[float] = collections.deque(maxlen=_RECENT)
        self._telling = Telling(events, live=source.live)
        self._keeping = Keeping(options.snapshots)
        self._moment = Moment(self._began_s, Health(), mirror=options.mirror)
        self._note, self._note_until_s = "", 0.0
        self._asked: Classifier | None = None
        self._last_word: EdgeFashionError | None = None
        """With which the source has ended the run."""
        self._quit = self._help = self._unheard = False

    # --- One turn -----------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        if self._source.live:
            self._telling.tell("starting")
        while not (stop.is_set() or self._quit or self._source.state == "ended"):
            try:
                self._turn(stop)
                self._telling.fail("loop", "")
            except Exception as error:
                if error is self._last_word or not self._source.live:
                    raise
                # Nobody foresaw it; the next frame may do better, and a kiosk that goes on can be mended.
                if self._telling.failing.get("loop") != str(error):
                    traceback.print_exc()
                self._telling.fail("loop", str(error) or type(error).__name__)
                stop.wait(1)

    def _turn(self, stop: threading.Event) -> None:
        self._pace(stop)
        frame = self._read()
        wrong = ""
        if frame is not None and self._source.live:
            wrong = self._watch.look(frame.image, frame.time_s)
            if self._watch.to_reopen(frame.time_s):
                self._source.reopen(wrong)
        between = frame is not None and not wrong and self._is_between()
        seen = self._see(frame) if frame is not None and not wrong and not between else None
        if frame is not None:
            self._telling.frame = frame.number
            if not wrong and seen is None and (not between or "network" in self._telling.failing):
                wrong, frame = NO_ANSWER, None  # the picture is sound, but nothing of now is known of it
        void = self._telling.change(*(("stale", wrong) if wrong else (self._source.state, self._source.reason)))
        if void:
            self._forget()
        if frame is not None and seen is not None:
            self._answer(frame, seen)
        else:
            self._wait(frame)
        self._hand_out()
        self._change_networks()
        if self._telling.check_sinks() and not any(output.name in SHOWING for output in self._outputs):
            self._quit = self._unheard = True
        for key in "".join(output.keys() for output in self._outputs):
            self._act_on(key)

    def _read(self) -> Frame | None:
        """The next frame, if one comes in time; notes an error of the source, the only one to end a live camera."""
        try:
            return self._source.read(READ_TIMEOUT_S)
        except EdgeFashionError as error:
            self._last_word = error
            raise

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

    def _see(self, frame: Frame) -> Prediction | None:
        """What this one frame says; None if the network gives no answer."""
        height, width = frame.image.shape[:2]
        guide = preprocess.guide_box(width, height)
        before_s = time.perf_counter()

        def look(classifier: Classifier) -> Prediction:
            if classifier is not self._asked:  # what another network said of the frames before is no help
                self._smoother.reset()
                self._asked = classifier
            seen = predict(classifier, frame.image, within=guide, smooth=self._smoother)
            if seen.garment is None:
                self._smoother.reset()
            return seen

        try:
            seen = self._lineup.ask(look)
        except Exception as error:  # the next frame may be another; a kiosk goes on
            name = self._asked.name if self._asked else "the network"
            self._telling.fail("network", f"{name} gives no answer: {error}")
            return None
        self._telling.fail("network", "")
        self._lineup.took((time.perf_counter() - before_s) * 1000)
        return seen

    def _answer(self, frame: Frame, seen: Prediction) -> None:
        height, width = frame.image.shape[:2]
        guide = preprocess.guide_box(width, height)
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
            stands = self._steady(time_s, said, preprocess.part(frame.image, guide))
        # While the next garment is not yet confirmed, its frames say nothing of the one that stands.
        confidence = _confidence(seen, stands) if said == stands else self._moment.confidence
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
            self._telling.tell(state, likeliest, confidence, latency_ms)

    def _wait(self, frame: Frame | None) -> None:
        """There is no new answer: show the picture there is, and how things are."""
        moment = replace(self._moment, time_s=time.monotonic(), health=self._health(), _drawn={})
        if not moment.health.well:
            moment = replace(moment, state="none", label=None, confidence=None, box=None, pixels=None, latency_ms=None)
        # With privacy a frame is shown with its own box only: in another's place may be a face by now.
        if frame is not None and not (self._options.privacy and moment.box):
            moment = replace(moment, image=self._showable(frame.image, None), taken_s=frame.time_s)
        self._moment = moment

    def _showable(self, image: NDArray[np.uint8], box: preprocess.Box | None) -> NDArray[np.uint8]:
        """What of a frame may be shown and kept."""
        if not self._options.privacy:
            return image
        from edgefashion.camera import privacy

        return privacy.hide(image, box)

    def _forget(self) -> None:
        """What was seen before is no ground for an answer any more."""
        self._smoother.reset()
        self._steady.reset()
        self._times.clear()

    # --- What is shown ------------------------------------------------------------------------

    def _hand_out(self) -> None:
        now_s = time.monotonic()
        note = self._note if now_s < self._note_until_s else ""
        kept = clips.kept(self._keeping, *self._outputs)
        self._moment = replace(self._moment, note=note, kept=kept, help=self._help, _drawn={})
        said, failed = self._keeping.take(self._moment)
        if said:
            self._say(said)
        if failed is not None:
            self._telling.fail("clip", failed)
        for output in self._outputs:
            failed = output.take(self._moment)
            if failed is not None:
                self._telling.fail(output.name, failed)

    def _change_networks(self) -> None:
        note, fault = self._lineup.poll(time.monotonic())
        if (away := self._lineup.away) != self._telling.failing.get("server", ""):
            self._telling.fail("server", away)
            self._say(away)
        if note:
            self._say(note)
            self._smoother.reset()
            self._telling.fail("model", "")
        if compared := self._lineup.compared():
            self._say(compared)
        if fault:
            self._telling.fail("model", fault)
            self._say(fault)

    def _health(self) -> Health:
        now_s = time.monotonic()
        span_s = self._times[-1] - self._times[0] if len(self._times) > 1 else 0.0
        condition, reason = self._telling.condition
        return Health(
            condition=condition,
            reason=reason,
            frame_age_s=None if self._moment.taken_s is None else now_s - self._moment.taken_s,
            fps=(len(self._times) - 1) / span_s if span_s else 0.0,
            latency_ms=statistics.median(self._latencies) if self._latencies else None,
            uptime_s=now_s - self._began_s,
            frames=self._answered,
            reconnects=self._source.losses,
            faults=self._telling.faults,
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
        elif key in SNAPSHOT + CLIP:
            self._say(self._keeping.ask(key, self._moment))

    # --- The end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Close everything side by side, whatever fails about it, in :data:`CLOSE_LIMIT_S` at most."""
        watchdog.stopping()
        self._telling.tell("ended", reason=self._source.reason if self._source.state == "ended" else "stopped")
        ends = [self._source, self._lineup, *self._outputs, self._keeping, *self._events]
        until_s = time.monotonic() + CLOSE_LIMIT_S
        # Daemons: a disk that does not answer must not keep the process from ending.
        closing = [threading.Thread(target=close_quietly, args=(one,), daemon=True) for one in ends]
        for thread in closing:
            thread.start()
        for thread in closing:
            thread.join(timeout=max(0.0, until_s - time.monotonic()))

    def summary(self) -> Summary:
        return Summary(
            self._answered, time.monotonic() - self._began_s, self._source.losses, self._telling.faults, self._unheard
        )


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
