"""The loop: frame, garment, classify, decide, show. Made to run for months with nobody watching.

Nothing that fails around it ends it: a source is opened anew, an output is opened anew, a network that cannot be used
leaves the one in use. It ends when the user says so, at the end of a file, and after ``max_failures`` of its source.
"""

from __future__ import annotations

import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from edgefashion.camera.answers import Answers
from edgefashion.camera.drift.watch import DayWatch
from edgefashion.camera.events.event import EventSink
from edgefashion.camera.frame_rate import FrameRate
from edgefashion.camera.health import HealthMeter
from edgefashion.camera.keys import Keys
from edgefashion.camera.latest_moment import LatestMoment
from edgefashion.camera.moment import Health, Kept
from edgefashion.camera.outputs.clips import OnDemand
from edgefashion.camera.outputs.reopening import Closable, ReopeningOutput, close_quietly
from edgefashion.camera.probation import Watch
from edgefashion.camera.service import watchdog
from edgefashion.camera.sources.source import Frame, Source
from edgefashion.camera.sources.stuck_pictures import PictureWatch
from edgefashion.camera.status_events import StatusEvents
from edgefashion.errors import EdgeFashionError
from edgefashion.inference.predict import Prediction
from edgefashion.system.addresses import without_secrets
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    from edgefashion.camera.collecting import Collecting
    from edgefashion.camera.networks import Networks

READ_TIMEOUT_S: Final = 0.1
"""How long the loop waits for a frame before it looks at its stop signal and its outputs again."""

_E = TypeVar("_E", bound=Closable)

NO_ANSWER: Final = "the network gives no answer"

CLOSE_LIMIT_S: Final = 12.0
"""How long the end waits for a recording, and then for all else that is to be written and closed; systemd waits for
30 s."""


