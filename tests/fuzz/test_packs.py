"""Any bytes in place of a pack, of a model's history or of what a camera noted are read whole or refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from helpers.bundles import make
from helpers.fuzzing import check_refusal, fuzz, json_mutations, json_values, mutations, scratch
from hypothesis import given
from hypothesis import strategies as st

from edgefashion.bundles import current, pack, probation, resolve, revisions
from edgefashion.camera import conduct
from edgefashion.camera.conduct import Conduct
from edgefashion.errors import BadInputError

FOLDER = scratch()
MADE = make(FOLDER / "models" / "shop")
PACK = FOLDER / "shop.edgepack"
pack.write(MADE, "shop", revisions.history(MADE.path)[0], PACK)
WHOLE = PACK.read_bytes()
WORDS = [b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"\xff\xff\xff\xff", b"\0\0", b"../", b"int8.xml", b"pack.json"]


@fuzz(150)
@given(st.binary() | mutations([WHOLE], WORDS))
def test_pack(raw: bytes) -> None:
    """What is unpacked of other bytes is the very bundle; else it is one line, and nothing is written elsewhere."""
    given_pack, out = FOLDER / "x.edgepack", FOLDER / "out"
    given_pack.write_bytes(raw)
    shutil.rmtree(out, ignore_errors=True)
    before = {path for path in FOLDER.rglob("*") if "out" not in path.parts}
    try:
        pack.unpack(given_pack, out)
    except BadInputError as error:
        check_refusal(error)
    else:
        for name in ("bundle.json", *MADE.files):
            assert (out / name).read_bytes() == (MADE.path / name).read_bytes()
    assert {path for path in FOLDER.rglob("*") if "out" not in path.parts} == before


# --- The history -----------------------------------------------------------------------------

LIVE = FOLDER / "models" / "live"


def _history() -> Path:
    make(LIVE)
    place = revisions.next_place(LIVE, "0" * 8)
    make(place)
    revisions.switch(LIVE, revisions.record(LIVE, place, revisions.Origin()).id, probation_s=60)
    return place.with_name(f"{place.name}.json")


FACTS = _history()
ORIGIN, PROVING = json.loads(FACTS.read_text()), json.loads((LIVE / probation.FILE).read_text())


@fuzz(60)
@given(json_mutations([ORIGIN]) | json_values, json_mutations([PROVING]) | json_values)
def test_history(origin: Any, proving: Any) -> None:
    """Whatever is told of a revision and its probation, the model answers, and what is shown of them is text."""
    FACTS.write_text(json.dumps(origin), encoding="utf-8")
    (LIVE / probation.FILE).write_text(json.dumps(proving), encoding="utf-8")
    assert resolve.resolve(LIVE).bundle is not None
    for each in revisions.history(LIVE):
        json.dumps(each.as_json())
    found = probation.running(LIVE)
    assert found is None or found.seconds > 0


@fuzz(60)
@given(st.binary(max_size=300))
def test_current(raw: bytes) -> None:
    """Whatever the file says that names the revision in force, it names one of the model's own, or is refused."""
    (LIVE / current.CURRENT).write_bytes(raw)
    try:
        place = current.place_of(LIVE)
    except BadInputError as error:
        check_refusal(error)
    else:
        assert place == LIVE or place.parent == LIVE / current.REVISIONS
    finally:
        (LIVE / current.CURRENT).write_text(".\n")


NOTED = {"format": 1, "revisions": {".": vars(Conduct(60.0, [9.5, 10.0], [0, 1], 2.0))}}


@fuzz(80)
@given(json_mutations([NOTED]) | json_values)
def test_conduct(told: Any) -> None:
    """Whatever a camera's notes say, they are figures to compare with, or none."""
    path = FOLDER / "conduct.json"
    path.write_text(json.dumps(told), encoding="utf-8")
    for each in conduct.read(path).values():
        assert each.frame_ms is None or each.frame_ms == pytest.approx(each.frame_ms, nan_ok=True)
        assert set(each.unsure) <= {0, 1}
        conduct.write(path, {".": each})
