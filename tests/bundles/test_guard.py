"""No model file, cut, tampered or hostile, crashes or hangs the command; what has passed is not tried again."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers import hostile, hostile_networks, onnx_by_hand

from edgefashion.bundles import bundle, places, resolve
from edgefashion.bundles.guard import check, ir_xml
from edgefashion.camera import demo_clip
from edgefashion.data import images
from edgefashion.errors import BadInputError
from edgefashion.inference.load import load
from edgefashion.inference.told import Told

if TYPE_CHECKING:
    from collections.abc import Iterator

    from helpers.types import Arrays

CASES = hostile.cases()
CHEAP = [case for case in CASES if not case.child and case.says is not None]
TRIED = [case for case in CASES if case not in CHEAP]


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A cache of these tests' own, here and in the commands they start."""
    folder = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        # Each system's platformdirs has its own way to be told.
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setattr(check, "_folder", lambda: folder / "edgefashion" / "vetted")
        patch.setattr(check, "_kept_here", set())
        yield folder


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty cache, as after an installation."""
    folder = tmp_path / "vetted"
    monkeypatch.setattr(check, "_folder", lambda: folder)
    monkeypatch.setattr(check, "_kept_here", set())
    return folder


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> None:
    def started(*_: object, **__: object) -> None:
        pytest.fail("a child was started")

    monkeypatch.setattr(check, "_tried", started)


def refusal(path: Path, seconds: int = 60) -> str | None:
    """The refusal without the file's folder; None if the file passed."""
    try:
        check.check(path, check.Limits(seconds))
    except BadInputError as error:
        return str(error).replace(f"{path.parent}{os.sep}", "")
    return None


def assert_refused(case: hostile.Case, said: str | None) -> None:
    """One line that names the file, what is wrong with it, and what to do."""
    assert said is not None, "not refused"
    assert case.says is not None
    assert case.says in said
    assert said.startswith("m.")
    assert said.isprintable()
    assert len(said) < 400
    assert said.endswith(tuple(f". {step}" for step in ir_xml.STEPS))


# --- Hostile files ---------------------------------------------------------------------------


def _param(case: hostile.Case) -> object:
    """The case as a parameter; those of links and pipes can be made on Linux only."""
    reasons = {"a link": "Windows allows links to administrators only", "a pipe": "named pipes in a folder are POSIX's"}
    marks = [pytest.mark.linux_only(reason) for name, reason in reasons.items() if case.name.startswith(f"{name} ")]
    return pytest.param(case, marks=marks)


@pytest.mark.parametrize("case", [_param(case) for case in CHEAP], ids=lambda case: case.name)
def test_refused_without_a_child(case: hostile.Case, no_child: None, tmp_path: Path) -> None:
    """A file whose form or references are wrong is refused in one line before OpenVINO sees it."""
    assert_refused(case, refusal(case.make(tmp_path)))


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str | None]:
    """What became of the files that only a child can judge: two children at a time."""

    def answer(case: hostile.Case) -> tuple[str, str | None]:
        return case.name, refusal(case.make(tmp_path_factory.mktemp("hostile")), case.seconds)

    with ThreadPoolExecutor(2) as two:
        return dict(two.map(answer, TRIED))


@pytest.mark.parametrize("case", TRIED, ids=lambda case: case.name)
def test_refused_by_a_child(case: hostile.Case, answers: dict[str, str | None]) -> None:
    """A well-formed file that OpenVINO cannot read or run, or that answers no numbers, or takes too much, is
    refused in one line; only a change that may be harmless may pass."""
    said = answers[case.name]
    if said is not None or case.says is not None:
        assert_refused(hostile.Case(case.name, case.make, case.says or ""), said)


def test_sixty_and_more(answers: dict[str, str | None]) -> None:
    """The generator gives at least 60 files that are refused, each by another name."""
    assert len({case.name for case in CASES}) == len(CASES)
    refused = [name for name, said in answers.items() if said is not None]
    assert len(CHEAP) + len(refused) >= 60


def test_what_passed_answers(tmp_path: Path, answers: dict[str, str | None], test_set: Arrays) -> None:
    """A changed file that passed is answered by the loader like any other: probabilities, or one refusal."""
    passed = [case for case in TRIED if answers[case.name] is None]
    assert passed
    for case in passed:
        (tmp_path / case.name).mkdir()
        path = case.make(tmp_path / case.name)
        try:
            probabilities = load(path, told=Told(anyway=True))(test_set[0][:65])
        except BadInputError:
            continue
        assert probabilities.shape == (65, 10), case.name
        assert np.isfinite(probabilities).all(), case.name


