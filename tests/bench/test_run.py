"""Bench measures every engine it can, in its own process, and says what it could not."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from edgefashion.bench import pictures, run
from edgefashion.bench.chart import plot
from edgefashion.bench.report import BenchOptions, BenchReport, Row
from edgefashion.bundles import model_files, resolve
from edgefashion.cli.bench import bench as bench_command
from edgefashion.conversion import int8_gate
from edgefashion.errors import BadInputError
from edgefashion.inference import decision, openvino_engine, told
from edgefashion.inference.load import load
from edgefashion.inference.told import Told

if TYPE_CHECKING:
    from helpers.types import Arrays

pytestmark = pytest.mark.long

ROW_FIELDS = {
    *("name", "engine", "precision", "threads", "batch", "latency_us", "throughput_fps"),
    *("accuracy", "size_bytes", "cold_start_s", "peak_rss_mb"),
}


IMAGES = 2000
"""Test images that accuracy is measured on here: a fifth of them all tells engines apart, too."""


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The whole table, measured as shortly as it can be."""
    short = BenchOptions(rounds=1, seconds=0.02, min_calls=3, batches=(64,), cold_starts=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "FASHION_IMAGES", IMAGES)
        measured = run.bench("edge", threads=1, options=short)
    plot(measured, tmp_path_factory.mktemp("bench") / "chart.png")
    as_json: dict[str, Any] = json.loads(json.dumps(measured.as_json()))
    return as_json


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


def test_accuracy_is_that_of_the_model(report: dict[str, Any], short_report: dict[str, Any]) -> None:
    """Each IR's accuracy on all the test images is the bundle's own for that form, measured again; where fewer images
    are measured on, every engine has the accuracy that the IR in FP32 has on them, or nearly, the peers' INT8."""
    made = resolve.resolve("edge").bundle
    assert made is not None
    stated = {form: measured.test_accuracy for form, measured in made.facts.metrics.items()}
    for row in short_report["rows"]:
        form = "fp32" if row["precision"] == "bf16" else row["precision"]
        assert row["accuracy"] == pytest.approx(stated[form], abs=0.003), row["name"]
    (fp32,) = (row["accuracy"] for row in report["rows"] if row["name"] == "OpenVINO FP32")
    for row in report["rows"]:
        their_int8 = row["precision"] == "int8" and row["engine"] != "openvino"
        assert row["accuracy"] == pytest.approx(fp32, abs=0.01 if their_int8 else 0.003), row["name"]


def test_precision_that_ran_is_named(report: dict[str, Any]) -> None:
    """FP32 rows ran in FP32 and INT8 rows in 8 bits, whatever the plugin would prefer, as each runtime says itself."""
    ran = {row["name"]: row["runtime_precision"] for row in report["rows"]}
    for engine in ("OpenVINO", "ONNX Runtime", "LiteRT"):
        assert ran[f"{engine} FP32"] == "f32"
    assert (ran["ONNX Runtime INT8"], ran["LiteRT INT8"]) == ("u8", "i8")
    assert ran["OpenVINO INT8"].rstrip("8") in ("u", "i")


def test_the_peers_have_the_same_weights(report: dict[str, Any]) -> None:
    """Each peer's FP32 file is right on the very images, but for a rounding, that the original is right on; no row is
    marked but of a peer's own INT8."""
    right = {row["name"]: row["accuracy"] * IMAGES for row in report["rows"]}
    for peer in ("ONNX Runtime FP32", "LiteRT FP32"):
        assert right[peer] == pytest.approx(right["TensorFlow SavedModel"], abs=2)
    marked = [row for row in report["rows"] if row["marked"]]
    assert all(row["precision"] == "int8" and row["engine"] != "openvino" for row in marked)


def test_another_accuracy_is_marked(report: dict[str, Any]) -> None:
    """A row more than half a point from the original's accuracy says by how much."""
    rows = [Row(**row) for row in report["rows"]]
    exact = rows[0].accuracy
    worse = [replace(row, accuracy=exact - 0.012 * (row.engine == "litert"), marked=None) for row in rows]
    said = [row.marked for row in run.marked(worse, exact) if row.marked]
    assert said == ["accuracy -1.20 points from the original's"] * 2


