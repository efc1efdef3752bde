"""Changing networks while the camera runs."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from helpers.camera import wait_until

from edgefashion.bundles import bundle, resolve
from edgefashion.camera import networks
from edgefashion.camera.networks import Lineup
from edgefashion.errors import BadInputError


def _poll(lineup: Lineup) -> tuple[str, str]:
    """What polling says, once it says something."""
    told = ("", "")

    def says() -> bool:
        nonlocal told
        told = lineup.poll(time.monotonic())
        return any(told)

    wait_until(says, "the network")
    return told


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "LOOK_S", 0.1)
    monkeypatch.setattr(networks, "SETTLE_S", 0.2)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A copy of the shipped bundle that a test may spoil."""
    copy = tmp_path / "mine"
    shutil.copytree(resolve.resolve("edge").path, copy)
    return copy


def test_choose() -> None:
    """Another network takes the place of the first without stopping it, and back again."""
    lineup = Lineup(["edge", "kiosk"])
    assert lineup.classifier.name == "edge"
    assert "kiosk" in lineup.choose(1)
    note, fault = _poll(lineup)
    assert (note, fault) == ("Network 2: kiosk", "")
    assert lineup.classifier.name == "kiosk"
    lineup.choose(0)
    _poll(lineup)
    assert lineup.classifier.name == "edge"


def test_choose_what_is_not_there() -> None:
    """A key without a network says how many there are and changes nothing."""
    lineup = Lineup(["edge"])
    assert lineup.choose(4) == "There is no network 5: this camera has 1"
    assert lineup.poll(time.monotonic()) == ("", "")
    assert lineup.classifier.name == "edge"


def test_unknown_name_at_the_start() -> None:
    """A name that is no model is an error at the start, not when its key is pressed."""
    with pytest.raises(BadInputError, match="nosuch"):
        Lineup(["edge", "nosuch"])


def test_precision() -> None:
    """FP32 and INT8 change places, and the times of both are told."""
    lineup = Lineup(["edge"])
    assert lineup.classifier.precision == "int8"
    lineup.took(2.0)
    lineup.toggle_precision()
    note, fault = _poll(lineup)
    assert (note, fault) == ("Now FP32 (INT8 2.0 ms)", "")
    assert lineup.classifier.precision == "fp32"
    for _ in range(29):
        lineup.took(5.0)
        assert lineup.compared() == ""
    lineup.took(5.0)
    assert lineup.compared() == "FP32 5.0 ms, INT8 2.0 ms"
    assert lineup.compared() == ""
    lineup.toggle_precision()
    assert _poll(lineup) == ("Now INT8 (FP32 5.0 ms, INT8 2.0 ms)", "")


def test_precision_of_a_single_file() -> None:
    """An IR given by its path has no other precision to change to."""
    lineup = Lineup([str(resolve.resolve("edge").path / "int8.xml")])
    assert "comes without FP32" in lineup.toggle_precision()
    assert lineup.poll(time.monotonic()) == ("", "")


def test_precision_that_is_not_there(mine: Path) -> None:
    """Where a bundle has INT8 alone that is said, and it stays."""
    info = json.loads((mine / bundle.INFO).read_text())
    info["files"] = {name: digest for name, digest in info["files"].items() if not name.startswith(("fp32.", "fp16."))}
    (mine / bundle.INFO).write_text(json.dumps(info))
    lineup = Lineup([str(mine)])
    assert lineup.toggle_precision() == f"{mine} comes without FP32"
    assert lineup.poll(time.monotonic()) == ("", "")
    assert lineup.classifier.precision == "int8"


def test_precision_of_the_shipped_photo_network() -> None:
    """The photo network, which ships in FP16 beside INT8, changes between these."""
    lineup = Lineup(["kiosk"])
    lineup.took(2.0)
    lineup.toggle_precision()
    assert _poll(lineup) == ("Now FP16 (INT8 2.0 ms)", "")
    assert lineup.classifier.precision == "fp16"
    lineup.toggle_precision()
    _poll(lineup)
    assert lineup.classifier.precision == "int8"


@pytest.mark.usefixtures("looks_often")
def test_replaced_bundle(mine: Path) -> None:
    """A bundle that is replaced while it runs is read anew."""
    lineup = Lineup([str(mine)])
    before = lineup.classifier
    for name in (bundle.INFO, "int8.xml", "int8.bin"):
        os.utime(mine / name, (1e9, 1e9))
    note, fault = _poll(lineup)
    assert "was replaced and read anew" in note
    assert fault == ""
    assert lineup.classifier is not before


@pytest.mark.usefixtures("looks_often")
@pytest.mark.parametrize("spoil", ["cut", "empty", "gone"])
def test_spoiled_bundle(mine: Path, spoil: str) -> None:
    """A network whose files are spoiled while it runs is a fault and nothing else: the one in memory goes on."""
    lineup = Lineup([str(mine)])
    before = lineup.classifier
    weights = mine / "int8.bin"
    if spoil == "gone":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:1000] if spoil == "cut" else b"")
    note, fault = _poll(lineup)
    assert note == ""
    assert "int8.bin" in fault
    assert lineup.classifier is before
    shutil.copy(resolve.resolve("edge").path / "int8.bin", weights)
    assert "was replaced" in _poll(lineup)[0]
