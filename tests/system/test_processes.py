"""A child that crashes, hangs, talks nonsense or is not read costs its parent nothing, and outlives nobody."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from edgefashion.system.processes import Child, Message, child_environment

LIMIT_S = 60.0
BEGIN = "import json, os, subprocess, sys, time\nfrom edgefashion.system.processes import Parent\n"
ECHO = BEGIN + "parent = Parent()\nwhile True: parent.send(parent.receive())\n"
SLEEPS = "subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])"


@pytest.fixture
def started(tmp_path: Path) -> Callable[..., Child]:
    """Start a child that runs this code."""

    def start(code: str, **options: Any) -> Child:
        (tmp_path / "pretender.py").write_text(code)
        return Child("pretender", environment={"PYTHONPATH": str(tmp_path)}, **options)

    return start


def belongings() -> tuple[int, int, int]:
    """What this process has: threads, open files, children."""
    me = psutil.Process()
    return threading.active_count(), me.num_fds() if hasattr(me, "num_fds") else me.num_handles(), len(me.children())


def wait_until(is_so: Callable[[], object]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not is_so():
        assert time.monotonic() < end_s, "in vain"
        time.sleep(0.02)


def is_over(child: Child) -> bool:
    """Whether it can be heard no more."""
    with pytest.raises(EOFError):
        child.receive(LIMIT_S)
    return True


def test_messages_and_bytes(started: Callable[..., Child]) -> None:
    """Messages come whole and in order, both ways, of any size, with names that are no text and with bytes behind
    them; closed, the child has left nothing."""
    before = belongings()
    child = started(
        BEGIN + "parent = Parent()\nwhile True:\n"
        "    message = parent.receive()\n"
        "    parent.send(message, message.pop('payload', b''))\n"
    )
    sent: list[tuple[Message, bytes]] = [
        ({"path": "a\udcff\n"}, b""),
        ({"long": "x" * 3_000_000}, b""),
        ({"n": 1}, b'\n{"n": 2}\n\0' * 300_000),
        ({"n": 3}, b""),
    ]
    for message, payload in sent:
        child.send(message, payload)
    for message, payload in sent:
        got = child.receive(LIMIT_S)
        assert got.pop("payload", b"") == payload
        assert got == message
    child.close()
    child.close()
    assert child.exit_code == 0
    assert belongings() == before


def test_deadline(started: Callable[..., Child]) -> None:
    """A child that hangs is waited for as long as was said and no longer, and is killed when it is closed."""
    child = started(BEGIN + "parent = Parent()\nparent.send({'ready': True})\ntime.sleep(600)")
    assert child.receive(LIMIT_S) == {"ready": True}
    with pytest.raises(TimeoutError):
        child.receive(0.1)
    child.close(0)
    assert child.exit_code != 0
    assert is_over(child)


@pytest.mark.parametrize(
    ("code", "exit_code", "words"),
    [
        ("raise MemoryError('no room')", 1, "MemoryError: no room"),
        ("sys.stderr.write('first\\n  last  \\n\\n'); os._exit(7)", 7, "last"),
        ("os._exit(0)", 0, ""),
        ("import warnings; sys.stderr.write('full\\n'); warnings.warn('old', stacklevel=1); os._exit(3)", 3, "full"),
        ("sys.stderr.write('a.py:7: UserWarning: old\\n  warnings.warn(\\n'); os._exit(3)", 3, ""),
        ("sys.stderr.write('W0000 00:00:17.5 a.cc:1] slow\\nINFO: XNNPACK\\nWARNING: x\\n'); os._exit(3)", 3, ""),
        pytest.param(
            "os.abort()",
            -signal.SIGABRT,
            "",
            marks=pytest.mark.linux_only("a signal that ended a process is told as POSIX does"),
        ),
    ],
)
def test_crash(started: Callable[..., Child], code: str, exit_code: int, words: str) -> None:
    """Of a child that ends, what it had sent is received; then its end, again and again, its exit code and the last
    line of its stderr. To send it something more is no error."""
    child = started(f"{BEGIN}parent = Parent()\nparent.send({{'last': 1}})\n{code}", keep_stderr=True)
    assert child.receive(LIMIT_S) == {"last": 1}
    assert is_over(child)
    assert is_over(child)
    assert (child.exit_code, child.last_words) == (exit_code, words)
    child.send({"more": 1})
    child.kill()
    child.close()
    child.send({"more": 2})


def test_cut_short(started: Callable[..., Child]) -> None:
    """A message whose sender dies in the middle of it, or of the bytes behind it, is none."""
    for rest in (b"", b'{"n": 1, "te', b'{"payload": 100}\nabc'):
        said = b'{"n": 0}\n' + rest
        child = started(f"{BEGIN}os.write(1, {said!r}); os._exit(0)")
        assert child.receive(LIMIT_S) == {"n": 0}
        assert is_over(child)
        child.close()


def test_junk_on_stdout(started: Callable[..., Child]) -> None:
    """What is no message is passed over: printed before the child's end of the connection was made, or behind it."""
    junk = "print('hello'); print(5); print('[' * 100_000); sys.stdout.buffer.write(b'\\xff\\xfe{\\n'); "
    child = started(
        f"{BEGIN}{junk}sys.stdout.flush()\nparent = Parent()\n"
        "print('{\"false\": 1}', flush=True)\n"
        f"subprocess.run([sys.executable, '-c', 'print(chr(123) + chr(125))'], check=True)\n"
        "parent.send({'stdin': sys.stdin.read()})",
        keep_stderr=True,
    )
    assert child.receive(LIMIT_S) == {"stdin": ""}
    assert is_over(child)
    child.close()


