"""Complaints are single lines, and never so many that a log fills a disk."""

from __future__ import annotations

import logging

import pytest

from edgefashion.system import server_log
from edgefashion.system.server_log import complain, log_to_stderr


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_log, "_said", {})


def test_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A complaint names the server and the cause, on one line of stderr, whatever line ends are in it."""
    complain("a request\nfailed ", ValueError("so\n it is"), "serve")
    out, said = capsys.readouterr()
    assert (out, said) == ("", "edgefashion: serve: a request failed: ValueError: so it is\n")


def test_once_in_a_while(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The same complaint is written once, others beside it, and after the quiet time it is written again."""
    for _ in range(3):
        complain("it hangs")
        complain("it burns")
    assert capsys.readouterr().err.count("\n") == 2
    monkeypatch.setattr(server_log, "QUIET_S", -1.0)
    complain("it hangs")
    assert capsys.readouterr().err == "edgefashion: page: it hangs\n"


def test_many(capsys: pytest.CaptureFixture[str]) -> None:
    """A thousand different complaints at once are a hundred lines."""
    for number in range(1000):
        complain(f"request {number} failed")
    assert capsys.readouterr().err.count("\n") == 100


def test_what_uvicorn_logs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of what uvicorn logs the errors are complaints, and the rest is not written."""
    log = logging.getLogger("uvicorn.error")
    # As it is in a new process: another test may have had KServe set up all logging anew.
    monkeypatch.setattr(log, "handlers", [])
    monkeypatch.setattr(log, "disabled", False)
    log.setLevel(logging.NOTSET)
    log_to_stderr.__wrapped__()
    log.info("a client came")
    log.error("a client broke")
    assert capsys.readouterr().err == "edgefashion: page: a client broke\n"
