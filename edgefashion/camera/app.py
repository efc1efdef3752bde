"""`edgefashion camera` as a function: the settings to a running loop with all that belongs around it."""

from __future__ import annotations

import functools
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera import loop
from edgefashion.camera.events.open import open_sink, shown_place
from edgefashion.camera.events.sink import Sink
from edgefashion.camera.networks import Networks
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.camera.probation import Watch, back_after_failed_load
from edgefashion.camera.probation_bounds import Bounds
from edgefashion.camera.server_fallback import NONE, AwayError
from edgefashion.camera.service import watchdog
from edgefashion.camera.settings import FIELDS, merge
from edgefashion.camera.sources.schemes import resolved
from edgefashion.camera.sources.source import Source, open_source
from edgefashion.errors import BadInputError, EdgeFashionError, printable
from edgefashion.system.addresses import shown
from edgefashion.system.files import FULL, check_not_read
from edgefashion.system.text import is_url, reason_of

if TYPE_CHECKING:
    from edgefashion.camera.collecting import Collecting
    from edgefashion.camera.drift.watch import DayWatch
    from edgefashion.camera.moment import Output
    from edgefashion.camera.settings import CameraSettings
    from edgefashion.inference.classifier import Classifier

ANSWERS_FPS: Final = 15.0
"""Answers a second of a live source: three in the time that an answer has to be given for to stand."""

SNAPSHOTS: Final = Path("snapshots")
"""Where the keys s and r keep what they were asked for, unless the settings name a folder."""


def run_camera(
    settings: CameraSettings | None = None,
    *,
    stop: threading.Event | None = None,
    on_answer: loop.OnAnswer | None = None,
    **given: Any,
) -> loop.Summary:
    """Name every garment in view, live, until the source ends or ``stop`` is set.

    Args:
        settings: All settings, where they are there already, as from :func:`edgefashion.camera.settings.merge`.
        stop: Set it in another thread to end the camera.
        on_answer: Called with every answered frame, and with the prediction for that one frame.
        given: Without ``settings``: any field of :class:`edgefashion.camera.settings.CameraSettings` by its name:
            ``model``, ``source``, ``headless``, ``events``, ``record``, ``web``, ... Without ``events`` a headless
            camera prints its events on stdout. No ``edgefashion.toml`` is read.

    Returns:
        ``frames`` and ``seconds`` of the run, how often the source was lost, and the other faults.

    Raises:
        BadInputError: A setting, a model or a source that cannot be used. Once the camera runs, what fails is an event
            and another attempt.
        MissingError: No camera, no display, or an extra that is not installed.

    Example:
        >>> from edgefashion import run_camera
        >>> labels = []
        >>> done = run_camera(
        ...     source="clip.mp4",
        ...     headless=True,
        ...     events=["events.jsonl"],
        ...     on_answer=lambda frame, seen: labels.append(seen.answer.label if seen.answer else None),
        ... )
        >>> done.frames > 0, len(labels) > 0
        (True, True)
    """
    for name in given:
        if name not in FIELDS:
            raise BadInputError(f"the camera has no setting {name}. Known: {', '.join(FIELDS)}")
    return run(settings or merge({}, given), stop, on_answer)


