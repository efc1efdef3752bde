"""Latency, throughput, accuracy, size, cold start and memory of a model, engine by engine.

One process per engine; rounds interleaved, so that a machine that slows down does so for all
alike; one process measuring at a time, the others blocked on a pipe. An engine that crashes or
hangs loses its own row.
"""

from __future__ import annotations

import contextlib
import shlex
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

from edgefashion.bench import candidates, estimate, peer_conversion, pictures
from edgefashion.bench.candidates import Candidate
from edgefashion.bench.report import BenchOptions, BenchReport, Row
from edgefashion.bench.rounds import Rounds
from edgefashion.bundles import places, resolve
from edgefashion.bundles.facts import takes_photos
from edgefashion.bundles.guard import check
from edgefashion.errors import BadInputError, EdgeFashionError
from edgefashion.evaluation.metrics import EXACTLY
from edgefashion.inference import foreign_files, openvino_engine, told
from edgefashion.inference.classifier import BATCH
from edgefashion.inference.onnx_litert_engine import Own
from edgefashion.labels import PHOTO_LABELS, UNKNOWN
from edgefashion.system import machine
from edgefashion.system.addresses import shown
from edgefashion.system.text import is_url

__all__ = ["BenchOptions", "BenchReport", "Row", "bench"]

MARKED_FROM: Final = 0.005
"""Accuracy, 0 to 1, by which a row may differ from the original's unmarked."""

LONGEST_S: Final = 3600
"""What an engine may be measured for at once."""

MOST_THREADS: Final = 1024
"""More than any CPU has; the runtime takes far more and then fails for want of memory."""

OnProgress = Callable[[str, int, int], None]
"""Is called with what is being done, the steps done and their number."""

OnEstimate = Callable[[float, str], None]
"""Is called with the seconds that something will about take, and with what it is."""


def bench(
    model: str | Path = places.DEFAULT_MODEL,
    *,
    vs: tuple[str, ...] | None = None,
    threads: int | None = None,
    isa: tuple[str, ...] = (),
    devices: Sequence[str] | None = None,
    photos: Sequence[Path] = (),
    options: BenchOptions | None = None,
    writes: Path | None = None,
    on_estimate: OnEstimate | None = None,
    on_progress: OnProgress | None = None,
) -> BenchReport:
    """Measure MODEL with every engine it can run on, side by side, on this CPU.

    ``vs``, ``threads``, ``isa``, ``devices``: see :func:`edgefashion.bench.candidates.of_model`. ``photos``: folders of
    labelled photos, for a photo network: the peers' INT8 is calibrated on those of some senders, and accuracy is
    measured on those of the others. ``writes``: the picture that will be made of the report, which may be none of them.
    ``on_estimate`` is called once, before the measuring. Raises :class:`BadInputError` for settings that cannot be, and
    the first failure where no row is left.
    """
    options = options or BenchOptions()
    _check_options(options, threads)
    with _opened(model) as opened, tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        chosen, photo, notes = _candidates(opened, vs, threads, isa, devices)
        if photos and not photo:
            raise BadInputError(f"{shown(str(model))} is no photo network. Leave --photos out")
        if photos:
            pictures.check(photos, _labels(chosen), writes)
        if photo:
            options = replace(options, batches=(BATCH,))  # of photos, each twenty times the work
        steps = _Steps(chosen, options, on_progress, photos=bool(photos))
        if on_estimate:
            on_estimate(*estimate.of(chosen, options, photo=photo))
        measured_on = _pictures(opened.found, chosen, photos, Path(folder), photo=photo, step=steps.next)
        chosen, failed = peer_conversion.with_files(chosen, Path(folder), options.batches, measured_on, steps.next)
        if not chosen:
            raise EdgeFashionError(f"nothing is left to measure. {' '.join(failed)}")
        notes += [*opened.notes, *failed, *measured_on.notes]
        rows, others = _measured(chosen, options, steps, notes, measured_on)
    if others > machine.BUSY:
        notes.append(f"Others used {others:.0%} of this machine's CPU: measure again when it is idle.")
    steps.end()
    return BenchReport(
        model=shown(str(model)),
        machine={**machine.describe(), "others_cpu_share": others},
        settings=asdict(options)
        | {"threads": threads, "vs": None if vs is None else list(vs), "isa": list(isa)}
        | {"devices": None if devices is None else list(devices)}
        | measured_on.as_settings(),
        rows=_marked(rows, opened, photos=bool(photos)),
        notes=notes,
        command=_command(model, options, vs=vs, threads=threads, isa=isa or None, photos=photos, devices=devices or ()),
    )


# --- What is measured ------------------------------------------------------------------------


def _check_options(options: BenchOptions, threads: int | None) -> None:
    if options.rounds < 1 or not 0 < options.seconds <= LONGEST_S:
        raise BadInputError(f"--rounds must be at least 1, and --seconds above 0 and at most {LONGEST_S:,}")
    if threads is not None and not 0 <= threads <= MOST_THREADS:
        raise BadInputError(f"--threads must be from 0 to {MOST_THREADS:,} (0 means all cores)")


@dataclass(frozen=True)
class Opened:
    """What MODEL names, in a form that OpenVINO runs."""

    url: str = ""
    """Of a served model; empty for another."""
    found: resolve.Model | None = None
    """None for a served model."""
    own: Own | None = None
    """The file from elsewhere that the model was made from."""
    notes: tuple[str, ...] = ()
    """What to say of that file."""


