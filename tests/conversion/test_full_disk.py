"""A disk that is full, or may not be written to, is no fault of ours: it is told in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import openvino as ov
import pytest

import edgefashion
from edgefashion.bundles.bundle import open_bundle

if TYPE_CHECKING:
    from helpers.types import Run

LIMITED = """
import resource, signal, sys
from pathlib import Path
{before}
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
try:
    {write}
except OSError as error:
    print(error.filename, error.strerror)
"""
"""A child that may write no file larger than its first argument, as on a disk without more room."""

AN_IR = """
import numpy as np
import openvino as ov
from openvino import opset13 as ops
from edgefashion.bundles import model_files
images = ops.parameter([1, 784], ov.Type.f32)
weights = np.random.default_rng(0).random((784, 10)).astype(np.float32)
ir = ov.Model([ops.matmul(images, weights, False, False)], [images])
"""

A_NETWORK = """
import keras
from edgefashion.inference.tensorflow_engine import export_saved_model
network = keras.Sequential([keras.layers.Input((28, 28, 1), dtype="uint8"), keras.layers.Rescaling(1 / 255)])
network.add(keras.layers.Flatten())
network.add(keras.layers.Dense(10, activation="softmax"))
"""


@pytest.mark.linux_only("RLIMIT_FSIZE is POSIX's")
@pytest.mark.parametrize(
    ("before", "write", "name", "limit", "who"),
    [
        (AN_IR, "model_files.save_ir(ir, Path('a.xml'))", "a.xml", 0, "OpenVINO"),
        (AN_IR, "model_files.save_ir(ir, Path('a.xml'))", "a.xml", 20_000, "OpenVINO"),
        (AN_IR, "model_files.save_ir(ir, Path('a.xml'), halved=True)", "a.xml", 10_000, "OpenVINO"),
        (A_NETWORK, "export_saved_model(network, Path('saved'))", "saved", 20_000, "TensorFlow"),
    ],
)
def test_what_cannot_be_written(before: str, write: str, name: str, limit: int, who: str, tmp_path: Path) -> None:
    """An IR or a SavedModel that cannot be written is an OSError, as of any other file, with its name."""
    program = LIMITED.format(before=before, write=write)
    child = [sys.executable, "-c", program, str(limit)]
    done = subprocess.run(child, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.stdout.startswith(f"{name} {who} could not write it ("), done.stderr


def test_every_ir_is_written_in_one_place() -> None:
    """Nothing but the one function that raises an OSError has OpenVINO write an IR."""
    package = Path(edgefashion.__file__).parent
    texts = {path.relative_to(package).as_posix(): path.read_text("utf-8") for path in package.rglob("*.py")}
    found = [name for name, text in texts.items() if re.search(r"\b(save_model|serialize)\(", text)]
    assert found == ["bundles/model_files.py"]


@pytest.mark.usefixtures("few_test_images")
@pytest.mark.parametrize("command", ["convert edge --out mine", "convert edge --out mine --int8 --calibration 8"])
def test_a_conversion(command: str, run_here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A conversion whose IR cannot be written ends with one line and exit code 2, and leaves what was there."""
    write, failing = ov.save_model, "int8" if "--int8" in command else "fp32"

    def full(ir: Any, path: Path, **options: Any) -> None:
        if Path(path).stem in (failing, "network"):
            raise RuntimeError("basic_ios::clear: iostream error")
        write(ir, path, **options)

    monkeypatch.setattr(ov, "save_model", full)
    done = run_here(*command.split())
    assert done.returncode == 2, done.stderr
    assert "OpenVINO could not write it (basic_ios::clear: iostream error). Check the path" in done.stderr
    assert "free space" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == (["mine"] if failing == "int8" else [])
    if failing == "int8":
        open_bundle(tmp_path / "mine").verify_all()  # as it was converted
