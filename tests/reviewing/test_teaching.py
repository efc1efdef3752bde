"""The buttons run our own commands: what these say is shown, they can be stopped, and one runs at a time."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.camera import wait_until

from edgefashion.errors import BadInputError
from edgefashion.reviewing.teaching import Teaching

STUB = """
import json, signal, sys, time
asked, told = sys.argv[1:], json.loads(sys.argv[0]) if False else {told}
print(' '.join(asked), file=sys.stderr, flush=True)
print('epoch 1 of 2\\r\\x1b[32mepoch 2 of 2\\x1b[0m rtsp://admin:secret@camera/', file=sys.stderr, flush=True)
try:
    time.sleep(told.get('sleep', 0))
except KeyboardInterrupt:
    print('stopped; what was learned is kept', file=sys.stderr)
    sys.exit(130)
print(json.dumps(told.get('json')))
sys.exit(told.get('exit', 0))
"""
GOOD = {"bundle": "/x/shop", "verdict": "better", "words": "It got better"}


@pytest.fixture
def stub(tmp_path: Path) -> Callable[..., Teaching]:
    """Teaching with a command in the place of ours that says, returns and takes what it is told to."""

    def made(**told: Any) -> Teaching:
        script = tmp_path / "stub.py"
        script.write_text(STUB.replace("{told}", repr(told)))
        return Teaching(tmp_path, "shop", (sys.executable, str(script)))

    return made


def ended(teaching: Teaching) -> dict[str, Any]:
    wait_until(lambda: not teaching.state()["running"], "its end")
    return teaching.state()


def test_teach_use_and_take_back(stub: Callable[..., Teaching], tmp_path: Path) -> None:
    """Teach runs `train shop`, Use it installs what came of it under the model's name, Take it back rolls back; each
    one's lines are shown without colours and secrets."""
    teaching = stub(json=GOOD)
    with pytest.raises(BadInputError, match="Teach first"):
        teaching.use()
    taught = tmp_path / ".taught" / "shop"
    for begin, wanted in (
        (teaching.teach, f"train shop --photos {tmp_path} --out {taught} --json"),
        (teaching.use, "models install /x/shop --name shop --json"),
        (teaching.take_back, "models rollback shop --json"),
    ):
        begin()
        found = ended(teaching)
        assert found["lines"] == [wanted, "epoch 1 of 2", "epoch 2 of 2 rtsp://...@camera/"]
        assert (found["exit"], found["result"], found["can_use"]) == (0, GOOD, True)


@pytest.mark.parametrize(
    ("told", "can_use", "missing"),
    [
        ({"json": GOOD}, True, False),
        ({"json": GOOD | {"verdict": "within chance"}}, True, False),
        ({"json": GOOD | {"bundle": None, "verdict": "worse"}, "exit": 1}, False, False),
        ({"json": None, "exit": 2}, False, False),
        ({"json": None, "exit": 3}, False, True),
        ({"json": [1], "exit": 0}, False, False),
    ],
)
def test_ends(stub: Callable[..., Teaching], told: dict[str, Any], can_use: bool, missing: bool) -> None:
    """Only a network that came of it can be used; where something is missing on this PC, the other way is told."""
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
        teaching.take_back()
    teaching.stop()
    found = ended(teaching)
    assert (found["stopped"], found["can_resume"], found["can_use"]) == (True, True, False)
    assert found["lines"][-1] == "stopped; what was learned is kept"
    teaching.teach(resume=True)
    wait_until(lambda: len(teaching.state()["lines"]) == 3, "its lines")
    assert teaching.state()["lines"][0].endswith("--json --resume")
    teaching.close()
    assert not teaching.state()["running"]