@dataclass(frozen=True)
class LoopOptions:
    """What a run of the loop is to do besides answering."""

    mirror: bool = False
    privacy: bool = False
    """Show and keep nothing but the garments' boxes."""
    single: bool = False
    """Look for one garment in the middle, also with a network that finds all of them."""
    highest_fps: float = 15.0
    """A live source's frames beyond this rate are not even decoded."""
    answers_fps: float = 15.0
    """A live source's frames beyond this rate are shown, with the answer before them, and not looked at."""
    real_time: bool = False
    """Play a file at its own speed: somebody looks."""
    snapshots: Path | None = None
    """Folder for snapshots and clips; None switches both off."""
    details: bool = False
    """Show the network's name, its precision, its milliseconds and what it saw."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """What to show in place of a label; events keep the label."""


@dataclass(frozen=True)
class Summary:
    """What a run of the loop did."""

    frames: int
    seconds: float
    reconnects: int
    """Times the source was lost."""
    faults: int
    """Whatever else failed."""
    unrecorded: str = ""
    """Why the recording of the run is not whole; empty if it is, or none was made."""
    unheard: bool = False
    """It ended because whoever read its events has left and nobody else was told or shown anything."""
    collected: int = 0
    """Pictures of garments that were kept."""
    unwritten: int = 0
    """Events that were lost: the disk was full, or a broker was away for longer than is kept."""


OnAnswer = Callable[[Frame, Prediction], Any]
"""Called with every answered frame and what that one frame said."""


def run(
    networks: Networks,
    source: Source,
    *,
    stop: threading.Event | None = None,
    outputs: Sequence[ReopeningOutput] = (),
    events: Sequence[EventSink] = (),
    on_answer: OnAnswer | None = None,
    options: LoopOptions | None = None,
    probation: Watch | None = None,
    days: DayWatch | None = None,
    collecting: Collecting | None = None,
) -> Summary:
    """Answer the frames of ``source`` until it ends, ``stop`` is set or an output's key says quit.

    A live source gives its newest frame, a file all of them. ``probation`` watches a new revision of the model,
    ``days`` counts what a live source shows, ``collecting`` keeps some of its garments. Everything handed in is closed
    on the way out. Raises :class:`MissingError` when a live source has failed too often, :class:`BadInputError` for a
    file that cannot be read.
    """
    loop = _Loop(
        networks, source, outputs, events, on_answer, options or LoopOptions(), probation or Watch(), days, collecting
    )
    try:
        loop.run(stop or threading.Event())
    finally:
        loop.close()
    return loop.summary()


class _Loop:
    def __init__(
        self,
        networks: Networks,
        source: Source,
        outputs: Sequence[ReopeningOutput],
        sinks: Sequence[EventSink],
        on_answer: OnAnswer | None,
        options: LoopOptions,
        probation: Watch,
        days: DayWatch | None,
        collecting: Collecting | None,
    ) -> None:
        self._probation, self._days, self._collecting = probation, days, collecting
        self._networks, self._source, self._outputs, self._sinks = networks, source, list(outputs), sinks
        self._on_answer, self._options = on_answer, options
        self._rate = FrameRate(
            source, highest_fps=options.highest_fps, answers_fps=options.answers_fps, real_time=options.real_time
        )
        self._pictures = PictureWatch()
        self._answers = Answers(networks, source, single=options.single)
        self._events = StatusEvents(sinks, live=source.live)
        self._meter = HealthMeter()
        self._on_demand = OnDemand(options.snapshots)
        self._keys = Keys(networks, self._on_demand, mirror=options.mirror)
        self._latest = LatestMoment(privacy=options.privacy, details=options.details, labels=options.labels)
        self._last_error: EdgeFashionError | None = None
        """The source's, with which it has ended the run."""
        self._unheard = False
        self._took_ms = 0.0
        """Of the newest frame, the network's time."""
        self._wrong = ""
        """What was wrong with the newest frame's picture, or with its answer; it holds until the next frame."""

    # --- One turn -----------------------------------------------------------------------------

    def run(self, stop: threading.Event) -> None:
        self._look_after_revision()
        if self._source.live:
            self._events.tell("starting")
        while not (stop.is_set() or self._keys.quit or self._unheard or self._source.state == "ended"):
            try:
                judged = self._turn(stop)
                if judged:  # a turn without a frame does not show that the next one works
                    self._events.fail("loop", "")
            except Exception as error:
                if error is self._last_error or not self._source.live:
                    raise
                # An error that nobody foresaw. The next frame may work, and a kiosk that runs on can be mended.
                if self._events.fail("loop", reason_of(error)):
                    print(without_secrets(traceback.format_exc()), end="", file=sys.stderr)
                stop.wait(1)

    def _turn(self, stop: threading.Event) -> bool:
        """Returns whether what failed before has had its chance to: a frame came, or the source is away."""
        self._rate.wait_for_frame(stop)
        frame, seen = self._read(), None
        judged = frame is not None or self._source.state != "live"
        if frame is not None:
            self._wrong = self._picture_fault(frame)
            if not self._wrong and self._rate.answer_is_due():
                seen = self._see(frame)
            self._events.frame = frame.number
            if not self._wrong and seen is None and self._events.is_failing("network"):
                self._wrong, frame = NO_ANSWER, None  # the picture is sound, but nothing of now is known of it
        elif judged:
            self._wrong = ""  # of now is that no frame comes
            if self._source.state == "reconnecting":
                self._pictures.lost()
        state, reason = ("stale", self._wrong) if self._wrong else (self._source.state, self._source.reason)
        if self._events.change(state, reason):
            self._answers.forget()
            self._meter.forget_rate()
            if self._collecting:
                self._collecting.forget()
        if frame is not None and seen is not None:
            self._answer(frame, seen)
        else:
            self._latest.unanswered(frame, self._health())
        self._count()
        self._hand_out()
        self._change_networks()
        self._unheard = self._events.check_sinks() and not any(output.shows for output in self._outputs)
        for key in "".join(output.keys() for output in self._outputs):
            self._keys.press(key, self._latest.moment)
        return judged

    def _read(self) -> Frame | None:
        """The next frame, if one comes in time; notes an error of the source, the only one to end a live camera."""
        try:
            return self._source.read(READ_TIMEOUT_S)
        except EdgeFashionError as error:
            self._last_error = error
            raise

    def _picture_fault(self, frame: Frame) -> str:
        """What is wrong with a live frame's picture, empty if nothing is; a frozen source is opened anew."""
        if not self._source.live:
            return ""
        wrong = self._pictures.look(frame.image, frame.time_s)
        if self._pictures.to_reopen(frame.time_s):
            self._source.reopen(wrong)
        return wrong

    def _see(self, frame: Frame) -> Prediction | None:
        """What this one frame says; None if the network gives no answer."""
        before_s = time.perf_counter()
        try:
            seen = self._answers.see(frame)
        except Exception as error:  # the next frame may be another; a kiosk goes on
            new = self._events.fail("network", f"{self._answers.asked} gives no answer: {error}")
            self._probation.silent(new=new)
            return None
        self._took_ms = (time.perf_counter() - before_s) * 1000
        self._events.fail("network", "")
        return seen

    # --- What comes of it ---------------------------------------------------------------------

    def _answer(self, frame: Frame, seen: Prediction) -> None:
        """The newest frame is answered: a new moment, and an event where the answer is new."""
        latency_ms = (time.monotonic() - frame.time_s) * 1000
        self._meter.count(latency_ms)
        if self._on_answer:
            self._on_answer(frame, seen)
        answer = self._answers.decide(frame, seen)
        self._probation.answered(self._took_ms, answer)
        self._latest.answered(frame, seen, answer, latency_ms, self._networks.classifier, self._health())
        if self._collecting:
            self._collecting.take(frame, seen, answer, self._networks.classifier, self._latest.moment.image)
        if answer.new:
            garments = [garment.as_json() for garment in answer.garments]
            self._events.tell(answer.state, answer.told_label, answer.confidence, latency_ms, garments=garments)

    def _health(self) -> Health:
        return self._meter.health(
            condition=self._events.state,
            reason=self._events.reason,
            taken_s=self._latest.moment.taken_s,
            reconnects=self._source.losses,
            faults=self._events.faults,
            failing=self._events.failing,
        )

    def _count(self) -> None:
        """Count the moment among the day's, and tell where a day that is over was not as expected."""
        if self._days is None:
            return
        for change in self._days.take(self._latest.moment, self._networks.classifier):
            self._events.tell("drift", reason=change.reason, drift=change.as_json())
        self._events.fail("days", self._days.fault)
        self._latest.add_figures(self._days.figures)

    def _hand_out(self) -> None:
        """Hand the moment to the outputs, and tell which of them fail."""
        recordings = tuple(output.keeping for output in self._outputs if output.keeping)
        lacking = self._collecting.fault if self._collecting else ""
        self._events.fail("collect", lacking)
        # A network that looks for no faces, changed to by a key, has nothing kept.
        collects = bool(self._collecting) and not lacking and self._networks.classifier.finder is not None
        kept = Kept(self._on_demand.keeping, recordings, collects, lacking)
        self._latest.add_screen(self._keys, kept, self._probation.running)
        moment = self._latest.moment
        note, failed = self._on_demand.take(moment)
        if note:
            self._keys.say(note)
        if failed is not None:
            self._events.fail("clip", failed)
        for output in self._outputs:
            failed = output.take(moment)
            if failed is not None:
                self._events.fail(output.name, failed)

    def _change_networks(self) -> None:
        """Take over a network that was loaded, and tell what became of it."""
        note, fault = self._networks.poll(time.monotonic())
        if self._events.fail("server", self._networks.away):
            self._keys.say(self._networks.away)
        if note:
            self._keys.say(note)
            self._answers.another_network()
            if self._collecting:
                self._collecting.forget()
            self._events.fail("model", "")
            self._events.fail("revision", "")
        if compared := self._networks.compared():
            self._keys.say(compared)
        if fault:
            self._events.fail("model", fault)
            self._keys.say(fault)
            self._probation.not_loaded(fault)
        self._look_after_revision()

    def _look_after_revision(self) -> None:
        """Tell which revision runs, and where one was taken back, that."""
        self._probation.use(self._networks.classifier)
        taken_back = self._probation.poll()
        self._events.network = self._probation.running.as_json()
        if taken_back:
            self._events.fail("revision", taken_back)
            self._keys.say(taken_back)

    # --- The end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Close everything, and tell of the end before that."""
        watchdog.stopping()
        reason = self._source.reason if self._source.state == "ended" else "stopped"
        # What keeps the run is closed before the end is told: only then is it known whether it is whole.
        kept = [output for output in self._outputs if output.keeps]
        before = [output.failure for output in kept]
        for output in _close_together(kept):
            output.failure = output.failure or f"it could not be finished within {CLOSE_LIMIT_S:.0f} s"
        for output, known in zip(kept, before, strict=True):
            if output.failure != known:
                self._events.fail(output.name, output.failure)
        self._events.tell("ended", reason=reason)
        others: list[Closable] = [output for output in self._outputs if not output.keeps]
        others += [one for one in (self._collecting, self._days) if one]
        rest: list[Closable] = [self._source, self._networks, self._probation, *others, self._on_demand, *self._sinks]
        _close_together(rest)

    def summary(self) -> Summary:
        return Summary(
            self._meter.answered,
            self._meter.uptime_s,
            self._source.losses,
            self._events.faults,
            next((output.failure for output in self._outputs if output.keeps and output.failure), ""),
            self._unheard,
            self._collecting.kept if self._collecting else 0,
        )


def _close_together(ends: Sequence[_E]) -> list[_E]:
    """Close all of ``ends`` side by side, whatever fails about it, in :data:`CLOSE_LIMIT_S` at most.

    Returns those that are not closed by then.
    """
    until_s = time.monotonic() + CLOSE_LIMIT_S
    # Daemons: a disk that does not answer must not keep the process from ending.
    closing = [threading.Thread(target=close_quietly, args=(one,), daemon=True) for one in ends]
    for thread in closing:
        thread.start()
    for thread in closing:
        thread.join(timeout=max(0.0, until_s - time.monotonic()))
    return [one for one, thread in zip(ends, closing, strict=True) if thread.is_alive()]
