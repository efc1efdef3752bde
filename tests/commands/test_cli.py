"""Every command's manners: one line for a mistake, the right exit code, nothing half written."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import typer
from helpers import shipped

from edgefashion.bundles import resolve
from edgefashion.camera import demo_clip
from edgefashion.cli import main
from edgefashion.data.images import read_image, write_png
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.types import Arrays, Run


def _broken_bundle(change: Callable[[Path], object]) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        copy = Path(shutil.copytree(resolve.resolve("edge").path, folder / "broken"))
        change(copy)

    return make


def _truncated(folder: Path) -> None:
    write_png(folder / "whole.png", np.full((50, 50, 3), 200, np.uint8))
    (folder / "cut.png").write_bytes((folder / "whole.png").read_bytes()[:60])


# What is there, the command, its exit code, and what its one line must say.
NO_FOLDER = pytest.mark.linux_only("/dev/null is no folder on POSIX, and an ordinary path on Windows")
BAD_INPUT = [
    pytest.param(None, "predict nowhere.jpg", 2, "nowhere.jpg does not exist", id="missing picture"),
    pytest.param(lambda f: (f / "empty").mkdir(), "predict empty", 2, "holds no image", id="empty folder"),
    pytest.param(_truncated, "predict cut.png", 2, "not a whole, readable picture", id="truncated picture"),
    pytest.param(
        lambda f: (f / "notes.txt").write_text("hi"),
        "predict notes.txt",
        2,
        "is no BMP, JPEG, PNG",
        id="text as picture",
    ),
    pytest.param(None, "convert nowhere", 2, "no model 'nowhere'", id="missing model"),
    pytest.param(lambda f: (f / "d").mkdir(), "convert ./d", 2, "neither a bundle", id="folder that is no SavedModel"),
    pytest.param(
        lambda f: [(f / "d").mkdir(), (f / "d/saved_model.pb").write_bytes(b"x")],
        "convert ./d",
        2,
        "cannot be read by OpenVINO",
        id="SavedModel that is none",
    ),
    pytest.param(
        lambda f: (f / "m.keras").write_bytes(b"x"),
        "convert m.keras",
        2,
        "no whole .keras",
        id=".keras that is none",
    ),
    pytest.param(lambda f: (f / "m.onnx").write_bytes(b"x"), "convert m.onnx", 2, "m.onnx is refused", id="no ONNX"),
    pytest.param(
        lambda f: (f / "m.tflite").write_bytes(b"x"), "bench m.tflite", 2, "m.tflite is refused", id="no .tflite"
    ),
    pytest.param(lambda f: (f / "m.h5").write_bytes(b"x"), "convert m.h5", 2, "refused", id=".h5"),
    pytest.param(
        _broken_bundle(lambda b: (b / "int8.bin").unlink()),
        "evaluate ./broken",
        2,
        "int8.bin is missing",
        id="IR without .bin",
    ),
    pytest.param(
        _broken_bundle(lambda b: (b / "int8.bin").write_bytes(b"other")),
        "evaluate ./broken",
        2,
        "int8.bin was altered",
        id="altered .bin",
    ),
    pytest.param(
        _broken_bundle(lambda b: (b / "int8.bin").write_bytes(b"other")),
        "evaluate broken/int8.xml",
        2,
        "int8.bin was altered",
        id="altered .bin, by its .xml",
    ),
    pytest.param(
        _broken_bundle(lambda b: (b / "bundle.json").write_text("{")),
        "predict ./broken x.png",
        2,
        "cannot be read",
        id="bad json",
    ),
    pytest.param(None, "convert edge --out /dev/null/x", 2, "/dev/null/x", id="unwritable output", marks=NO_FOLDER),
    pytest.param(
        None, "train cnn-242k --out /dev/null/x", 2, "/dev/null", id="unwritable training output", marks=NO_FOLDER
    ),
    pytest.param(
        None, "data show --out /dev/null/x.png", 2, "/dev/null/x.png", id="unwritable picture", marks=NO_FOLDER
    ),
    pytest.param(None, "evaluate --plot /dev/null/x.png", 2, "/dev/null/x.png", id="unwritable plot", marks=NO_FOLDER),
    pytest.param(
        None, "bench --vs none --chart /dev/null/x.png", 2, "/dev/null/x.png", id="unwritable chart", marks=NO_FOLDER
    ),
    pytest.param(
        None, "bench --vs none --html /dev/null/x.html", 2, "/dev/null/x.html", id="unwritable page", marks=NO_FOLDER
    ),
    pytest.param(None, "bench --html page.pdf", 2, "only HTML pages", id="page that is no HTML"),
    pytest.param(None, "bench --baseline nowhere.json", 2, "nowhere.json", id="missing baseline"),
    pytest.param(
        lambda f: (f / "b.json").write_text('{"rows": 7}'),
        "bench --baseline b.json",
        2,
        "no bench report",
        id="baseline",
    ),
    pytest.param(None, "evaluate --plot heat.html", 2, "only PNG pictures", id="plot that is no PNG"),
    pytest.param(lambda f: (f / "d.png").mkdir(), "data show --out d.png", 2, "only PNG", id="folder as picture"),
    pytest.param(
        lambda f: [(f / "full").mkdir(), (f / "full/x").touch()],
        "train cnn-242k --out full",
        2,
        "exists and is no bundle",
        id="training over something else",
    ),
    pytest.param(None, "train resnet", 2, "no architecture named 'resnet'", id="unknown network"),
    pytest.param(None, "train cnn-242k --epochs 0", 2, "--epochs must be at least 1", id="no epochs"),
    pytest.param(None, "train cnn-242k --resume", 2, "nothing to resume", id="nothing to resume"),
    pytest.param(None, "evaluate --precision int4", 2, "no precision named 'int4'", id="unknown precision"),
    pytest.param(None, "bench --vs torch", 2, "no engine named 'torch'", id="unknown engine"),
    pytest.param(None, "bench --threads -1", 2, "--threads", id="negative threads"),
    pytest.param(None, "bench --rounds 0", 2, "--rounds", id="no rounds"),
    pytest.param(None, "convert --embed 20x480", 2, "--embed takes a frame's WIDTHxHEIGHT", id="too small a frame"),
    pytest.param(None, "convert --int8 --max-drop 7", 2, "--max-drop", id="absurd drop"),
    pytest.param(None, "camera --source 99 --headless", 3, "camera 99 cannot be opened", id="no camera"),
    pytest.param(None, "camera --source nowhere.mp4 --headless", 2, "nowhere.mp4 does not exist", id="no video"),
]


@pytest.mark.parametrize(("prepare", "command", "code", "says"), BAD_INPUT)
def test_bad_input(
    prepare: Callable[[Path], object] | None, command: str, code: int, says: str, run: Run, tmp_path: Path
) -> None:
    """Bad input gets one clear line on stderr and its exit code; no traceback, no result, and
    nothing in the folder that was not there before."""
    if prepare:
        prepare(tmp_path)
    before = {p: p.stat().st_size for p in tmp_path.rglob("*")}
    done = run(*command.split())
    assert done.returncode == code, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) <= 2, done.stderr
    assert lines[-1].startswith("edgefashion: ")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert {p: p.stat().st_size for p in tmp_path.rglob("*")} == before


def test_missing_dataset(run: Run, tmp_path: Path) -> None:
    """Without Fashion-MNIST a command that needs it exits 3 and says how to get it."""
    import os

    done = run("evaluate", env={**os.environ, "EDGEFASHION_DATA": str(tmp_path / "none")})
    assert done.returncode == 3
    assert "edgefashion data fetch" in done.stderr


def test_usage_mistakes_exit_2(run: Run) -> None:
    """An unknown command or option is a usage mistake."""
    assert run("fly").returncode == 2
    assert run("evaluate", "--fast").returncode == 2


def test_debug_shows_the_traceback(run: Run) -> None:
    """--debug adds the traceback to the line."""
    done = run("--debug", "evaluate", "nowhere")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert "no model 'nowhere'" in done.stderr.splitlines()[-1]


def test_predict_names_garments(run: Run, tmp_path: Path, test_set: Arrays) -> None:
    """Predict names a folder of catalogue pictures, a JSON object each with the contract's fields."""
    images, labels = test_set
    for i in range(20):
        write_png(tmp_path / "shots" / f"{i:02}.png", demo_clip.scene_of(images[i])) if i else (
            tmp_path / "shots"
        ).mkdir()
    write_png(tmp_path / "shots" / "00.png", demo_clip.scene_of(images[0]))
    done = run("predict", "edge", "shots", "--json")
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    fields = {"source", "label", "confidence", "top", "accepted", "box", "garments"}
    assert [set(a) for a in answers] == [fields] * 20
    right = sum(a["label"] == LABELS[labels[i]] for i, a in enumerate(answers))
    assert right >= 16
    assert all(a["top"][0] == [a["label"], a["confidence"]] and len(a["top"]) == 3 for a in answers)


