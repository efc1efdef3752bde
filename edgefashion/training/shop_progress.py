"""A teaching that can be interrupted: the heads that are trained, kept on disk."""

from __future__ import annotations

import contextlib
import shutil
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import draft
from edgefashion.errors import BadInputError
from edgefashion.inference.head import Head
from edgefashion.system.files import read_arrays, written_aside
from edgefashion.training.shop_head import State

if TYPE_CHECKING:
    from numpy.typing import NDArray

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
    note: str | None = None
    """Where there was nothing to go on with: that, as a sentence."""
    _saved_s: float = field(default_factory=time.monotonic)

    @classmethod
    def at(cls, out: Path, key: str, *, resume: bool) -> Kept:
        """A run that will write the bundle ``out``, with ``resume`` as it was left; where nothing was left it begins.

        Raises :class:`BadInputError` for what another run has left, and for a file that cannot be read.
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
            kept = read_arrays(self.file)
            if str(kept["key"]) != self.key:
                raise BadInputError(
                    "photos, their labels, their places and days, or settings are others than those of the run that "
                    f"was interrupted. {begin}"
                )
            self.heads = [_head(kept, f"head{at}") for at in range(int(kept["count"]))]
            if "epoch" in kept:
                head = _head(kept, "state")
                moments = [kept[f"moment{at}"] for at in range(4)]
                if [m.shape for m in moments] != [m.shape for m in State.begin(head).moments]:
                    raise ValueError("its parts do not fit together")
                self.state = State(head, moments, int(kept["epoch"]))
        except FileNotFoundError:  # interrupted before it had learned anything: all that there was are the features
            self.note = "--resume: no interrupted run had learned anything yet, so it has begun at the beginning"
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise BadInputError(f"{self.file} cannot be read ({error}). {begin}") from error

    @staticmethod
    def forget(out: Path) -> None:
        """Remove what was kept: the run is done."""
        shutil.rmtree(draft.checkpoints_dir(out), ignore_errors=True)


_PARTS: Final = ("weights", "bias")


def _head(kept: dict[str, NDArray[Any]], name: str) -> Head:
    weights, bias = (kept[f"{name}_{part}"] for part in _PARTS)
    if weights.ndim != 2 or bias.shape != weights.shape[1:]:
        raise ValueError("its parts do not fit together")
    return Head(weights, bias)
