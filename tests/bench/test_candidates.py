"""The rows a model gives, each at its threads and under its cap, and a reason for each one it does not give."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgefashion.bench import candidates
from edgefashion.bundles import resolve
from edgefashion.errors import BadInputError
from edgefashion.labels import PHOTO_LABELS
from edgefashion.system import machine


def test_a_row_at_one_thread_and_one_at_all() -> None:
    """Without --threads every engine that can be told its threads is measured both ways."""
    rows, _ = candidates.of_model("edge", vs=("litert", "tensorflow"))
    both = [1, 0] if machine.cores() > 1 else [1]
    assert [row.threads for row in rows if row.name == "LiteRT INT8"] == both
    assert [row.threads for row in rows if row.name == "OpenVINO INT8"] == both
    assert [row.threads for row in rows if row.engine == "tensorflow"] == [None]


def test_a_cap_keeps_to_the_threads_asked_for() -> None:
    """--threads counts under --isa too; without it a capped row runs on one."""
    for threads, expected in ((None, 1), (0, 0), (3, 3)):
        rows, _ = candidates.of_model("edge", threads=threads, isa=("avx2",))
        assert {row.threads for row in rows} == {expected}


def test_a_photo_network_has_all_its_rows() -> None:
    """The shipped photo network is measured in both precisions in every engine; where a bundle has no FP32 IR its FP16
    one, which computes in FP32, stands in. Every row knows the network's labels."""
    rows, notes = candidates.of_model("kiosk", vs=("onnxruntime", "litert", "keras"), threads=1)
    peers = [f"{peer} {precision}" for peer in ("ONNX Runtime", "LiteRT") for precision in ("FP32", "INT8")]
    assert [row.name for row in rows] == [
        *("Keras model.predict", "Keras call"),
        *peers,
        *("OpenVINO FP16", "OpenVINO INT8"),
    ]
    assert {row.labels for row in rows} == {PHOTO_LABELS}
    assert [note for note in notes if "INT8" in note] == []


def test_what_a_bundle_lacks_is_said() -> None:
    """An engine asked for that has nothing to run is a note."""
    rows, notes = candidates.of_model("kiosk", vs=("tensorflow",), threads=1)
    assert {row.engine for row in rows} == {"openvino"}
    kiosk = resolve.resolve("kiosk").path
    assert f"No TensorFlow SavedModel row: {kiosk} holds no SavedModel or .keras file for it." in notes


def test_a_cap_above_this_cpu_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cap that this CPU lacks is a note, and an error where no row is left."""
    monkeypatch.setattr(machine, "isa", lambda: ["avx2"])
    monkeypatch.setattr(machine, "isa_is_whole", lambda: True)
    rows, _ = candidates.of_model("edge", threads=1, isa=("avx2", "amx"))
    kept, notes = candidates.cappable(rows)
    assert {row.isa for row in kept} == {"avx2"}
    assert notes == ["No amx row: this CPU does not have it."]
    with pytest.raises(BadInputError, match="--isa: this CPU has none of amx"):
        candidates.cappable([row for row in rows if row.isa == "amx"])


def test_a_bare_ir_is_one_precision(tmp_path: Path) -> None:
    """An IR by itself gives the rows of its own precision, whatever it is called."""
    made = resolve.resolve("edge").bundle
    assert made is not None
    rows, _ = candidates.of_model(made.verified("int8"), vs=(), threads=1)
    assert [(row.name, row.size_bytes) for row in rows] == [("OpenVINO INT8", made.size_bytes("int8"))]