def test_predict_goes_on_after_a_bad_file(run: Run, tmp_path: Path, test_set: Arrays) -> None:
    """One unreadable picture is told of, the others are answered, and the exit code says so."""
    write_png(tmp_path / "a.png", demo_clip.scene_of(test_set[0][0]))
    (tmp_path / "b.png").write_bytes(b"\x89PNG not really")
    write_png(tmp_path / "c.png", np.full((300, 300, 3), 230, np.uint8))
    (tmp_path / "._c.png").write_bytes(b"\0\5\x16\7")
    (tmp_path / "c.png").rename(tmp_path / "c.2024-05-01")  # its bytes say what it is
    done = run("predict", "edge", ".")
    assert done.returncode == 2
    assert "b.png is no BMP" in done.stderr
    assert done.stderr.endswith("edgefashion: left out: 1 hidden file\n")
    assert "Ankle boot" in done.stdout.splitlines()[0]
    assert "no garment in view" in done.stdout.splitlines()[1]


def test_predict_takes_a_model_first(run: Run, tmp_path: Path, test_set: Arrays) -> None:
    """MODEL may stand before the pictures."""
    write_png(tmp_path / "a.png", demo_clip.scene_of(test_set[0][0]))
    done = run("predict", resolve.resolve("edge").path.resolve() / "fp32.xml", "a.png", "--top", "1")
    assert done.stdout.startswith("a.png: Ankle boot")


