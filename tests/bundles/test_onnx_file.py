"""An ONNX file whose weights lie beside it is read as one whole file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefashion.bundles import onnx_file
from edgefashion.errors import BadInputError


def _model() -> Any:
    """Weights as an initializer, in a node's attribute and inside a branch's graph, as exporters put them."""
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    held = [numpy_helper.from_array(rng.normal(size=(784, 10)).astype(np.float32), "w")]
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=numpy_helper.from_array(np.ones((300,), np.float32)))],
        "then",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, [300])],
    )
    nodes = [
        helper.make_node(
            "Constant", [], ["b"], value=numpy_helper.from_array(rng.normal(size=(10,)).astype(np.float32))
        ),
        helper.make_node("Gemm", ["x", "w", "b"], ["y"]),
        helper.make_node("If", ["never"], ["z"], then_branch=inner, else_branch=inner),
    ]
    held.append(numpy_helper.from_array(np.array(False), "never"))
    ends = (
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 784])],
        [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in (("y", [1, 10]), ("z", [300]))
        ],
    )
    return helper.make_model(helper.make_graph(nodes, "g", *ends, held), opset_imports=[helper.make_opsetid("", 17)])


def _saved(folder: Path, **options: Any) -> Path:
    import onnx

    settings = {"save_as_external_data": True, "size_threshold": 16, "convert_attribute": True, **options}
    onnx.save_model(_model(), folder / "m.onnx", **settings)
    return folder / "m.onnx"


@pytest.mark.parametrize(
    "options",
    [
        {"location": "m.onnx.data"},
        {"location": "weights.bin", "size_threshold": 0},
        {"all_tensors_to_one_file": False},
        {"save_as_external_data": False},
    ],
)
def test_weights_beside_it_become_its_own(options: dict[str, Any], tmp_path: Path) -> None:
    """A file and its weights, in one further file or many, become one file with the same tensors, and nothing beside
    them is written."""
    import onnx
    from onnx import numpy_helper

    path = _saved(tmp_path, **options)
    before = sorted(tmp_path.iterdir())
    with onnx_file.whole(path) as whole:
        assert (whole == path) == (options.get("save_as_external_data") is False)
        read = onnx.load(whole, load_external_data=False)
    onnx.checker.check_model(read)
    wanted = _model()
    for one, other in zip(read.graph.initializer, wanted.graph.initializer, strict=True):
        assert not one.external_data
        np.testing.assert_array_equal(numpy_helper.to_array(one), numpy_helper.to_array(other))
    for at in (0, 2):
        ours, theirs = read.graph.node[at].attribute[0], wanted.graph.node[at].attribute[0]
        if at:
            ours, theirs = ours.g.node[0].attribute[0], theirs.g.node[0].attribute[0]
        np.testing.assert_array_equal(numpy_helper.to_array(ours.t), numpy_helper.to_array(theirs.t))
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("location", "message"),
    [
        (None, "m.onnx.data, which is missing"),
        ("short", "m.onnx.data are cut off"),
        ("/etc/passwd", "not beside it"),
        ("../m.onnx.data", "not beside it"),
        ("..\\m.onnx.data", "not beside it"),
        ("C:\\m.onnx.data", "not beside it"),
        ("", "not beside it"),
        (".", "which is missing"),
    ],
)
def test_weights_elsewhere_are_refused(location: str | None, message: str, tmp_path: Path) -> None:
    """Weights that are missing, cut off or named outside the file's folder end in one line that names them."""
    import onnx

    path = _saved(tmp_path, location="m.onnx.data")
    data = tmp_path / "m.onnx.data"
    if location is None:
        data.unlink()
    elif location == "short":
        data.write_bytes(data.read_bytes()[:100])
    else:
        model = onnx.load(path, load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                entry.value = location if entry.key == "location" else entry.value
        path.write_bytes(model.SerializeToString())
    with pytest.raises(BadInputError, match=message) as refused, onnx_file.whole(path):
        pytest.fail("read")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"location", b"\xff" * 40 + b"location", b"\x3a\xff\xff\xff\xff\x7flocation"])
def test_what_is_no_protobuf_is_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    """A file that is none is handed on, for the guard to refuse."""
    (tmp_path / "m.onnx").write_bytes(content)
    with onnx_file.whole(tmp_path / "m.onnx") as whole:
        assert whole == tmp_path / "m.onnx"
