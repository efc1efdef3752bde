"""Train the networks with their sources' own settings and compare test accuracies.

    python benchmarks/seeds.py                 # all of them, about 45 minutes on two cores
    python benchmarks/seeds.py cnn-590k        # one

Bundles go to ``models/NAME`` (the shipped ``edge`` is cnn-242k's); a bundle that is there already
is not trained again. The table is written to ``benchmarks/results/seeds.md`` and printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from edgefashion import bundle
from edgefashion.evaluate import wilson95
from edgefashion.train import train
from edgefashion.zoo import ZOO

RESULTS = Path(__file__).parent / "results" / "seeds.md"
SHIPPED = {"cnn-242k": "edge"}


def main() -> None:
    names = sys.argv[1:] or list(ZOO)
    rows = [
        "| network | parameters | reported | measured | 95 % interval | epochs | wall time |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in names:
        made = _bundle(name)
        report = made.report()["train"]
        accuracy, arch = report["test_accuracy"], ZOO[name]
        low, high = wilson95(round(accuracy * 10_000), 10_000)
        rows.append(
            f"| {name} | {arch.parameters:,} | {arch.reported_accuracy:.2%} | {accuracy:.2%} | {low:.2%} to {high:.2%} "
            f"| {report['epochs']} | {report['wall_time_s'] / 60:.0f} min |"
        )
    table = "\n".join(rows)
    if not sys.argv[1:]:
        RESULTS.write_text(table + "\n", encoding="utf-8")
    print(table)


def _bundle(name: str) -> bundle.Bundle:
    path = Path("models") / SHIPPED.get(name, name)
    if not (path / bundle.INFO).is_file():
        print(f"training {name}", file=sys.stderr)
        return train(name, out=path, on_epoch=lambda row: print(row, file=sys.stderr))
    return bundle.open_bundle(path)


if __name__ == "__main__":
    main()
