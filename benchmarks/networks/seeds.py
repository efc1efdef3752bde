"""Train every network of the zoo as its source did, and set its test accuracy beside the source's.

    python benchmarks/networks/seeds.py                    # what is missing, then the table: hours on two cores
    python benchmarks/networks/seeds.py cnn-590k           # these rows only
    python benchmarks/networks/seeds.py --table            # train nothing: the table and the chart

A row's bundle goes to ``models/ROW``, converted and quantized; one that is there already is not trained again, and an
interrupted training goes on. What was measured goes to ``edgefashion/training/zoo/measured.json``, which
``edgefashion zoo`` shows, and from there to ``benchmarks/networks/results/seeds.md`` and ``seeds.png``.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgefashion.bundles import bundle, draft
from edgefashion.conversion.convert import convert
from edgefashion.conversion.quantize import QuantizeOptions, quantize
from edgefashion.errors import GateError
from edgefashion.evaluation.metrics import wilson95
from edgefashion.system import files
from edgefashion.training.options import options_for
from edgefashion.training.train import train
from edgefashion.training.zoo.registry import MEASURED, ZOO, measured

RESULTS = Path(__file__).parent / "results"
TEST_IMAGES = 10_000


@dataclass(frozen=True)
class Row:
    """One training of the table."""

    name: str
    arch: str
    reported: float | None
    options: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    """Where it is not what the source did."""
    max_drop: float = 0.005
    """What INT8 may lose: :attr:`QuantizeOptions.max_drop`."""


_WIDTH = {"settings": {"width": 0.125}, "epochs": 4, "precision": "bfloat16"}
_NARROW = "an eighth of the width, 4 epochs in bfloat16"
_EIGHTH: dict[str, Any] = {"settings": {"width": 0.125}, "augment": "turn-flip-zoom"}
_LONGER = "an eighth of the width, %d epochs (scripts/gpu/inception.py)"
_NO_IMAGENET: dict[str, Any] = {"weights": "none", "epochs": 2, "batch_size": 128, "precision": "bfloat16"}
_SCRATCH = (
    "no ImageNet weights to be had where this was measured: all layers trained from scratch, 2 epochs of batches "
    "of 128 in bfloat16"
)
ROWS = {
    row.name: row
    for row in (
        *(
            Row(arch.name, arch.name, arch.reported_accuracy)
            for arch in ZOO.values()
            if arch.reported_accuracy is not None and arch.name not in ("resnet50", "dilated-inception")
        ),
        Row("resnet50", "resnet50", 0.86, _NO_IMAGENET, _SCRATCH),
        Row(
            "resnet50-augmented",
            "resnet50",
            0.71,
            {**_NO_IMAGENET, "augment": "turn-shear-zoom"},
            _SCRATCH,
        ),
        Row(
            "dilated-inception-sgd",
            "dilated-inception",
            0.87,
            # The source names no rates: Keras's default for each optimizer.
            {**_WIDTH, "optimizer": "sgd", "learning_rate": 0.01},
            _NARROW,
        ),
        Row("dilated-inception-adam", "dilated-inception", 0.9106, {**_WIDTH, "optimizer": "adam"}, _NARROW),
        Row("dilated-inception-rmsprop", "dilated-inception", 0.9085, {**_WIDTH, "optimizer": "rmsprop"}, _NARROW),
        Row(
            "dilated-inception-rmsprop-augmented",
            "dilated-inception",
            0.9143,
            {**_EIGHTH, "optimizer": "rmsprop", "epochs": 11},
            _LONGER % 11,
        ),
        Row(
            "dilated-inception-adam-augmented",
            "dilated-inception",
            0.9088,
            {**_EIGHTH, "optimizer": "adam", "epochs": 6},
            _LONGER % 6,
        ),
        *(Row(f"edge-seed-{seed}", "edge", None, {"seed": seed}, max_drop=0.001) for seed in (0, 1, 2)),
    )
}


def main() -> None:
    asked = sys.argv[1:] or list(ROWS)
    if asked == ["--table"]:
        _show(measured())
        return
    for name in asked:
        row = _measure(ROWS[name])
        # Read only now: another process may have measured another row meanwhile.
        runs = {**measured(), name: row}
        ordered = {key: runs[key] for key in (*ROWS, *runs) if key in runs}
        with files.written_aside(MEASURED) as aside:
            aside.write_text(json.dumps(ordered, indent=1) + "\n", encoding="utf-8")
        _show(ordered)


def _show(runs: dict[str, Any]) -> None:
    table = _table(runs)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "seeds.md").write_text(table + "\n", encoding="utf-8")
    _chart(runs, RESULTS / "seeds.png")
    print(table)


def trained(arch: str, path: Path, max_drop: float, given: dict[str, Any]) -> bundle.Bundle:
    """The bundle ``path``: trained unless it is there, from its last checkpoint if it has one, with its IRs.

    Exits if the bundle there was trained with other options.
    """
    if not (path / bundle.INFO).is_file():
        print(f"training {path.name}", file=sys.stderr)
        begun = any(draft.checkpoints_dir(path).glob("epoch-*"))
        train(arch, out=path, resume=begun, on_epoch=lambda row: print(row, file=sys.stderr, flush=True), **given)
    made = bundle.open_bundle(path)
    wanted = json.loads(json.dumps(asdict(options_for(arch, **given))))
    was = made.report()["train"]["options"]
    # A bundle from before an option was thought of was trained without it.
    if differ := [key for key in wanted if wanted[key] != was.get(key, wanted[key])]:
        sys.exit(f"{path} was trained with other options ({', '.join(differ)} differ). Move it away")
    if not made.has("fp32"):
        made = convert(path, path).bundle
    if not made.has("int8"):
        try:
            made, _ = quantize(made, QuantizeOptions(max_drop=max_drop))
        except GateError as error:
            print(error, file=sys.stderr)
            made = bundle.open_bundle(path)  # its report now says so
    return made


def _measure(row: Row) -> dict[str, Any]:
    made = trained(row.arch, Path("models") / row.name, row.max_drop, row.options)
    report = made.report()["train"]
    return {
        "arch": row.arch,
        "reported": row.reported,
        "accuracy": report["test_accuracy"],
        "int8_accuracy": made.test_accuracy("int8"),
        "epochs": report["epochs"],
        "wall_time_s": report["wall_time_s"],
        "parameters": made.facts.parameters,
        "note": row.note,
    }


def _table(runs: dict[str, Any]) -> str:
    lines = [
        "| network | parameters | reported | measured | 95 % interval | INT8 | epochs | wall time | note |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, row in runs.items():
        low, high = wilson95(round(row["accuracy"] * TEST_IMAGES), TEST_IMAGES)
        reported = "-" if row["reported"] is None else f"{row['reported']:.2%}"
        int8 = "-" if row["int8_accuracy"] is None else f"{row['int8_accuracy']:.2%}"
        lines.append(
            f"| {name} | {row['parameters']:,} | {reported} | {row['accuracy']:.2%} | {low:.2%} to {high:.2%} "
            f"| {int8} | {row['epochs']} | {row['wall_time_s'] / 60:.0f} min | {row['note']} |"
        )
    return "\n".join(lines)


def _chart(runs: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 0.36 * len(runs) + 1.2), layout="constrained")
    axes = figure.subplots()
    for place, (_, row) in enumerate(runs.items()):
        low, high = wilson95(round(row["accuracy"] * TEST_IMAGES), TEST_IMAGES)
        spread = [[row["accuracy"] - low], [high - row["accuracy"]]]
        axes.errorbar(row["accuracy"], place, xerr=spread, fmt="o", color="C0", label="" if place else "measured")
        if row["reported"] is not None:
            axes.plot(row["reported"], place, "|", color="C1", ms=14, mew=2.5, label="" if place else "reported")
    axes.set_yticks(range(len(runs)), [name + (" *" if row["note"] else "") for name, row in runs.items()])
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda share, _: f"{share:.1%}")
    axes.set(xlabel="Fashion-MNIST test accuracy (* not as its source trained it)")
    axes.grid(axis="x", alpha=0.3)
    axes.legend(loc="lower left")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