def test_child_that_does_not_read(started: Callable[..., Child]) -> None:
    """What is sent to a child that does not read holds nobody up, however much it is, nor does closing it."""
    before = belongings()
    child = started(BEGIN + "print('{\"ready\": true}', flush=True)\ntime.sleep(600)")
    child.receive(LIMIT_S)
    for _ in range(20):
        child.send({"long": "x" * 1_000_000})
    child.close(0.1)
    assert is_over(child)
    assert belongings() == before


def test_parent_that_reads_slowly(started: Callable[..., Child], tmp_path: Path) -> None:
    """A child is not held up by a parent that does not receive yet, and nothing of what it says is lost."""
    child = started(
        BEGIN + "from pathlib import Path\nparent = Parent()\nrequest = parent.receive()\n"
        "for n in range(300): parent.send({'n': n, 'long': 'x' * 10_000})\n"
        "Path(request['touch']).touch()\nparent.receive()"
    )
    child.send({"touch": str(tmp_path / "all is said")})
    wait_until((tmp_path / "all is said").exists)
    assert [child.receive(LIMIT_S)["n"] for _ in range(300)] == list(range(300))
    child.close()


def test_listener(started: Callable[..., Child]) -> None:
    """A listener is given each message as it comes, and at the end None."""
    heard: list[Message | None] = []
    child = started(ECHO, on_message=heard.append)
    for n in range(3):
        child.send({"n": n})
    wait_until(lambda: len(heard) == 3)
    child.close()
    assert heard == [{"n": 0}, {"n": 1}, {"n": 2}, None]


@pytest.mark.parametrize("how", ["closed", "killed", "crashed", "crashed by itself"])
def test_what_a_child_has_started(started: Callable[..., Child], how: str) -> None:
    """What a child has started ends with it, if it is in its process group, and keeps no pipe open."""
    rest = "os.abort()" if how == "crashed by itself" else "time.sleep(600)"
    child = started(f"{BEGIN}parent = Parent()\nparent.send({{'pid': {SLEEPS}.pid}})\n{rest}")
    grandchild = psutil.Process(child.receive(LIMIT_S)["pid"])
    if how == "closed":
        child.close(0.1)
    elif how == "killed":
        child.kill()
    elif how == "crashed":
        psutil.Process(child.pid).kill()
    assert is_over(child)
    wait_until(lambda: not grandchild.is_running())
    child.close()


