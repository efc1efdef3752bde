"""Brokers that refuse, are old, or are none: each failure has its own words and remedy, and logins are tried seldom."""

from __future__ import annotations

import contextlib
import shutil
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator

import pytest
from helpers.camera import wait_until
from helpers.events import parse, tell
from helpers.mqtt import Mosquitto, Subscriber

from edgefashion.camera.events.open import open_sink
from edgefashion.errors import BadInputError, EdgeFashionError, MissingError

pytest.importorskip("paho.mqtt", reason='paho-mqtt is not installed (pip install "edgefashion[mqtt]")')

_LEVEL = 8
"""Where the version of MQTT stands in a CONNECT of less than 128 bytes; one byte later in a longer one."""


class Front:
    """Stands before a broker and answers each CONNECT by its version; None passes it on to the broker behind."""

    def __init__(self, answers: dict[int, bytes | None], behind: int = 0, *, starts: bool = False) -> None:
        """``starts``: it hangs up on the first of all."""
        self.versions: list[int] = []
        front = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                packet = self.request.recv(4096)
                version = packet[_LEVEL + (packet[1] > 127)] if packet[:1] == b"\x10" else 0
                front.versions.append(version)
                answer = HANGS_UP if starts and len(front.versions) == 1 else answers.get(version, HANGS_UP)
                if answer is None:
                    front._pass_on(self.request, packet, behind)
                else:
                    self.request.sendall(answer)

        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Front:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @staticmethod
    def _pass_on(client: socket.socket, packet: bytes, port: int) -> None:
        with socket.create_connection(("127.0.0.1", port)) as broker:
            broker.sendall(packet)

            def back() -> None:
                with contextlib.suppress(OSError):
                    while data := broker.recv(4096):
                        client.sendall(data)

            thread = threading.Thread(target=back, daemon=True)
            thread.start()
            with contextlib.suppress(OSError):
                while data := client.recv(4096):
                    broker.sendall(data)
                broker.shutdown(socket.SHUT_WR)
            thread.join(5)


HANGS_UP = b""
OLD_NO, NEW_NO = bytes.fromhex("20020001"), bytes.fromhex("2003008400")
"""Unacceptable protocol version, as a broker of 3.1.1 says it, and as one of 5 does."""
BUSY = bytes.fromhex("20020003")
"""Server unavailable."""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with Mosquitto(tmp_path_factory.mktemp("mosquitto"), "log_type all") as running:
        yield running


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
@pytest.mark.parametrize(
    ("answer", "starts"),
    [(HANGS_UP, False), (OLD_NO, False), (NEW_NO, False), (OLD_NO, True)],
    ids=["hangs up", "refuses", "refuses by 5", "refuses, but for the first time"],
)
def test_an_older_broker(broker: Mosquitto, capsys: pytest.CaptureFixture[str], answer: bytes, starts: bool) -> None:
    """A broker that speaks MQTT 3.1.1 only gets every event once, whichever way it says so, and the status; one line
    tells what such events lack."""
    if shutil.which("mosquitto_sub") is None:
        pytest.skip("mosquitto_sub is not installed (apt-get install mosquitto-clients)")
    heard = broker.log.count("SUBACK")
    topic = f"old/{heard}"
    command = [
        "mosquitto_sub",
        "-p",
        str(broker.port),
        "-V",
        "311",
        "-q",
        "2",
        "-t",
        f"{topic}/#",
        "-C",
        "13",
        "-F",
        "%t %p",
    ]
    with (
        Front({5: answer, 4: None}, broker.port, starts=starts) as front,
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as subscriber,
    ):
        assert subscriber.stdout
        wait_until(lambda: broker.log.count("SUBACK") > heard, "the subscription")
        sink = open_sink(broker.url(topic, port=front.port))
        tell(sink, range(12))
        lines = list(subscriber.stdout)
        sink.close()
        assert sink.lost == 0
        assert front.versions == ([5, 4, 5, 4] if answer == HANGS_UP or starts else [5, 4])
    events = [line.partition(" ")[2] for line in lines if line.startswith(f"{topic} ")]
    assert [event["frame"] for event in parse("".join(events))] == list(range(12))
    assert sum(line.startswith(f"{topic}/status") for line in lines) == 1
    assert capsys.readouterr().err.count("3.1.1") == 1


