"""The file that keeps the days over a restart: JSON, replaced as a whole."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

from edgefashion.camera.drift.days import Days, days_of
from edgefashion.system import state_file
from edgefashion.system.addresses import shown
from edgefashion.system.files import sync_folder, written_aside

FORMAT: Final = 1
MOST_NETWORKS: Final = 8
"""Networks whose days are remembered; the one left alone for longest goes first."""


def path_of(state: Path, source: str) -> Path:
    """The file of the camera at ``source`` in the folder ``state``. Its name gives nothing of an account away."""
    return state / f"days-{hashlib.sha256(shown(source).encode()).hexdigest()[:12]}.json"


def read(path: Path) -> dict[str, Days]:
    """The days by network, the one used last at the end; empty where there is no file. A damaged one is put aside.

    Raises :class:`OSError`.
    """
    return state_file.read(path, _networks) or {}


def _networks(found: Any) -> dict[str, Days]:
    if not isinstance(found, dict) or found.get("format") != FORMAT or not isinstance(found.get("networks"), dict):
        raise ValueError("no days")
    return {name: days_of(days) for name, days in found["networks"].items()}


def text_of(networks: dict[str, Days]) -> str:
    """What the file is to hold."""
    kept = list(networks.items())[-MOST_NETWORKS:]
    return json.dumps({"format": FORMAT, "networks": {name: days.as_json() for name, days in kept}}, indent=1) + "\n"


def write(path: Path, text: str) -> None:
    """Replace the file. Raises :class:`OSError`, and has left the old one then."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with written_aside(path) as aside, aside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)
