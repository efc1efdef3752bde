"""A file from elsewhere that fits in no way is asked in its own runtime too, which may fail and may be given much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefashion.bundles.guard import check
from edgefashion.errors import GateError
from edgefashion.inference import foreign_files, onnx_litert_engine
from edgefashion.inference.classifier import BATCH
from edgefashion.inference.told import Told

_USUAL: dict[str, Any] = {"batch": "N", "rows": -1, "steps": ""}


@pytest.fixture(autouse=True)
def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard has tests of its own, and takes a process for each file."""
    monkeypatch.setattr(check, "check", lambda *_, **__: None)


def _file(folder: Path, batch: str | int, rows: int, steps: str) -> Path:
    """Weights that fit nothing, for ``batch`` images reshaped to so many ``rows``; with ``steps`` of 16 bits, in 16-bit
    floats too."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    kind, real = (np.float16, TensorProto.FLOAT16) if steps else (np.float32, TensorProto.FLOAT)
    values = {"w": rng.normal(size=(784, 10)).astype(kind), "rows": np.array([rows, 784])}
    nodes = [helper.make_node("Reshape", ["x", "rows"], ["flat"])]
    if steps:
        values |= {"step": np.array(1 / 65535, kind), "zero": np.array(0, steps)}
        nodes.append(helper.make_node("QuantizeLinear", ["flat", "step", "zero"], ["whole"]))
        nodes.append(helper.make_node("DequantizeLinear", ["whole", "step", "zero"], ["stepped"]))
    nodes.append(helper.make_node("MatMul", [nodes[-1].output[0], "w"], ["logits"]))
    nodes.append(helper.make_node("Softmax", ["logits"], ["y"], axis=1))
    taken, given = (
        helper.make_tensor_value_info(name, real, s) for name, s in (("x", [batch, 28, 28, 1]), ("y", None))
    )
    kept = [numpy_helper.from_array(value, name) for name, value in values.items()]
    graph = helper.make_graph(nodes, "theirs", [taken], [given], kept)
    path = folder / "theirs.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


@pytest.mark.parametrize(
    ("what", "most", "fails"),
    [
        ({}, BATCH, False),
        ({"batch": 1, "rows": 1}, 1, False),
        ({"batch": 7, "rows": 7}, 7, False),
        ({"rows": 1}, BATCH, True),
        ({"rows": 3}, BATCH, True),
        ({"steps": "uint16"}, BATCH, False),
        ({"steps": "int16"}, BATCH, False),
    ],
)
def test_a_file_that_fits_nothing(
    what: dict[str, Any],
    most: int,
    fails: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """It is refused for that in one sentence, whether its runtime runs it or fails, whose own lines are not shown; and
    the runtime is given no more images a call than its batch, or than pays."""
    seen: set[tuple[int, bool]] = set()
    open_file = onnx_litert_engine.open_file

    def watched(*given: Any) -> onnx_litert_engine.Opened:
        opened = open_file(*given)

        def call(pixels: Any) -> Any:
            try:
                answer = opened.call(pixels)
            except Exception:
                seen.add((len(pixels), True))
                raise
            seen.add((len(pixels), False))
            return answer

        return onnx_litert_engine.Opened(opened.taken, opened.given, call, opened.precision)

    monkeypatch.setattr(onnx_litert_engine, "open_file", watched)
    path = _file(tmp_path, **_USUAL | what)
    with pytest.raises(GateError, match=r"theirs\.onnx") as refused:
        foreign_files.read(path, Told())
    assert "in OpenVINO 20" not in str(refused.value)
    assert seen == {(most, fails)}
    assert "onnxruntime" not in capfd.readouterr().err
