"""Events reach a real web server, signed, each at least once and in order, whatever the server does."""

from __future__ import annotations

import base64
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.camera import PATIENCE_S, wait_until
from helpers.events import FIELDS, event, program, settle, tell
from helpers.mqtt import free_port
from helpers.webhooks import Receiver

from edgefashion.camera.events import webhook, webhook_client
from edgefashion.camera.events.open import open_sink, shown_place
from edgefashion.errors import BadInputError

SECRET = "a secret of the shop's own"


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is about how long something takes."""
    monkeypatch.setattr(webhook, "RETRY_S", (0.02, 0.1))
    monkeypatch.setattr(webhook, "ELSEWHERE_S", (0.02, 0.1))
    monkeypatch.setattr("edgefashion.system.backoff.LOGIN_S", (0.02, 0.1))


def documented() -> Callable[[dict[str, str], bytes, str], bool]:
    """The receiver's check, as the document has it."""
    page = (Path(__file__).parents[2] / "docs" / "kiosk.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(import base64.*?)```", page, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    check: Callable[[dict[str, str], bytes, str], bool] = names["is_ours"]
    return check


def test_what_arrives() -> None:
    """A receiver gets each event once, in order, as JSON with an id. The check that the document gives a receiver
    holds, and fails for another body, id, time or secret, and for one that is sent again an hour later."""
    with Receiver() as receiver:
        sink = open_sink(receiver.url("/shop?key=1", "anna:p%40ss@"), secret=SECRET)
        tell(sink, range(5))
        settle(sink)
        sink.close()
    assert (receiver.taken, sink.lost) == ([0, 1, 2, 3, 4], 0)
    assert len({each.id for each in receiver.posted}) == 5
    is_ours = documented()
    for each in receiver.posted:
        assert tuple(each.event) == ("id", *FIELDS)
        assert (each.event["id"], each.path) == (each.id, "/shop?key=1")
        assert each.headers["authorization"] == "Basic " + base64.b64encode(b"anna:p@ss").decode()
        assert each.headers["content-type"] == "application/json"
        assert abs(int(each.headers["webhook-timestamp"]) - time.time()) < PATIENCE_S
        assert is_ours(each.headers, each.body, SECRET)
        assert not is_ours(each.headers, each.body + b" ", SECRET)
        assert not is_ours(each.headers, each.body, "another secret of theirs")
        for header, other in (("webhook-id", "another"), ("webhook-timestamp", str(int(time.time()) + 1))):
            assert not is_ours(each.headers | {header: other}, each.body, SECRET)
        old = str(int(time.time()) - 3600)
        again = webhook_client.signature(SECRET.encode(), each.id, int(old), each.body)
        assert not is_ours(each.headers | {"webhook-timestamp": old, "webhook-signature": again}, each.body, SECRET)


def test_known_signature() -> None:
    """A secret in Base64 signs as the standard's own example does."""
    key = webhook_client.key_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    made = webhook_client.signature(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


# What a receiver does to the first event, and what the fault then says.
TROUBLES = [
    ("500", "answers 500 Internal Server Error"),
    ("503 Retry-After: 0", "answers 503 Service Unavailable"),
    ("503 Retry-After: soon", "answers 503 Service Unavailable"),
    ("429 Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", "answers 429 Too Many Requests"),
    ("408", "answers 408 Request Timeout"),
    ("599", "answers 599"),
    ("401", "refuses us: 401 Unauthorized"),
    ("403", "refuses us: 403 Forbidden"),
    ("301 Location: http://127.0.0.1:9/SECRET", "it leads to another address. Give that one"),
    ("307 Location: /SECRET", "it leads to another address. Give that one"),
    ("404", "answers 404 Not Found. Check the address"),
    ("409", "answers 409 Conflict. Check the address"),
    ("400", "takes no such event: 400 Bad Request"),
    ("reset", "Connection reset by peer"),
    ("hang up", "hangs up without an answer"),
    ("stall", "does not answer"),
    ("drip", "does not answer"),
    ("garbage", "what answers there is no web server"),
]


@pytest.mark.parametrize(("how", "words"), TROUBLES, ids=[how for how, _ in TROUBLES])
def test_trouble(how: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a receiver does instead of taking an event is told of in our own words, without a secret; the event
    comes again under the same id, before the others, and nowhere else. Then the fault ends."""
    monkeypatch.setattr(webhook_client, "ANSWER_S", 0.2)
    monkeypatch.setattr(webhook, "TRIES", 1000)
    with Receiver(always=how) as receiver:
        sink = open_sink(receiver.url("/SECRET", "SECRET:SECRET@"), secret="SECRET" * 3)
        tell(sink, range(3))
        wait_until(sink.fault, "the fault")
        fault = sink.fault() or ""
        wait_until(lambda: len(receiver.posted) > 1, "the event to come again")
        receiver.always = "204"
        wait_until(lambda: sink.fault() is None, "the fault's end")
        settle(sink)
        sink.close()
    assert words in fault
    assert "SECRET" not in fault
    assert sink.lost == 0
    assert receiver.taken == [0, 1, 2]
    assert [each.event["frame"] for each in receiver.posted] == [*(0 for _ in receiver.posted[2:]), 1, 2]
    assert len({each.id for each in receiver.posted}) == 3


def test_keeps_the_connection_and_survives_its_end() -> None:
    """A connection that the receiver ends while it is idle costs no event and is no fault; an answer without an end is
    not read to its end, and one that is cut off behind its head counts."""
    with Receiver(answers=["204", "endless", "short", "204"]) as receiver:
        sink = open_sink(receiver.url(), secret=SECRET)
        for number in range(4):
            sink.tell(event(number))
            settle(sink)
        assert sink.fault() is None
        sink.close()
    assert [each.event["frame"] for each in receiver.posted] == [0, 1, 2, 3]


@pytest.mark.parametrize("status", ["400", "410", "413", "422"])
def test_refused_for_good(status: str) -> None:
    """An event that the receiver takes never is sent three times and dropped; the others go on, the fault is one and
    the same sentence, and at the end the number is told."""
    with Receiver(always=status) as receiver:
        sink = open_sink(receiver.url(), secret=SECRET)
        tell(sink, range(3))
        faults: set[str] = set()

        def done() -> bool:
            faults.add(sink.fault() or "")
            return not sink._unwritten()

        wait_until(done, "the events to be dropped")
        receiver.always = "200"
        sink.tell(event(3))
        settle(sink)
        sink.close()
    assert [each.event["frame"] for each in receiver.posted] == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3]
    assert len(faults - {""}) == 1
    assert sink.lost == 3


@pytest.mark.parametrize(
    ("answers", "posted"),
    [
        (["reset", "409"], [0, 0, 1, 2]),
        (["hang up", "409"], [0, 0, 1, 2]),
        (["500", "409"], [0, 0, 1, 2]),
        (["204", "reset", "409"], [0, 1, 1, 2]),  # the connection was kept, and the event comes again at once
        (["409", "409", "204"], [0, 0, 0, 1, 2]),
        (["503", "409", "409", "409"], [0, 0, 1, 1, 1, 2]),  # of the next one nothing has come before
        (["400", "409", "204"], [0, 0, 0, 1, 2]),
    ],
)
def test_that_it_has_it(answers: list[str], posted: list[int]) -> None:
    """409 to an event that may have come before says that the receiver has it. To one that is new it says nothing of
    the kind, and the event waits."""
    with Receiver(answers=answers) as receiver:
        sink = open_sink(receiver.url(), secret=SECRET)
        tell(sink, range(3))
        settle(sink)
        sink.close()
    assert [each.event["frame"] for each in receiver.posted] == posted
    assert sink.lost == 0


def test_that_it_has_an_earlier_run_s(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run before this one has delivered and could not strike out is the oldest that waits, and 409 says so of it
    alone."""
    monkeypatch.setattr(webhook, "CLOSE_S", 0.1)
    with Receiver(always="503") as receiver:
        for answers in (["503"], ["409", "409", "204", "409"]):
            before = len(receiver.posted)
            receiver.answers, receiver.always = list(answers), "204" if "204" in answers else "503"
            sink = open_sink(receiver.url(), state=tmp_path, secret=SECRET)
            if receiver.always == "503":
                tell(sink, range(4))
                wait_until(sink.fault, "the fault")
            else:
                settle(sink)
            sink.close()
    assert [each.event["frame"] for each in receiver.posted[before:]] == [0, 1, 2, 3, 3]


def test_no_receiver(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that is not there yet, or whose name nobody knows, is a fault and no error; it gets what it missed."""
    port = free_port()
    sink = open_sink(f"http://127.0.0.1:{port}/", secret=SECRET)
    tell(sink, range(3))
    wait_until(lambda: "Connection refused" in (sink.fault() or ""), "the fault")
    with Receiver(port=port) as receiver:
        wait_until(lambda: receiver.taken == [0, 1, 2], "the events")
        sink.close()
    monkeypatch.setattr(webhook, "CLOSE_S", 0.1)
    nobody = open_sink("https://nobody.invalid/", secret=SECRET)
    nobody.tell(event(0))
    wait_until(lambda: "no machine is known by this name" in (nobody.fault() or ""), "the fault")
    nobody.close()
    assert nobody.lost == 1


def test_killed(tmp_path: Path) -> None:
    """What a killed process had not delivered the next one delivers first, in order, under its old ids. What had
    arrived comes not again."""
    port = free_port()
    with Receiver(port=port) as receiver:
        code = f"""
sink = open_sink("http://127.0.0.1:{port}/", state=__import__("pathlib").Path({str(tmp_path)!r}), secret={SECRET!r})
tell(sink, range(2))
settle(sink)
print("settled", flush=True)
input()
tell(sink, range(2, 50))
while sink._outbox._is_unsaved: time.sleep(0.01)
time.sleep(0.1)
print("told", flush=True)
time.sleep(1000)
"""
        with program(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline() == "settled\n"
            receiver.always = "503"
            process.stdin.write("\n")
            process.stdin.close()
            assert process.stdout.readline() == "told\n"
            process.kill()
        receiver.always = "200"
        first = receiver.posted[-1].id
        sink = open_sink(f"http://127.0.0.1:{port}/", state=tmp_path, secret=SECRET)
        sink.tell(event(50))
        settle(sink)
        sink.close()
    assert receiver.taken == list(range(51))
    again = [each for each in receiver.posted if each.answered == "200"]
    assert again[0].id == first
    assert [each.id.partition("-")[2] for each in again] == [*map(str, range(3, 51)), "1"]
    assert (sink.lost, sink.kept) == (0, 0)


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("http://", "names no host"),
        ("https:///hook", "names no host"),
        ("http://host:0/", "names no host"),
        ("http://host:x/", "no webhook's address"),
        ("http://host:70000/", "no webhook's address"),
        ("http://[::1/", "no webhook's address"),
        ("http://a..b/", "names no host"),
        (f"http://{'a' * 64}.de/", "names no host"),
        ("http://a\0b/", "names no host"),
        ("http://a%41/", "names no host"),
        ("https://us\udcffer:SECRET@host/", "no webhook's address"),
        ("https://user:SEC/RET@host/", "%2F"),
        ("https://user:SECRET@host:port/", "no webhook's address"),
        ("https://host/a b", "%-codes"),
        ("https://host/é", "%-codes"),
        ("https://user:%ff@host/", "no webhook's address"),
    ],
)
def test_bad_address(spec: str, words: str) -> None:
    """What is no webhook's address is refused in one line, which never holds a part of the password."""
    with pytest.raises(BadInputError) as caught:
        open_sink(spec)
    assert words in str(caught.value)
    assert "SEC" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("secret", "words"), [("short", "16 characters"), ("whsec_***", "no Base64"), ("whsec_YQ==", "16 characters")]
)
def test_bad_secret(secret: str, words: str) -> None:
    """A secret that can be guessed or read in no way is refused, and not shown."""
    with pytest.raises(BadInputError, match=words) as caught:
        open_sink("https://host/", secret=secret)
    assert secret not in str(caught.value)


def test_shown() -> None:
    """No text of a receiver holds its account, its path or its secret."""
    spec = "https://anna:HIDDEN@hooks.example/HIDDEN?x=HIDDEN"
    receiver = webhook_client.parse(spec, "HIDDEN" * 3)
    assert "HIDDEN" not in f"{receiver} {receiver!r} {shown_place(spec)}"
    assert shown_place(spec) == "https://hooks.example:443"
