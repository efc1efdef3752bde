"""The parent's side of converting a network for its peers: a process for each, which costs its own rows if it fails."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

from edgefashion.bench.candidates import TITLES, Candidate
from edgefashion.bench.peer_files import Spec, file_name
from edgefashion.bench.pictures import Pictures
from edgefashion.inference.classifier import BATCH
from edgefashion.system.processes import Child

LIMIT_S: Final = 600.0
"""For all files of one peer: of a photo network, on two idle cores, a minute."""


def with_files(
    chosen: list[Candidate], folder: Path, batches: tuple[int, ...], pictures: Pictures, step: Callable[[str], None]
) -> tuple[list[Candidate], list[str]]:
    """The candidates with the peers' files made, without those whose files could not be, and why."""
    failed: dict[tuple[str, str], str] = {}
    for peer in dict.fromkeys(c.engine for c in chosen if c.converted):
        step(f"convert for {TITLES[peer]}")
        spec = Spec(
            model=next(c.model for c in chosen if c.engine == peer),
            peer=peer,
            precisions=tuple(dict.fromkeys(c.precision for c in chosen if c.engine == peer)),
            batches=tuple(sorted({1, BATCH, *batches})),
            folder=str(folder),
            calibration=None if pictures.calibration is None else str(pictures.calibration),
            fashion=pictures.photos is None,
        )
        failed |= {(peer, precision): reason for precision, reason in _convert(spec).items() if reason}
    rows, notes = [], []
    for c in chosen:
        if reason := failed.get((c.engine, c.precision)):
            notes.append(f"No {c.name} row: {reason}")
        elif c.converted:
            size = (folder / file_name(c.precision, 1, c.engine)).stat().st_size
            rows.append(replace(c, model=str(folder), size_bytes=size))
        else:
            rows.append(c)
    return rows, list(dict.fromkeys(notes))


def _convert(spec: Spec) -> dict[str, str]:
    """Make one peer's files in a process of its own; of each precision why that failed, or nothing."""
    reasons: dict[str, str] = {}
    ended = ""
    child = Child("edgefashion.bench.peer_files", name="conversion", keep_stderr=True)
    deadline = time.monotonic() + LIMIT_S
    try:
        child.send(asdict(spec))
        while set(spec.precisions) - reasons.keys():
            told = child.receive(max(0.0, deadline - time.monotonic()))
            if "error" in told:
                ended = _failed(told["error"])
                break
            reasons[told["precision"]] = told["reason"] and _failed(told["reason"])
    except TimeoutError:
        child.kill()
        ended = f"its conversion took longer than {LIMIT_S:g} s"
    except EOFError:
        ended = _failed(child.last_words or f"exit status {child.exit_code}")
    finally:
        child.close()
    return {precision: reasons.get(precision, ended) for precision in spec.precisions}


def _failed(reason: str) -> str:
    return f"it could not be converted ({reason[:200]})"
