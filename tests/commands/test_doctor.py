"""`edgefashion doctor`: what its last line makes of what was found, and how slow is too slow."""

from __future__ import annotations

import time
from typing import Any

import pytest

from edgefashion import doctor
from edgefashion.doctor import Check

ALL_WELL = {"cameras": True, "display": True, "CPU": True, "speed": True, "model kiosk": True}


def found(**changes: bool) -> list[Check]:
    """A report: the checks of a kiosk, then the dataset and two extras."""
    well = ALL_WELL | {name.replace("_", " "): ok for name, ok in changes.items()}
    needed = {"CPU", "model kiosk"}
    kiosk = [Check(name, well[name], "", needed=name in needed) for name in ALL_WELL]
    return [
        *kiosk,
        Check("dataset", well.get("dataset", True), "", of="convert, evaluate, bench"),
        Check("extra: nncf", well.get("nncf", True), "", of="convert --int8"),
        Check("extra: matplotlib", well.get("matplotlib", True), ""),
    ]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Ready for camera, predict, convert, evaluate, bench, convert --int8; nothing is missing"),
        (
            {"display": False, "nncf": False},
            "Ready for camera --headless, predict, convert, evaluate, bench; missing: a display and nncf",
        ),
        (
            {"cameras": False, "dataset": False, "speed": False},
            (
                "Ready for camera (source: a video or a URL), predict, convert --int8; missing: a camera, a faster CPU "
                "for the camera and dataset"
            ),
        ),
        ({"matplotlib": False}, "Ready for camera, predict, convert, evaluate, bench, convert --int8; "),
        ({"CPU": False, "model_kiosk": False}, "Not ready: CPU and model kiosk must be mended first"),
    ],
)
def test_the_last_line(changes: dict[str, bool], says: str) -> None:
    """The report ends in what this machine is ready for and what it lacks, the camera first."""
    assert doctor.summary(found(**changes)).startswith(says)


@pytest.mark.parametrize(("frame_s", "ok", "says"), [(0.0, True, "fast enough"), (0.2, False, "it will lag")])
def test_too_slow_for_the_camera(frame_s: float, ok: bool, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PC that cannot give the camera's fifteen answers a second is told so, another is not."""
    from edgefashion.inference import predict

    real = predict.predict

    def slowed(*arguments: Any, **options: Any) -> Any:
        time.sleep(frame_s)
        return real(*arguments, **options)

    monkeypatch.setattr(predict, "predict", slowed)
    if not frame_s:
        monkeypatch.setattr(doctor, "ANSWERS_FPS", 0.01)  # however busy the machine is
    speed = next(check for check in doctor.checks() if check.name == "speed")
    assert (speed.ok, says in speed.detail) == (ok, True), speed.detail
