"""Whatever people write into an address, no part of its secret is in any output: for every scheme, at every sink."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

from helpers.fuzzing import fuzz, scratch
from hypothesis import example, given
from hypothesis import strategies as st

from edgefashion.camera import server_fallback, settings, settings_file
from edgefashion.camera.events import mqtt_client, sink
from edgefashion.camera.moment import Health, Moment
from edgefashion.camera.page.board import Board
from edgefashion.camera.page.metrics import metrics
from edgefashion.camera.service import configuration_check, systemd_unit, windows_task
from edgefashion.camera.service.systemd_unit import ServiceOptions
from edgefashion.camera.sources import schemes
from edgefashion.camera.status_events import StatusEvents
from edgefashion.cli import main
from edgefashion.errors import EdgeFashionError
from edgefashion.inference import load
from edgefashion.inference.remote import address as model_address
from edgefashion.system import server_log
from edgefashion.system.addresses import has_secret, how_to_escape, lacks_secret, shown, without_secrets
from edgefashion.system.pages import address as page_address
from edgefashion.system.text import last_line, reason_of
from edgefashion.tagging import inventory, pool_worker, review
from edgefashion.tagging.row import Row
from edgefashion.tagging.table import Ledger

MARKS = ("Qx7k", "Zw9v", "Jf4h")
"""Parts of secrets that are in no other text."""

GENERAL = ("http", "https", "rtsp", "rtsps", "rtmp", "udp", "tcp", "srt", "rtp", "mqtt", "mqtts", "grpc", "ftp", "sftp")
BUCKETS = ("s3", "gs", "abfs", "oss")
ODD = "/@#[]?:%+=;,.!*()~$^|<>{}'\"\\ \té\u00a0"
HOSTS = ("host", "192.168.1.5", "cam.shop.example:554", "[::1]:8080", "localhost")
NAMES = ("pwd", "password", "PASS", "token", "access_token", "key", "apiKey", "sig", "auth", "loginpas", "p%77d")
FOLDER = scratch()

odd = st.text(ODD, max_size=2)
hard = st.builds(lambda *parts: "".join(parts), odd, st.just(MARKS[0]), odd, st.just(MARKS[1]), odd)
simple = st.sampled_from((f"{MARKS[0]}/{MARKS[1]}", f"{MARKS[0]}%40{MARKS[1]}", MARKS[0], f"{MARKS[0]}@{MARKS[1]}"))


@st.composite
def addresses(draw: st.DrawFn, secret: st.SearchStrategy[str]) -> str:
    """An address with a secret in its account or its query."""
    scheme, host = draw(st.sampled_from(GENERAL + BUCKETS)), draw(st.sampled_from(HOSTS))
    if draw(st.booleans()):
        user = draw(st.sampled_from(("admin", MARKS[2], f"me@shop.{MARKS[2]}", "john.doe", "")))
        tail = draw(st.sampled_from(("", "/", "/live/ch1", "/a.jpg?x=1", "?mode=caller#top", "/v2/models/edge")))
        return f"{scheme}://{user}:{draw(secret)}@{host}{tail}"
    before, after = draw(st.sampled_from(("", "x=1&", "user=admin&"))), draw(st.sampled_from(("", "&x=1", "&user=a")))
    name, sign = draw(st.sampled_from(NAMES)), draw(st.sampled_from("?#"))
    return f"{scheme}://{host}/cgi{sign}{before}{name}={draw(secret)}{after}"


def leaks(text: str) -> list[str]:
    return [mark for mark in MARKS if mark in text]


@fuzz(150)
@given(addresses(hard))
def test_no_secret_survives(address: str) -> None:
    """Whatever stands in a password, no part of it is shown, and what is shown is shown the same again, and is known to
    lack it."""
    safe = shown(address)
    assert not leaks(safe)
    assert shown(safe) == safe
    assert lacks_secret(safe) or "://" not in safe
    assert has_secret(address)


@fuzz(150)
@given(addresses(hard), st.sampled_from(("{} cannot be opened", "[Errno 2] {!r} is none", "at {}: {}, or {}")))
@example(f"http://admin:{MARKS[0]}\u00a0{MARKS[1]}:@host", "[Errno 2] {!r} is none")
def test_no_secret_survives_a_library(address: str, sentence: str) -> None:
    """A library may quote the address that it failed on, as it is, as Python writes it, or a part of it."""
    authority = address.partition("://")[2]
    for text in [address, authority, authority.partition("@")[0], *authority.replace("@", ":").split(":")]:
        assert not leaks(without_secrets(sentence.format(text, text, text), address))


@fuzz(150)
@given(st.text(alphabet="ab1:@/\\?#&=.% é\n", max_size=30))
def test_any_text(text: str) -> None:
    """Any text at all is taken, and what is shown of it is shown the same again."""
    for each in (text, f"rtsp://{text}", f"{text}://{text}"):
        assert shown(shown(each)) == shown(each)
        without_secrets(each, each)
        how_to_escape(each)


# --- Every sink ------------------------------------------------------------------------------


def said(do: Callable[[], Any]) -> str:
    """All that ``do`` tells: what it returns, prints, and the error that it ends with, in every way to look at one."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            out.write(f"{do()!r}")
        except EdgeFashionError as error:
            out.write(f"{error} {error!r}")
    return out.getvalue()


