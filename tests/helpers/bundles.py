"""Small bundles to try the folder's rules on: text files stand in for the networks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgefashion.bundles import bundle, draft
from edgefashion.bundles.facts import Facts
from edgefashion.labels import LABELS

FACTS: dict[str, Any] = {
    "name": "mine",
    "architecture": "cnn",
    "parameters": 12_345,
    "source": "nobody",
    "labels": list(LABELS),
    "input_shape": [28, 28, 1],
    "pixels": "uint8",
    "thresholds": {"accept": 0.4321, "chosen_on": "validation images"},
    "metrics": {"original": {"test_accuracy": 0.9}},
    "validation_split": 0.1,
    "seed": 0,
}
"""What ``bundle.json`` says of them."""


def fill(making: draft.Draft, content: str = "first") -> None:
    """Give a draft its facts and some parts, each a text that begins with ``content``."""
    making.facts = Facts.from_json(FACTS)
    for part in ("fp32", "int8"):
        making.part(part).write_text(f"{content} {part} xml")
        making.part(part).with_suffix(".bin").write_text(f"{content} {part} bin")
    making.part("keras").write_text(f"{content} keras")
    for name in ("saved_model.pb", "variables/variables.index"):
        file = making.part("saved_model") / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{content} {name}")


def make(path: str | Path = "models/mine", content: str = "first") -> bundle.Bundle:
    """A bundle of such parts at ``path``."""
    with draft.draft(Path(path)) as making:
        fill(making, content)
    return bundle.open_bundle(Path(path))


def content_of(folder: Path) -> dict[str, str]:
    """Every file below ``folder``, hidden ones included, with its text."""
    return {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}


def names(folder: str) -> set[str]:
    """What lies in ``folder``."""
    return {path.name for path in Path(folder).iterdir()}


def change_info(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Rewrite a bundle's facts as a hand or another program might."""
    info = json.loads((path / bundle.INFO).read_text())
    change(info)
    (path / bundle.INFO).write_text(json.dumps(info))


def alter(path: Path) -> None:
    """Change a text file to one of the same length: only the hash can tell."""
    path.write_text(path.read_text().replace("first", "worst"))
