"""Events reach a real broker, and through it a subscriber, each once, whatever becomes of broker and connection."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.camera import PATIENCE_S, wait_until
from helpers.events import event, parse, program, settle, tell
from helpers.mqtt import PUBCOMP, PUBLISH, PUBREC, PUBREL, Gate, Mosquitto, Subscriber, free_port

from edgefashion.camera.events import mqtt, mqtt_client
from edgefashion.camera.events.open import open_sink
from edgefashion.camera.events.sink import Sink
from edgefashion.errors import BadInputError, MissingError

pytest.importorskip("paho.mqtt", reason='paho-mqtt is not installed (pip install "edgefashion[mqtt]")')


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One that runs on, for what needs no other."""
    with Mosquitto(tmp_path_factory.mktemp("mosquitto"), "log_type all") as running:
        yield running


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is about how long something takes."""
    monkeypatch.setattr("edgefashion.camera.events.sink.RETRY_S", (0.05, 0.2))


@contextlib.contextmanager
def flowing(sink: Sink) -> Iterator[list[int]]:
    """Events told one by one, a hundred a second, until the block ends; yields the frames told."""
    told: list[int] = []
    stop = threading.Event()

    def talk() -> None:
        while not stop.wait(0.01):
            sink.tell(event(len(told)))
            told.append(len(told))

    thread = threading.Thread(target=talk)
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join()


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_what_arrives(broker: Mosquitto) -> None:
    """mosquitto_sub gets each event once, as the line that a file would get, numbered from 1 in its user properties."""
    if shutil.which("mosquitto_sub") is None:
        pytest.skip("mosquitto_sub is not installed (apt-get install mosquitto-clients)")
    command = ["mosquitto_sub", "-p", str(broker.port), "-V", "5", "-q", "2", "-t", "a/b", "-C", "12", "-F", "%P %r %p"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as subscriber:
        assert subscriber.stdout
        wait_until(lambda: "SUBACK" in broker.log, "the subscription")
        sink = open_sink(broker.url("a/b"))
        tell(sink, range(12))
        lines = list(subscriber.stdout)
        sink.close()
    found = [re.fullmatch(r"run:([0-9a-f]{16}) seq:(\d+) 0 (.*\n)", line) for line in lines]
    assert all(found)
    assert [int(f[2]) for f in found if f] == list(range(1, 13))
    assert len({f[1] for f in found if f}) == 1
    assert [e["frame"] for e in parse("".join(f[3] for f in found if f))] == list(range(12))


@pytest.mark.parametrize("saves", ["saves", "saved once", "saves nothing"])
@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_broker_restarts(tmp_path: Path, name: str, saves: str) -> None:
    """A broker stopped or killed and restarted while events flow costs none of them, whether it saves its state,
    has saved an old one, or none. Told to stop, with its state saved, it doubles none either; killed, what comes
    twice has the same number. The order is kept."""
    lines = {"saves": ["autosave_on_changes true", "autosave_interval 1"]}.get(saves, [])
    number = signal.Signals[name]
    # Killed, a broker forgets what it had promised a subscriber of QoS 2.
    qos = 2 if (number, saves) == (signal.SIGTERM, "saves") else 1
    with (
        Mosquitto(tmp_path / "m", *lines, persistent=saves != "saves nothing") as broker,
        Gate(broker) as gate,
        Subscriber(broker, qos) as subscriber,
    ):
        sink = open_sink(broker.url(port=gate.port))
        with flowing(sink) as told:
            wait_until(lambda: len(subscriber.messages) > 25, "events")
            if saves == "saved once":
                broker.save()
            wait_until(lambda: len(subscriber.messages) > 50, "events")
            broker.stop(number)
            gate.refuse()
            wait_until(lambda: "refused" in (sink.fault() or ""), "the fault")
            subscriber.connected.clear()
            broker.start()
            # The broker knows its subscribers no more: what it gets before they are back it gives to nobody.
            assert subscriber.connected.wait(PATIENCE_S)
            gate.open()
            wait_until(lambda: sink.fault() is None, "the fault's end")
            enough = len(told) + 20
            wait_until(lambda: len(told) > enough, "more events")
        settle(sink)
        sink.close()
        wait_until(lambda: len(subscriber.once()) == len(told), "every event")
        assert subscriber.once() == list(range(1, len(told) + 1))
        if qos == 2 and subscriber.session_kept:
            assert subscriber.numbers == subscriber.once()
        by_number = dict(subscriber.messages)
        assert [json.loads(by_number[n])["frame"] for n in sorted(by_number)] == told


@pytest.mark.parametrize("fate", ["lives", "killed", "killed, an old state saved"])
@pytest.mark.parametrize(
    ("packet", "towards", "passed_on"),
    [(PUBLISH, "broker", 0), (PUBREC, "client", 0), (PUBREL, "broker", 0), (PUBCOMP, "client", 1)],
    ids=["PUBLISH", "PUBREC", "PUBREL", "PUBCOMP"],
)
@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_cut_at(tmp_path: Path, packet: int, towards: str, passed_on: int, fate: str) -> None:
    """Wherever in an event's four packets the connection is cut, the event comes once. Only where the broker had
    passed it on, not said so, and then forgotten us, does it come twice, with the same number."""
    old = fate == "killed, an old state saved"
    with (
        Mosquitto(tmp_path / "m", persistent=old) as broker,
        Gate(broker) as gate,
        Subscriber(broker, qos=1) as subscriber,
    ):
        sink = open_sink(broker.url(port=gate.port))
        tell(sink, range(1))
        settle(sink)
        wait_until(lambda: subscriber.numbers == [1], "the first event")
        if old:
            broker.save()
        gate.cut_at(packet, towards=towards)
        tell(sink, range(1, 4))
        wait_until(lambda: gate.cuts and gate.refusals > 1, "the cut, and attempts to come back")
        if fate != "lives":
            broker.stop(signal.SIGKILL)
            gate.refuse()
            wait_until(lambda: "refused" in (sink.fault() or ""), "the fault")
            subscriber.connected.clear()
            broker.start()
            assert subscriber.connected.wait(PATIENCE_S)
        before = len(subscriber.messages)
        gate.open()
        settle(sink)
        sink.close()
        wait_until(lambda: len(subscriber.once()) == 4, "the events")
        assert subscriber.once() == [1, 2, 3, 4]
        if fate == "lives" or not passed_on:
            assert subscriber.numbers == [1, 2, 3, 4]
        else:
            assert before > 1
            assert subscriber.numbers[:before] == list(range(1, before + 1))
            assert subscriber.numbers.count(2) == 2


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_refused_events_wait(tmp_path: Path) -> None:
    """A broker that takes no events on the topic is told of; they wait, and arrive, each once, when it takes them."""
    rules = tmp_path / "rules"
    rules.write_text("topic readwrite shop/window/status\ntopic read #\n")
    with Mosquitto(tmp_path / "m", f"acl_file {rules}") as broker, Subscriber(broker) as subscriber:
        sink = open_sink(broker.url())
        tell(sink, range(25))
        wait_until(lambda: "refuses shop/window: Not authorized" in (sink.fault() or ""), "the fault")
        assert subscriber.messages == []
        rules.write_text("topic readwrite #\n")
        assert broker.process
        broker.process.send_signal(signal.SIGHUP)
        settle(sink)
        wait_until(lambda: sink.fault() is None, "the fault's end")
        sink.close()
        wait_until(lambda: len(subscriber.messages) == 25, "the events")
        # The broker may take the rules in hand between two of those on their way.
        assert sorted(subscriber.numbers) == list(range(1, 26))


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_lesser_broker(tmp_path: Path) -> None:
    """A broker that offers no QoS 2 gets events at QoS 1."""
    with Mosquitto(tmp_path / "m", "max_qos 1") as broker, Subscriber(broker, qos=1) as subscriber:
        sink = open_sink(broker.url())
        tell(sink, range(30))
        sink.close()
        assert sink.lost == 0
        wait_until(lambda: len(subscriber.messages) == 30, "the events")
        assert subscriber.numbers == list(range(1, 31))


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_status(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks learns whether the camera is there: online, offline because it has ended, or because it was lost."""
    with Subscriber(broker, topic="shop/status-test") as subscriber:

        def last() -> tuple[str, str | None] | None:
            told = json.loads(subscriber.statuses[-1]) if subscriber.statuses else {}
            return (told["state"], told["reason"]) if told else None

        sink = open_sink(broker.url("shop/status-test"))
        wait_until(lambda: last() == ("online", None), "online")
        sink.close()
        wait_until(lambda: last() == ("offline", "ended"), "offline")
        code = f"""
from edgefashion.camera.events import mqtt_client
mqtt_client.WILL_DELAY_S = 0
sink = open_sink({broker.url("shop/status-test")!r})
input()
"""
        with program(code, stdin=subprocess.PIPE) as process:
            wait_until(lambda: last() == ("online", None), "online")
            process.kill()
        wait_until(lambda: last() == ("offline", "connection lost"), "the last will")
        assert {json.loads(status)["run"] for status in subscriber.statuses} != set()
    assert not subscriber.messages


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_frozen_broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is there and answers nothing is told of, and holds neither events nor closing up."""
    monkeypatch.setattr(mqtt, "ANSWER_S", 0.3)
    monkeypatch.setattr(mqtt, "CLOSE_S", 0.5)
    with Mosquitto(tmp_path / "m") as broker:
        sink = open_sink(broker.url(), capacity=100)
        assert broker.process
        broker.process.send_signal(signal.SIGSTOP)
        tell(sink, range(1000))
        wait_until(lambda: "acknowledges nothing" in (sink.fault() or ""), "the fault")
        sink.close()
        assert sink.lost == 1000


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_waits_for_broker(tmp_path: Path) -> None:
    """A broker that is absent at the start is an error, unless we are to wait: then it gets what it missed."""
    broker = Mosquitto(tmp_path / "m")
    with pytest.raises(MissingError, match=r"no broker answers \(Connection refused\)"):
        open_sink(broker.url())
    with Gate(broker) as gate:
        gate.shut()  # until there is a subscriber: the broker keeps nothing for one that has yet to come
        sink = open_sink(broker.url(port=gate.port), wait=True)
        tell(sink, range(10))
        wait_until(sink.fault, "the fault")
        with broker, Subscriber(broker) as subscriber:
            gate.open()
            sink.close()
            assert (sink.lost, sink.fault()) == (0, None)
            wait_until(lambda: len(subscriber.messages) == 10, "the events")
            assert subscriber.numbers == list(range(1, 11))


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing while the broker is away takes a few seconds at most, and says how many events it cost."""
    monkeypatch.setattr(mqtt, "CLOSE_S", 0.5)
    with Mosquitto(tmp_path / "m") as broker:
        sink = open_sink(broker.url())
        broker.stop()
        tell(sink, range(7))
        wait_until(sink.fault, "the fault")
        sink.close()
        assert sink.lost == 7
        assert not sink._thread.is_alive()


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_killed(tmp_path: Path) -> None:
    """What a killed process had not delivered the next one delivers first, in order, under its old run and seq; one
    that ends while the broker is away leaves what waits to the next, too."""
    broker = Mosquitto(tmp_path / "m")
    with broker, Gate(broker) as gate, Subscriber(broker, 1) as subscriber:
        code = f"""
from pathlib import Path
sink = open_sink({broker.url(port=gate.port)!r}, state=Path({str(tmp_path)!r}))
tell(sink, range(3))
settle(sink)
print("settled", flush=True)
input()
tell(sink, range(3, 40))
while sink._outbox._is_unsaved: time.sleep(0.01)
time.sleep(0.1)
print("told", flush=True)
time.sleep(1000)
"""
        with program(code, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
            assert process.stdin
            assert process.stdout
            assert process.stdout.readline() == "settled\n"
            gate.shut()
            process.stdin.write("\n")
            process.stdin.close()
            assert process.stdout.readline() == "told\n"
            process.kill()
        sink = open_sink(broker.url(port=gate.port), wait=True, state=tmp_path)
        sink.tell(event(40))
        wait_until(sink.fault, "the fault")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(mqtt, "CLOSE_S", 0.1)
            sink.close()
        assert (sink.lost, sink.kept) == (0, 38)
        gate.open()
        sink = open_sink(broker.url(port=gate.port), state=tmp_path)
        sink.tell(event(41))
        settle(sink)
        sink.close()
        wait_until(lambda: len(subscriber.messages) == 42, "every event")
    assert [json.loads(line)["frame"] for _, line in subscriber.messages] == list(range(42))
    assert subscriber.numbers == [*range(1, 41), 1, 1]
    assert (len(subscriber.runs), sink.lost, sink.kept) == (3, 0, 0)


# --- What is wrong ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("mqtt://", "names no host"),
        ("mqtt://host", "no topic"),
        ("mqtt://host/", "no topic"),
        ("mqtt://host/a/#", "%23"),
        ("mqtt://host/a/+/b", "no topic"),
        ("mqtt://host/$SYS/x", "no topic"),
        ("mqtt://host/a%23", "no topic"),
        ("mqtt://host:0/a", "names no host"),
        ("mqtt://a..b/a", "names no host"),
        (f"mqtt://{'a' * 64}.de/a", "names no host"),
        ("mqtt://a\0b/a", "names no host"),
        ("mqtt://host/\udcff", "no broker's address"),
        ("mqtt://us\udcffer:SECRET@host/a", "no broker's address"),
        (f"mqtt://user:{'SECRET' * 11_000}@host/a", "too long"),
        ("mqtt://host:x/a", "no broker's address"),
        ("mqtt://host:70000/a", "no broker's address"),
        ("mqtt://[::1/a", "no broker's address"),
        ("mqtt://user:SECRET@host:port/a", "no broker's address"),
        ("mqtt://user:SEC/RET@host/a", "%2F"),
        ("mqtt://user:12/SECRET@host/a", "%2F"),
        ("mqtt://user:SECRET?x@host/a", "%3F"),
        ("mqtt://user:SECRET#x@host/a", "%23"),
        ("mqtt://:SECRET@host/a", "no user"),
        ("mqtt://user:SECRET@host/", "no topic"),
        ("mqtt://user:SECRET@/a", "names no host"),
        ("mqtt://user:SECRET%ff@host/a", "no broker's address"),
        ("mqttx://user:SECRET@host/a", "no broker"),
    ],
)
def test_bad_address(spec: str, words: str) -> None:
    """What is no broker's address is refused in one line, which never holds a part of the password."""
    with pytest.raises(BadInputError) as caught:
        open_sink(spec)
    text = str(caught.value)
    assert words in text
    assert text.startswith("--events ")
    assert "\n" not in text
    assert not re.search("SEC|RET|:12", text)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_address() -> None:
    """An address is taken apart as URLs are, %-codes and all, and its password shows in no text of it."""
    found = mqtt_client.parse("mqtt://me%40shop:p%2Fw%23%3A@[::1]:99/a/b%20c/ü")
    assert found == mqtt_client.Broker("::1", 99, "a/b c/ü", False, "me@shop", "p/w#:")
    assert "p/w" not in f"{found!r} {found}"
    assert mqtt_client.parse("MQTTS://Host/a").port == 8883
    assert mqtt_client.parse("mqtt://host/a").port == 1883


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_login(tmp_path: Path) -> None:
    """User and password are sent; wrong ones are refused in one line that does not repeat the password."""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-c", "-b", passwords, "me", "right:/@"], check=True)
    passwords.chmod(0o644)
    with Mosquitto(tmp_path / "m", "allow_anonymous false", f"password_file {passwords}") as broker:
        open_sink(broker.url(login="me:right%3A%2F%40@")).close()
        for login in ("me:WRONG@", "you:WRONG@", ""):
            with pytest.raises(BadInputError, match="the broker answers Not authorized") as caught:
                open_sink(broker.url(login=login))
            assert "WRONG" not in str(caught.value)
            assert "\n" not in str(caught.value)