def command(*words: str) -> str:
    """What a command line says, in this process."""
    out = io.StringIO()
    ours = patch.object(sys, "argv", ["edgefashion", *words])
    with ours, contextlib.redirect_stdout(out), contextlib.redirect_stderr(out), contextlib.suppress(SystemExit):
        main.main()
    return out.getvalue()


class Told:
    """A sink of events that keeps what it is told, as a file would get it."""

    gone, lost = False, 0

    def __init__(self) -> None:
        self.lines: list[str] = []

    def tell(self, event: Any) -> None:
        self.lines.append(sink.line(event))

    def fault(self) -> str | None:
        return None

    def close(self) -> None:
        pass


def events(reason: str) -> list[str]:
    told = Told()
    status = StatusEvents([told], live=True)
    status.change("reconnecting", reason)
    status.fail("server", reason)
    status.tell("ended", reason=reason)
    board = Board()
    board.take(Moment(0.0, Health("reconnecting", status.reason)))
    board.moment = Moment(0.0, Health("reconnecting", reason))
    figures = metrics(board, dict)()
    return [*told.lines, status.reason, json.dumps([board.shown(), board.health(), board.why_not_well()]), str(figures)]


def settings_of(address: str) -> str:
    path = FOLDER / settings.FILE_NAME
    quoted = json.dumps(address)
    texts = [f"source = [{quoted}]", f"fps = {quoted}", f"{quoted} = 1", f"labels = {{ {quoted} = 'x' }}"]
    texts += [f"events = {quoted}", f"events = [{quoted}, {quoted}]", f"token = [{quoted}]", f"source = {quoted} x"]
    heard = []
    for text in texts:
        path.write_text(text, encoding="utf-8")
        heard.append(said(lambda: settings_file.load(path)))
    # The exposed file's warning names the file alone.
    path.write_text(f"source = {quoted}", encoding="utf-8")
    path.chmod(0o644)
    out = io.StringIO()
    with contextlib.redirect_stderr(out), contextlib.suppress(EdgeFashionError):
        settings_file.load(path)
    heard += [out.getvalue(), said(lambda: settings.merge({}, {"fps": address, "headless": True}))]
    return " ".join(heard)


def service(address: str) -> str:
    options = ServiceOptions(FOLDER / "x.toml", {"source": address, "model": address, "headless": True}, account="me")
    return " ".join(
        said(lambda do=do: do(options))  # type: ignore[misc]
        for do in (
            lambda given: configuration_check.check_configuration(given, None),
            systemd_unit.unit,
            lambda given: windows_task.task(given, "startup"),
        )
    )


def rows(address: str) -> str:
    errors = [
        ValueError(address),
        FileNotFoundError(address),
        OSError(5, address),
        RuntimeError(f"at {address!r}: bad"),
    ]
    written = [Row(address, error=pool_worker.why_not(address, error)) for error in errors]
    table = FOLDER / "table.csv"
    for left in FOLDER.glob("*table.csv*"):
        left.unlink()
    journal = b""
    with Ledger(table, {"model": "edge"}) as ledger:
        ledger.add(written[:1])
        journal = (FOLDER / "table.csv.partial").read_bytes()
        ledger.finish()
    shown_row = Row(inventory.shown(address), label="Trouser")
    listed = said(lambda: inventory.check([f"nonsense{address[address.index('://') :]}"]))
    page = review._link(review.Card("p0", shown_row, None, review._href(address, FOLDER), ()))
    return " ".join([journal.decode(), table.read_text(), page, listed, *(row.error or "" for row in written)])


SINKS: dict[str, Callable[[str], str]] = {
    "library errors": lambda address: " ".join([reason_of(ValueError(shown(address))), last_line(shown(address))]),
    "events, page, metrics": lambda address: " ".join(events(f"{shown(address)} is away")),
    "settings": settings_of,
    "service": service,
    "table, journal, review": rows,
    "model": lambda address: said(lambda: model_address.parse(address)),
    "local model": lambda address: said(lambda: load.load(address, engine="onnx")),
    "fallback": lambda address: said(lambda: server_fallback.local_name("http://h:1/v2/models/x", address)),
    "broker": lambda address: said(lambda: mqtt_client.parse(address)),
    "page's address": lambda address: said(lambda: page_address.parse(address)),
    "source": lambda address: said(lambda: schemes.resolved(address) and None),
}


@fuzz(15)
@given(addresses(hard))
def test_every_sink(address: str) -> None:
    """Whatever the address is given as and wherever it is wrong, no message, event, table or page holds its secret."""
    for name, tell in SINKS.items():
        assert not leaks(tell(address)), name


@fuzz(30)
@given(addresses(simple))
def test_a_library_that_quotes_it(address: str) -> None:
    """An address that a library put into its own words is hidden where these are passed on, known or not."""
    quoted = f"HTTPConnectionPool: cannot connect to {address} (refused)"
    out = io.StringIO()
    with contextlib.redirect_stderr(out):
        server_log._said.clear()
        server_log.complain(quoted, ValueError(quoted))
    assert not leaks(" ".join([out.getvalue(), reason_of(ValueError(quoted)), last_line(quoted), *events(quoted)]))


@fuzz(10)
@given(addresses(hard))
@example(f'http://admin:"{MARKS[0]}@host/')  # a path without the / at its end
def test_the_command_line(address: str) -> None:
    """An address in a place where none belongs is quoted in the error, without its secret."""
    for words in (
        ["camera", "edge", address],
        ["camera", "--config", address],
        ["--debug", "convert", address],
        [address],
    ):
        heard = command(*words)
        assert heard, words
        assert not leaks(heard), words
