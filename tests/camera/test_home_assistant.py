"""Home Assistant finds the camera, is told what it sees and how it does, and learns when it is gone."""

from __future__ import annotations

import contextlib
import copy
import json
import shutil
import socketserver
import ssl
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from helpers import home_assistant
from helpers.camera import wait_until
from helpers.events import program
from helpers.home_assistant import Subscriber
from helpers.mqtt import Gate, Mosquitto, free_port
from helpers.odd_cameras import certificate

from edgefashion.camera.figures import Counts, Figures
from edgefashion.camera.home_assistant import device, output
from edgefashion.camera.home_assistant.output import HomeAssistant
from edgefashion.camera.moment import Health, Moment
from edgefashion.camera.outputs.reopening import ReopeningOutput
from edgefashion.errors import BadInputError

pytest.importorskip("paho.mqtt", reason='paho-mqtt is not installed (pip install "edgefashion[mqtt]")')

BROKER = pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
TOPICS = ("shop/window", "a", "Größe/Ω lang " + "x" * 300, "a/b", "a-b", "$share", 'with space/and "quotes"')
STATE, AVAILABLE = device.state_topic("shop/window"), device.availability_topic("shop/window")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path / "m") as running:
        yield running


def moment(state: str = "none", label: str | None = None, confidence: float | None = None, **more: Any) -> Moment:
    return Moment(time.monotonic(), more.pop("health", Health("live")), state, label, confidence, model="kiosk", **more)


# --- What is told ----------------------------------------------------------------------------


@pytest.mark.parametrize("topic", TOPICS)
def test_schema(topic: str) -> None:
    """The message that announces the camera is what Home Assistant's schema of a device takes, whatever the topic; each
    entity reads a field that the states have."""
    message = device.discovery(topic)
    home_assistant.check(device.discovery_topic(topic), message)
    assert json.loads(json.dumps(message)) == message
    assert message["state_topic"] == device.state_topic(topic)
    for key, entity in message["components"].items():
        assert entity["value_template"] == f"{{{{ value_json.{key} }}}}"
        assert key in device.state(moment(), {})


def test_ids_differ() -> None:
    """Two topics are two devices, also where they differ in what an id cannot hold; one is the same every time."""
    assert len({device.device_id(topic) for topic in TOPICS}) == len(TOPICS)
    assert device.device_id("shop/window") == device.device_id("shop/window")
    assert len({device.device_id(topic) for topic in ("a/b", "a b", "a?b", "a-b")}) == 4


def _without(*path: str) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        for key in path[:-1]:
            message = message[key]
        del message[path[-1]]

    return change


def _with(value: Any, *path: str) -> Callable[[Any], None]:
    def change(message: Any) -> None:
        for key in path[:-1]:
            message = message[key]
        message[path[-1]] = value

    return change


@pytest.mark.parametrize(
    "wrong",
    [
        _without("device"),
        _without("origin"),
        _without("origin", "name"),
        _without("components"),
        _without("device", "identifiers"),
        _without("components", "garment", "platform"),
        _without("components", "garment", "unique_id"),
        _with("camera-thing", "components", "garment", "platform"),
        _with("config", "components", "drift", "entity_category"),
        _with("failure", "components", "problem", "device_class"),
        _with("tshirt", "components", "garment", "icon"),
        _with("a/+/b", "state_topic"),
        _with(-1, "components", "garment", "expire_after"),
        _with("%", "components", "drift", "unit_of_measurement"),
    ],
)
def test_the_schema_can_say_no(wrong: Callable[[Any], None]) -> None:
    """The schema that the announcement is held against refuses what Home Assistant would."""
    message = copy.deepcopy(device.discovery("shop/window"))
    wrong(message)
    with pytest.raises(jsonschema.ValidationError):
        home_assistant.check(device.discovery_topic("shop/window"), message)


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        (moment(), {"garment": "Bag", "confidence": 70, "problem": "OFF", "reason": None, "not_sure": None}),
        (moment("garment", "Coat", 0.914), {"garment": "Coat", "confidence": 91, "problem": "OFF"}),
        (moment("unknown", None, 0.4), {"garment": "Bag", "confidence": 70}),
        (
            moment("garment", "Coat", 0.9, health=Health("stale", "the picture is frozen")),
            {"garment": "Bag", "problem": "ON", "reason": "the picture is frozen"},
        ),
        (moment(health=Health("starting")), {"problem": "ON", "reason": "starting"}),
        (
            moment(health=Health("live", failing=("window", "events 2"))),
            {"problem": "ON", "reason": "window fails; events 2 fails"},
        ),
        (moment(figures=Figures(day=Counts(8, 2))), {"not_sure": 25, "drift": "OFF", "drift_of": None}),
        (
            moment(figures=Figures(departing=("brightness", "not_sure"))),
            {"drift": "ON", "drift_of": "mean brightness, garments not sure"},
        ),
    ],
)
def test_states(seen: Moment, told: dict[str, Any]) -> None:
    """The last garment stays with its confidence; a source that is not live, or anything that fails, is a problem with
    its reason; drift and the share of today are told."""
    states = device.state(seen, {"garment": "Bag", "confidence": 70})
    assert {key: states[key] for key in told} == told
    assert all(isinstance(value, str | int | None) for value in states.values())


