"""OpenVINO is imported without its model converter, which is there all the same for whoever asks."""

from __future__ import annotations

import subprocess
import sys

import pytest

LOADED = """
import sys, numpy, edgefashion
edgefashion.load("edge")(numpy.zeros((1, 28, 28, 1), numpy.uint8))
"""


@pytest.mark.parametrize(
    "asked",
    [
        "assert 'openvino.tools.ovc' not in sys.modules",
        "import openvino; assert openvino.convert_model.__module__ == 'openvino.tools.ovc.convert'",
        "from openvino import convert_model; assert callable(convert_model)",
        "from openvino.tools.ovc import convert_model; assert callable(convert_model)",
        "import openvino; assert not hasattr(openvino, 'nothing_of_this_name')",
    ],
    ids=["not imported", "as an attribute", "imported", "where it lies", "nothing else"],
)
def test_the_converter_waits_to_be_asked_for(asked: str) -> None:
    """A network answers without the converter; a program that uses both gets it in every way that OpenVINO offers."""
    done = subprocess.run([sys.executable, "-c", LOADED + asked], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_what_is_there_already_stays() -> None:
    """Where somebody has imported OpenVINO before, it is left as it is."""
    code = "import sys, openvino\nbefore = openvino.convert_model" + LOADED
    code += "assert openvino.convert_model is before and not hasattr(openvino, '__getattr__')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
