"""A new revision's probation: what ``probation.json`` in a model's folder says of it.

Written when a revision is put in force. The running camera compares, see :mod:`edgefashion.camera.probation`, and ends
it. It counts only while its revision is the one in force.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles.current import current_id
from edgefashion.errors import BadInputError
from edgefashion.system.files import write_whole

FILE: Final = "probation.json"
MINUTES: Final = 10
"""How long it lasts, unless told otherwise."""
MOST_MINUTES: Final = 1440
"""The longest."""

RUNNING: Final = "running"
STATES: Final = (RUNNING, "passed", "rolled back")


@dataclass(frozen=True)
class Probation:
    """What is written of it."""

    revision: str
    """The new one."""
    previous: str
    """The one to go back to."""
    seconds: float
    """How long a camera is to compare."""
    began: str
    """UTC, ISO 8601."""
    state: str = RUNNING
    """One of :data:`STATES`."""
    why: str = ""
    """What it ended with, as a sentence; empty while it runs."""

    def as_json(self) -> dict[str, Any]:
        """Its fields, for ``--json``."""
        return asdict(self)


def begin(model_dir: Path, revision: str, previous: str, seconds: float) -> None:
    """Write that ``revision``, which is about to be put in force, has to prove itself against ``previous``."""
    now = datetime.now(UTC).isoformat(timespec="microseconds")  # it tells two of them apart
    _write(model_dir, Probation(revision, previous, seconds, now))


def end(model_dir: Path, revision: str, state: str, why: str) -> None:
    """Write how the probation of ``revision`` has ended; nothing where it has none, or that has ended already."""
    found = last(model_dir)
    if found is not None and found.revision == revision and found.state == RUNNING:
        _write(model_dir, replace(found, state=state, why=why))


def last(model_dir: Path) -> Probation | None:
    """The latest probation of this model, over or not; None where there was none, or nobody can read it."""
    try:
        told = json.loads((model_dir / FILE).read_text(encoding="utf-8"))
        found = Probation(**{name: told[name] for name in ("revision", "previous", "began", "state", "why", "seconds")})
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    texts = (found.revision, found.previous, found.began, found.state, found.why)
    is_number = type(found.seconds) in (int, float) and 0 < found.seconds <= MOST_MINUTES * 60
    return found if all(isinstance(text, str) for text in texts) and found.state in STATES and is_number else None


def running(model_dir: Path) -> Probation | None:
    """The probation of the revision in force; None where it is on none."""
    found = last(model_dir)
    try:
        on = found is not None and found.state == RUNNING and found.revision == current_id(model_dir)
    except (BadInputError, OSError):
        return None
    return found if on else None


def _write(model_dir: Path, of: Probation) -> None:
    write_whole(model_dir / FILE, json.dumps(of.as_json(), indent=2) + "\n")