def test_half_a_point_of_whole_images_is_not_marked(report: dict[str, Any]) -> None:
    """A row that is right on exactly half a point fewer images is within the limit, whatever their shares differ by in
    floating point; one image more is not. So it is at the INT8 gate."""
    row = Row(**report["rows"][0])
    for right in range(5000, 6000):
        half, more = (replace(row, accuracy=(right - fewer) / 6000, marked=None) for fewer in (30, 31))
        assert [bool(one.marked) for one in run.marked([half, more], right / 6000)] == [False, True]
        assert int8_gate.passes(right / 6000 - half.accuracy, 0.005)
        assert not int8_gate.passes(right / 6000 - more.accuracy, 0.005)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Told(), []),
        (Told(scale="-1-1", labels="measured", anyway=True), ["--scale=-1-1", "--labels=measured", "--anyway"]),
        (Told(mean="0.5,0.4,0.3", std="0.2", output="1"), ["--mean=0.5,0.4,0.3", "--std=0.2", "--output=1"]),
    ],
)
def test_what_was_said_of_the_model_is_said_again(
    said: Told, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line that measures the same again says of a model made elsewhere what was said of it, as the command line
    takes it."""
    assert said.as_arguments() == words
    heard = []

    def hear(*_: Any, **__: Any) -> None:
        heard.append(told.given())
        raise BadInputError("heard")

    monkeypatch.setattr("edgefashion.bench.benchmark.benchmark", hear)
    app = typer.Typer()
    app.command()(bench_command)
    (tmp_path / "mine.onnx").touch()
    CliRunner().invoke(app, [str(tmp_path / "mine.onnx"), *words])
    assert heard == [said]


# --- A photo network -------------------------------------------------------------------------

FEW = 120
"""Test images that accuracy is measured on without photos: each is twenty times the work of a small network's."""

SHORT = BenchOptions(rounds=1, seconds=0.02, min_calls=3, cold_starts=0)


def photo_report(vs: tuple[str, ...], *photos: Path) -> BenchReport:
    """The shipped photo network beside its peers, whose INT8 is calibrated on a few pictures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pictures, "CALIBRATION", 8)
        patch.setattr(pictures, "FASHION_IMAGES", FEW)
        patch.setattr(pictures, "TIMED_PHOTOS", 20)  # as many as warm a process up
        return run.bench("kiosk", vs=vs, threads=1, photos=photos, options=SHORT)


@pytest.fixture(scope="module")
def on_photos(photo_folder: Path) -> BenchReport:
    """It is measured on photos, beside the one peer: to convert a photo network for both takes twice as long."""
    return photo_report(("onnxruntime",), photo_folder)


@pytest.fixture(scope="module")
def on_fashion() -> BenchReport:
    """It is measured on Fashion-MNIST's images, for nobody has photos, beside the other peer."""
    return photo_report(("litert",))


def test_a_photo_network_stands_beside_its_peers(on_photos: BenchReport, on_fashion: BenchReport) -> None:
    """Every peer has its rows in FP32 and INT8, each computes in what it is called, and no row is missing."""
    for peer, report in (("ONNX Runtime", on_photos), ("LiteRT", on_fashion)):
        expected = [f"{peer} FP32", f"{peer} INT8", "OpenVINO FP16", "OpenVINO INT8"]
        assert [row.name for row in report.rows] == expected
        assert not [note for note in report.notes if "at 1 thread row" in note or "could not be converted" in note]
        for row in report.rows:
            assert ("8" in row.runtime_precision) == (row.precision == "int8"), row.name


def test_accuracy_on_photos_is_of_all_engines_alike(on_photos: BenchReport, photo_folder: Path) -> None:
    """Every row in floating point is right on as many of the held-out photos, and the report says on which ones."""
    n = on_photos.settings["accuracy_images"]
    right = [round(row.accuracy * n) for row in on_photos.rows if row.precision != "int8"]
    assert right == pytest.approx([right[0]] * 2, abs=1)
    assert n > right[0] > n / 3, "drawn garments, but garments"
    assert on_photos.settings["photos"] == [str(photo_folder)]
    assert on_photos.settings["accuracy_on"] == f"{n} photos in {photo_folder}"
    assert f"The peers' INT8 is calibrated on 8 photos in {photo_folder}." in on_photos.notes
    assert f"--photos {photo_folder}" in on_photos.command


def test_without_photos_fashion_images_measure(on_fashion: BenchReport, test_set: Arrays) -> None:
    """Without photos accuracy is that of the enlarged test images, in every engine. The notes say so, and what INT8 is
    calibrated on."""
    images, labels = test_set[0][:FEW], test_set[1][:FEW]  # a photo network enlarges them itself
    assert on_fashion.settings["accuracy_on"] == f"{FEW} test images"
    accuracy = {row.name: row.accuracy for row in on_fashion.rows}
    for name, precision in (("LiteRT FP32", "fp16"), ("OpenVINO FP16", "fp16"), ("OpenVINO INT8", "int8")):
        right = decision.likeliest(load("kiosk", precision=precision)(images)) == labels
        assert accuracy[name] == pytest.approx(np.mean(right), abs=1.5 / FEW)
    assert "LiteRT INT8" in accuracy
    assert any("Fashion-MNIST's test images, enlarged" in note for note in on_fashion.notes)
    assert any("calibrated on 8 Fashion-MNIST training images" in note for note in on_fashion.notes)


def test_on_photos_a_row_in_fp32_stands_in_for_the_original(on_photos: BenchReport) -> None:
    """A bundle states no accuracy on these photos: a row half a point away from the first FP32 row is marked."""
    first = on_photos.rows[0]
    assert (first.precision, first.marked) == ("fp32", None)
    for row in on_photos.rows:
        assert bool(row.marked) == (abs(row.accuracy - first.accuracy) > run.MARKED_FROM), row.name


@pytest.mark.parametrize("model", ["edge", "models/edge/int8.xml"])
def test_photos_are_for_photo_networks(model: str, photo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Photos for a network that takes none are refused before anything is measured."""
    monkeypatch.chdir(resolve.resolve("edge").path.parents[1])
    with pytest.raises(BadInputError, match=r"edge.* is no photo network\. Leave --photos out"):
        run.bench(model, vs=(), photos=(photo_folder,), options=SHORT)


def test_a_bare_photo_ir_is_measured_on_photos(photo_folder: Path, tmp_path: Path) -> None:
    """The IR of a photo network by itself is measured on photos too."""
    made = resolve.resolve("kiosk").bundle
    assert made is not None
    for file in model_files.files_of(made.verified("int8")):
        shutil.copy(file, tmp_path / f"mine{file.suffix}")
    report = run.bench(tmp_path / "mine.xml", vs=(), threads=1, photos=(photo_folder,), options=SHORT)
    assert report.settings["accuracy_on"].endswith(f"photos in {photo_folder}")
    assert len(report.rows) == 1


def test_rows_have_what_the_page_draws(short_report: dict[str, Any]) -> None:
    """Each row has its calls' percentiles and rounds, each OpenVINO row its operations, none of them a constant."""
    assert short_report["command"] == "edgefashion bench edge --vs none --threads 1 --rounds 3 --seconds 0.02"
    for row in short_report["rows"]:
        percentiles = row["latency_percentiles_us"]
        assert len(percentiles) == 101
        assert percentiles == sorted(percentiles)
        assert [percentiles[p] for p in (50, 90, 99)] == [row["latency_us"][q] for q in ("p50", "p90", "p99")]
        assert len(row["throughput_rounds_fps"]) == len(row["latency_p50_rounds_us"]) == 3
        kinds = [operation["type"] for operation in row["operations"]]
        assert 3 <= kinds.count("Convolution") <= 6, "edge has six, of which a few may take less than a microsecond"
        assert "Const" not in kinds
        assert all(operation["latency_us"] > 0 for operation in row["operations"])
        assert row["operations"][kinds.index("Convolution")]["shape"] == [1, 96, 14, 14], "the first one's output"
