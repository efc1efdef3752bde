"""Long work says how long it takes and where it is: a bar on a terminal, a line now and then in a log or a pipe."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from helpers.progress import progress_lines, without_progress

from edgefashion.bundles import resolve
from edgefashion.camera import demo_clip
from edgefashion.cli import progress
from edgefashion.cli.progress import Progress, State, clock, in_words
from edgefashion.data.images import write_png

if TYPE_CHECKING:
    from helpers.types import Arrays

# The real command, told sooner than in life: a line at every step, however fast the machine. It measures on a tenth of
# Fashion-MNIST's test images.
SOON = """
import sys
from edgefashion.cli import main, progress
from edgefashion.data import fashion_mnist
load = fashion_mnist.load
fashion_mnist.load = lambda part: tuple(each[:1000] for each in load(part)) if part == "test" else load(part)
progress.QUIET_S, progress.EVERY_S, progress.FIRST_RATE_S = 0.0, 0.0, 0.0
sys.argv = ["edgefashion", *sys.argv[1:]]
main.main()
"""


def _run_soon(folder: Path, *arguments: str, timeout_s: float = 300) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SOON, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout_s, check=False)


# --- Real commands, with stderr to a pipe ----------------------------------------------------


def test_bench_says_at_once_how_long_it_takes(tmp_path: Path) -> None:
    """Before it measures, bench writes to a pipe how many minutes it will about take, and what of."""
    command = [sys.executable, "-m", "edgefashion", "bench", "--vs", "none"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
        assert bench.stderr is not None
        first = bench.stderr.readline()
        bench.send_signal(signal.SIGTERM)
        output, _ = bench.communicate(timeout=60)
    assert re.fullmatch(r"about \d+ (seconds|minutes): \d+ rows, 5 rounds of 0.5 s.*\n", first)
    assert bench.returncode == 143
    assert output == ""


def test_bench_says_where_it_is(tmp_path: Path) -> None:
    """While it measures, bench writes what it does, how much of it is done, and how long the rest takes."""
    made = resolve.resolve("edge").bundle
    assert made is not None
    ir = str(made.verified("int8").resolve())
    done = _run_soon(tmp_path, "bench", ir, "--threads", "1", "--rounds", "4", "--seconds", "0.2", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"]
    told = progress_lines(done.stderr)
    started = next(n for n, line in enumerate(told) if re.match("about .*: 1 row, 4 rounds of 0.2 s", line))
    later = told[started + 1 :]
    assert len(later) >= 3
    assert without_progress(done.stderr) == ""
    where = [re.fullmatch(r"\d+:\d\d  (.+): ([\d,]+) of ([\d,]+)(, about .* left)?", line) for line in later]
    assert all(where)
    assert len({match[3] for match in where if match}) == 1
    counts = [int(match[2]) for match in where if match]
    assert counts == sorted(counts)
    assert any(match[4] for match in where if match)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("evaluate edge --photos shop", (r"looking at photos: [\d,]+ of 168",)),
        ("tag shop --out tags.csv", (r"tagging: [\d,]+ of 168  [\d,]+/s  \d:\d\d:\d\d left",)),
        (
            "convert edge --out made --embed 64x48",
            ("1 of 2: converting and comparing with the original", "2 of 2: embedding the preprocessing"),
        ),
        (
            "train feed-forward --epochs 2 --limit 500 --validation-split 0.01 --out t",
            (r"epoch \d of 2  loss .*: \d+ of \d+",),
        ),
        ("tune logistic-regression --trials 1 --epochs 1 --limit 200 --out s", ("searching",)),
    ],
    ids=["evaluate", "tag", "convert and embed", "train", "tune"],
)
@pytest.mark.long
def test_every_long_command_says_where_it_is(
    command: str, says: tuple[str, ...], photo_folder: Path, tmp_path: Path
) -> None:
    """Off a terminal each long command writes lines to stderr that say what it does and how far it is."""
    (tmp_path / "shop").symlink_to(photo_folder)
    done = _run_soon(tmp_path, *command.split())
    assert done.returncode == 0, done.stderr
    for words in says:
        told = (re.search(rf"^(\d+:)?\d+:\d\d  {words}", line) for line in progress_lines(done.stderr))
        assert any(told), done.stderr
    assert "\x1b" not in done.stderr


def test_short_work_writes_nothing(tmp_path: Path, test_set: Arrays) -> None:
    """Work that is soon done writes nothing to stderr."""
    (tmp_path / "pictures").mkdir()
    write_png(tmp_path / "pictures" / "a.png", demo_clip.scene_of(test_set[0][0]))
    command = [sys.executable, "-m", "edgefashion", "tag", "pictures", "--out", "tags.csv", "--model", "edge"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert without_progress(done.stderr) == ""
    assert all(int(line.partition(":")[2][:2]) >= 15 for line in progress_lines(done.stderr)[:1])


@pytest.mark.skipif(os.name != "posix", reason="a POSIX shell closes the streams")
@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full"])
def test_nobody_hears_it(closed: str, tmp_path: Path, photo_folder: Path) -> None:
    """Where stderr is closed or cannot be written the work goes on, and stdout has the result alone."""
    evaluate = (sys.executable, "-c", SOON, "evaluate", "edge", "--photos", str(photo_folder), "--json")
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *evaluate]
    done = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, timeout=120, check=False)
    assert done.returncode == 0
    assert json.loads(done.stdout)["n"] == 168


@pytest.mark.skipif(os.name != "posix", reason="a terminal of its own is POSIX's")
def test_a_terminal_gets_a_bar(tmp_path: Path, photo_folder: Path) -> None:
    """On a terminal there is one line that moves and is gone at the end, not a line now and then."""
    import pty

    inside, outside = pty.openpty()
    command = [sys.executable, "-c", SOON, "evaluate", "edge", "--photos", str(photo_folder), "--json"]
    env = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=outside) as evaluate:
        os.close(outside)
        shown = b""
        while True:
            try:
                part = os.read(inside, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            shown += part
        assert evaluate.stdout is not None
        assert json.loads(evaluate.stdout.read())["n"] == 168
    os.close(inside)
    text = shown.decode()
    assert "looking at photos" in text
    assert "\x1b[" in text
    assert progress_lines(re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text).replace("\r", "\n")) == []


# --- The parts -------------------------------------------------------------------------------


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The clock, which stands until a test moves it: ``now[0] += 10``."""
    time_s = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: time_s[0])
    return time_s