def run(
    settings: CameraSettings, stop: threading.Event | None = None, on_answer: loop.OnAnswer | None = None
) -> loop.Summary:
    """Open everything ``settings`` name and run the camera until its source ends or ``stop`` is set.

    What cannot be opened is an error before the loop starts, as :class:`BadInputError` or :class:`MissingError`;
    once it runs, it is an event and another attempt.
    """
    stop = stop or threading.Event()
    with ExitStack() as opened:
        networks = _networks(settings)
        source = open_source(settings.source, wait=settings.wait, max_failures=settings.max_failures or None, stop=stop)
        opened.callback(source.close)
        for place in settings.events:
            check_not_read(Path(place), [Path(resolved(settings.source))])
        kept = _open_collecting(settings, source, networks)
        if kept is not None:
            opened.callback(kept.close)
        outputs = _open_outputs(settings, source, networks, opened)
        # Last, so that nothing that fails before leaves an empty file behind.
        state = _state_folder(settings.state)
        places = settings.events or (("-",) if settings.headless else ())
        sinks: list[Sink] = []
        for place in places:
            sinks.append(open_sink(place, wait=settings.wait, state=state, secret=settings.events_secret))
            opened.callback(sinks[-1].close)
        try:
            summary = loop.run(
                networks,
                source,
                stop=stop,
                outputs=outputs,
                events=sinks,
                on_answer=on_answer,
                options=_options(settings),
                probation=_probation(settings),
                days=_days(state, settings.source) if source.live else None,
                collecting=kept,
            )
        finally:
            unwritten = _tell_of_events(places, sinks)
        return replace(summary, unwritten=unwritten)


def _tell_of_events(places: Sequence[str], sinks: Sequence[Sink]) -> int:
    """Say which events were lost and which wait; the number of those lost."""
    lost = 0
    for place, sink in zip(places, sinks, strict=True):
        called = shown_place(place)
        if sink.lost and not sink.gone:
            lost += sink.lost
            print(f"edgefashion: {sink.lost:,} events could not be written to {called}", file=sys.stderr)
        if sink.kept:
            print(f"edgefashion: {sink.kept:,} events wait for the next start, for {called}", file=sys.stderr)
    return lost


def _open_outputs(
    settings: CameraSettings, source: Source, networks: Networks, opened: ExitStack
) -> list[ReopeningOutput]:
    """Everything that the moments go to; ``opened`` closes what is open if a later one cannot be opened."""
    outputs: list[ReopeningOutput] = []

    def keep(output: ReopeningOutput) -> None:
        opened.callback(output.close)
        outputs.append(output)

    if settings.web:
        keep(_page(settings.web, settings.token))
    if settings.home_assistant:
        keep(_home_assistant(settings.home_assistant))
    if settings.record:
        keep(_recording(settings.record, source, settings.fps))
    if not settings.headless:
        keep(_window(settings.fullscreen))
    keep(_watchdog(networks))
    return outputs


def _open_collecting(settings: CameraSettings, source: Source, networks: Networks) -> Collecting | None:
    """What keeps garments for teaching; says so, for whoever starts the camera answers for it."""
    if settings.collect is None:
        return None
    if networks.classifier.finder is None:
        raise BadInputError(
            f"{shown(networks.names[0])} finds no heads, and what is collected may show no face. Take another network, "
            "such as kiosk, or leave --collect out"
        )
    from edgefashion.camera.collecting import of_settings

    collecting = of_settings(settings, source)
    print(f"pictures of garments are collected in {printable(settings.collect)}", file=sys.stderr)
    return collecting


def _state_folder(given: Path | None) -> Path | None:
    """The folder for what outlasts a restart; None where the account's own cannot be written, which is told.

    Raises :class:`BadInputError` for a ``given`` one that cannot be.
    """
    from platformdirs import user_state_path

    folder = given or user_state_path("edgefashion", appauthor=False)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            return folder  # room may be made
        if given:
            raise BadInputError(
                f"--state {given} cannot be written: {reason_of(error)}. Give another folder"
            ) from error
        lost = "events that wait and the figures of the days end with this process"
        print(f"edgefashion: {folder} cannot be written ({reason_of(error)}), so {lost}", file=sys.stderr)
        return None


def _options(settings: CameraSettings) -> loop.LoopOptions:
    return loop.LoopOptions(
        mirror=settings.mirror,
        privacy=settings.privacy,
        single=settings.single,
        real_time=bool(settings.web) or not settings.headless,
        # Where nobody looks, a frame that is not answered is not decoded either; a page shows ten a second.
        highest_fps=ANSWERS_FPS if settings.headless and not settings.record else float(settings.fps),
        answers_fps=ANSWERS_FPS,
        snapshots=settings.snapshots or SNAPSHOTS,
        details=settings.details,
        labels=settings.labels,
    )