# --- Over a real broker ----------------------------------------------------------------------


@BROKER
def test_found_and_told(broker: Mosquitto) -> None:
    """Who subscribes later finds device, states and availability, retained; a change is told at once, confidence alone
    is not; at the end the camera is offline."""
    out = HomeAssistant(broker.url())
    out.take(moment("garment", "Coat", 0.9))
    with Subscriber(broker.port) as subscriber:
        subscriber.wait_for(AVAILABLE, "online")
        home_assistant.check(
            device.discovery_topic("shop/window"),
            json.loads(subscriber.messages[device.discovery_topic("shop/window")]),
        )
        subscriber.wait_for(STATE, '"Coat"')
        count = subscriber.count
        for confidence in (0.8, 0.7, 0.6):
            out.take(moment("garment", "Coat", confidence))
        out.take(moment("garment", "Bag", 0.75))
        subscriber.wait_for(STATE, '"Bag"')
        assert subscriber.count == count + 1
        assert json.loads(subscriber.messages[STATE])["confidence"] == 75
    with Subscriber(broker.port) as later:
        later.wait_for(STATE, '"Bag"')
        out.close()
        out.close()
        later.wait_for(AVAILABLE, "offline")


@BROKER
def test_tells_again_while_the_loop_goes_on(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """The states come again and again, so that those of a loop that hangs expire."""
    monkeypatch.setattr(device, "BEAT_S", 0.05)
    assert device.discovery("t")["components"]["garment"]["expire_after"] > 60
    out = HomeAssistant(broker.url())
    with Subscriber(broker.port) as subscriber:
        subscriber.wait_for(AVAILABLE, "online")
        count = subscriber.count

        def told_again() -> bool:
            out.take(moment())
            return subscriber.count > count + 3

        wait_until(told_again, "the states again")
    out.close()


@BROKER
def test_comes_back(broker: Mosquitto, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is away is a fault and holds nobody up; when it is back it gets device and states anew."""
    monkeypatch.setattr(output, "AWAY_S", 0.1)
    monkeypatch.setattr(output, "RETRY_S", (1, 1))
    with Gate(broker) as gate, Subscriber(broker.port) as subscriber:
        spec = broker.url(port=gate.port)
        out = ReopeningOutput(HomeAssistant(spec), lambda: HomeAssistant(spec))
        subscriber.wait_for(AVAILABLE, "online")
        wait_until(lambda: not out.take(moment("garment", "Coat", 0.9)), "no fault")
        gate.shut()
        faults: list[str] = []

        def faulty() -> bool:
            faults.extend(filter(None, [out.take(moment("garment", "Bag", 0.9))]))
            return bool(faults)

        wait_until(faulty, "the fault")
        assert faults[0].startswith(f"127.0.0.1:{gate.port}: ")
        subscriber.wait_for(AVAILABLE, "offline")
        gate.open()
        wait_until(lambda: out.take(moment("garment", "Bag", 0.9)) == "", "the fault's end")
        subscriber.wait_for(AVAILABLE, "online")
        subscriber.wait_for(STATE, '"Bag"')
        out.close()


@BROKER
def test_killed(broker: Mosquitto) -> None:
    """Of a camera that is killed the broker says that it is offline."""
    with Subscriber(broker.port) as subscriber:
        code = f"""
from edgefashion.camera.home_assistant.output import HomeAssistant
out = HomeAssistant({broker.url()!r})
time.sleep(1000)
"""
        with program(code, stdin=subprocess.DEVNULL) as process:
            subscriber.wait_for(AVAILABLE, "online")
            process.kill()
        subscriber.wait_for(AVAILABLE, "offline")


@BROKER
def test_login(tmp_path: Path) -> None:
    """A refused login is a fault that does not show the password, and is not tried again soon."""
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "anna", "RIGHT"], check=True, capture_output=True)
    with Mosquitto(tmp_path / "m", "allow_anonymous false", f"password_file {passwords}", "log_type all") as broker:
        out = HomeAssistant(broker.url(login="anna:WRONG@"))
        wait_until(lambda: out.lacks, "the fault")
        assert "WRONG" not in out.lacks
        assert "the broker answers" in out.lacks
        assert out._client._reconnect_min_delay >= 60
        out.close()
        right = HomeAssistant(broker.url(login="anna:RIGHT@"))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(output, "AWAY_S", 0.0)
            wait_until(lambda: not right.lacks, "the connection")
        right.close()


def test_closes_while_it_connects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Closing does not wait for a name that is being looked up, or a machine that does not answer."""
    begun, end = threading.Event(), threading.Event()

    def connect(*_: object, **__: object) -> None:
        begun.set()
        end.wait()
        raise OSError

    monkeypatch.setattr("socket.create_connection", connect)
    out = HomeAssistant("mqtt://host/a")
    thread = out._client._thread
    assert thread
    assert begun.wait(60)
    out.close()
    assert thread.is_alive()
    end.set()
    wait_until(lambda: not thread.is_alive(), "the thread's end")


def test_lost_while_it_is_closed() -> None:
    """Where the connection is lost as the last word is said, the thread ends all the same."""
    out = HomeAssistant(f"mqtt://127.0.0.1:{free_port()}/a")
    thread = out._client._thread
    assert thread
    out._lost_s = None
    out.close()
    wait_until(lambda: not thread.is_alive(), "the thread's end")


@contextlib.contextmanager
def answering(answer: bytes, certificate: Path | None = None) -> Iterator[int]:
    """Something that answers whatever it is sent so, and hangs up; yields its port."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                if certificate is not None:
                    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                    context.load_cert_chain(certificate)
                    self.request = context.wrap_socket(self.request, server_side=True)
                self.request.recv(4096)
                self.request.sendall(answer)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("scheme", "answer", "words"),
    [
        ("mqtt", None, "Connection refused. Start it or correct the address"),
        ("mqtt", b"", "it hangs up, as what is no MQTT broker does"),
        ("mqtt", b"HTTP/1.1 400 Bad Request\r\n\r\n", "it hangs up, as what is no MQTT broker does"),
        ("mqtt", bytes.fromhex("20020005"), "the broker answers Not authorized. Check the user and password"),
        ("mqtt", bytes.fromhex("20020004"), "the broker answers Bad user name or password. Check the user"),
        ("mqtt", bytes.fromhex("20020003"), "the broker answers Server unavailable. Try again when it is less busy"),
        ("mqtts", b"", "Give the name that its certificate has, or name its authority in SSL_CERT_FILE"),
        ("mqtts", b"HTTP/1.1 400 Bad Request\r\n\r\n", "certificate"),
    ],
)
def test_each_trouble_is_named(
    scheme: str, answer: bytes | None, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why Home Assistant is not told is said with its remedy, without the password; only where the login is refused is
    the next attempt put off."""
    monkeypatch.setattr(output, "AWAY_S", 0.0)
    if scheme == "mqtts" and shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    with answering(answer or b"", certificate(tmp_path) if scheme == "mqtts" else None) as port:
        to = port if answer is not None else free_port()
        out = HomeAssistant(f"{scheme}://anna:SECRET@127.0.0.1:{to}/a")
        wait_until(lambda: words in out.lacks, words)
        assert out.lacks.startswith(f"127.0.0.1:{to}: ")
        assert "SECRET" not in out.lacks
        assert (out._client._reconnect_min_delay >= 60) == ("Check the user" in words)
        out.close()


def test_no_error_ends_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a library raises as it connects is told, and it is tried again."""
    monkeypatch.setattr(output, "AWAY_S", 0.0)
    errors = [ValueError("first"), struct.error("second")]

    def connect(*_: object, **__: object) -> None:
        raise errors.pop(0) if errors else OSError

    monkeypatch.setattr("socket.create_connection", connect)
    out = HomeAssistant("mqtt://host/a")
    for words in ("first", "second"):
        wait_until(lambda words=words: words in out.lacks, words)  # type: ignore[misc]
    out.close()


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("mqtt://a..b/topic", "names no host"),
        ("http://anna:SECRET@host/topic", "no broker's address"),
        ("mqtt://anna:SECRET@host/", "no topic"),
        ("mqtt://anna:SEC/RET@host/topic", "%2F"),
        ("host/topic", "no broker's address"),
    ],
)
def test_bad_address(spec: str, words: str) -> None:
    """What is no broker's address is refused in one line that names the flag and holds no part of the password."""
    with pytest.raises(BadInputError, match="--home-assistant") as caught:
        HomeAssistant(spec)
    assert words in str(caught.value)
    assert "SEC" not in str(caught.value)
