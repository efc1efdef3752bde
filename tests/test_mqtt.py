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
from camera_helpers import PATIENCE_S, wait_until
from event_helpers import event, parse, settle, tell
from mqtt_helpers import PUBCOMP, PUBLISH, PUBREC, PUBREL, Gate, Mosquitto, Subscriber

from edgefashion import mqtt
from edgefashion.events import Sink, open_sink

pytest.importorskip("paho.mqtt", reason='paho-mqtt is not installed (pip install "edgefashion[mqtt]")')


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    """One that runs on, for what needs no other."""
    with Mosquitto(tmp_path_factory.mktemp("mosquitto"), "log_type all") as running:
        yield running


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


@pytest.mark.parametrize(
    ("number", "persistent"),
    [(signal.SIGTERM, True), (signal.SIGTERM, False), (signal.SIGKILL, True), (signal.SIGKILL, False)],
)
def test_broker_restarts(tmp_path: Path, number: signal.Signals, persistent: bool) -> None:
    """A broker stopped and restarted while events flow costs none of them. One that keeps its sessions and is
    told to stop doubles none either; with another, what comes twice has the same number and the order is kept."""
    exact = number == signal.SIGTERM and persistent
    # A broker that forgets, forgets also what it had promised a subscriber of QoS 2 to deliver.
    with (
        Mosquitto(tmp_path / "m", persistent=persistent) as broker,
        Gate(broker) as gate,
        Subscriber(broker, qos=2 if exact else 1) as subscriber,
    ):
        sink = open_sink(broker.url(port=gate.port))
        with flowing(sink) as told:
            wait_until(lambda: len(subscriber.messages) > 50, "events")
            broker.stop(number)
            gate.shut()
            wait_until(sink.fault, "the fault")
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
        if exact:
            assert subscriber.numbers == subscriber.once()
        assert len(subscriber.numbers) - len(told) <= mqtt.WINDOW
        by_number = dict(subscriber.messages)
        assert [json.loads(by_number[n])["frame"] for n in sorted(by_number)] == told


@pytest.mark.parametrize("forgets", [False, True], ids=["remembers", "forgets"])
@pytest.mark.parametrize(
    ("packet", "towards", "passed_on"),
    [(PUBLISH, "broker", 0), (PUBREC, "client", 0), (PUBREL, "broker", 0), (PUBCOMP, "client", 1)],
    ids=["PUBLISH", "PUBREC", "PUBREL", "PUBCOMP"],
)
def test_cut_at(tmp_path: Path, packet: int, towards: str, passed_on: int, forgets: bool) -> None:
    """Wherever in an event's four packets the connection is cut, the event comes once. Only where the broker had
    passed it on, not said so, and then forgotten us, does it come twice, with the same number."""
    with Mosquitto(tmp_path / "m") as broker, Gate(broker) as gate, Subscriber(broker, qos=1) as subscriber:
        sink = open_sink(broker.url(port=gate.port))
        tell(sink, range(1))
        settle(sink)
        gate.cut_at(packet, towards=towards)
        tell(sink, range(1, 4))
        wait_until(lambda: gate.cuts and gate.refusals > 1, "the cut, and attempts to come back")
        if forgets:
            broker.stop(signal.SIGKILL)
            subscriber.connected.clear()
            broker.start()
            assert subscriber.connected.wait(PATIENCE_S)
        before = len(subscriber.messages)
        gate.open()
        settle(sink)
        sink.close()
        wait_until(lambda: len(subscriber.once()) == 4, "the events")
        assert subscriber.once() == [1, 2, 3, 4]
        if not (forgets and passed_on):
            assert subscriber.numbers == [1, 2, 3, 4]
        else:
            assert before > 1
            assert subscriber.numbers[:before] == list(range(1, before + 1))
            assert subscriber.numbers.count(2) == 2
