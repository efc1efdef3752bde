"""Commands import no more than they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from helpers.types import Arrays, Run


@pytest.mark.parametrize("command", [["predict", "picture.png"], ["evaluate"], ["doctor"], ["zoo"]])
def test_kiosk_commands_never_import_tensorflow(command: list[str], tmp_path: Path, test_set: Arrays) -> None:
    """Where TensorFlow is installed the kiosk's commands still do without it."""
    from edgefashion.camera import demo_clip
    from edgefashion.data.images import write_png

    write_png(tmp_path / "picture.png", demo_clip.scene_of(test_set[0][0]))
    code = f"""
import sys
from edgefashion.cli import main as cli
sys.argv = {["edgefashion", *command]!r}
try:
    cli.main()
except SystemExit as end:
    assert not end.code, end.code
heavy = {{"tensorflow", "keras", "nncf", "matplotlib", "torch"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_help_imports_nothing_heavy(run: Run) -> None:
    """``--help`` is instant: not even numpy is imported for it."""
    code = """
import sys
from edgefashion.cli import main as cli
sys.argv = ["edgefashion", "--help"]
try:
    cli.main()
except SystemExit:
    pass
heavy = {"numpy", "cv2", "openvino", "rich", "tensorflow"} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
