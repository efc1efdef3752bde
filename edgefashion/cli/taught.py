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
    from edgefashion.training.teach import Teaching

_WORSE: Final = "worse"


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
    resume, start = given.pop("resume", False), given.pop("start", PHOTO_MODEL)
    began = False
    with Progress("looking at the photos") as progress:

        def epoch(done: int, total: int, right: float, left_s: float) -> None:
            nonlocal began
            began = True
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
                on_stage=progress.stage,
                on_progress=progress.step,
                on_epoch=epoch,
            )
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
            if began or resume:
                words = " ".join(f"--photos {quoted(folder)}" for folder in folders)
                progress.say(
                    f"stopped; what was learned is kept. Go on with: edgefashion train shop {words} "
                    f"--out {quoted(out)} --resume"
                )
            raise
    if as_json:
        print(json.dumps(done.as_json()))
    else:
        _print(done, out)
    if done.verdict.word == _WORSE:
        raise GateError(f"{done.verdict.words} ({printable(out)} is as it was)")


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
    if done.in_force:
        print(f"{where}. Next: edgefashion camera {as_argument(out)}")
    else:
        print(f"{where}, not in force. To use it: edgefashion models rollback {quoted(out)} --to {done.revision}")


def _percent(of: Figures, what: str) -> str:
    share = getattr(of, what)
    return "-" if share is None else f"{share:.0%}"
