"""What a model repository says of itself, and whether a folder is one of ours."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from edgefashion.conversion.ovms import texts
from edgefashion.conversion.ovms.served_ir import Served
from edgefashion.errors import BadInputError

FORMAT: Final = 1
MARK: Final = "edgefashion.json"
CONFIG: Final = "config.json"
STORAGE: Final = "pvc://models"
"""Where KServe is told to look for the folders, unless told otherwise: a volume claim of that name."""


@dataclass(frozen=True)
class Standing:
    """What a repository says of itself before an export."""

    config: dict[str, Any]
    listed: frozenset[str] = frozenset()
    """The models that are in ``config``."""
    models: tuple[Served, ...] = ()
    files: Mapping[str, list[str]] = field(default_factory=dict)
    """The hashes that the files beside the models have if nobody edited them."""
    storage: str = STORAGE


def standing(folder: Path) -> Standing:
    """What is at ``folder``. Raises :class:`BadInputError` unless it is nothing, empty, or a repository of ours."""
    if folder.name in {"", ".."}:
        raise BadInputError(f"{folder} cannot be made from inside. Change to the folder above and give its name")
    try:
        if not (folder / MARK).is_file():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise BadInputError(f"{folder} exists and is no repository of ours (no {MARK} in it). Give another")
            return Standing(texts.new_config())
    except OSError as error:
        raise BadInputError(f"{folder} cannot be read: {error.strerror}. Give another folder") from error
    mark, config = _read(folder / MARK, "format"), _read(folder / CONFIG, "model_config_list")
    if mark["format"] != FORMAT:
        raise BadInputError(f"{folder} was made by a newer edgefashion. Upgrade edgefashion, or give another folder")
    try:
        return Standing(
            config=config,
            listed=frozenset(entry["config"]["name"] for entry in config["model_config_list"]),
            models=tuple(Served(**facts) for facts in mark["models"].values()),
            files={str(name): list(hashes) for name, hashes in mark["files"].items()},
            storage=str(mark["storage"]),
        )
    except (AttributeError, KeyError, TypeError) as error:
        raise BadInputError(
            f"{folder / MARK} or {CONFIG} is not as it was made. Mend it, or give another folder"
        ) from error


def _read(path: Path, key: str) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts, dict) or key not in facts:
            raise ValueError(f"no {key}")
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path} cannot be read ({error}). Mend it, or give another folder") from error
    return facts
