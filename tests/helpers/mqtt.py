"""What the MQTT tests share: a real broker to stop and restart, a subscriber, and a connection to cut at will."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from helpers.camera import PATIENCE_S, wait_until

if TYPE_CHECKING:
    pass

PUBLISH, PUBREC, PUBREL, PUBCOMP = 3, 5, 6, 7
"""MQTT's packet types."""


def free_port() -> int:
    """A port on this machine that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """The broker from Debian's package, on 127.0.0.1, with the lines of configuration that it is given."""

    def __init__(self, folder: Path, *lines: str, persistent: bool = False) -> None:
        # Debian puts it where a plain user's PATH does not reach.
        program = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            if os.environ.get("EDGEFASHION_TEST_BROKER") == "required":
                pytest.fail("no broker: apt-get install mosquitto mosquitto-clients")
            pytest.skip("mosquitto is not installed (apt-get install mosquitto mosquitto-clients)")
        self.port = free_port()
        self._folder = folder
        folder.mkdir(exist_ok=True)
        kept = [f"persistence_location {folder}/", "autosave_on_changes true", "autosave_interval 1"]
        own = [
            f"listener {self.port} 127.0.0.1",
            f"persistence {str(persistent).lower()}",
            *(kept if persistent else ()),
        ]
        if os.name == "posix" and os.geteuid() == 0:
            own.append("user root")
        if not any(line.startswith("allow_anonymous") for line in lines):
            own.append("allow_anonymous true")
        (folder / "mosquitto.conf").write_text("\n".join([*own, *lines, ""]))
        self._command = [program, "-c", str(folder / "mosquitto.conf")]
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop(signal.SIGKILL)

    @property
    def log(self) -> str:
        """What it has said."""
        return (self._folder / "mosquitto.log").read_text()

    def url(self, topic: str = "shop/window", login: str = "", scheme: str = "mqtt", port: int | None = None) -> str:
        return f"{scheme}://{login}127.0.0.1:{port or self.port}/{topic}"

    def start(self) -> None:
        """Start, and return once it listens."""
        with (self._folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)

        def listens() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, self.log
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            return False

        wait_until(listens, "the broker")

    def save(self) -> None:
        """Have its state saved as it is now, as it saves it every half hour."""
        assert self.process is not None
        said = self.log.count("Saving in-memory database")
        self.process.send_signal(signal.SIGUSR1)
        wait_until(lambda: self.log.count("Saving in-memory database") > said, "the state to be saved")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End it by a signal, and return once it has ended."""
        if self.process:
            process, self.process = self.process, None
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            process.wait(PATIENCE_S)


class Subscriber:
    """A second paho client, that notes every message on the topic and below, and comes back by itself."""

    def __init__(self, broker: Mosquitto, qos: int = 2, topic: str = "shop/window") -> None:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

        self.messages: list[tuple[int, str]] = []
        """(seq, payload) of each event as it came, doubles and all."""
        self.runs: set[str] = set()
        self.statuses: list[str] = []
        self.connected = threading.Event()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=f"subscriber-{qos}", protocol=MQTTProtocolVersion.MQTTv5
        )
        self._client.reconnect_delay_set(0.1, 0.1)  # type: ignore[arg-type]

        self.session_kept = False
        """The broker knew us when we came back: it has saved its state."""

        def on_connect(client: Any, _: object, flags: Any, *__: object) -> None:
            self.session_kept = flags.session_present
            client.subscribe(f"{topic}/#", qos)

        def on_message(_client: Any, _: object, message: Any) -> None:
            if message.topic.endswith("/status"):
                self.statuses.append(message.payload.decode())
            else:
                named = dict(message.properties.UserProperty)
                self.runs.add(named["run"])
                self.messages.append((int(named["seq"]), message.payload.decode()))

        self._client.on_connect = on_connect
        self._client.on_subscribe = lambda *_: self.connected.set()
        self._client.on_disconnect = lambda *_: self.connected.clear()
        self._client.on_message = on_message
        from edgefashion.camera.events.mqtt_client import properties

        kept = properties("CONNECT", SessionExpiryInterval=3600)
        self._client.connect("127.0.0.1", broker.port, clean_start=False, properties=kept)
        self._client.loop_start()

    def __enter__(self) -> Self:
        assert self.connected.wait(PATIENCE_S)
        return self

    def __exit__(self, *error: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    @property
    def numbers(self) -> list[int]:
        """The events' numbers as they came."""
        return [number for number, _ in self.messages]

    def once(self) -> list[int]:
        """The events' numbers as they came first, doubles left out."""
        return list(dict.fromkeys(self.numbers))


class Gate:
    """Stands between a client and a broker: passes on MQTT packets until it is told to cut, at a packet if need be."""

    def __init__(self, broker: Mosquitto) -> None:
        self._to = broker.port
        self._open = threading.Event()
        self._open.set()
        self._cut_at: tuple[str, int] | None = None
        self._sockets: list[socket.socket] = []
        self.cuts = 0
        self.refusals = 0
        self.port = 0
        self._listen()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.refuse()

    def _listen(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def shut(self) -> None:
        """Cut every connection, and let none through until :meth:`open`."""
        self._open.clear()
        self._break()

    def refuse(self) -> None:
        """As :meth:`shut`, and nobody listens, as where the broker itself has ended."""
        self.shut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def open(self) -> None:
        """Let everything through again."""
        self._open.set()
        if self._listener.fileno() < 0:
            self._listen()

    def cut_at(self, packet: int, *, towards: str) -> None:
        """Shut instead of passing on the next ``packet`` towards ``broker`` or ``client``."""
        self._cut_at = (towards, packet)

    def _break(self) -> None:
        for one in self._sockets:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._sockets = []

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                try:
                    if not self._open.is_set():
                        self.refusals += 1
                        raise ConnectionError
                    broker = socket.create_connection(("127.0.0.1", self._to))
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, broker]
                for source, sink, towards in ((client, broker, "broker"), (broker, client, "client")):
                    threading.Thread(target=self._pass_on, args=(source, sink, towards), daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket, towards: str) -> None:
        with contextlib.suppress(OSError, ValueError, EOFError):
            file = source.makefile("rb")
            while True:
                head = _read(file, 1)
                length, shift = 0, 0
                while True:
                    head += _read(file, 1)
                    length |= (head[-1] & 127) << shift
                    shift += 7
                    if head[-1] < 128:
                        break
                packet = head + _read(file, length)
                if (towards, packet[0] >> 4) == self._cut_at:
                    self._cut_at = None
                    self._open.clear()
                    self.cuts += 1
                    self._break()
                    return
                sink.sendall(packet)
        for one in (source, sink):  # who leaves leaves the other too
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


def _read(file: Any, size: int) -> bytes:
    data: bytes = file.read(size)
    if len(data) < size:
        raise EOFError
    return data