def test_evaluate_json(run: Run, tmp_path: Path) -> None:
    """Evaluate prints the contract's fields and draws the heat map."""
    done = run("evaluate", "--json", "--plot", "heat.png")
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    promised = {"model", "precision", "dataset", "n", "accuracy", "ci95", "per_class", "confusion", "calibration_error"}
    assert set(result) == promised
    assert result["n"] == 10_000
    assert sum(map(sum, result["confusion"])) == 10_000
    assert result["accuracy"] > 0.92
    assert read_image(tmp_path / "heat.png").shape[0] > 500


def test_data_show(run: Run, tmp_path: Path) -> None:
    """Data show writes a contact sheet with ten rows that are not empty."""
    done = run("data", "show", "--out", "sheet.png")
    assert done.stdout.strip() == "sheet.png"
    sheet = read_image(tmp_path / "sheet.png")
    assert all(part.std() > 20 for part in np.array_split(sheet, 10))


def test_zoo_and_doctor(run: Run) -> None:
    """Zoo lists every network with its figures, doctor every check with ok or what to do, and then what it means."""
    zoo = run("zoo").stdout
    assert "241,546" in zoo
    assert "590,346" in zoo
    assert f"{shipped.accuracy('edge', 'original'):.2%}" in zoo
    doctor = run("doctor")
    assert doctor.returncode == 0, doctor.stdout
    *lines, last = doctor.stdout.splitlines()
    assert all(re.match(r"(ok|--) ", line) for line in lines)
    order = ("cameras", "display", "CPU", "speed", "model kiosk", "versions", "dataset", "extra: nncf")
    places = [next(n for n, line in enumerate(lines) if line[4:].startswith(check)) for check in order]
    assert places == sorted(places)
    assert last.startswith("Ready for camera")


