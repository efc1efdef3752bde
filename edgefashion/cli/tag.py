"""`edgefashion tag`: parse, call :func:`edgefashion.tagging.run.tag`, print."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgefashion.bundles.resolve import PHOTO_MODEL
from edgefashion.errors import BadInputError, EdgeFashionError
from edgefashion.system.text import is_url, without_password

if TYPE_CHECKING:
    from rich.progress import Progress

    from edgefashion.tagging.run import Summary

ENGINES = ("local", "ray")

_STOPPED = "stopped; what is tagged is kept: the same command goes on"


def tag(
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...",
            help="Pictures, folders of them, globs, or URLs fsspec opens (s3://..., zip://*.jpg::shop.zip).",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path, typer.Option(help="The table to write: .parquet, .csv or .jsonl. Run again to go on.", show_default=False)
    ],
    model: Annotated[str, typer.Option(metavar="MODEL", help="A model, by name, path or URL.")] = PHOTO_MODEL,
    review: Annotated[
        Path | None, typer.Option(metavar="PAGE", help="Write a page of thumbnails, the least certain first.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that decode. Default: one a core.", show_default=False)
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or ray for several machines.")] = "local",
    ray_address: Annotated[
        str | None, typer.Option(metavar="ADDRESS", help="A Ray cluster to join, with --engine ray.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
) -> None:
    """Name the garment in every picture of an inventory, into a table; run again to go on.

    Example: edgefashion tag photos/ --out tags.parquet --review tags.html
    """
    if engine not in ENGINES:
        raise BadInputError(f"no engine named {engine!r}. Known: {', '.join(ENGINES)}")
    if ray_address is not None and engine != "ray":
        raise BadInputError("--ray-address is for --engine ray. Add it, or leave the address out")
    if engine == "ray" and is_url(model):
        raise BadInputError(f"{without_password(model)}: --engine ray runs the model itself. Name one of this machine")
    from edgefashion.inference.load import load
    from edgefashion.tagging import run
    from edgefashion.tagging.review import check_page, write_review

    if review:
        check_page(review, out)
    # Ray's actors load the model themselves, each for its own threads.
    classifier = load(model, purpose="throughput" if engine == "local" else "latency")
    begun = False
    with _progress() as bar:
        task = bar.add_task("tagging", total=None, told="")

        def show(done: int, total: int | None, rate: float) -> None:
            nonlocal begun
            begun = begun or done > 0
            bar.update(task, completed=done, total=total, told=_told(done, total, rate))

        options = run.TagOptions(workers=workers, on_progress=show)
        try:
            if engine == "ray":
                from edgefashion.tagging.ray_engine import tag_on_ray

                summary = tag_on_ray(classifier, paths, out, options, ray_address)
            else:
                summary = run.tag(classifier, paths, out, options)
        except (KeyboardInterrupt, SystemExit):  # Ctrl-C, SIGTERM
            bar.console.print(_STOPPED, highlight=False)
            raise
        except EdgeFashionError as error:
            if begun and "same command" not in str(error):
                bar.console.print(_STOPPED, highlight=False)
            raise
    if review:
        write_review(out, review)
    _print(summary, out, review, as_json)
    if summary.errors:
        new = summary.pictures - summary.done_before
        if summary.errors == new:
            raise BadInputError(f"none of the {new:,} pictures could be read. The first: {summary.first_error}")
        print(f"{summary.errors:,} of {new:,} could not be read. The first: {summary.first_error}", file=sys.stderr)


def _print(summary: Summary, out: Path, review: Path | None, as_json: bool) -> None:
    shares = summary.shares
    if as_json:
        facts: dict[str, Any] = dataclasses.asdict(summary)
        facts |= {"pictures_per_s": summary.rate, "shares": shares, "out": str(out)}
        print(json.dumps(facts | ({"review": str(review)} if review else {})))
        return
    before = f", {summary.done_before:,} of them before" if summary.done_before else ""
    new = summary.pictures > summary.done_before
    times = ", ".join(f"{name} {share:.0%}" for name, share in shares.items()) if new else ""
    pictures = f"{summary.pictures:,} picture{'s' * (summary.pictures != 1)}"
    errors = f"{summary.errors:,} error{'s' * (summary.errors != 1)}"
    print(
        f"{out}: {pictures}{before}, {errors}, {summary.seconds:.1f} s, "
        f"{summary.rate:,.0f} pictures/s" + (f" ({times})" if times else "")
    )
    if review:
        print(review)


def _told(done: int, total: int | None, rate: float) -> str:
    """The progress in words: how many, how fast, how long it still takes."""
    if total is None or not rate:
        return f"{done:,}  {rate:,.0f}/s"
    left_s = round(max(0, total - done) / rate)
    return f"{done:,} of {total:,}  {rate:,.0f}/s  {left_s // 3600}:{left_s // 60 % 60:02}:{left_s % 60:02} left"


def _progress() -> Progress:
    """A progress bar on stderr, gone when done, with words of our own: what was tagged before counts for no speed."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    columns = SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}")
    return Progress(
        *columns,
        console=console,
        transient=True,
        refresh_per_second=4,
        disable=not console.is_terminal,
        redirect_stdout=False,
        redirect_stderr=False,
    )