def test_no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no broker answers, or what answers is none, that is one line, and nothing is left running."""
    monkeypatch.setattr(mqtt, "ANSWER_S", 0.5)
    with http_server() as port:
        for spec in (f"mqtt://127.0.0.1:{port}/a", f"mqtts://127.0.0.1:{port}/a", "mqtt://no-such-host.invalid/a"):
            with pytest.raises(MissingError, match="no broker answers") as caught:
                open_sink(spec)
            assert "\n" not in str(caught.value)
    wait_until(lambda: "events" not in [thread.name for thread in threading.enumerate()], "the threads' end")


@contextlib.contextmanager
def http_server() -> Iterator[int]:
    """A server that is no broker."""
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
def test_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """mqtts:// talks to a broker whose certificate the system trusts, and to no other."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    command = f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=shop -keyout {key} -out {certificate}"
    subprocess.run([*command.split(), "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
    port = free_port()
    lines = [f"listener {port} 127.0.0.1", f"certfile {certificate}", f"keyfile {key}"]
    with Mosquitto(tmp_path / "m", *lines) as broker, Subscriber(broker) as subscriber:
        with pytest.raises(MissingError, match="certificate"):
            open_sink(broker.url(scheme="mqtts", port=port))
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        sink = open_sink(broker.url(scheme="mqtts", port=port))
        tell(sink, range(30))
        sink.close()
        assert sink.lost == 0
        wait_until(lambda: len(subscriber.messages) == 30, "the events")
