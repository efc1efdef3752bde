"""What the camera reads back at its start may hold anything by then: a torn write, a bad disk, a curious hand."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from edgefashion.bundles import probation, revisions
from edgefashion.camera import conduct
from edgefashion.camera.conduct import MEMORY_S, Conduct
from edgefashion.camera.drift import store
from edgefashion.camera.drift.days import Days
from edgefashion.camera.figures import Counts
from edgefashion.camera.probation_bounds import Bounds, worse

_COUNTS = {9: Counts(30, 9, 20.0, 70, 35, 8e3)}
DAYS = {
    "format": 1,
    "networks": {"k": Days("2026-11-27", _COUNTS, [{"not_sure": 0.1}] * 2, ["not_sure"]).as_json()},
}
CONDUCT = {"format": 1, "revisions": {".": dataclasses.asdict(Conduct(90.0, [8.0, 9.0], [0, 1, 0], 1.0, 0, "x", 20))}}
PROBATION = dataclasses.asdict(probation.Probation("0002-aaaaaaaa", ".", 600.0, "x"))
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 0.5, 10**400, 1e999, float("nan"), -0.5, 2**70),
    *("", "x", "\ud800", "2026-99-99", [], [[]], [None], {}, {"a": []}, [1e999], [-1]),
)


def damaged(whole: Any) -> Iterator[Any]:
    """``whole`` with every value in it, itself first, replaced by each odd one, and taken out."""
    yield from ODD
    keys = whole if isinstance(whole, dict) else range(len(whole)) if isinstance(whole, list) else ()
    for key in keys:
        for inner in damaged(whole[key]):
            made = whole.copy()
            made[key] = inner
            yield made
        left = whole.copy()
        del left[key]
        yield left


def use_days(path: Path) -> None:
    networks = store.read(path)
    for days in networks.values():
        days.end("2026-11-28", None)
    json.loads(store.text_of(networks), parse_constant=_no_number)


def use_conduct(path: Path) -> None:
    known = conduct.read(path)
    for each in known.values():
        worse(each, Conduct(90.0), Bounds(), at_end=True)
        worse(Conduct(90.0), each, Bounds(), at_end=False)
        assert each.next_look > 0, "it is doubled until it is more than the garments"
        assert 0 <= each.seconds <= MEMORY_S
        json.dumps(dataclasses.asdict(each), allow_nan=False)


def use_probation(path: Path) -> None:
    found = probation.last(path.parent)
    assert found is None or 0 < found.seconds <= probation.MOST_MINUTES * 60
    json.dumps(found and found.as_json(), allow_nan=False)


def use_revisions(path: Path) -> None:
    revisions.history(path.parent.parent)


def _no_number(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.parametrize(
    ("name", "whole", "use"),
    [
        ("days-0.json", DAYS, use_days),
        ("conduct-0.json", CONDUCT, use_conduct),
        ("probation.json", PROBATION, use_probation),
        ("revisions/0002-aaaaaaaa.json", dataclasses.asdict(revisions.Origin()), use_revisions),
    ],
    ids=["days", "conduct", "probation", "revision"],
)
def test_starts(
    tmp_path: Path, name: str, whole: Any, use: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever a file that is read back holds, it raises nothing and can be used; nothing that is no number would
    be written into it."""
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.with_suffix("").mkdir()
    (path.with_suffix("") / "bundle.json").write_text("{}")
    texts = ["", "{", "[" * 100_000, '{"format": 1, "x": ' + "9" * 5000 + "}", *map(json.dumps, damaged(whole))]
    assert len(texts) > 100
    for text in texts:
        path.write_text(text)
        use(path)
    path.write_bytes(b"\xff\xfe\0")
    use(path)
    capsys.readouterr()


DEEP = "[" * 100_000


@pytest.mark.parametrize("text", ["", "null", DEEP, '{"format": 1}', json.dumps([DAYS])])
@pytest.mark.parametrize("read", [store.read, conduct.read])
def test_put_aside(tmp_path: Path, text: str, read: Callable[[Path], Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged file is kept under another name, which is told once, and the next start finds none."""
    path = tmp_path / "x.json"
    path.write_text(text)
    assert read(path) == {}
    assert "was damaged, and is kept as x.json.damaged" in capsys.readouterr().err
    assert (tmp_path / "x.json.damaged").read_text() == text
    assert read(path) == {}
    assert not capsys.readouterr().err


def whole_and(**changed: Any) -> str:
    """A sound record of conduct but for one field."""
    revision = CONDUCT["revisions"]["."] | changed  # type: ignore[index]
    return json.dumps({"format": 1, "revisions": {".": revision}})


@pytest.mark.parametrize(
    ("changed", "sound"),
    [
        ({}, True),
        ({"next_look": 640}, True),
        ({"seconds": MEMORY_S}, True),
        ({"faults": 0}, True),
        ({"next_look": 0}, False),
        ({"next_look": -20}, False),
        ({"next_look": 20.0}, False),
        ({"next_look": 1e999}, False),
        ({"seconds": 1e999}, False),
        ({"seconds": float("nan")}, False),
        ({"seconds": -1}, False),
        ({"seconds": True}, False),
        ({"blocks_ms": [1e999]}, False),
        ({"blocks_ms": "a"}, False),
        ({"faults": 1e9}, False),
        ({"unsure": [2]}, False),
        ({"since": None}, False),
    ],
)
def test_conduct(tmp_path: Path, changed: dict[str, Any], sound: bool) -> None:
    """A record of what no camera can have counted is none: by it a revision would pass at once, never, or the thread
    would hang."""
    path = tmp_path / "conduct-0.json"
    path.write_text(whole_and(**changed))
    assert bool(conduct.read(path)) == sound
    assert path.is_file() == sound