# --- The command line as a whole -------------------------------------------------------------


def _leaves(path: str, command: Any) -> list[tuple[str, ...]]:
    below = getattr(command, "commands", None)
    words = tuple(path.split())
    return (
        [words]
        if not below
        else [words, *(leaf for name, sub in below.items() for leaf in _leaves(f"{path} {name}", sub))]
    )


HELP_OF_ALL = """
import io, sys
from contextlib import redirect_stdout
from edgefashion.cli import main
for words in {commands!r}:
    sys.argv = ["edgefashion", *words, "--help"]
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            main.main()
    except SystemExit as end:
        assert not end.code, (words, end.code)
    assert said.getvalue().startswith(" ".join(["Usage: edgefashion", *words])), said.getvalue()
heavy = {{"numpy", "cv2", "openvino", "rich", "tensorflow", "PIL", "psutil"}} & set(sys.modules)
assert not heavy, heavy
"""


def test_every_help_is_instant(tmp_path: Path) -> None:
    """No command's `--help` imports a library: not even numpy."""
    commands = [words[1:] for words in _leaves("edgefashion", typer.main.get_command(main.app))]
    assert len(commands) > 25
    code = HELP_OF_ALL.format(commands=commands)
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_help_lists_the_commands_from_training_to_a_shop(run: Run) -> None:
    """`--help` lists the commands in the order in which they are needed, then the groups of commands."""
    listed = run("--help").stdout.partition("Commands:\n")[2]
    names = re.findall(r"^  (\w+)  ", listed, re.MULTILINE)
    wanted = (
        "zoo train tune convert evaluate bench predict tag camera review serve doctor demo data service export models"
    )
    assert names == wanted.split()


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("train kiosk --photos d --limit 0", "--limit is not for kiosk, whose recipe is fixed"),
        ("train kiosk --photos d --learning-rate 0", "--learning-rate is not for kiosk"),
        ("train kiosk --photos d --set depth=2", "--set is not for kiosk"),
        ("train kiosk --photos d --resume", "--resume is not for kiosk"),
        ("train kiosk", "kiosk learns from photos. Give a folder of them with --photos"),
        (
            "train cnn-242k --photos d",
            "--start, --deep and --json are for kiosk and shop; cnn-242k learns from Fashion-MNIST alone",
        ),
        ("train cnn-242k --start imagenet", "--photos, --scenes, --start, --deep and --json are for kiosk and shop"),
        ("train cnn-242k --set depth", "--set depth: give NAME=VALUE"),
    ],
)
def test_flags_of_another_training_are_refused(command: str, says: str, run: Run, tmp_path: Path) -> None:
    """A flag that the network's training has no use for is refused, whatever its value, before any work."""
    (tmp_path / "d").mkdir()
    done = run(*command.split())
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1


def test_ctrl_break_ends_a_command_in_order(monkeypatch: pytest.MonkeyPatch, run_here: Run) -> None:
    """Windows' only signal to another process, by which the review page stops a training, runs every ``finally``."""
    monkeypatch.setattr(signal, "SIGBREAK", signal.SIGUSR1, raising=False)
    before = signal.getsignal(signal.SIGUSR1)
    try:
        assert run_here("--version").returncode == 0
        assert signal.getsignal(signal.SIGUSR1) is main._on_sigterm
    finally:
        signal.signal(signal.SIGUSR1, before)
