"""`edgefashion camera`: parse, call :func:`edgefashion.camera.app.run_camera`, print."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated

import typer

from edgefashion.camera.settings import DEFAULTS, given, merge, option
from edgefashion.cli.made_elsewhere import made_elsewhere
from edgefashion.errors import BadInputError, printable
from edgefashion.system.files import check_not_read


@made_elsewhere()
def camera(
    context: typer.Context,
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model, by name, path or URL; key 1.", show_default=False)
    ] = DEFAULTS.model,
    source: Annotated[str, option("source")] = DEFAULTS.source,
    headless: Annotated[bool, option("headless")] = DEFAULTS.headless,
    events: Annotated[list[str] | None, option("events")] = None,
    home_assistant: Annotated[str | None, option("home_assistant")] = DEFAULTS.home_assistant,
    record: Annotated[Path | None, option("record")] = DEFAULTS.record,
    mirror: Annotated[bool, option("mirror")] = DEFAULTS.mirror,
    fullscreen: Annotated[bool, option("fullscreen")] = DEFAULTS.fullscreen,
    fps: Annotated[int, option("fps")] = DEFAULTS.fps,
    web: Annotated[str | None, option("web")] = DEFAULTS.web,
    token: Annotated[str | None, option("token")] = DEFAULTS.token,
    single: Annotated[bool, option("single")] = DEFAULTS.single,
    privacy: Annotated[bool, option("privacy")] = DEFAULTS.privacy,
    wait: Annotated[bool, option("wait")] = DEFAULTS.wait,
    max_failures: Annotated[int, option("max_failures")] = DEFAULTS.max_failures,
    models: Annotated[list[str] | None, option("models")] = None,
    fallback: Annotated[str | None, option("fallback")] = DEFAULTS.fallback,
    device: Annotated[str | None, option("device")] = DEFAULTS.device,
    snapshots: Annotated[Path | None, option("snapshots")] = DEFAULTS.snapshots,
    collect: Annotated[Path | None, option("collect")] = DEFAULTS.collect,
    collect_rate: Annotated[float, option("collect_rate")] = DEFAULTS.collect_rate,
    collect_whole: Annotated[bool, option("collect_whole")] = DEFAULTS.collect_whole,
    collect_most_an_hour: Annotated[int, option("collect_most_an_hour")] = DEFAULTS.collect_most_an_hour,
    collect_days: Annotated[int, option("collect_days")] = DEFAULTS.collect_days,
    collect_mb: Annotated[int, option("collect_mb")] = DEFAULTS.collect_mb,
    state: Annotated[Path | None, option("state")] = DEFAULTS.state,
    details: Annotated[bool, option("details")] = DEFAULTS.details,
    require_signature: Annotated[Path | None, option("require_signature")] = DEFAULTS.require_signature,
    probation: Annotated[int, option("probation")] = DEFAULTS.probation,
    probation_slower: Annotated[int, option("probation_slower")] = DEFAULTS.probation_slower,
    probation_unsure: Annotated[int, option("probation_unsure")] = DEFAULTS.probation_unsure,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="An edgefashion.toml. Default: the one found here.", show_default=False),
    ] = None,
) -> None:
    """Name every garment in view, live; q or Esc ends it, h shows the keys.

    Example: edgefashion camera --source clip.mp4 --headless
    """
    stop, received = _stopped_by_signals()

    from edgefashion.camera import settings_file
    from edgefashion.camera.app import run_camera

    file = settings_file.find(config)
    settings = merge(settings_file.load(file) if file else {}, given(context))
    if file:
        for place in settings.events:
            check_not_read(Path(place), [file])
        print(f"settings from {printable(file)}", file=sys.stderr)
    summary = run_camera(settings, stop=stop)
    rate = summary.frames / summary.seconds if summary.seconds else 0.0
    if summary.unheard:
        raise typer.Exit(128 + 13)  # as a shell reports SIGPIPE
    told = f"{summary.frames:,} frames in {summary.seconds:.1f} s ({rate:.0f} fps)"
    if summary.reconnects or summary.faults:
        told += f"; losses of the source: {summary.reconnects:,}, other faults: {summary.faults:,}"
    if settings.collect:
        told += f"; {summary.collected:,} picture{'s' * (summary.collected != 1)} collected in {settings.collect}"
    print(printable(told), file=sys.stderr)
    lacking = f"--record {settings.record}: the recording is not whole: {summary.unrecorded}"
    if received:
        if summary.unrecorded:
            print(f"edgefashion: {lacking}", file=sys.stderr)
        raise typer.Exit(128 + received[0])
    if summary.unrecorded:
        raise BadInputError(f"{lacking}. Make room there, or choose another place")
    if summary.unwritten:
        raise typer.Exit(2)  # where to, and how many, has been said


def _stopped_by_signals() -> tuple[threading.Event, list[int]]:
    """What Ctrl-C and SIGTERM set, and the signals that came.

    They only set a flag: a frame in the making is finished and everything is closed.
    """
    stop = threading.Event()
    received: list[int] = []

    def on_signal(number: int, _: object) -> None:
        received.append(number)
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, on_signal)
    return stop, received