@pytest.mark.linux_only("the deadly child is a shell script, ended by a signal")
def test_a_child_that_dies(tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in the child is a refusal here, and not remembered as anything else."""
    deadly = tmp_path / "python"
    deadly.write_text("#!/bin/sh\nkill -SEGV $$\n")
    deadly.chmod(0o755)
    path = hostile_networks.write(tmp_path, *hostile_networks.small())
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(deadly))
        for _ in range(2):
            assert "ended the process that tried it (signal 11)" in str(refusal(path))
    assert refusal(path) is None


@pytest.mark.linux_only("the waiting child is a shell script")
@pytest.mark.parametrize(("waits_s", "patience", "says"), [(3.5, 30, None), (60, 1, "took more than 3 s")])
def test_a_busy_computer(
    waits_s: float, patience: int, says: str | None, tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that is kept waiting, as on a busy computer, is not held to its processor time; but not for ever."""
    waiting = tmp_path / "python"
    waiting.write_text(f'#!/bin/sh\nsleep {waits_s}\nexec {sys.executable} "$@"\n')
    waiting.chmod(0o755)
    path = hostile_networks.write(tmp_path, *hostile_networks.small())
    monkeypatch.setattr(sys, "executable", str(waiting))
    monkeypatch.setattr(check, "_STANDSTILL", patience)
    said = refusal(path, 3)
    assert says in said if says and said else said is says


def test_too_much_memory(tmp_path: Path, fresh: Path) -> None:
    """A network within every limit but memory's is stopped at it."""
    path = hostile_networks.write(
        tmp_path, *hostile_networks.saved(hostile_networks.network(hostile_networks.squares(8192, 2)))
    )
    with pytest.raises(BadInputError, match="memory"):
        check.check(path, check.Limits(memory_bytes=2**28))


def test_a_strangers_folder(tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child imports nothing from the folder the command is run in, where the model may have come with more."""
    for name in ("openvino.py", "numpy.py", "json.py"):
        (tmp_path / name).write_text("raise SystemExit('ran')")
    monkeypatch.chdir(tmp_path)
    hostile_networks.write(Path(), *hostile_networks.small())
    assert refusal(Path("m.xml")) is None


def test_wrong_number_of_classes(tmp_path: Path) -> None:
    """A network of 12 answers without labels of its own is no classifier of the ten garments."""
    path = hostile_networks.write(tmp_path, *hostile_networks.saved(hostile_networks.network(classes=12)))
    with pytest.raises(BadInputError, match=r"\[12\] for an image, not one value for each of the 10 garments"):
        load(path)


def test_no_model_of_ours(tmp_path: Path) -> None:
    """A file of another kind is refused by its name, unread."""
    with pytest.raises(BadInputError, match=r"is no \.xml, \.onnx, \.tflite file"):
        check.check(tmp_path / "model.pt")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({}, None),
        ({"names": True}, None),
        ({"last": "Sofzmax"}, "OpenVINO cannot run it"),
        ({"last": "Scaler", "whose": "ai.onnx.ml"}, "is made of scikit-learn's operators"),
    ],
)
def test_onnx(options: dict[str, Any], reason: str | None, tmp_path: Path) -> None:
    """An honest ONNX file passes, with texts beside its numbers too; of another the cause is told that it has."""
    path = tmp_path / "m.onnx"
    path.write_bytes(onnx_by_hand.onnx(onnx_by_hand.field(9, onnx_by_hand.weights_bytes()), **options))
    said = refusal(path)
    assert (said is None) if reason is None else (reason in (said or ""))


@pytest.mark.parametrize("seed", range(3))
def test_flipped_weights_in_a_bundle(seed: int, tmp_path: Path, no_child: None) -> None:
    """Weights turned over that still make a network are found by the bundle's manifest."""
    copy = Path(shutil.copytree(places.model_dirs()[-1] / places.DEFAULT_MODEL, tmp_path / "edge"))
    case = next(case for case in CASES if case.name == f".bin flipped, seed {seed}")
    case.make(tmp_path)
    shutil.copyfile(tmp_path / "m.bin", copy / "int8.bin")
    for model in (copy, copy / "int8.xml"):
        with pytest.raises(BadInputError, match=r"int8\.bin was altered"):
            load(model)


def test_facts_nested_without_end(tmp_path: Path) -> None:
    """A bundle whose facts are nested 100,000 deep is refused like any other broken one."""
    (tmp_path / bundle.INFO).write_text("[" * 100_000)
    with pytest.raises(BadInputError, match="cannot be read"):
        load(tmp_path)


# --- The command -----------------------------------------------------------------------------

COMMANDS = {
    "100,000 levels": "predict m.xml a.png --json",
    "a folder as .xml": "predict ./m.xml a.png --json",
    "a NaN": "predict m.xml a.png --json",
    "an unknown layer": "evaluate m.xml",
    "an endless loop": "camera m.xml --source a.png --headless",
    "an infinite weight": "bench m.xml --vs none",
}


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory, test_set: Arrays) -> dict[str, subprocess.CompletedProcess[str]]:
    """Real commands, each given a hostile file; two at a time."""

    def run(name: str) -> subprocess.CompletedProcess[str]:
        folder = tmp_path_factory.mktemp("command")
        images.write_png(folder / "a.png", demo_clip.scene_of(test_set[0][0]))
        next(case for case in CASES if case.name == name).make(folder)
        command = [sys.executable, "-m", "edgefashion", *COMMANDS[name].split()]
        return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)

    with ThreadPoolExecutor(2) as two:
        return dict(zip(COMMANDS, two.map(run, COMMANDS), strict=True))


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_refuse(name: str, commands: dict[str, subprocess.CompletedProcess[str]]) -> None:
    """The command exits 2 with one line on stderr and nothing on stdout."""
    done = commands[name]
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("edgefashion: ")
    assert "m.xml" in done.stderr or "m.bin" in done.stderr