def test_what_is_left_is_told_by_the_rate(now: list[float]) -> None:
    """A quarter done in ten seconds leaves thirty; what was done before this run counts for no speed."""
    state = State("tagging")
    state.count(0, 100)
    now[0] += 10
    state.count(25, 100)
    assert state.left_s() == pytest.approx(30)
    resumed = State("tagging")
    resumed.count(80, 100)
    now[0] += 10
    resumed.count(90, 100)
    assert resumed.left_s() == pytest.approx(10)


def test_nothing_is_told_of_what_is_not_known(now: list[float]) -> None:
    """Without a number of all, without anything done, and in the first seconds nobody can say how long it takes."""
    state = State("downloading")
    assert state.words() == ""
    state.count(7, None)
    assert (state.left_s(), state.words()) == (None, "")
    state.count(0, 100)
    now[0] += 60
    state.count(0, 100)
    assert (state.left_s(), state.words()) == (None, "0 of 100")
    young = State("evaluating")
    young.count(0, 10)
    now[0] += 1
    young.count(5, 10)
    assert (young.left_s(), young.words()) == (None, "5 of 10")


def test_an_expectation_gives_way_to_what_is_seen(now: list[float]) -> None:
    """What was expected before counts at the start; from a quarter of the work on the real rate does."""
    state = State("measuring")
    state.expected_s = 100
    state.count(0, 100)
    assert state.left_s() == pytest.approx(100)
    now[0] += 20
    state.count(10, 100)  # twice as slow: 180 are left by the rate, 80 by the expectation
    assert state.left_s() == pytest.approx(0.6 * 80 + 0.4 * 180)
    now[0] += 60
    state.count(40, 100)
    assert state.left_s() == pytest.approx(120)


def test_a_stage_begins_anew(now: list[float]) -> None:
    """Another stage has its own count, and the rate of the last one says nothing about it."""
    state = State("converting")
    state.count(0, 10)
    now[0] += 100
    state.count(10, 10)
    state.begin("quantizing")
    assert state.words() == ""
    state.count(0, 4)
    now[0] += 10
    state.count(1, 4)
    assert state.words() == "1 of 4, about 30 seconds left"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "about 10 seconds"),
        (44, "about 40 seconds"),
        (89, "about 90 seconds"),
        (90, "about 2 minutes"),
        (240, "about 4 minutes"),
        (89 * 60, "about 89 minutes"),
        (3 * 3600, "about 3 hours"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    """A duration is told as people do."""
    assert in_words(seconds) == words


@pytest.mark.parametrize(("seconds", "shown"), [(5.9, "0:05"), (65, "1:05"), (3599, "59:59"), (3725, "1:02:05")])
def test_the_clock(seconds: float, shown: str) -> None:
    """The time since the start stands before each line."""
    assert clock(seconds) == shown


def test_lines_come_by_stage_and_by_time(
    now: list[float], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A stage has its line at once; its steps one every half minute; before fifteen seconds there is none."""
    monkeypatch.setattr(progress.Log, "_tick", lambda self: None)
    with Progress("beginning") as shown:
        shown.stage("too early to tell")
        now[0] += 16
        shown.stage("converting")
        now[0] += 10
        shown.step(1, 4)
        now[0] += 20
        shown.step(2, 4)
        shown.step(3, 4)
        shown.stage("quantizing")
    assert capfd.readouterr().err.splitlines() == [
        "0:16  converting",
        "0:46  converting: 2 of 4, about 40 seconds left",
        "0:46  quantizing",
    ]


def test_what_is_said_stays_in_a_log(capfd: pytest.CaptureFixture[str]) -> None:
    """An epoch's line is written at once, as it is, whatever is in it."""
    with Progress("training") as shown:
        shown.say("epoch 1: [bold]accuracy[/bold] 0.9")
    assert capfd.readouterr().err == "epoch 1: [bold]accuracy[/bold] 0.9\n"
