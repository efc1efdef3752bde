"""`edgefashion bench` as a command: its rows, its table, its chart and page, its gate, its mistakes."""

from __future__ import annotations

import copy
import json
import re
import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from helpers import shipped
from helpers.progress import without_progress

from edgefashion.bench import benchmark, pictures
from edgefashion.bench.report import BenchOptions
from edgefashion.bundles import resolve
from edgefashion.system import machine

if TYPE_CHECKING:
    from helpers.types import Run


@pytest.fixture
def bench_here(run_here: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The bench command without cold starts and on a tenth of the test images, of which it has no options, for tests
    that are not about them."""
    monkeypatch.setattr(pictures, "FASHION_IMAGES", 1000)
    monkeypatch.setattr(benchmark, "BenchOptions", partial(BenchOptions, min_calls=3, cold_starts=0))
    return partial(run_here, "bench", "--rounds", "1", "--seconds", "0.02")


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
        (("--seconds", "nan"), "--seconds above 0 and at most 3,600"),
        (("--seconds", "inf"), "--seconds above 0 and at most 3,600"),
        (("--threads", "-1"), "--threads must be from 0 to 1,024"),
        (("--threads", "5000000000"), "--threads must be from 0 to 1,024"),
    ],
)
def test_bad_options_are_one_line(run: Run, arguments: tuple[str, ...], words: str) -> None:
    """An option that cannot be is refused in one line before anything is measured."""
    done = run("bench", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(without_progress(done.stderr).splitlines()) == 1


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


@pytest.fixture(scope="module")
def lone_ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped INT8 IR by itself: one row, soon measured."""
    folder = tmp_path_factory.mktemp("ir")
    for name in ("int8.xml", "int8.bin"):
        shutil.copy(resolve.resolve("edge").path / name, folder)
    return folder / "int8.xml"


def test_one_ir_gives_one_row(run: Run, lone_ir: Path) -> None:
    """A bare IR is measured by itself."""
    done = run("bench", lone_ir, "--threads", "1", "--rounds", "1", "--seconds", "0.02", "--json")
    assert done.returncode == 0, done.stderr
    assert [row["precision"] for row in json.loads(done.stdout)["rows"]] == ["int8"]


def test_a_refused_model_is_told_of(run: Run, tmp_path: Path) -> None:
    """A network that is refused ends the measurement with one line, not with a hang."""
    (tmp_path / "bad.xml").write_text("<net/>")
    (tmp_path / "bad.bin").write_bytes(b"")
    done = run("bench", "bad.xml", timeout=60)
    assert done.returncode == 2
    assert without_progress(done.stderr).count("\n") == 1
    assert "bad.xml is refused" in done.stderr


@pytest.mark.parametrize(
    ("accuracy", "code"), [(shipped.accuracy("edge", "int8"), 0), (0.99, 1)], ids=["as good", "worse"]
)
def test_on_the_command_line(
    accuracy: float, code: int, lone_ir: Path, short_report: dict[str, Any], run: Run, tmp_path: Path
) -> None:
    """--baseline prints each change and exits 1 on a regression, in one line with the row and the amount; --html and
    --json are written all the same."""
    old = copy.deepcopy(short_report)
    row = next(row for row in old["rows"] if row["name"] == "OpenVINO INT8")
    row |= {"accuracy": accuracy, "latency_p50_rounds_us": [1e6] * 3, "throughput_rounds_fps": [1e-3] * 3}
    (tmp_path / "base.json").write_text(json.dumps(old), encoding="utf-8")
    options = ("--threads", "1", "--rounds", "3", "--seconds", "0.02", "--html", "page.html", "--baseline", "base.json")
    done = run("bench", lone_ir, *options, *(["--json"] if code else []))
    assert done.returncode == code, done.stderr
    assert "OpenVINO INT8" in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["base.json", "page.html"]
    told = done.stderr if code else done.stdout
    # Not judged where the tests run beside something else.
    assert re.search(r"^(better|unknown) +OpenVINO INT8: latency p50 1,000,000 to .* us \(-", told, re.MULTILINE)
    assert "OpenVINO FP32 is in the baseline alone" in told
    if code:
        assert json.loads(done.stdout)["rows"]
        last = done.stderr.splitlines()[-1]
        now = f"{shipped.accuracy('edge', 'int8'):.2%}"
        assert last.startswith(f"edgefashion: worse than the baseline: OpenVINO INT8: accuracy 99.00% to {now}")
    else:
        assert without_progress(done.stderr) == ""