@pytest.mark.linux_only("signals of POSIX")
def test_signals_are_for_the_parent(started: Callable[..., Child]) -> None:
    """What ends a whole group of processes does not end the child, and a Ctrl-C does not even reach it."""
    child = started(ECHO)
    child.send({"n": 1})
    child.receive(LIMIT_S)
    assert os.getpgid(child.pid) != os.getpgid(0)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(child.pid, number)
    child.send({"n": 2})
    assert child.receive(LIMIT_S) == {"n": 2}
    child.close()


ORPHAN = """
import sys, time
from edgefashion.system.processes import Child
child = Child("pretender")
child.send({"n": 1})
print(child.receive(60)["n"], child.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("code", [ECHO, BEGIN + "parent = Parent()\nparent.send(parent.receive())\ntime.sleep(600)"])
def test_parent_killed(code: str, tmp_path: Path) -> None:
    """When its parent is killed outright the child ends, whether it waits or is at something."""
    (tmp_path / "pretender.py").write_text(code)
    environment = child_environment(PYTHONPATH=str(tmp_path))
    with subprocess.Popen([sys.executable, "-c", ORPHAN], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline().split()[1]))
        assert child.is_running()
        parent.kill()
        wait_until(lambda: not child.is_running())


def test_ended_in_order(started: Callable[..., Child], tmp_path: Path) -> None:
    """A child that was given the time for it ends in order once its parent closes the connection, and is ended
    when that time is over."""
    end = (
        "parent.send({'ready': True})\n"
        "try: parent.receive()\n"
        "except EOFError: open(sys.argv[0] + '.end', 'w').close()\n"
    )
    for then in ("", "time.sleep(600)"):
        child = started(f"{BEGIN}parent = Parent(grace_s=0.2)\n{end}{then}")
        child.receive(LIMIT_S)
        child.close(LIMIT_S)
        assert child.exit_code == 0
        (tmp_path / "pretender.py.end").unlink()


def test_run_under_a_command(tmp_path: Path) -> None:
    """A child may be started by another command, which is given its command line; its exit code is that one's."""
    (tmp_path / "pretender.py").write_text(ECHO)
    run = "import subprocess, sys; subprocess.run(sys.argv[2:], check=True); sys.exit(int(sys.argv[1]))"
    child = Child("pretender", environment={"PYTHONPATH": str(tmp_path)}, under=(sys.executable, "-c", run, "9"))
    child.send({"n": 1})
    assert child.receive(LIMIT_S) == {"n": 1}
    child.close(LIMIT_S)
    assert child.exit_code == 9


@pytest.mark.linux_only("file descriptors are inherited by number")
def test_descriptor_is_inherited(started: Callable[..., Child]) -> None:
    """The one file descriptor that the child is to have it has under the same number, and no other of ours."""
    ours, theirs = os.pipe()
    child = started(
        BEGIN + "parent = Parent()\ngiven = parent.receive()\nos.write(given['theirs'], b'x')\n"
        "try: os.fstat(given['ours'])\nexcept OSError: parent.send({'ours': None})\n",
        inherit=theirs,
    )
    child.send({"ours": ours, "theirs": theirs})
    assert child.receive(LIMIT_S) == {"ours": None}
    assert os.read(ours, 9) == b"x"
    child.close()
    os.close(ours)
    os.close(theirs)


def test_no_thread_to_be_had(started: Callable[..., Child], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no thread can be started to speak with the child that is an error, and nothing is left of the child."""
    before = belongings()

    def none_left(_: object) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", none_left)
        with pytest.raises(RuntimeError, match="thread"):
            started(ECHO)
    assert belongings() == before


def test_imported_from_elsewhere(
    started: Callable[..., Child], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child imports nothing from the folder that the program is run in."""
    strange = tmp_path / "strange"
    strange.mkdir()
    (strange / "json.py").write_text("raise SystemExit('ran')")
    monkeypatch.chdir(strange)
    child = started(ECHO)
    child.send({"n": 1})
    assert child.receive(LIMIT_S) == {"n": 1}
    child.close()


def test_nothing_heavy_is_imported() -> None:
    """What every child imports first is of the standard library, and of ourselves what is as light."""
    code = (
        "import sys, edgefashion; before = set(sys.modules); import edgefashion.system.processes; "
        "print(*{name.split('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["edgefashion"]
