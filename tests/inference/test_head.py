"""The last layer of an IR: read, put in anew, and nothing else changed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest

from edgefashion.errors import BadInputError
from edgefashion.inference import head, load

VIEWS = np.random.default_rng(0).integers(0, 256, (4, 160, 160, 3), np.uint8)


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_the_same_head_gives_the_same_answers(precision: str) -> None:
    """An IR whose own last layer is put in anew answers as before, and INT8 stays INT8."""
    own = head.read_head(Path("models/kiosk/fp16.xml"))
    ir = head.with_head(Path(f"models/kiosk/{precision}.xml"), own)
    compiled = ov.compile_model(ir, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    answers = np.concatenate([compiled(view[None])["probabilities"] for view in VIEWS])
    assert answers == pytest.approx(load.load("kiosk", precision=precision)(VIEWS), abs=2e-3)
    ran = [op.get_rt_info() for op in compiled.get_runtime_model().get_ops()]
    kinds = {info["runtimePrecision"].astype(str) for info in ran if info["layerType"].astype(str) == "FullyConnected"}
    assert kinds == {"u8" if precision == "int8" else "f32"}


def test_another_head_has_its_own_names() -> None:
    """With a label more the IR answers it, and the mask is as it was."""
    own = head.read_head(Path("models/kiosk/fp16.xml"))
    weights, bias = np.insert(own.weights, 10, 0, 1), np.insert(own.bias, 10, 50)
    compiled = ov.compile_model(head.with_head(Path("models/kiosk/int8.xml"), head.Head(weights, bias)), "CPU")
    answer = compiled(VIEWS[:1])
    assert answer["probabilities"].shape == (1, 13)
    assert answer["probabilities"].argmax() == 10
    assert answer["mask"].shape == (1, 20, 20, 1)


@pytest.mark.parametrize("ir", ["models/kiosk/int8.xml", "models/kiosk/finder_int8.xml"])
def test_what_has_no_such_layer_is_refused(ir: str) -> None:
    """Of weights in 8 bits none are read, and a finder has no last layer of names."""
    with pytest.raises(BadInputError):
        head.read_head(Path(ir))
