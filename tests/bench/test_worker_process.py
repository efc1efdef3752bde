"""A measuring process that crashes, hangs or refuses is told of in one sentence and leaves nothing running."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from edgefashion.bench import worker_process
from edgefashion.bench.worker_process import Worker, WorkerError
from edgefashion.errors import EdgeFashionError

BEGIN = "import os, sys, time, json\n"
READY = BEGIN + "print(json.dumps({'ready': True}), flush=True)\n"


def worker(folder: Path, code: str) -> Worker:
    (folder / "pretender.py").write_text(code)
    return Worker("Pretender", "pretender", {}, {"PYTHONPATH": str(folder)})


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (BEGIN + "os.abort()", "ended early"),
        (BEGIN + "raise MemoryError('no room')", "ended early (MemoryError: no room)"),
        (BEGIN + "os._exit(0)", "ended early (no message)"),
    ],
)
def test_a_crash_at_the_start(tmp_path: Path, code: str, words: str) -> None:
    """A process that dies before its first answer is named, with the last thing it said."""
    with pytest.raises(WorkerError) as error:
        worker(tmp_path, code)
    assert str(error.value).startswith("the process measuring Pretender")
    assert words in str(error.value)


def test_a_hang_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that never answers is killed at the limit, at its start and later."""
    monkeypatch.setattr(worker_process, "START_LIMIT_S", 0.3)
    with pytest.raises(WorkerError, match="gave no answer"):
        worker(tmp_path, BEGIN + "time.sleep(600)")
    monkeypatch.setattr(worker_process, "START_LIMIT_S", 60.0)
    monkeypatch.setattr(worker_process, "ANSWER_LIMIT_S", 0.3)
    started = worker(tmp_path, READY + "time.sleep(600)")
    with pytest.raises(WorkerError, match="gave no answer"):
        started.ask("latency")
    started.close()
    assert not [p for p in psutil.Process().children() if "pretender" in " ".join(p.cmdline())]


def test_a_crash_between_two_answers(tmp_path: Path) -> None:
    """A process that dies at its work is told of when it is asked, not by a broken pipe."""
    started = worker(tmp_path, READY + "sys.stdin.readline(); os.abort()")
    for _ in range(2):
        with pytest.raises(WorkerError, match="ended early"):
            started.ask("latency")
    started.close()


def test_a_refusal_keeps_its_words_and_code(tmp_path: Path) -> None:
    """What the process itself refuses comes through as it said it."""
    code = BEGIN + "print(json.dumps({'error': 'no such model', 'exit_code': 2}), flush=True)"
    with pytest.raises(EdgeFashionError, match="no such model") as error:
        worker(tmp_path, code)
    assert error.value.exit_code == 2