# --- What has passed -------------------------------------------------------------------------


def test_tried_once(
    tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """A file that passed is not tried again, by another process or under another name; with a byte changed it is."""
    path = hostile_networks.write(tmp_path, *hostile_networks.small())
    check.check(path)
    (tmp_path / "other").mkdir()
    for file in (path, path.with_suffix(".bin")):
        shutil.copyfile(file, tmp_path / "other" / file.name)
    request.getfixturevalue("no_child")
    monkeypatch.setattr(check, "_kept_here", set())
    check.check(path)
    check.check(tmp_path / "other" / "m.xml")
    raw = bytearray(path.with_suffix(".bin").read_bytes())
    raw[100] ^= 1
    path.with_suffix(".bin").write_bytes(raw)
    with pytest.raises(pytest.fail.Exception, match="a child was started"):
        check.check(path)


def test_refused_again(tmp_path: Path, fresh: Path) -> None:
    """A refusal is not remembered: the limits may have been a busy machine's."""
    case = next(case for case in CASES if case.name == "a NaN")
    assert refusal(case.make(tmp_path)) is not None
    assert not fresh.exists()


def test_unwritable_cache(
    tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    """Where the cache cannot be written a file passes all the same, and once a process is enough."""
    fresh.write_text("a file where the folder should be")
    path = hostile_networks.write(tmp_path, *hostile_networks.small())
    check.check(path)
    request.getfixturevalue("no_child")
    check.check(path)


@pytest.mark.linux_only("files have no owner's number on Windows")
@pytest.mark.skipif(os.name == "nt", reason="files have no owner's number there")
def test_verdicts_of_others(tmp_path: Path, fresh: Path, no_child: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verdict that another user put into the cache, or that is no file, does not count."""
    path = hostile_networks.write(tmp_path, *hostile_networks.small())
    check.vouch(path)
    monkeypatch.setattr(check, "_kept_here", set())
    check.check(path)
    (verdict,) = fresh.iterdir()
    with monkeypatch.context() as patch:
        patch.setattr(os, "geteuid", lambda: verdict.stat().st_uid + 1)
        with pytest.raises(pytest.fail.Exception):
            check.check(path)
    verdict.rename(tmp_path / "real")
    verdict.symlink_to(tmp_path / "real")
    with pytest.raises(pytest.fail.Exception):
        check.check(path)
    assert stat.S_ISLNK(verdict.lstat().st_mode)


def test_the_cache_stays_small(tmp_path: Path, fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest verdicts make room for new ones."""
    monkeypatch.setattr(check, "_KEPT", 3)
    path = hostile_networks.write(tmp_path, *hostile_networks.small())
    for i in range(5):
        path.with_suffix(".bin").write_bytes(hostile_networks.small()[1] + bytes(i))
        check.vouch(path)
        for old in fresh.iterdir():
            os.utime(old, (i, i)) if old.stat().st_mtime > 10 else None
    assert len(list(fresh.iterdir())) == 3


def test_shipped_bundles_are_not_tried(tmp_path: Path, test_set: Arrays) -> None:
    """A command with a shipped bundle imports nothing of this, wherever it is started."""
    images.write_png(tmp_path / "a.png", demo_clip.scene_of(test_set[0][0]))
    code = """
import sys
from edgefashion.cli import main as cli
sys.argv = ["edgefashion", "predict", "edge", "a.png", "--json"]
try:
    cli.main()
except SystemExit as end:
    assert not end.code, end.code
extra = {name for name in sys.modules if name.startswith("edgefashion.bundles.guard") or name in ("psutil", "pyexpat")}
assert not extra, extra
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["label"] == "Ankle boot"


@pytest.mark.linux_only("Windows allows links to administrators only")
def test_what_counts_as_shipped(tmp_path: Path) -> None:
    """A bundle counts as shipped by where it really lies: not by its name, nor by a path or link that leads out."""
    shipped = places.model_dirs()[-1] / places.DEFAULT_MODEL
    assert resolve.is_shipped(shipped / "int8.xml")
    assert not resolve.is_shipped(Path("models") / "nobody" / "int8.xml")
    copy = Path(shutil.copytree(shipped, tmp_path / "models" / places.DEFAULT_MODEL))
    assert not resolve.is_shipped(copy / "int8.xml")
    out = os.path.relpath(copy, shipped)
    assert not resolve.is_shipped(shipped / out / "int8.xml")
    (tmp_path / "link").symlink_to(shipped)
    assert resolve.is_shipped(tmp_path / "link" / "int8.xml")