@contextlib.contextmanager
def _opened(model: str | Path) -> Iterator[Opened]:
    if is_url(model):
        yield Opened(url=str(model))
        return
    found = resolve.resolve(model)
    if found.bundle is None and found.kind in (*foreign_files.KINDS, "ir") and foreign_files.is_foreign(found):
        with foreign_files.temporary_ir(found.path) as (ir, theirs):
            own = theirs.own if found.kind in foreign_files.KINDS else None
            yield Opened("", resolve.resolve(ir), own, (theirs.in_short(),))
    elif found.bundle is None and found.kind != "ir" and not told.given().is_empty:
        raise BadInputError(f"{found.path} is measured by processes that were not told so. Convert it first with these")
    elif found.kind == "bundle" and found.bundle is not None:
        yield Opened("", found, foreign_files.original(found.bundle))
    else:
        yield Opened("", found)


def _candidates(
    opened: Opened,
    vs: tuple[str, ...] | None,
    threads: int | None,
    isa: tuple[str, ...],
    devices: Sequence[str] | None,
) -> tuple[list[Candidate], bool, list[str]]:
    """The rows to measure, whether they are those of a photo network, and notes."""
    if opened.found is None:
        chosen, notes, photo = candidates.of_server(opened.url, vs, threads, isa, devices)
    else:
        chosen, notes = candidates.of_model(opened.found.path, vs, threads, isa, opened.own, devices)
        photo = _takes_photos(opened.found)
    chosen, above = candidates.cappable(chosen)
    return chosen, photo, [*notes, *above]


def _takes_photos(found: resolve.Model) -> bool:
    if found.bundle is not None:
        return found.bundle.takes_photos
    if found.kind == "ir":
        check.check(found.path)
        return takes_photos([int(n) for n in openvino_engine.read_ir(found.path).input(0).shape])
    return False  # an original outside a bundle does not say what its answers stand for


def _labels(chosen: list[Candidate]) -> tuple[str, ...]:
    """What photo folders may be named after: a shop's labels where its network is measured."""
    return next((each.labels for each in chosen if UNKNOWN in each.labels), PHOTO_LABELS)


def _pictures(
    found: resolve.Model | None,
    chosen: list[Candidate],
    folders: Sequence[Path],
    into: Path,
    *,
    photo: bool,
    step: Callable[[str], None],
) -> pictures.Pictures:
    calibrates = any(c.converted and c.precision == "int8" for c in chosen)
    if folders:
        step("read the photos")
        return pictures.of_photos(folders, into, calibrates=calibrates, of=_labels(chosen))
    facts = found.bundle.facts if found and found.bundle else None
    return pictures.of_fashion(facts, into, calibrates=calibrates, enlarged=photo)


def _measured(
    chosen: list[Candidate], options: BenchOptions, steps: _Steps, notes: list[str], measured_on: pictures.Pictures
) -> tuple[list[Row], float]:
    """The rows, and the share of the CPU that others used meanwhile; ``notes`` grows by why a row is missing."""
    rounds = Rounds(options, steps.next, notes, measured_on)
    try:
        rounds.start(chosen)
        rounds.run()
        return rounds.rows(), rounds.others_cpu_share
    finally:
        rounds.close()


class _Steps:
    """Tells how far a bench is."""

    def __init__(
        self, chosen: list[Candidate], options: BenchOptions, on_progress: OnProgress | None, *, photos: bool
    ) -> None:
        converted = {c.engine for c in chosen if c.converted}
        self._count = photos + len(converted) + len(chosen) * (options.rounds + 2 + options.cold_starts)
        self._done, self._tell = 0, on_progress

    def next(self, doing: str) -> None:
        """Begin the next step."""
        if self._tell:
            self._tell(doing, self._done, self._count)
        self._done += 1

    def end(self) -> None:
        """All is done."""
        if self._tell:
            self._tell("done", self._count, self._count)


# --- What is said of it ----------------------------------------------------------------------


def _command(
    model: str | Path,
    options: BenchOptions,
    *,
    photos: Sequence[Path],
    devices: Sequence[str],
    **given: tuple[str, ...] | int | None,
) -> str:
    """The command line that measures the same again."""
    words = ["edgefashion", "bench", shown(str(model))]
    for name, value in {**given, "rounds": options.rounds, "seconds": options.seconds}.items():
        if value is not None:
            words += [f"--{name}", (",".join(value) or "none") if isinstance(value, tuple) else str(value)]
    for device in devices:
        words += ["--device", device]
    for folder in photos:
        words += ["--photos", str(folder)]
    return shlex.join([*words, *told.given().as_arguments()])


def _marked(rows: list[Row], opened: Opened, *, photos: bool) -> list[Row]:
    if opened.found is None:
        return rows  # beside a served model stand rows of other models
    engines = (opened.own.engine,) if opened.own else candidates.ORIGINALS
    original = next((row.accuracy for row in rows if row.engine in engines), None)
    if original is None and photos:
        # A bundle states nothing of these photos, but a row in FP32 has the original's weights.
        original = next((row.accuracy for row in rows if row.precision == "fp32"), None)
    elif original is None and opened.found.bundle:
        original = opened.found.bundle.test_accuracy("original")
    return rows if original is None else marked(rows, original)


def marked(rows: list[Row], original: float) -> list[Row]:
    """The rows, those marked whose accuracy is not the ``original``'s."""
    return [
        replace(row, marked=f"accuracy {row.accuracy - original:+.2%} from the original's".replace("%", " points"))
        if abs(row.accuracy - original) > MARKED_FROM + EXACTLY
        else row
        for row in rows
    ]
