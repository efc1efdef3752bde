"""Convert, quantize and embed as one function: checked before the work, told stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.photos import put

from edgefashion.bundles import bundle, draft, resolve
from edgefashion.conversion import build as module
from edgefashion.conversion.build import CONVERTING, EMBEDDING, QUANTIZING, build
from edgefashion.conversion.quantize import check_quantizable_file
from edgefashion.errors import BadInputError, GateError, MissingError

pytestmark = pytest.mark.long


@pytest.fixture
def stages() -> list[str]:
    """What was begun."""
    return []


def test_all_three(tmp_path: Path, stages: list[str], few_test_images: None) -> None:
    """One call makes the FP32, FP16 and INT8 IR and the one for frames, and gives what each gate measured."""
    done = build("edge", tmp_path / "made", int8=True, calibration=100, frame_wh=(64, 48), on_stage=stages.append)
    assert stages == [f"1 of 3: {CONVERTING}", f"2 of 3: {QUANTIZING}", f"3 of 3: {EMBEDDING}"]
    assert [proof.precision for proof in done.conversion.parity] == ["fp32", "fp16"]
    assert done.quantization is not None
    assert done.quantization.drop <= 0.005
    assert done.embedding is not None
    assert (done.embedding.precision, done.embedding.size_wh) == ("int8", (64, 48))
    assert done.bundle.path == tmp_path / "made"
    assert all(bundle.open_bundle(tmp_path / "made").has(part) for part in ("fp32", "fp16", "int8", "embedded"))


def test_only_what_is_asked_for(tmp_path: Path, stages: list[str], few_test_images: None) -> None:
    """Without more the model is converted and nothing else; the IR of frames is then made of the FP32 one."""
    done = build("edge", tmp_path / "made", on_stage=stages.append)
    assert stages == [f"1 of 1: {CONVERTING}"]
    assert (done.quantization, done.embedding) == (None, None)
    assert done.bundle.has("fp32")


def test_where_it_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One model goes where `convert` puts it, several go to models/ensemble, unless a folder is named."""
    gone: list[tuple[Any, ...]] = []

    class Done:
        bundle = resolve.resolve("edge").bundle

    def into(*arguments: Any) -> type[Done]:
        gone.append(arguments)
        return Done

    monkeypatch.setattr(module, "convert", into)
    monkeypatch.setattr(module, "convert_ensemble", into)
    build("edge")
    build(["edge"], tmp_path, scale="0-1")
    build(["edge", "edge-teachers"])
    build(["edge", "edge-teachers"], str(tmp_path))
    assert gone == [
        ("edge", None, None, None),
        ("edge", tmp_path, "0-1", None),
        (["edge", "edge-teachers"], Path("models/ensemble")),
        (["edge", "edge-teachers"], tmp_path),
    ]


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with originals from elsewhere, a bundle that has the original of a finder, and folders of photos."""
    folder = tmp_path_factory.mktemp("given")
    for name in ("theirs.onnx", "a.keras", "b.keras"):
        (folder / name).write_bytes(b"not read")
    kiosk = resolve.resolve("kiosk").bundle
    with draft.draft(folder / "finds", kiosk) as making:
        making.part("finder_keras").write_bytes(b"not read")
    put(folder / "good", *(f"{label}/{sender}-1.png" for label in ("Coat", "Dress") for sender in "ab"))
    put(folder / "one", "Coat/a-1.png", "Coat/a-2.png")
    put(folder / "strange", "Mantel/a-1.png")
    put(folder / "nameless", "Unknown/a-1.png", "Unknown/b-1.png")
    return folder


@pytest.mark.parametrize(
    ("models", "options", "says"),
    [
        ("edge", {"int8": True, "max_drop": 7}, "--max-drop must be from 0 to 1"),
        ("edge", {"int8": True, "calibration": 0}, "--calibration must be at least 1"),
        ("edge", {"frame_wh": (20, 480)}, "--embed takes a frame's WIDTHxHEIGHT"),
        ("kiosk", {"int8": True}, "kiosk is a photo network: INT8 has to be calibrated on photos"),
        (["edge", "kiosk"], {"int8": True}, "kiosk is a photo network: INT8 has to be calibrated on photos"),
        (["edge", "edge"], {"scale": "0-1"}, "--scale is for one model made elsewhere"),
        ("nowhere", {"int8": True}, "no model 'nowhere'"),
        ("edge", {"photos": ["nowhere"]}, r"edge is no photo network\. Leave --photos out"),
        ("edge", {"int8": True, "photos": ["nowhere"]}, r"edge is no photo network\. Leave --photos out"),
        (["edge", "edge"], {"int8": True, "photos": ["good"]}, r"edge is no photo network\. Leave --photos out"),
        ("theirs.onnx", {"int8": True, "photos": ["good"]}, r"theirs is no photo network\. Leave --photos out"),
        (["a.keras", "b.keras"], {"photos": ["good"]}, r"Fashion-MNIST's images\. Leave --photos out"),
        ("a.keras", {"photos": ["good"]}, r"--photos is for INT8 of a photo network\. Add --int8"),
        ("a.keras", {"int8": True, "photos": ["nowhere"]}, "nowhere is no folder"),
        ("kiosk", {"photos": ["good"]}, r"--photos is for INT8 of a photo network\. Add --int8"),
        ("kiosk", {"int8": True, "photos": ["nowhere"]}, "nowhere is no folder"),
        ("kiosk", {"int8": True, "photos": ["good", "strange"]}, None),
        ("kiosk", {"int8": True, "photos": ["strange"]}, "no label is named so"),
        ("kiosk", {"int8": True, "photos": ["one"]}, "are by one sender"),
        ("kiosk", {"int8": True, "photos": ["nameless"]}, "no photo shows a garment with a name"),
        ("edge", {"scenes": ["nowhere"]}, "edge has no finder's original that scenes could calibrate"),
        ("kiosk", {"scenes": ["nowhere"]}, "kiosk has no finder's original that scenes could calibrate"),
        ("finds", {"photos": ["good"]}, None),
        ("finds", {"photos": ["one"]}, None),  # the finder needs no senders
        ("finds", {"photos": ["strange"]}, "no label is named so"),
        ("finds", {"scenes": ["nowhere"]}, "nowhere is no folder"),
        ("finds", {"scenes": ["good"]}, "good is a photo folder"),
        ("edge", {"max_drop": 0.3}, r"--max-drop and --calibration are for INT8\. Add --int8"),
        ("edge", {"calibration": 300}, r"--max-drop and --calibration are for INT8\. Add --int8"),
        ("edge", {"max_drop": 7}, "--max-drop must be from 0 to 1"),
    ],
)
def test_refused_before_the_work(
    models: Any,
    options: dict[str, Any],
    says: str | None,
    given: Path,
    tmp_path: Path,
    stages: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What cannot be done, or would be used by nothing, is refused before the first stage begins, and nothing is
    written; and nothing else is refused there."""

    class BegunError(Exception):
        pass

    def begun(*_: object) -> None:
        raise BegunError

    monkeypatch.chdir(given)
    monkeypatch.setattr(module, "convert", begun)
    monkeypatch.setattr(module, "convert_ensemble", begun)
    if says is None:
        with pytest.raises(BegunError):
            build(models, tmp_path / "made", **options)
        return
    with pytest.raises(BadInputError, match=says):
        build(models, tmp_path / "made", on_stage=stages.append, **options)
    assert stages == []
    assert list(tmp_path.iterdir()) == []


