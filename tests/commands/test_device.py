"""`--device` on every command that runs a network, and `device` in the settings file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgefashion import doctor
from edgefashion.camera import settings, settings_file
from edgefashion.camera.app import run_camera
from edgefashion.camera.service import systemd_unit
from edgefashion.errors import BadInputError
from edgefashion.inference import device

if TYPE_CHECKING:
    from helpers.types import Run

COMMANDS = {
    "predict": ("predict", "shirt.jpg"),
    "camera": ("camera", "--headless", "--source", "clip.mp4"),
    "tag": ("tag", "photos", "--out", "tags.csv"),
    "bench": ("bench", "edge", "--vs", "none"),
    "serve": ("serve", "edge", "--port", "0", "--grpc-port", "0"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "code", "says"),
    [
        ("FOO", 2, "no device named 'FOO'. Known: CPU, GPU, NPU, AUTO"),
        ("GPU", 3, "there is no GPU here: OpenVINO finds CPU. For an Intel GPU install its driver"),
        ("NPU,GPU.1", 3, "there is no NPU and no GPU.1 here"),
    ],
)
def test_refused(command: str, name: str, code: int, says: str, run_here: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown device is one line and exit code 2, an absent one is one line with what to install and exit code 3,
    before anything is read, opened or written."""
    monkeypatch.setattr(device, "available", lambda: ["CPU"])
    done = run_here(*COMMANDS[command], "--device", name)
    assert (done.returncode, done.stdout) == (code, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('device = "FOO"', "line 2: device: no device named 'FOO'. Known: CPU"),
        ("device = 1", 'line 2: device must be a text, not 1. Write device = "1"'),
        ('device = ["GPU", "CPU"]', "line 2: device must be a text"),
    ],
)
def test_in_the_settings_file(line: str, says: str, tmp_path: Path) -> None:
    """A device that is none is told with file and line."""
    file = tmp_path / "edgefashion.toml"
    file.write_text(f"headless = true\n{line}\n", encoding="utf-8")
    with pytest.raises(BadInputError, match=says.replace("[", r"\[")):
        settings_file.load(file)


def test_the_flag_wins(tmp_path: Path) -> None:
    """`device` is read from the file, and the flag goes before it."""
    file = tmp_path / "edgefashion.toml"
    file.write_text('device = "gpu,cpu"\n', encoding="utf-8")
    read = settings_file.load(file)
    assert settings.merge(read, {}).device == "gpu,cpu"
    assert settings.merge(read, {"device": "CPU"}).device == "CPU"


def test_a_served_model_in_the_camera() -> None:
    """Where every network is another machine's there is no device to choose."""
    with pytest.raises(BadInputError, match="a served model's server chooses its device"):
        run_camera(model="http://127.0.0.1:9/v2/models/kiosk", fallback="none", device="CPU", source="clip.mp4")


def test_doctor_tells_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """`doctor` says for each device whether the shipped networks run on it, and what brings one that is not found."""
    monkeypatch.setattr(device, "available", lambda: ["CPU", "GPU.1"])
    found = {check.name: check for check in doctor._devices()}
    assert list(found) == ["device CPU", "device GPU.1", "device NPU"]
    assert found["device CPU"].ok
    assert found["device CPU"].detail.endswith("kiosk and edge compile and run on it")
    assert not found["device GPU.1"].ok  # which was only claimed to be there
    assert "GPU.1 cannot run this network" in found["device GPU.1"].detail
    assert not found["device NPU"].ok
    assert "linux-npu-driver" in found["device NPU"].detail


@pytest.mark.parametrize(
    ("wanted", "opened"),
    [(None, False), ("CPU", False), ("GPU", True), ("npu", True), ("AUTO", True), ("GPU,CPU", True)],
)
def test_a_service_may_open_it(wanted: str | None, opened: bool) -> None:
    """A system unit, which may open no devices but cameras, may open a GPU and an NPU where one may be chosen."""
    values = {"headless": True, **({"device": wanted} if wanted else {})}
    lines = systemd_unit.unit(systemd_unit.ServiceOptions(config=Path("/etc/edgefashion.toml"), values=values)).split(
        "\n"
    )
    for line in ("DeviceAllow=char-drm rw", "DeviceAllow=char-accel rw", "SupplementaryGroups=render"):
        assert (line in lines) is opened
    assert "DeviceAllow=char-video4linux rw" in lines
