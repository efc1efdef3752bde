"""The rows a model gives, each at its threads and under its cap, and a reason for each one it does not give."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edgefashion.bench import candidates
from edgefashion.bundles import resolve
from edgefashion.errors import BadInputError, MissingError
from edgefashion.inference import device
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
    assert f"No TensorFlow SavedModel row: {kiosk} holds no SavedModel for it." in notes


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


def test_each_device_has_its_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every device that is found, or that is named, has a row of each IR, once; the CPU's are called as before."""
    monkeypatch.setattr(device, "available", lambda: ["CPU", "GPU"])
    every, _ = candidates.of_model("edge", vs=(), threads=1)
    named, _ = candidates.of_model("edge", vs=(), threads=1, devices=["gpu", "AUTO", "GPU", "gpu,cpu"])
    on = {name: [(row.precision, row.threads) for row in every if row.device == name] for name in ("CPU", "GPU")}
    assert on["GPU"] == [("fp32", None), ("int8", None)]
    assert [each for each in on["CPU"] if each[0] != "bf16"] == [("fp32", 1), ("int8", 1)]
    assert [row.name for row in named] == [
        f"OpenVINO {precision} on {name}" for name in ("GPU", "AUTO", "AUTO:GPU,CPU") for precision in ("FP32", "INT8")
    ]


def test_devices_that_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cap is the CPU's alone, an absent device is told before anything is measured."""
    monkeypatch.setattr(device, "available", lambda: ["CPU", "GPU"])
    assert {row.device for row in candidates.of_model("edge", isa=("avx2", "avx2"))[0]} == {"CPU"}
    with pytest.raises(BadInputError, match="--isa caps the CPU alone"):
        candidates.of_model("edge", isa=("avx2",), devices=["GPU"])
    with pytest.raises(MissingError, match="there is no NPU here"):
        candidates.of_model("edge", devices=["NPU"])


def test_no_row_twice() -> None:
    """What is named twice is measured once."""
    rows, _ = candidates.of_model(
        "edge", vs=("litert", "litert"), threads=1, isa=("avx2", "avx2"), devices=["CPU", "cpu"]
    )
    known = [(row.name, row.threads, row.isa) for row in rows]
    assert len(set(known)) == len(known)


@pytest.mark.linux_only("a CPU set is Linux's")
def test_in_a_cpu_set() -> None:
    """In a CPU set of one CPU a row at all threads would be the row at one: it is measured once."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        assert machine.cores() == machine.describe()["cores"] == 1
        rows, _ = candidates.of_model("edge", vs=("litert",))
    finally:
        os.sched_setaffinity(0, before)
    assert {row.threads for row in rows} == {1}
    assert len({row.name for row in rows}) == len(rows)


def test_called_what_it_computes_in(tmp_path: Path) -> None:
    """An IR is called INT8 if its arithmetic is, whatever its file's name says."""
    shipped = resolve.resolve("edge").path
    for given, name in (("int8", "model"), ("int8", "fp32"), ("fp32", "int9")):
        for suffix in (".xml", ".bin"):
            shutil.copy(shipped / f"{given}{suffix}", tmp_path / f"{name}{suffix}")
        rows, _ = candidates.of_model(tmp_path / f"{name}.xml", vs=(), threads=1)
        assert [row.name for row in rows] == [f"OpenVINO {given.upper()}"]
