"""`edgefashion doctor` and `demo`: parse, call one library function, print."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgefashion.errors import printable
from edgefashion.system.text import size

if TYPE_CHECKING:
    from edgefashion.demo import DemoResult


def doctor() -> None:
    """Check this machine: cameras, display, CPU and its speed, models, versions, dataset, extras.

    Example: edgefashion doctor
    """
    from edgefashion.doctor import checks, summary

    found = []
    for check in checks():
        print(f"{'ok  ' if check.ok else '--  '}{check.name:20} {check.detail}", flush=True)
        found.append(check)
    print(summary(found))
    if any(check.needed and not check.ok for check in found):
        raise typer.Exit(3)


def demo(
    out: Annotated[Path, typer.Option(help="Folder for what it makes.")] = Path("demo-output"),
) -> None:
    """Run the whole road on the shipped model: convert, quantize, bench, camera. About a minute.

    Example: edgefashion demo
    """
    from edgefashion.cli.progress import Progress
    from edgefashion.demo import demo as run

    with Progress("starting") as progress:
        progress.expect(60, "convert, quantize, bench and camera on the shipped model")
        result = run(out, on_progress=progress.stage)
    _print_demo(result)


def _print_demo(result: DemoResult) -> None:
    from edgefashion.cli.bench import print_report
    from edgefashion.inference.explain import in_words

    parity = result.conversion.parity[0]
    print("1. Converted: the OpenVINO network answers like the original")
    print(f"   (largest difference of a probability over {parity.n:,} test images: {parity.max_abs_difference:.0e})")
    if result.quantization:
        q = result.quantization
        print(
            f"2. Quantized to INT8: {size(q.size_before_bytes)} became {size(q.size_after_bytes)}; accuracy on the "
            f"test images {q.test_accuracy_before:.2%} before, {q.test_accuracy_after:.2%} after"
        )
    else:
        print("2. Not quantized here (NNCF is not installed); the shipped INT8 network is used")
    print("3. Measured side by side on this CPU:")
    print_report(result.report)
    print(
        f"4. Watched a 1280x720 clip: {result.garments_right} of {result.garments} garments named right, "
        f"{result.frames_right:,} of {result.frames:,} frames by themselves; {result.camera_fps:.0f} frames a second "
        "with drawing and recording"
    )
    for name, seen in result.seen:
        told = ", ".join(in_words(garment.answer) for garment in seen.garments) or "no garment in view"
        print(f"5. Of {name}: {told}")
    print("Look at:", *map(printable, result.pictures))
    print(f"Done in {result.seconds:.0f} s. Next: edgefashion camera")
