"""`edgefashion train shop`: parse, call :func:`edgefashion.training.teach.teach`, print."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from edgefashion.bundles.places import PHOTO_MODEL, as_argument
from edgefashion.cli.common import new_table, print_table
from edgefashion.errors import BadInputError, GateError, printable
from edgefashion.system.text import quoted

if TYPE_CHECKING:
    from edgefashion.evaluation.before_after import Compared, Figures
    from edgefashion.training.shop_head import HeadOptions
    from edgefashion.training.teach import Teaching

_WORSE: Final = "worse"
_UNDECIDED: Final = frozenset({"too few to tell", "within chance"})

INT8_MAY_LOSE: Final = 0.01
"""Share of the photos kept from calibration that INT8 of a fine-tuned network may name right no more."""


def teach(out: Path, given: dict[str, Any]) -> None:
    """Teach the labels of ``given``'s photo folders, and tell what came of it. Raises :class:`GateError` where it got
    worse."""
    if "numpy" not in sys.modules:
        # Its threads wait by spinning. On a computer on which a camera runs that takes ten times as long as one thread.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from edgefashion.cli.progress import Progress, in_words
    from edgefashion.training.shop_head import HeadOptions
    from edgefashion.training.teach import teach as run

    folders, as_json = given.pop("photos", []), given.pop("json", False)
    if not folders:
        raise BadInputError("shop learns from photos, a sub-folder a label. Give a folder of them with --photos")
    options = HeadOptions(**{name: given.pop(name) for name in ("epochs", "seed") if name in given})
    deep = given.pop("deep", False)
    if deep:
        from edgefashion.training import shop_deep

        shop_deep.check()
    resume, start = given.pop("resume", False), given.pop("start", PHOTO_MODEL)
    go_on = _command(folders, out, options, start, deep=deep)
    kept = "what was looked at"
    with Progress("looking at the photos") as progress:

        def stage(doing: str) -> None:
            nonlocal kept
            if doing not in ("looking at the photos", "learning"):
                kept = "what was learned"
            progress.stage(doing)

        def epoch(done: int, total: int, right: float, left_s: float) -> None:
            nonlocal kept
            kept = "what was learned"
            left = f", {in_words(left_s)} left" if done < total else ""
            told = f"epoch {done:,} of {total:,}, {right:.1%} of the pictures right{left}"
            progress.step(done, total, "learning", told)

        try:
            done = run(
                folders,
                out,
                options,
                start=start,
                resume=resume,
                on_stage=stage,
                on_progress=progress.step,
                on_epoch=epoch,
            )
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
            progress.say(f"stopped; {kept} is kept. Go on with: {go_on}")
            raise
    deeper = _fine_tune(done, out, options.seed) if deep and done.bundle is not None else None
    if as_json:
        print(json.dumps({**done.as_json(), **({"deep": deeper} if deeper else {})}))
    else:
        _print(done, out)
        if deeper:
            print(printable(deeper["words"]))
    if done.verdict.word == _WORSE:
        raise GateError(f"{done.verdict.words} ({printable(out)} is as it was)")


def _command(folders: list[Path], out: Path, options: HeadOptions, start: str, *, deep: bool) -> str:
    """The command that goes on with this run: with other settings it would be another one."""
    usual, words = type(options)(), [f"--photos {quoted(folder)}" for folder in folders]
    words += [
        f"--{name} {getattr(options, name)}"
        for name in ("epochs", "seed")
        if getattr(options, name) != getattr(usual, name)
    ]
    words += [f"--start {quoted(start)}"] * (start != PHOTO_MODEL) + ["--deep"] * deep
    return f"edgefashion train shop {' '.join(words)} --out {quoted(out)} --resume"


def _fine_tune(done: Teaching, out: Path, seed: int) -> dict[str, Any]:
    """Fine-tune all of what was taught, and take it as the next revision where it is better; what came of it."""
    import shutil

    from edgefashion.bundles import probation, revisions
    from edgefashion.bundles.bundle import open_bundle
    from edgefashion.cli.progress import Progress
    from edgefashion.conversion.build import CONVERTING, QUANTIZING
    from edgefashion.conversion.convert import convert
    from edgefashion.conversion.quantize import quantize
    from edgefashion.inference.load import load
    from edgefashion.packs.gate import try_pinned
    from edgefashion.training import shop_bundle, shop_deep

    assert done.bundle is not None
    try:
        shop_deep.check_photos(done.learned_from, done.held_out)
    except BadInputError as error:
        return {"taken": False, "revision": None, "words": f"--deep: {error}. The taught head alone is kept"}
    place = revisions.next_place(out)
    gated = max(1, sum(photo.known for photo in done.learned_from) // 2)
    may_drop = max(INT8_MAY_LOSE, 2 / gated)  # of few photos each is more than a hundredth
    try:
        with Progress("fine-tuning the whole network") as progress:
            shop_deep.fine_tune(
                done.bundle, done.learned_from, place, done.floors_kept, seed=seed, on_step=progress.step
            )
            progress.stage(CONVERTING)
            made = convert(place, place).bundle
            progress.stage(QUANTIZING)
            quantize(made, photos=done.learned_from, max_drop=may_drop)
            progress.stage("comparing it with the taught head alone")
            shop_deep.state(place, done.held_out)
            found = shop_deep.compare(load(done.bundle.path), load(place), done.held_out)
            try_pinned(open_bundle(place), load(place))  # as it will be where it is installed
        revision = None
        if found.taken:
            why = f"taught with {len(done.learned_from):,} photos and fine-tuned on them"
            data = str((shop_bundle.taught_facts(done.bundle) or {}).get("data_sha256", "")) or None
            origin = revisions.Origin(why=why, verdict=found.words, data_sha256=data)
            revision = revisions.record(out, place, origin).id
            if done.in_force:
                revisions.switch(out, revision, probation_s=probation.MINUTES * 60)
    except GateError:
        words = (
            "--deep: converted, the fine-tuned network does not answer as it did before. The taught head alone is kept"
        )
        return {"taken": False, "revision": None, "words": words}
    finally:
        if not place.with_name(f"{place.name}.json").is_file():
            shutil.rmtree(place, ignore_errors=True)
    words = found.words
    if revision and not done.in_force:
        words += f". Not in force. To use it: edgefashion models rollback {quoted(out)} --to {revision}"
    told = {"taken": found.taken, "revision": revision, "words": words, **found.compared.as_json()}
    return {**told, "fashion_before": found.fashion_before, "fashion_after": found.fashion_after}


def _print(done: Teaching, out: Path) -> None:
    report = done.report
    table = new_table("label", ">photos", ">right before", ">after", ">named before", ">after", "right name told, 95 %")

    def row(name: str, of: Compared) -> None:
        before, after = of.before, of.after
        interval = "-" if after.good_ci95 is None else "{:.0%} to {:.0%}".format(*after.good_ci95)
        chance = " (within chance)" if of.by_chance and of.gained != of.lost else ""
        table.add_row(
            name,
            f"{after.n:,}",
            *(_percent(figures, "right") for figures in (before, after)),
            *(_percent(figures, "named") for figures in (before, after)),
            f"{interval}{chance}",
        )

    row("the shop's photos", report.own)
    for name, of in report.own_labels.items():
        row(f"  {name}", of)
    row("what was not taught", report.kept)
    for name, of in report.kept_labels.items():
        row(f"  {name}", of)
    print_table(table)
    for note in done.notes:
        print(printable(note))
    if done.skipped:
        print(f"{len(done.skipped):,} skipped; the first: {printable(done.skipped[0])}")
    print(f"compared with {printable(report.compared_with)}, on pictures that neither has learned from")
    if done.verdict.word != _WORSE:
        print(done.verdict.words)
    if done.bundle is None:
        return
    where = f"{printable(done.bundle.path)}: {len(done.labels):,} labels"
    if done.verdict.word in _UNDECIDED and done.in_force:  # there was none before: "the one you have" is that
        print(f"{where}. To try it all the same: edgefashion camera {as_argument(out)}")
    elif done.in_force:
        print(f"{where}. Next: edgefashion camera {as_argument(out)}")
    else:
        print(f"{where}, not in force. To use it: edgefashion models rollback {quoted(out)} --to {done.revision}")


def _percent(of: Figures, what: str) -> str:
    share = getattr(of, what)
    return "-" if share is None else f"{share:.0%}"