def test_int8_without_nncf(tmp_path: Path, stages: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without NNCF INT8 is refused before the conversion, with the line that installs it."""
    monkeypatch.setattr("edgefashion.system.extras.installed", lambda name: name != "nncf")
    with pytest.raises(MissingError, match=r'pip install "edgefashion\[int8\]"'):
        build("edge", tmp_path / "made", int8=True, on_stage=stages.append)
    assert stages == []


def test_a_failed_int8_gate_leaves_the_conversion(
    tmp_path: Path, stages: list[str], monkeypatch: pytest.MonkeyPatch, few_test_images: None
) -> None:
    """Where INT8 costs too much, the FP32 and FP16 IRs are there all the same, and nothing is embedded."""

    def refused(*_: object) -> None:
        raise GateError("accuracy gate failed")

    monkeypatch.setattr(module, "quantize", refused)
    with pytest.raises(GateError):
        build("edge", tmp_path / "made", int8=True, frame_wh=(64, 48), on_stage=stages.append)
    assert stages == [f"1 of 3: {CONVERTING}", f"2 of 3: {QUANTIZING}"]
    made = bundle.open_bundle(tmp_path / "made")
    assert made.has("fp32")
    assert not made.has("embedded")


@pytest.mark.parametrize(("dtype", "refused"), [("f16", True), ("bf16", True), ("f32", False)])
def test_a_file_of_16_bits_is_not_converted_for_int8(dtype: str, refused: bool, tmp_path: Path) -> None:
    """A file from elsewhere that computes in 16 bits is refused for INT8 before anything is converted or written."""
    import openvino as ov
    from openvino import opset13 as ops

    pixels = ops.parameter([1, 784], getattr(ov.Type, dtype), name="x")
    weights = ops.constant(np.zeros((784, 10)), getattr(ov.Type, dtype))
    answer = ops.softmax(ops.matmul(pixels, weights, False, False), 1)
    ov.save_model(ov.Model([ops.result(answer)], [pixels], "theirs"), tmp_path / "theirs.xml", compress_to_fp16=False)
    found = resolve.resolve(tmp_path / "theirs.xml")
    if refused:
        with pytest.raises(BadInputError, match=r"in 16 bits: .*leave --int8 out"):
            build(found.path, tmp_path / "out", int8=True)
        assert not (tmp_path / "out").exists()
    else:
        check_quantizable_file(found)