@pytest.mark.linux_only("the broker is Debian's mosquitto, steered by POSIX's signals")
@pytest.mark.parametrize("older", [None, BUSY], ids=["takes", "refuses"])
def test_a_broker_that_was_starting(broker: Mosquitto, capsys: pytest.CaptureFixture[str], older: bytes | None) -> None:
    """A broker that hangs up once, as while it starts, is not taken for an older one, whatever it then says to MQTT
    3.1.1: events carry run and seq."""
    topic = f"new/{older is None}"
    with (
        Front({5: None, 4: older}, broker.port, starts=True) as front,
        Subscriber(broker, topic=topic) as subscriber,
    ):
        sink = open_sink(broker.url(topic, port=front.port), wait=True)
        tell(sink, range(3))
        wait_until(lambda: subscriber.numbers == [1, 2, 3], "the events by their numbers")
        sink.close()
        assert front.versions == [5, 4, 5]
    assert "3.1.1" not in capsys.readouterr().err


REFUSALS = [
    ({5: b"\x20\x03\x00\x86\x00"}, BadInputError, "Check the user and password", True),
    ({5: b"\x20\x03\x00\x87\x00"}, BadInputError, "Check the user and password", True),
    ({5: b"\x20\x03\x00\x8a\x00"}, BadInputError, "Banned. Check the user", True),
    ({5: HANGS_UP, 4: b"\x20\x02\x00\x04"}, BadInputError, "Check the user and password", True),
    ({5: OLD_NO, 4: b"\x20\x02\x00\x05"}, BadInputError, "Check the user and password", True),
    ({5: OLD_NO, 4: b"\x20\x02\x00\x01"}, BadInputError, "speaks MQTT 5 or 3.1.1", False),
    ({5: b"\x20\x03\x00\x85\x00"}, BadInputError, "any client's name", False),
    ({5: b"\x20\x03\x00\x9a\x00"}, BadInputError, "retained messages", False),
    ({5: b"\x20\x03\x00\x9d\x00"}, BadInputError, "took its place", False),
    ({5: b"\x20\x03\x00\x88\x00"}, MissingError, "less busy", False),
    ({5: HANGS_UP, 4: HANGS_UP}, MissingError, "hangs up, as what is no MQTT broker does", False),
]


@pytest.mark.parametrize(("answers", "kind", "words", "locks"), REFUSALS)
def test_each_refusal_is_named(
    answers: dict[int, bytes | None],
    kind: type[EdgeFashionError],
    words: str,
    locks: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What a broker refuses for is told with its own remedy; of these only a refused login is not tried again soon."""
    monkeypatch.setattr("edgefashion.camera.events.sink.RETRY_S", (0.05, 0.1))
    with Front(answers) as front:
        with pytest.raises(kind) as caught:
            open_sink(f"mqtt://me:wr0ng@127.0.0.1:{front.port}/a/b")
        assert words in str(caught.value)
        assert "wr0ng" not in str(caught.value)
        tries = len(front.versions)
        assert tries == len(answers)
        sink = open_sink(f"mqtt://me:wr0ng@127.0.0.1:{front.port}/a/b", wait=True)
        wait_until(sink.fault, "the fault")
        if locks:
            threading.Event().wait(0.5)
            assert len(front.versions) == 2 * tries
        else:
            wait_until(lambda: len(front.versions) >= 4 * tries, "more attempts")
        assert "wr0ng" not in (sink.fault() or "")
        sink.close()
