"""A teaching that can be interrupted: the heads that are trained, kept on disk."""

from __future__ import annotations

import contextlib
import shutil
import time
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from edgefashion.bundles import draft
from edgefashion.errors import BadInputError
from edgefashion.inference.head import Head
from edgefashion.system.files import written_aside
from edgefashion.training.shop_head import State

_EVERY_S: Final = 2.0
_FILE: Final = "heads.npz"


@dataclass
class Kept:
    """What is learned so far."""

    file: Path
    key: str
    """Of the run: what was learned from other pictures is not gone on with."""
    heads: list[Head] = field(default_factory=list)
    """Those that are ready."""
    state: State | None = None
    """The one that is trained."""
    _saved_s: float = field(default_factory=time.monotonic)

    @classmethod
    def at(cls, out: Path, key: str, *, resume: bool) -> Kept:
        """A run that will write the bundle ``out``, with ``resume`` as it was left.

        Raises :class:`BadInputError` where there is nothing to go on with.
        """
        made = cls(draft.checkpoints_dir(out) / _FILE, key)
        if resume:
            made._read()
        return made

    def save_now_and_then(self) -> None:
        """Every few seconds: so much is lost where the power fails."""
        if time.monotonic() - self._saved_s >= _EVERY_S:
            self.save()

    def save(self) -> None:
        """Write all of it, in one step. A disk that is full only costs the way back."""
        arrays = {f"head{at}_{name}": getattr(head, name) for at, head in enumerate(self.heads) for name in _PARTS}
        if self.state is not None:
            arrays |= {f"state_{name}": getattr(self.state.head, name) for name in _PARTS}
            arrays |= {f"moment{at}": moment for at, moment in enumerate(self.state.moments)}
            arrays["epoch"] = np.array(self.state.epoch)
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            with written_aside(self.file) as aside:
                np.savez(aside, key=np.array(self.key), count=np.array(len(self.heads)), **arrays)
        self._saved_s = time.monotonic()

    def _read(self) -> None:
        begin = "Leave --resume out to begin anew"
        try:
            with np.load(self.file, allow_pickle=False) as kept:
                if str(kept["key"]) != self.key:
                    raise BadInputError(
                        f"photos, labels or settings are others than those of the run that was interrupted. {begin}"
                    )
                self.heads = [Head(*(kept[f"head{at}_{name}"] for name in _PARTS)) for at in range(int(kept["count"]))]
                if "epoch" in kept:
                    head = Head(*(kept[f"state_{name}"] for name in _PARTS))
                    self.state = State(head, [kept[f"moment{at}"] for at in range(4)], int(kept["epoch"]))
        except FileNotFoundError as error:
            raise BadInputError(
                f"there is no interrupted run of {self.file.parent.name} to go on with. {begin}"
            ) from error
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise BadInputError(f"{self.file} cannot be read ({error}). {begin}") from error

    @staticmethod
    def forget(out: Path) -> None:
        """Remove what was kept: the run is done."""
        shutil.rmtree(draft.checkpoints_dir(out), ignore_errors=True)


_PARTS: Final = ("weights", "bias")
