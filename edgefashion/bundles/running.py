"""What of a model runs: its revision, its hash, and whether it is on probation. Told by everything that runs one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgefashion.bundles import probation
from edgefashion.bundles.bundle import INFO
from edgefashion.bundles.current import PLAIN, keeps_history, model_dir_of
from edgefashion.system.files import sha256


@dataclass(frozen=True)
class Running:
    """A network in use."""

    model: str = ""
    revision: str | None = None
    """None where its model keeps no history, and for what is no bundle of this machine."""
    sha256: str | None = None
    """Of its bundle's ``bundle.json``, in hex: the same wherever the same bundle is in use."""
    probation: bool = False
    """Whether it is being compared with the one before."""
    taken_back: str = ""
    """Which revision was taken back last, and why, in one line; empty where the one in force has passed since."""

    def as_json(self) -> dict[str, Any]:
        """What events tell."""
        named = {"model": self.model, "revision": self.revision, "sha256": self.sha256}
        return {**named, "probation": self.probation}


def running(name: str, source: Path | None) -> Running:
    """What of the model called ``name`` runs where it was read from the file ``source``; None for a served one."""
    if source is None:
        return Running(name)
    place = source.parent
    try:
        digest = sha256(place / INFO)
    except OSError:
        return Running(name)
    folder = model_dir_of(place)
    if folder is None or not keeps_history(folder):
        return Running(name, None, digest)
    revision = PLAIN if folder == place else place.name
    last, on = probation.last(folder), probation.running(folder)
    back = last if last is not None and last.state == "rolled back" and last.revision != revision else None
    told = f"{back.revision} was taken back: {back.why}" if back else ""
    return Running(name, revision, digest, on is not None and on.revision == revision, told)
