"""Bench measures every engine it can, in its own process, and says what it could not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgefashion.bench import candidates, rounds
from edgefashion.bench import run as bench
from edgefashion.bench.report import Row
from edgefashion.bundles import resolve
from edgefashion.errors import EdgeFashionError
from edgefashion.inference import openvino_engine
from edgefashion.system import machine

if TYPE_CHECKING:
    from helpers.types import Run

pytestmark = pytest.mark.long

ROW_FIELDS = {
    *("name", "engine", "precision", "threads", "batch", "latency_us", "throughput_fps"),
    *("accuracy", "size_bytes", "cold_start_s", "peak_rss_mb"),
}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole table, measured as shortly as it can be."""
    short = bench.BenchOptions(rounds=2, seconds=0.05, min_calls=3, batches=(64,), cold_starts=0)
    measured = bench.bench("edge", threads=1, options=short)
    bench.plot(measured, tmp_path_factory.mktemp("bench") / "chart.png")
    as_json: dict[str, Any] = json.loads(json.dumps(measured.as_json()))
    return as_json


@pytest.fixture
def bench_here(run_here: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The bench command without cold starts, of which it has no option, for tests that are not about them."""
    monkeypatch.setattr(bench, "BenchOptions", partial(bench.BenchOptions, min_calls=3, cold_starts=0))
    return partial(run_here, "bench", "--rounds", "1", "--seconds", "0.02")


def test_every_engine_has_its_row(report: dict[str, Any]) -> None:
    """The original three ways, the peers in FP32 and INT8, and the IR in FP32, BF16 where the CPU has it, and INT8."""
    expected = ["Keras model.predict", "Keras call", "TensorFlow SavedModel"]
    expected += [f"{peer} {precision}" for peer in ("ONNX Runtime", "LiteRT") for precision in ("FP32", "INT8")]
    expected += ["OpenVINO FP32"]
    expected += ["OpenVINO BF16"] if openvino_engine.cpu_has_bf16() else []
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
    made = resolve.resolve("edge").bundle
    assert made is not None
    stated = made.info["metrics"]
    for row in report["rows"]:
        form = row["precision"] if row["engine"] == "openvino" else "original"
        if form in stated:
            assert row["accuracy"] == pytest.approx(stated[form]["test_accuracy"], abs=0.003), row["name"]


def test_precision_that_ran_is_named(report: dict[str, Any]) -> None:
    """FP32 rows ran in FP32 and INT8 rows in 8 bits, whatever the plugin would prefer, as each runtime says itself."""
    ran = {row["name"]: row["runtime_precision"] for row in report["rows"]}
    for engine in ("OpenVINO", "ONNX Runtime", "LiteRT"):
        assert ran[f"{engine} FP32"] == "f32"
    assert (ran["ONNX Runtime INT8"], ran["LiteRT INT8"]) == ("u8", "i8")
    assert ran["OpenVINO INT8"].rstrip("8") in ("u", "i")


def test_the_peers_have_the_same_weights(report: dict[str, Any]) -> None:
    """Each peer's FP32 file is right on the very images, but for a rounding, that the original is right on; no row is
    marked."""
    right = {row["name"]: row["accuracy"] * 10_000 for row in report["rows"]}
    for peer in ("ONNX Runtime FP32", "LiteRT FP32"):
        assert right[peer] == pytest.approx(right["TensorFlow SavedModel"], abs=2)
    assert [row["marked"] for row in report["rows"]] == [None] * len(right)


def test_another_accuracy_is_marked(report: dict[str, Any]) -> None:
    """A row more than half a point from the original's accuracy says by how much."""
    rows = [Row(**row) for row in report["rows"]]
    worse = [replace(row, accuracy=row.accuracy - 0.012 * (row.engine == "litert")) for row in rows]
    said = [row.marked for row in bench.marked(worse, resolve.resolve("edge")) if row.marked]
    assert len(said) == 2
    assert all("-1." in words and "points from the original's" in words for words in said)


def test_a_row_at_one_thread_and_one_at_all() -> None:
    """Without --threads every engine that can be told its threads is measured both ways."""
    rows, _ = candidates.contenders("edge", vs=("litert", "tensorflow"))
    both = [1, 0] if machine.cores() > 1 else [1]
    assert [row.threads for row in rows if row.name == "LiteRT INT8"] == both
    assert [row.threads for row in rows if row.name == "OpenVINO INT8"] == both
    assert [row.threads for row in rows if row.engine == "tensorflow"] == [None]


def test_a_peer_that_fails_loses_its_own_row(monkeypatch: pytest.MonkeyPatch) -> None:
    """A converter that takes too long, and one that has not got what it needs, leave the other rows."""
    monkeypatch.setattr(candidates, "_CONVERSION_LIMIT_S", 0.05)
    short = bench.BenchOptions(rounds=1, seconds=0.02, min_calls=3, batches=(64,), cold_starts=0)
    report = bench.bench("edge", vs=("litert",), threads=1, options=short)
    assert {row.engine for row in report.rows} == {"openvino"}
    assert [note for note in report.notes if "took longer than" in note] == [
        "No LiteRT FP32 row: its conversion took longer than 0.05 s",
        "No LiteRT INT8 row: its conversion took longer than 0.05 s",
    ]


def test_nothing_left_to_measure_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where the only engine asked for fails there is an error, not an empty report."""
    made = resolve.resolve("edge").bundle
    assert made is not None
    saved = Path(shutil.copytree(made.verified("saved_model"), tmp_path / "saved_model"))
    monkeypatch.setattr(candidates, "_CONVERSION_LIMIT_S", 0.05)
    with pytest.raises(EdgeFashionError, match=r"nothing is left to measure. No LiteRT FP32 row: its conversion took"):
        bench.bench(saved, vs=("litert",), threads=1)


def test_a_cap_keeps_to_the_threads_asked_for() -> None:
    """--threads counts under --isa too; without it a capped row runs on one."""
    for threads, expected in ((None, 1), (0, 0), (3, 3)):
        rows, _ = candidates.contenders("edge", threads=threads, isa=("avx2",))
        assert {row.threads for row in rows} == {expected}


def test_a_file_no_runtime_can_load_loses_its_own_row(tmp_path: Path) -> None:
    """A broken file for a peer ends that peer's process and no other."""
    for batch in (1, 64):
        (tmp_path / f"fp32-{batch}.tflite").write_bytes(b"TFL3" + bytes(100))
    ours = candidates.contenders("edge", vs=(), threads=1)[0][0]
    broken = replace(ours, name="LiteRT FP32", engine="litert", model=str(tmp_path))
    notes: list[str] = []
    options = bench.BenchOptions(rounds=1, seconds=0.02, min_calls=3, batches=(64,), cold_starts=0)
    running = rounds.Race(options, lambda doing: None, notes)
    try:
        running.start([broken, ours])
        running.run()
    finally:
        running.close()
    assert [row.name for row in running.rows()] == [ours.name]
    assert len(notes) == 1
    assert notes[0].startswith(
        "No LiteRT FP32 at 1 thread row: the process measuring LiteRT FP32 at 1 thread ended early ("
    )


def test_a_cap_is_what_the_row_runs_under(bench_here: Run) -> None:
    """--isa avx2 runs FP32 and INT8 in AVX2's kernels, and a cap this CPU lacks is a note, not a row."""
    done = bench_here("--isa", "avx2,amx", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    capped = [row for row in report["rows"] if row["isa"] == "avx2"]
    assert [row["precision"] for row in capped] == ["fp32", "int8"]
    for row in capped:
        assert any("avx2" in kernel for kernel in row["settings"]["kernels"])
        assert not any("avx512" in kernel for kernel in row["settings"]["kernels"])
    if "amx_int8" not in machine.isa():
        assert "No amx row: this CPU does not have it." in report["notes"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--isa", "mmx"), "no instruction set named 'mmx'"),
        (("--vs", "torch"), "no engine named 'torch'. Known: onnxruntime, litert, tensorflow, keras"),
        (("--rounds", "0"), "--rounds must be at least 1"),
        (("--threads", "-1"), "--threads must be at least 0"),
    ],
)
def test_bad_options_are_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    """An option that cannot be is refused in one line before anything is measured."""
    done = run("bench", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_chosen_rows_only(bench_here: Run) -> None:
    """--vs none measures the IRs alone, and --json is one object on a clean stdout."""
    done = bench_here("--vs", "none", "--threads", "1", "--json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert {row["engine"] for row in rows} == {"openvino"}


def test_table_and_chart(bench_here: Run, tmp_path: Path) -> None:
    """The table names every row on stdout, and --chart writes a readable PNG."""
    import cv2

    done = bench_here("--vs", "none", "--threads", "1", "--chart", "chart.png")
    assert done.returncode == 0, done.stderr
    assert "OpenVINO INT8" in done.stdout
    chart = cv2.imread(str(tmp_path / "chart.png"))
    assert chart is not None
    assert chart.shape[1] > 800


def test_one_ir_gives_one_row(run: Run, tmp_path: Path) -> None:
    """A bare IR is measured by itself."""
    for name in ("int8.xml", "int8.bin"):
        shutil.copy(resolve.resolve("edge").path / name, tmp_path)
    done = run("bench", "int8.xml", "--threads", "1", "--rounds", "1", "--seconds", "0.02", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["precision"] for row in json.loads(done.stdout)["rows"]] == ["int8"]


def test_a_refused_model_is_told_of(run: Run, tmp_path: Path) -> None:
    """A network that is refused ends the measurement with one line, not with a hang."""
    (tmp_path / "bad.xml").write_text("<net/>")
    (tmp_path / "bad.bin").write_bytes(b"")
    done = run("bench", "bad.xml", timeout=60)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "bad.xml is refused" in done.stderr
