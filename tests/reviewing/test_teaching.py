"""The buttons run our own commands: what these say is shown, they can be stopped, and one runs at a time."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.camera import wait_until
from helpers.reviewing import GOOD, stub_command, two_revisions

from edgefashion.errors import BadInputError
from edgefashion.reviewing.teaching import Teaching


@pytest.fixture
def stub(tmp_path: Path) -> Callable[..., Teaching]:
    """Teaching with a command in the place of ours, which does what it is told to: see :func:`stub_command`."""
    return lambda **told: Teaching(tmp_path, "shop", stub_command(tmp_path, **told))


def ended(teaching: Teaching) -> dict[str, Any]:
    wait_until(lambda: not teaching.state()["running"], "its end")
    return teaching.state()


def test_teach_use_and_take_back(
    stub: Callable[..., Teaching], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Teach runs `train shop`, Use it puts in force what came of it, Take it back rolls back; each one's lines are
    shown without colours and secrets."""
    kept = GOOD | {"verdict": "within chance", "in_force": False}
    teaching = stub(json=kept)
    monkeypatch.chdir(tmp_path)
    two_revisions(tmp_path)
    with pytest.raises(BadInputError, match="Teach first"):
        teaching.use()
    for begin, wanted, can_use in (
        (teaching.teach, f"train shop --photos {tmp_path} --out models/shop --json", True),
        (teaching.use, "models rollback shop --to 0002-ab12cd34 --json", False),
        (teaching.take_back, "models rollback shop --to . --json", False),
    ):
        begin()
        found = ended(teaching)
        assert found["lines"] == [wanted, "epoch 1 of 2", "epoch 2 of 2 rtsp://...@camera/"]
        assert (found["exit"], found["result"], found["can_use"]) == (0, kept, can_use)


@pytest.mark.parametrize(
    ("told", "current", "back_to"),
    [
        ({"json": GOOD}, GOOD["revision"], "."),
        ({"json": GOOD}, ".", ""),  # somebody has taken it back meanwhile
        ({"json": GOOD | {"verdict": "within chance", "in_force": False}}, ".", ""),
        ({"json": GOOD | {"verdict": "within chance", "in_force": False}}, GOOD["revision"], ""),  # not by this page
        ({"json": GOOD | {"revision": None}}, ".", ""),  # the first one
        ({"json": None, "exit": 2}, GOOD["revision"], ""),
    ],
)
def test_back_only_from_what_it_has_put_to_use(
    stub: Callable[..., Teaching],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    told: dict[str, Any],
    current: str,
    back_to: str,
) -> None:
    """Take it back is there only where this page has put a network to use that still is, and names the one that comes
    back; without it nothing is taken out of use."""
    monkeypatch.chdir(tmp_path)
    two_revisions(tmp_path, current)
    teaching = stub(**told)
    assert teaching.state()["back_to"] == ""
    teaching.teach()
    assert ended(teaching)["back_to"] == back_to
    if not back_to:
        with pytest.raises(BadInputError, match="none to take back"):
            teaching.take_back()


@pytest.mark.parametrize(
    ("told", "can_use", "missing"),
    [
        ({"json": GOOD}, False, False),  # it is in use already
        ({"json": GOOD | {"verdict": "within chance", "in_force": False}}, True, False),
        ({"json": GOOD | {"revision": None}}, False, False),
        ({"json": GOOD | {"bundle": None, "revision": None, "in_force": False}, "exit": 1}, False, False),
        ({"json": None, "exit": 2}, False, False),
        ({"json": None, "exit": 3}, False, True),
        ({"json": [1], "exit": 0}, False, False),
    ],
)
def test_ends(stub: Callable[..., Teaching], told: dict[str, Any], can_use: bool, missing: bool) -> None:
    """Only a network that is kept back can be put to use; where something is missing on this PC, the other way is
    told."""
    teaching = stub(**told)
    teaching.teach()
    found = ended(teaching)
    assert (found["can_use"], found["missing"]) == (can_use, missing)
    assert "edgefashion train shop --photos" in found["elsewhere"]
    assert json.dumps(found)


@pytest.mark.linux_only("a Ctrl-C is sent as a signal")
def test_stopped(stub: Callable[..., Teaching]) -> None:
    """What runs is stopped as by Ctrl-C, so that it keeps what it has learned, and can be gone on with; meanwhile
    nothing else begins."""
    teaching = stub(sleep=60)
    teaching.teach()
    wait_until(lambda: len(teaching.state()["lines"]) == 3, "its lines")
    with pytest.raises(BadInputError, match="running already"):
        teaching.teach()
    teaching.stop()
    found = ended(teaching)
    assert (found["stopped"], found["can_resume"], found["can_use"]) == (True, True, False)
    assert found["lines"][-1] == "stopped; what was learned is kept"
    teaching.teach(resume=True)
    wait_until(lambda: len(teaching.state()["lines"]) == 3, "its lines")
    assert teaching.state()["lines"][0].endswith("--json --resume")
    teaching.close()
    assert not teaching.state()["running"]


@pytest.mark.linux_only("a Ctrl-C is sent as a signal")
@pytest.mark.parametrize(("deaf", "stopped"), [(False, True), (True, False)])
def test_stopped_in_the_background(stub: Callable[..., Teaching], deaf: bool, stopped: bool) -> None:
    """Stop ends it, too, where the page was started in a script's background, which ignores Ctrl-C; and what finishes
    all the same counts as finished: there is nothing to go on with."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        teaching = stub(sleep=60, json=GOOD, deaf=deaf)
        teaching.teach()
    finally:
        signal.signal(signal.SIGINT, before)
    wait_until(lambda: len(teaching.state()["lines"]) == 3, "its lines")
    teaching.stop()
    found = ended(teaching)
    assert (found["stopped"], found["can_resume"], found["result"]) == (stopped, stopped, None if stopped else GOOD)