def _models(settings: CameraSettings) -> tuple[tuple[str, ...], int]:
    """The networks of the keys 1 to 9, and which of them is first in use: a MODEL that is not among them is key 1."""
    model, models = settings.model, settings.models
    return (models, models.index(model)) if model in models else ((model, *models), 0)


def _networks(settings: CameraSettings) -> Networks:
    """The networks, the first loaded. A new revision that cannot be loaded is taken back: nobody may be there to."""
    (names, first), load = _models(settings), _loading(settings)
    try:
        return Networks(names, first, load=load, fallback=settings.fallback)
    except EdgeFashionError as error:
        taken_back = back_after_failed_load(names[first], error)
        if not taken_back:
            raise
        print(f"edgefashion: {printable(taken_back)}", file=sys.stderr)
    return Networks(names, first, load=load, fallback=settings.fallback)


def _probation(settings: CameraSettings) -> Watch:
    bounds = Bounds(settings.probation_slower / 100, settings.probation_unsure / 100)
    return Watch(settings.source, bounds)


def _loading(settings: CameraSettings) -> Callable[..., Classifier] | None:
    """What loads this machine's networks where a device is set, the one that stands in for a server's among them."""
    if settings.device is None:
        return None
    from edgefashion.inference.load import load

    if all(map(is_url, _models(settings)[0])) and settings.fallback == NONE:
        raise BadInputError("a served model's server chooses its device. Leave the device out")
    return functools.partial(load, device=settings.device)


def _page(address: str, token: str | None) -> ReopeningOutput:
    from edgefashion.camera.page.page import Page

    first = Page(address, token)
    print(f"the page is at {first.url}{', opened once with ?token=...' if token else ''}", file=sys.stderr)

    def again() -> Output:
        return Page(address, token)

    return ReopeningOutput(first, again)


def _home_assistant(spec: str) -> ReopeningOutput:
    from edgefashion.camera.home_assistant.output import HomeAssistant

    return ReopeningOutput(HomeAssistant(spec), lambda: HomeAssistant(spec))


def _recording(path: Path, source: Source, live_fps: int) -> ReopeningOutput:
    """A recording beside what an earlier run has left, never over it."""
    from edgefashion.camera.outputs.recording import Recording

    fps = source.fps or float(live_fps)

    def again() -> Output:
        return Recording(path, fps, live=source.live, again=True)

    first = Recording(path, fps, live=source.live, again=path.is_file())
    if first.keeping != path.name:
        print(f"{printable(path)} is there already; recording to {first.keeping}", file=sys.stderr)
    return ReopeningOutput(first, again)


def _window(fullscreen: bool) -> ReopeningOutput:
    from edgefashion.camera.outputs.window import Window

    windows = [Window(fullscreen)]

    def again() -> Output:
        windows[:] = [Window(windows[0].fullscreen)]
        return windows[0]

    return ReopeningOutput(windows[0], again)


def _days(state: Path | None, source: str) -> DayWatch | None:
    """What counts the days' figures; None where its file cannot be read, which is told."""
    from edgefashion.camera.drift import store
    from edgefashion.camera.drift.expected import expected_of
    from edgefashion.camera.drift.watch import DayWatch

    path = store.path_of(state, source) if state else None
    try:
        return DayWatch(path, expected_of)
    except OSError as error:
        print(f"edgefashion: {path} cannot be read, so no day is counted: {reason_of(error)}", file=sys.stderr)
        return None


def _watchdog(networks: Networks) -> ReopeningOutput:
    def prove() -> None:
        # Another machine's server that is away is no fault of this process, which looks for it. One that is started
        # anew would not even begin without it.
        with suppress(AwayError):
            networks.ask(lambda classifier: watchdog.proof(lambda: classifier)())

    return ReopeningOutput(watchdog.Watchdog(prove), lambda: watchdog.Watchdog(prove))
