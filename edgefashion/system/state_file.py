"""Small JSON files that are read back at a later start, whatever they hold by then."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

_Told = TypeVar("_Told")

_LARGEST_BYTES: Final = 1_000_000


def read(path: Path, parse: Callable[[Any], _Told]) -> _Told | None:
    """What ``parse`` makes of the JSON in the file; None where there is none.

    A file that is no JSON, or of which ``parse`` makes nothing, is put aside, which is told: None too. Raises
    :class:`OSError` where the file cannot be read, or not be put aside.
    """
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise ValueError("too large")
        return parse(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except OSError:
        raise
    except Exception:  # a wrong content shows in a dozen kinds of errors, and none may stop a start
        put_aside(path)
        return None


def put_aside(path: Path) -> None:
    """Rename a damaged file, and say so. Raises :class:`OSError`."""
    aside = path.with_name(f"{path.name}.damaged")
    path.replace(aside)
    print(f"edgefashion: {path} was damaged, and is kept as {aside.name}", file=sys.stderr)


def number(value: Any, low: float, high: float) -> float:
    """``value`` from a file's JSON, as a number from ``low`` to ``high``. Raises :class:`ValueError` for another."""
    if type(value) not in (int, float) or not low <= value <= high:
        raise ValueError("no such number")
    return float(value)
