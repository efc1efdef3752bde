"""Changing networks while the camera runs."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from helpers.camera import wait_until

from edgefashion.bundles import bundle, file_watch, resolve
from edgefashion.camera.networks import Networks
from edgefashion.errors import BadInputError


def _poll(networks: Networks) -> tuple[str, str]:
    """What polling says, once it says something."""
    told = ("", "")

    def says() -> bool:
        nonlocal told
        told = networks.poll(time.monotonic())
        return any(told)

    wait_until(says, "the network")
    return told


@pytest.fixture
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_watch, "LOOK_S", 0.1)
    monkeypatch.setattr(file_watch, "SETTLE_S", 0.2)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A copy of the shipped bundle that a test may spoil."""
    copy = tmp_path / "mine"
    shutil.copytree(resolve.resolve("edge").path, copy)
    return copy


def test_choose() -> None:
    """Another network takes the place of the first without stopping it, and back again."""
    networks = Networks(["edge", "kiosk"])
    assert networks.classifier.name == "edge"
    assert "kiosk" in networks.choose(1)
    note, fault = _poll(networks)
    assert (note, fault) == ("Network 2: kiosk", "")
    assert networks.classifier.name == "kiosk"
    networks.choose(0)
    _poll(networks)
    assert networks.classifier.name == "edge"


def test_choose_what_is_not_there() -> None:
    """A key without a network says how many there are and changes nothing."""
    networks = Networks(["edge"])
    assert networks.choose(4) == "There is no network 5: this camera has 1"
    assert networks.poll(time.monotonic()) == ("", "")
    assert networks.classifier.name == "edge"


def test_unknown_name_at_the_start() -> None:
    """A name that is no model is an error at the start, not when its key is pressed."""
    with pytest.raises(BadInputError, match="nosuch"):
        Networks(["edge", "nosuch"])


def test_precision() -> None:
    """FP32 and INT8 change places, and the times of both are told."""
    networks = Networks(["edge"])
    assert networks.classifier.precision == "int8"
    networks.took(2.0)
    networks.toggle_precision()
    note, fault = _poll(networks)
    assert (note, fault) == ("Now FP32 (INT8 2.0 ms)", "")
    assert networks.classifier.precision == "fp32"
    for _ in range(29):
        networks.took(5.0)
        assert networks.compared() == ""
    networks.took(5.0)
    assert networks.compared() == "FP32 5.0 ms, INT8 2.0 ms"
    assert networks.compared() == ""
    networks.toggle_precision()
    assert _poll(networks) == ("Now INT8 (FP32 5.0 ms, INT8 2.0 ms)", "")


def test_precision_of_a_single_file() -> None:
    """An IR given by its path has no other precision to change to."""
    networks = Networks([str(resolve.resolve("edge").path / "int8.xml")])
    assert "comes without FP32" in networks.toggle_precision()
    assert networks.poll(time.monotonic()) == ("", "")


def test_precision_that_is_not_there(mine: Path) -> None:
    """Where a bundle has INT8 alone that is said, and it stays."""
    info = json.loads((mine / bundle.INFO).read_text())
    info["files"] = {name: digest for name, digest in info["files"].items() if not name.startswith(("fp32.", "fp16."))}
    (mine / bundle.INFO).write_text(json.dumps(info))
    networks = Networks([str(mine)])
    assert networks.toggle_precision() == f"{mine} comes without FP32"
    assert networks.poll(time.monotonic()) == ("", "")
    assert networks.classifier.precision == "int8"


def test_precision_of_the_shipped_photo_network() -> None:
    """The photo network, which ships in FP16 beside INT8, changes between these."""
    networks = Networks(["kiosk"])
    networks.took(2.0)
    networks.toggle_precision()
    assert _poll(networks) == ("Now FP16 (INT8 2.0 ms)", "")
    assert networks.classifier.precision == "fp16"
    networks.toggle_precision()
    _poll(networks)
    assert networks.classifier.precision == "int8"


@pytest.mark.usefixtures("looks_often")
def test_replaced_bundle(mine: Path) -> None:
    """A bundle that is replaced while it runs is read anew."""
    networks = Networks([str(mine)])
    before = networks.classifier
    for name in (bundle.INFO, "int8.xml", "int8.bin"):
        os.utime(mine / name, (1e9, 1e9))
    note, fault = _poll(networks)
    assert "was replaced and read anew" in note
    assert fault == ""
    assert networks.classifier is not before


@pytest.mark.usefixtures("looks_often")
@pytest.mark.parametrize("spoil", ["cut", "empty", "gone"])
def test_spoiled_bundle(mine: Path, spoil: str) -> None:
    """A network whose files are spoiled while it runs is a fault and nothing else: the one in memory goes on."""
    networks = Networks([str(mine)])
    before = networks.classifier
    weights = mine / "int8.bin"
    if spoil == "gone":
        weights.unlink()
    else:
        weights.write_bytes(weights.read_bytes()[:1000] if spoil == "cut" else b"")
    note, fault = _poll(networks)
    assert note == ""
    assert "int8.bin" in fault
    assert networks.classifier is before
    shutil.copy(resolve.resolve("edge").path / "int8.bin", weights)
    assert "was replaced" in _poll(networks)[0]
