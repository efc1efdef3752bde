"""Bench measures every engine it can, in its own process, and says what it could not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgefashion import bench, bundle, classify

if TYPE_CHECKING:
    from conftest import Run

ROW_FIELDS = {
    *("name", "engine", "precision", "threads", "batch", "latency_us", "throughput_fps"),
    *("accuracy", "size_bytes", "cold_start_s", "peak_rss_mb"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole table, measured as shortly as it can be."""
    short = bench.BenchOptions(rounds=2, seconds=0.05, min_calls=3, cold_starts=1)
    measured = bench.bench("edge", options=short)
    bench.plot(measured, tmp_path_factory.mktemp("bench") / "chart.png")
    as_json: dict[str, Any] = json.loads(json.dumps(measured.as_json()))
    return as_json


def test_every_engine_has_its_row(report: dict[str, Any]) -> None:
    """The original three ways, and the IR in FP32, BF16 where the CPU has it, and INT8."""
    expected = ["Keras model.predict", "Keras call", "TensorFlow SavedModel", "OpenVINO FP32"]
    expected += ["OpenVINO BF16"] if classify.cpu_has_bf16() else []
    assert [row["name"] for row in report["rows"]] == [*expected, "OpenVINO INT8"]


def test_rows_have_the_contracts_fields(report: dict[str, Any]) -> None:
    """Every row has every field scripts rely on, with values that can be true."""
    assert set(report["machine"]) >= {"cpu", "isa", "cores", "ram_gb", "versions"}
    for row in report["rows"]:
        assert set(row) >= ROW_FIELDS
        latency = row["latency_us"]
        assert 0 < latency["p50"] <= latency["p90"] <= latency["p99"]
        assert row["throughput_fps"] > 0
        assert row["cold_start_s"] > 0.05, "no Python starts faster"
        assert row["peak_rss_mb"] > 30, "no Python with numpy is smaller"
        low, high = row["accuracy_ci95"]
        assert low < row["accuracy"] < high
        assert (row["throughput_async_fps"] is not None) == (row["engine"] == "openvino")


def test_accuracy_is_that_of_the_model(report: dict[str, Any]) -> None:
    """Each row's accuracy is the bundle's own for that form, measured again."""
    made = bundle.resolve("edge").bundle
    assert made is not None
    stated = made.info["metrics"]
    for row in report["rows"]:
        form = {"openvino": row["precision"]}.get(row["engine"], "original")
        if form in stated:
            assert row["accuracy"] == pytest.approx(stated[form]["test_accuracy"], abs=0.003), row["name"]


def test_precision_that_ran_is_named(report: dict[str, Any]) -> None:
    """The FP32 row ran in FP32 and the INT8 row in 8 bits, whatever the plugin would prefer."""
    ran = {row["name"]: row["runtime_precision"] for row in report["rows"]}
    assert ran["OpenVINO FP32"] == "f32"
    assert ran["OpenVINO INT8"].rstrip("8") in ("u", "i")


def test_chosen_rows_only(run: Run) -> None:
    """--vs none measures the IRs alone, and --json is one object on a clean stdout."""
    done = run("bench", "--vs", "none", "--rounds", "1", "--seconds", "0.02", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {row["engine"] for row in rows} == {"openvino"}


def test_table_and_chart(run: Run, tmp_path: Path) -> None:
    """The table names every row on stdout, and --chart writes a readable PNG."""
    import cv2

    done = run("bench", "--vs", "none", "--rounds", "1", "--seconds", "0.02", "--chart", "chart.png")
    assert done.returncode == 0, done.stderr
    assert "OpenVINO INT8" in done.stdout
    chart = cv2.imread(str(tmp_path / "chart.png"))
    assert chart is not None
    assert chart.shape[1] > 800


def test_one_ir_gives_one_row(run: Run, tmp_path: Path) -> None:
    """A bare IR is measured by itself."""
    for name in ("int8.xml", "int8.bin"):
        shutil.copy(bundle.resolve("edge").path / name, tmp_path)
    done = run("bench", "int8.xml", "--rounds", "1", "--seconds", "0.02", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["precision"] for row in json.loads(done.stdout)["rows"]] == ["int8"]


def test_a_worker_that_dies_is_told_of(run: Run, tmp_path: Path) -> None:
    """A network no engine can load ends the measurement with one line, not with a hang."""
    (tmp_path / "bad.xml").write_text("<net/>")
    (tmp_path / "bad.bin").write_bytes(b"")
    done = run("bench", "bad.xml", timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "bad.xml is refused" in done.stderr
