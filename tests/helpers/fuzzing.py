"""Fuzzing: tests that hypothesis feeds with whatever it comes up with, for seconds in CI and for hours by scripts/fuzz.

    @fuzz(200)
    @given(mutations(VALID))
    def test_...(raw: bytes) -> None:

A target takes nothing but what hypothesis gives it: no fixture, which would be made once for all examples.
"""

from __future__ import annotations

import atexit
import copy
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

EXAMPLES = "EDGEFASHION_FUZZ_EXAMPLES"
"""scripts/fuzz sets it: so many examples of each target, chosen anew each time, instead of always the same few."""


def fuzz(examples: int) -> settings:
    """How a test is fed: in CI with so many ``examples``, the same each time; by scripts/fuzz with others each time."""
    long = os.environ.get(EXAMPLES)
    return settings(
        deadline=None,
        max_examples=int(long or examples),
        derandomize=not long,
        print_blob=True,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def scratch() -> Path:
    """A folder for a file's worth of examples; it goes with the process."""
    folder = Path(tempfile.mkdtemp(prefix="edgefashion-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


# --- Bytes -----------------------------------------------------------------------------------


@st.composite
def mutations(draw: st.DrawFn, valid: Sequence[bytes], words: Sequence[bytes] = (b"\0",)) -> bytes:
    """One of the ``valid`` files with a few places cut out, written over, repeated or put elsewhere.

    ``words`` are what the format gives a meaning to: they are more than chance would find.
    """
    raw = bytearray(draw(st.sampled_from(valid)))
    piece = st.one_of(st.binary(max_size=8), st.sampled_from(words))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw)))
        to = at + draw(st.integers(0, 40))
        kind = draw(st.sampled_from(["cut", "insert", "write over", "repeat", "end", "move"]))
        if kind == "cut":
            del raw[at:to]
        elif kind == "insert":
            raw[at:at] = draw(piece)
        elif kind == "write over":
            new = draw(piece)
            raw[at : at + len(new)] = new
        elif kind == "repeat":
            raw[at:at] = raw[at:to] * draw(st.integers(1, 3))
        elif kind == "end":
            del raw[at:]
        else:
            taken = raw[at:to]
            del raw[at:to]
            elsewhere = draw(st.integers(0, len(raw)))
            raw[elsewhere:elsewhere] = taken
    return bytes(raw)


# --- JSON ------------------------------------------------------------------------------------

_ODD = [0, -1, 1, 2**31, 2**63, 2**64, 10**400, 0.5, 1e308, float("inf"), float("nan"), "", "0", "\0", "\ud800", [], {}]
_LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(_ODD),
    st.integers(-5, 300),
    st.floats(),
    st.text(max_size=8),
    st.builds(lambda text, n: text * n, st.sampled_from(["a", "../", "é", "9"]), st.integers(200, 5000)),
)
json_values: SearchStrategy[Any] = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
"""What a JSON file may hold in any one place."""


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in steps:
        found += _places(below, (*path, step))
    return found


@st.composite
def json_mutations(draw: st.DrawFn, valid: Sequence[Any]) -> Any:
    """One of the ``valid`` values with a few of its places taken away, replaced, doubled or named otherwise."""
    value = copy.deepcopy(draw(st.sampled_from(valid)))
    for _ in range(draw(st.integers(1, 3))):
        places = _places(value)
        if not places:
            return draw(json_values)
        *way, last = draw(st.sampled_from(places))
        holder = value
        for step in way:
            holder = holder[step]
        kind = draw(st.sampled_from(["replace", "replace", "take away", "double", "elsewhere"]))
        if kind == "replace":
            holder[last] = draw(json_values)
        elif kind == "take away":
            del holder[last]
        elif kind == "elsewhere":
            *from_way, from_last = draw(st.sampled_from(places))
            taken = value
            for step in (*from_way, from_last):
                taken = taken[step] if isinstance(taken, dict | list) and _has(taken, step) else None
            holder[last] = copy.deepcopy(taken)
        elif isinstance(holder, list):
            holder.insert(last, copy.deepcopy(holder[last]))
        else:
            holder[draw(st.text(max_size=8))] = holder[last]
    return value


def _has(holder: Any, step: Any) -> bool:
    return step in holder if isinstance(holder, dict) else isinstance(step, int) and step < len(holder)


def as_json(value: Any) -> bytes:
    """JSON as Python's own module writes it, NaN, infinities and lone surrogates included."""
    return json.dumps(value).encode()


# --- Errors ----------------------------------------------------------------------------------


def check_refusal(error: Exception) -> None:
    """Fail unless it is one line that a terminal can be given."""
    said = str(error)
    assert len(said) > 10
    assert said.splitlines() == [said]
    assert "\x1b" not in said
    said.encode()
