"""`edgefashion tag`: parse, call :func:`edgefashion.tagging.tag.tag`, print."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.cli.common import DeviceOption, refuse_camera
from edgefashion.cli.made_elsewhere import made_elsewhere
from edgefashion.errors import BadInputError, EdgeFashionError, printable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from edgefashion.tagging.collecting import CollectOptions
    from edgefashion.tagging.run import Progress as TellProgress
    from edgefashion.tagging.run import Summary

STOPPED: Final = "stopped; what is tagged is kept: the same command goes on"


PathsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...",
        help="Pictures, folders of them, globs, or URLs fsspec opens (s3://..., zip://*.jpg::shop.zip).",
        show_default=False,
    ),
]
OutOption = Annotated[
    Path, typer.Option(help="The table to write: .parquet, .csv or .jsonl. Run again to go on.", show_default=False)
]
ReviewOption = Annotated[
    Path | None, typer.Option(metavar="PAGE", help="Write a page of thumbnails, the least certain first.")
]
WorkersOption = Annotated[
    int | None, typer.Option(min=1, help="Processes that decode. Default: one a core.", show_default=False)
]
SingleOption = Annotated[bool, typer.Option("--single", help="Take each picture for one garment; look for no others.")]
CollectOption = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Folder for pictures of garments the network is not sure of, to be taught."),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        min=0, max=1, help="Share of those it is sure of that are collected too. Default: 0.05.", show_default=False
    ),
]
WholeOption = Annotated[bool, typer.Option("--collect-whole", help="Collect the whole picture, not the garment alone.")]
MbOption = Annotated[
    int | None,
    typer.Option(
        "--collect-mb",
        min=1,
        max=1_000_000,
        help="Megabytes of collected pictures nobody has decided about, at most. Default: 200.",
        show_default=False,
    ),
]
AddressOption = Annotated[str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster to join, with --engine ray.")]


@made_elsewhere()
def tag(
    paths: PathsArgument,
    out: OutOption,
    model: Annotated[str, typer.Option(metavar="MODEL", help="A model, by name, path or URL.")] = PHOTO_MODEL,
    review: ReviewOption = None,
    workers: WorkersOption = None,
    engine: Annotated[str, typer.Option(help="local, or ray for several machines.")] = "local",
    ray_address: AddressOption = None,
    single: SingleOption = False,
    device: DeviceOption = None,
    collect: CollectOption = None,
    collect_rate: RateOption = None,
    collect_whole: WholeOption = False,
    collect_mb: MbOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Name the garments in every picture of an inventory, into a table; run again to go on.

    Example: edgefashion tag photos/ --out tags.parquet --review tags.html
    """
    from edgefashion.tagging.tag import tag as run

    for path in paths:
        refuse_camera(path, "tag")
    wanted = _collecting(collect, rate=collect_rate, whole=collect_whole or None, mb=collect_mb)
    with _progress() as tell:
        summary = run(
            paths,
            out,
            model=model,
            review=review,
            workers=workers,
            engine=engine,
            ray_address=ray_address,
            single=single,
            device=device,
            collect=wanted,
            on_progress=tell,
        )
    _print(summary, out, review, as_json)
    if collect is not None:
        kept = f"{summary.collected:,} picture{'s' * (summary.collected != 1)} collected in {collect}"
        lacking = f"; not all: {summary.not_collected}" if summary.not_collected else ""
        print(printable(kept + lacking), file=sys.stderr)
    if summary.left_out_told:
        print(f"edgefashion: {summary.left_out_told}", file=sys.stderr)
    _tell_errors(summary)


def _collecting(folder: Path | None, **given: Any) -> CollectOptions | None:
    """What is to be collected; ``given`` are the flags beside it, None where one was not given."""
    from edgefashion.tagging.collecting import CollectOptions

    known = {name: value for name, value in given.items() if value is not None}
    if folder is None:
        if known:
            flag = f"--collect-{next(iter(known))}"
            raise BadInputError(f"{flag} without --collect collects nothing. Give --collect DIR, or leave it out")
        return None
    return CollectOptions(folder, **known)


@contextlib.contextmanager
def _progress() -> Iterator[TellProgress]:
    """Show a run's progress. Where it is stopped, say that the rows are kept."""
    from edgefashion.cli.progress import Progress
    from edgefashion.tagging.errors import RunAgainError

    begun = False
    with Progress("tagging") as progress:

        def tell(done: int, total: int | None, rate: float) -> None:
            nonlocal begun
            begun = begun or done > 0
            progress.step(done, total, told=_told(done, total, rate))

        try:
            yield tell
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
            progress.say(STOPPED)
            raise
        except EdgeFashionError as error:
            if begun and not isinstance(error, RunAgainError):
                progress.say(STOPPED)
            raise


def _tell_errors(summary: Summary) -> None:
    """Tell of pictures that could not be read, by this run or an earlier one. None that could is an error."""
    new, errors = summary.pictures - summary.done_before, summary.errors + summary.errors_before
    first = f". The first: {printable(summary.first_error)}" if summary.first_error else ""
    for unread, of in ((summary.errors, new), (errors, summary.pictures)):
        if unread and unread == of:
            raise BadInputError(f"none of the {of:,} pictures could be read{first}")
    if errors:
        of = new if errors == summary.errors else summary.pictures
        print(f"{errors:,} of {of:,} could not be read{first}", file=sys.stderr)


def _print(summary: Summary, out: Path, review: Path | None, as_json: bool) -> None:
    shares = summary.shares
    if as_json:
        facts: dict[str, Any] = dataclasses.asdict(summary)
        del facts["left_out_told"]
        facts |= {"pictures_per_s": summary.rate, "shares": shares, "out": str(out)}
        print(json.dumps(facts | ({"review": str(review)} if review else {})))
        return
    before = f", {summary.done_before:,} of them before" if summary.done_before else ""
    new = summary.pictures > summary.done_before
    times = ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) if new else ""
    pictures = f"{summary.pictures:,} picture{'s' * (summary.pictures != 1)}"
    unread = summary.errors + summary.errors_before
    errors = f"{unread:,} error{'s' * (unread != 1)}"
    print(
        f"{printable(out)}: {pictures}{before}, {errors}, {summary.seconds:.1f} s, "
        f"{summary.rate:,.0f} pictures/s" + (f" ({times})" if times else "")
    )
    if review:
        print(printable(review))


def _told(done: int, total: int | None, rate: float) -> str:
    """The progress in words: how many, how fast, how long it still takes."""
    if total is None or not rate:
        return f"{done:,}  {rate:,.0f}/s"
    left_s = round(max(0, total - done) / rate)
    return f"{done:,} of {total:,}  {rate:,.0f}/s  {left_s // 3600}:{left_s // 60 % 60:02}:{left_s % 60:02} left"
