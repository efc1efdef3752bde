"""`edgefashion convert`: parse, call :func:`edgefashion.conversion.build.build`, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgefashion.bundles.places import DEFAULT_MODEL
from edgefashion.cli.common import ModelsArgument, new_table, print_table
from edgefashion.cli.made_elsewhere import made_elsewhere
from edgefashion.errors import printable
from edgefashion.system.text import size

if TYPE_CHECKING:
    from edgefashion.conversion.build import Build
    from edgefashion.conversion.embed import Embedding
    from edgefashion.conversion.quantize import Quantization


OutOption = Annotated[
    Path | None,
    typer.Option(
        help="The bundle to write. Default: a bundle of yours in place, else models/NAME, for several "
        "models models/ensemble.",
        show_default=False,
    ),
]
EmbedOption = Annotated[
    str | None,
    typer.Option(
        metavar="WIDTHxHEIGHT",
        help="Write one more IR that takes whole BGR frames of this size, 28 to 4096 a side: resize, colours, "
        "polarity and scaling are inside it, finding the garment is not.",
        show_default=False,
    ),
]


@made_elsewhere(bundles=True, tells=False)
def convert(
    models: ModelsArgument = None,
    int8: Annotated[bool, typer.Option("--int8", help="Quantize to INT8 too.")] = False,
    max_drop: Annotated[
        float | None,
        typer.Option(help="Accuracy INT8 may lose, 0 to 1. Default: 0.005.", show_default=False),
    ] = None,
    calibration: Annotated[
        int | None,
        typer.Option(help="Training images to calibrate INT8 on. Default: 300.", show_default=False),
    ] = None,
    out: OutOption = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(help="For INT8 of a photo network: photos to calibrate on. May be repeated.", show_default=False),
    ] = None,
    scenes: Annotated[
        list[Path] | None,
        typer.Option(
            help="For the finder of a photo network: scenes to calibrate it on. May be repeated.", show_default=False
        ),
    ] = None,
    embed: EmbedOption = None,
) -> None:
    """Convert a model to OpenVINO IR, proved equal to the original; with --int8, quantize it.
    Several models become one IR that averages their probabilities. With --embed, write an IR for frames too.

    Example: edgefashion convert models/mine --int8
    """
    from edgefashion.cli.progress import Progress
    from edgefashion.conversion.build import build
    from edgefashion.conversion.embed import frame_size

    with Progress("looking at the model") as progress:
        done = build(
            models or DEFAULT_MODEL,
            out,
            int8=int8,
            max_drop=max_drop,
            calibration=calibration,
            photos=photos or (),
            scenes=scenes or (),
            frame_wh=None if embed is None else frame_size(embed),
            on_stage=progress.stage,
        )
    _print_build(done)


def _print_build(done: Build) -> None:
    made, quantization = done.bundle, done.quantization
    table = new_table("form", ">size", ">test accuracy", "gate")
    form = next((form for form in ("saved_model", "keras", "onnx", "tflite") if made.has(form)), None)
    if form:
        table.add_row("original", size(made.size_bytes(form)), _share(made.test_accuracy("original")), "-")
    for p in done.conversion.parity:
        gate = f"passed: largest difference {p.max_abs_difference:.1e}, {p.changed_top1} of {p.n:,} answers changed"
        accuracy = _share(made.test_accuracy(p.precision))
        table.add_row(p.precision, size(made.size_bytes(p.precision)), accuracy, f"{gate} ({p.reference})")
    if quantization:
        _add_int8(table, quantization)
    for one in done.finder:
        gate = f"passed: finds {one.found_too:.1%} of what FP32 finds in {one.pictures:,} pictures, {one.more:.1%} more"
        table.add_row(f"finder, {one.precision}", size(one.size_bytes), "-", gate)
    if done.embedding:
        _add_embedded(table, done.embedding)
    print_table(table)
    if done.conversion.note:
        print(done.conversion.note)
    if quantization:
        for note in (*quantization.notes, *quantization.warnings()):
            print(note)
        if quantization.control:
            print(quantization.control.in_short())
        print("INT8 took " + ", ".join(f"{s:.1f} s ({stage})" for stage, s in quantization.seconds.items()))
    if done.skipped:
        print(f"{len(done.skipped):,} skipped; the first: {printable(done.skipped[0])}")
    print(printable(made.path))


def _add_int8(table: Any, result: Quantization) -> None:
    gate = (
        f"passed: {result.accuracy_before:.2%} to {result.accuracy_gated:.2%} on {result.gate_images:,} "
        f"images kept from calibration, a drop of {result.drop * 100:.2f} points (limit {result.max_drop * 100:g}); "
        f"{result.agreement.in_short()}"
    )
    table.add_row("int8", size(result.size_after_bytes), f"{result.test_accuracy_after:.2%}", gate)


def _add_embedded(table: Any, embedded: Embedding) -> None:
    seen, (width, height) = embedded.parity, embedded.size_wh
    gate = (
        f"passed: mean difference {seen.mean_abs_difference:.1e}, largest {seen.max_abs_difference:.2f}, "
        f"{seen.changed_top1} of {seen.n:,} answers changed (Python's preprocessing)"
    )
    table.add_row(f"{embedded.precision}, {width}x{height} frames", size(embedded.size_bytes), "-", gate)


def _share(accuracy: float | None) -> str:
    return "-" if accuracy is None else f"{accuracy:.2%}"
