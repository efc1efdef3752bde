"""Nothing is reported to anybody: OpenVINO's and NNCF's telemetry, as they ship, does so at every import."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Every way out of a process is told of and refused. The file stays open: telemetry sends from a forked child.
TRAP = """
import os, sys
told = os.open(os.environ["TRAP"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
def trap(name, arguments):
    if name in ("socket.getaddrinfo", "socket.connect", "socket.sendto", "urllib.Request"):
        os.write(told, f"{name} {arguments}\\n".encode())
        raise OSError("no way out")
sys.addaudithook(trap)
"""

OURS = {
    "classify": "import edgefashion, numpy as np; edgefashion.load('kiosk')(np.zeros((1, 160, 160, 3), np.uint8))",
    "convert and quantize": """
import contextlib, numpy as np
import edgefashion.conversion.convert, edgefashion.conversion.quantize, nncf, openvino as ov
from openvino import opset13 as ops
with contextlib.suppress(Exception):  # the report of a conversion begins before the file is looked for
    ov.convert_model("nowhere.onnx")
image = ops.parameter([1, 3, 8, 8], ov.Type.f32)
weights = ops.constant(np.ones((4, 3, 3, 3), np.float32))
network = ov.Model([ops.convolution(image, weights, [1, 1], [0, 0], [0, 0], [1, 1])], [image])
nncf.quantize(network, nncf.Dataset([np.ones((1, 3, 8, 8), np.float32)]))
""",
}


def _reports(code: str, folder: Path) -> tuple[str, list[Path]]:
    """What ``code`` tried to tell the world from an empty home, and what it left there."""
    home = folder / "home"
    home.mkdir()
    unset = ("CI", "TF_BUILD", "JENKINS_URL", "NNCF_CI", "NNCF_DEV", "PYTEST_CURRENT_TEST")
    env = {name: value for name, value in os.environ.items() if name not in unset}
    env |= {"HOME": str(home), "LOCALAPPDATA": str(home), "TRAP": str(folder / "trap"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    command = [sys.executable, "-c", TRAP + code]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return (folder / "trap").read_text(), [path for path in home.rglob("*") if "intel" in path.name.lower()]


def test_openvino_as_it_ships_reports(tmp_path: Path) -> None:
    """The trap works: a bare `import openvino` is caught reporting, and leaves an identity in the home folder."""
    told, left = _reports("import openvino, time; time.sleep(1)", tmp_path)
    if not told:
        pytest.skip("this OpenVINO reports nothing by itself")
    assert "google-analytics" in told
    assert left


@pytest.mark.parametrize("what", OURS)
def test_nothing_of_ours_reports(what: str, tmp_path: Path) -> None:
    """Classifying, converting and quantizing try no connection and leave no identity behind."""
    told, left = _reports(OURS[what] + "\nimport time; time.sleep(0.3)", tmp_path)
    assert told == ""
    assert left == []


@pytest.mark.linux_only("forks are counted, which Windows has not")
def test_nobody_is_told() -> None:
    """OpenVINO and NNCF, which report their use to Google Analytics from forked processes, find nothing to do it with:
    loading a network and answering starts no process, and a choice the user made before is left alone."""
    code = """
import os, sys
forks = []
os.register_at_fork(before=lambda: forks.append(1))
import numpy, edgefashion
edgefashion.load("edge")(numpy.zeros((1, 28, 28, 1), numpy.uint8))
from openvino.tools.ovc import telemetry_utils
from nncf.telemetry import wrapper
assert telemetry_utils.tm.__name__.endswith("stub"), telemetry_utils.tm
assert type(wrapper.telemetry).__name__ == "MagicMock", wrapper.telemetry
assert not forks
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    code = "import openvino_telemetry, edgefashion, sys; assert sys.modules['openvino_telemetry']"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
