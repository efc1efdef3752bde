"""A training's epochs, as a table and as curves."""

from __future__ import annotations

import csv
from pathlib import Path


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """Write an epoch a row as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, history[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({**row, "epoch": int(row["epoch"])} for row in history)


def draw_curves(path: Path, history: list[dict[str, float]], title: str) -> None:
    """Write each metric of the history over the epochs as a PNG."""
    from matplotlib.figure import Figure

    measured = list(dict.fromkeys(key.removeprefix("val_") for key in history[0] if key not in ("epoch", "seconds")))
    figure = Figure(figsize=(5 * len(measured), 4), layout="constrained")
    figure.suptitle(title)
    epochs = [row["epoch"] for row in history]
    for axes, metric in zip(figure.subplots(1, len(measured), squeeze=False)[0], measured, strict=True):
        for key, label in ((metric, "training"), (f"val_{metric}", "validation")):
            if key in history[0]:
                axes.plot(epochs, [row[key] for row in history], marker=".", label=label)
        axes.set(xlabel="epoch", ylabel=metric)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=110)
