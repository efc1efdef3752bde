"""Events to an MQTT broker, at QoS 2, each with a number by which a double can be told.

An event is a message on the topic, not retained; its payload is the line that a file would get. Its user properties
``run`` (16 hex digits, new at every start) and ``seq`` (1, 2, 3, ...; a gap where some were dropped) name it for good.
``TOPIC/status`` is retained: ``{"state": "online", ...}``, or ``offline`` with the reason, which the broker says
for us when we are lost.

Where the connection is cut, or a broker that saves its sessions is stopped and started again, no event is lost and
none comes twice. A broker that has forgotten our session, or was killed and may have forgotten a part of it, gets
again, in order, what it had not acknowledged to the end: nothing is lost then either, and twice comes only an event
that it had passed on without our getting to know, with the same ``run`` and ``seq``. What a broker has
acknowledged and then forgets is lost. What still waits here when this process ends, or was not acknowledged by then, is
in the outbox's file, and the next start sends it first, under its old name.

All this is MQTT 5. A broker that speaks MQTT 3.1.1 only gets the same messages, without user properties, which it does
not know, and without a session that outlasts the connection: nothing is lost either, and an event that comes twice is
the same line twice.
"""

from __future__ import annotations

import json
import select
import sys
import threading
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera.events.event import now
from edgefashion.camera.events.message import Message
from edgefashion.camera.events.mqtt_client import Broker, make_client, properties
from edgefashion.camera.events.mqtt_failures import HangsUpError, RefusedError, as_error
from edgefashion.camera.events.outbox import Outbox
from edgefashion.camera.events.outgoing import Outgoing
from edgefashion.camera.events.sink import CLOSE_S, backoff
from edgefashion.system import backoff as waits
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from paho.mqtt.client import Client, ConnectFlags, MQTTMessageInfo
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from edgefashion.errors import EdgeFashionError

WINDOW: Final = 10
"""Events on their way at a time, not yet acknowledged to the end, and sent in a twentieth of a second: a broker that
gets what has waited for hours all at once drops what its subscribers cannot take as fast (mosquitto beyond 1,000)."""

KEEPALIVE_S: Final = 15
SESSION_S: Final = 86_400
"""How long the broker is to remember an interrupted session: a day."""

ANSWER_S: Final = 10.0
"""How long a broker may take to answer before that is a fault."""

_GREETINGS: Final = 4
"""Of one attempt to connect, at most: MQTT 5, 3.1.1, and each once more."""

_TICK_S: Final = 0.05


def open_broker(broker: Broker, outbox: Outbox, *, wait: bool = False) -> Mqtt:
    """Connect to ``broker``, to deliver what is put into ``outbox``.

    Raises :class:`BadInputError` for a wrong login, and :class:`MissingError` if no broker answers; with ``wait``,
    events wait for the broker instead.
    """
    sink = Mqtt(broker, outbox)
    if not wait:
        sink.wait_connected()
    return sink


class Mqtt(Outgoing):
    """A sink that publishes. Its one thread does everything, paho's network loop included."""

    def __init__(self, broker: Broker, outbox: Outbox) -> None:
        super().__init__(outbox)
        self._broker = broker
        self._run_id = outbox.run
        # To be sent before anything new, in order.
        self._again: deque[_Sent] = deque()
        # On their way, not yet acknowledged to the end, by their packet identifiers.
        self._sent: dict[int, _Sent] = {}
        self._refused: dict[int, str] = {}
        self._window, self._qos = WINDOW, 2
        self._paced_s, self._budget = 0.0, 0
        self._doubtful = False
        self._answers: list[ReasonCode] = []
        self._goodbye = ""
        self._first: EdgeFashionError | None = None
        self._tried = threading.Event()
        self._older, self._known = False, False
        """Whether MQTT 3.1.1 is spoken, and whether the broker has taken what is spoken."""
        self._client = self._make_client()
        self._thread.start()

    def _make_client(self) -> Client:
        # A new name every time: the broker is not to mix up what an earlier run left half done with this one's.
        name, will = f"edgefashion-{self._run_id}", self._status("offline", "connection lost")
        refuse = self._refused.__setitem__
        client = make_client(self._broker, name, will, refuse, lambda: self._doubtful, older=self._older)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        # Packets are written by loop(), which reads first: a write to a broker that has just ended breaks the
        # connection, and with it goes what the broker had still acknowledged.
        client.on_socket_register_write = lambda *_: None
        return client

    def wait_connected(self) -> None:
        """Wait for the first attempt to connect. Raises what was wrong with it; the sink is closed then."""
        if not self._tried.wait(_GREETINGS * ANSWER_S):
            self._first = as_error(self._broker, TimeoutError("timed out"))
        if self._first:
            with self._changed:
                self._closed = True
                self._changed.notify_all()
            self._outbox.close(CLOSE_S)
            raise self._first

    def fault(self) -> str | None:
        """What keeps events from being delivered right now; None while all is well."""
        oldest = next(iter(list(self._sent.values())), None)
        if not self._fault and oldest and time.monotonic() - oldest.sent_s > ANSWER_S:
            return self._told("the broker acknowledges nothing")
        return super().fault()

    def _told(self, reason: str) -> str:
        return f"{self._broker.host}:{self._broker.port}: {reason}"

    @property
    def _done(self) -> bool:
        return not self._sent and not self._again and self._outbox.empty

    def _run(self) -> None:
        pauses, logins, deadline_s = backoff(), waits.Backoff(*waits.LOGIN_S), float("inf")
        while True:
            locks = False
            try:
                self._connect()
                pauses.reset()
                logins.reset()
                self._tried.set()
                self._serve()
                return
            except Exception as error:  # whatever fails, this thread goes on: the camera runs for months
                # Nobody listens: the broker has ended. Unless it said so, it may come back with an old state, in
                # which what it had from us is missing.
                self._doubtful = self._doubtful or (isinstance(error, ConnectionRefusedError) and not self._goodbye)
                self._fault = self._told(reason_of(error))
                locks = isinstance(error, RefusedError) and error.locks
                if not self._tried.is_set():
                    self._first = as_error(self._broker, error)
                    self._tried.set()
            self._pause((logins if locks else pauses).next_s())
            if self._closed and locks:
                return
            if self._closed:
                deadline_s = min(deadline_s, time.monotonic() + CLOSE_S)
                if self._done or time.monotonic() > deadline_s:
                    return
                time.sleep(_TICK_S)

    def _connect(self) -> None:
        try:
            self._greet()
        except (RefusedError, HangsUpError) as error:
            if self._known or not error.older:
                raise
            self._greet_older(error)
        self._known = True
        self._doubtful, self._fault = False, None
        self._goodbye = ""
        self._say("online")

    def _greet_older(self, error: RefusedError | HangsUpError) -> None:
        """Greet in MQTT 3.1.1 a broker that did not take 5. Raises :class:`OSError`."""
        try:
            self._speak(older=True)
            self._greet()
            if isinstance(error, HangsUpError) and self._takes_newer():
                return
        except OSError as again:
            if not isinstance(again, RefusedError) or again.older:
                self._speak(older=False)
                raise error from again
            if isinstance(error, HangsUpError):
                self._speak(older=False)  # perhaps it was only starting
            raise  # it has understood
        print(f"{self._broker} speaks MQTT 3.1.1: events carry no run and seq there", file=sys.stderr)

    def _takes_newer(self) -> bool:
        """Whether a broker that hung up on MQTT 5 takes it now; else 3.1.1 is spoken again.

        A broker that starts, or what stands before it, hangs up on anything.
        """
        self._client.disconnect()
        self._client.loop(_TICK_S)
        self._speak(older=False)
        try:
            self._greet()
        except (HangsUpError, RefusedError) as error:
            if not error.older:
                raise
            self._speak(older=True)
            self._greet()
            return False
        return True

    def _speak(self, *, older: bool) -> None:
        """Speak MQTT 3.1.1 or 5. Nothing was sent so far."""
        self._older = older
        self._client = self._make_client()

    def _greet(self) -> None:
        """Connect and wait for the answer. Raises :class:`OSError`."""
        self._answers.clear()
        # Not a new session, else mosquitto would not save it; there is none of this name yet.
        session: dict[str, Any] = {
            "clean_start": False,
            "properties": properties("CONNECT", SessionExpiryInterval=SESSION_S),
        }
        self._client.connect(self._broker.host, self._broker.port, KEEPALIVE_S, **({} if self._older else session))
        deadline_s = time.monotonic() + ANSWER_S
        while not self._answers:
            code = self._client.loop(_TICK_S)
            if code and not self._answers:
                raise HangsUpError
            if time.monotonic() > deadline_s:
                raise TimeoutError("it does not answer")
        if self._answers[0].is_failure:
            raise RefusedError(self._answers[0])
        if not self._qos:
            raise ConnectionError("it offers QoS 0 only, which loses messages")

    def _serve(self) -> None:
        """Publish until the sink is closed. Raises :class:`OSError` once the connection is lost."""
        from paho.mqtt.client import error_string

        pauses, resume_s, deadline_s = backoff(), 0.0, float("inf")
        while True:
            if self._closed:
                deadline_s = min(deadline_s, time.monotonic() + CLOSE_S)
                if self._done or time.monotonic() > deadline_s:
                    break
            if self._refused and not self._sent:
                # They are sent again after a while: whoever refuses them may be told to take them.
                self._fault = self._told(f"the broker refuses {self._broker.topic}: {self._refused.popitem()[1]}")
                self._refused.clear()
                self._send_again(())
                resume_s = time.monotonic() + pauses.next_s()
            if time.monotonic() >= resume_s and not self._refused:
                self._send()
            code = self._client.loop(_TICK_S)
            while not code and (socket := self._client.socket()) and select.select([socket], [], [], 0)[0]:
                code = self._client.loop(0)
            if code:
                raise ConnectionError(self._goodbye or error_string(code))
        self._leave()

    def _send(self) -> None:
        """Publish as many as may be on their way at a time."""
        from paho.mqtt.enums import MQTTErrorCode

        now_s = time.monotonic()
        if now_s - self._paced_s >= _TICK_S:
            self._paced_s, self._budget = now_s, WINDOW
        while self._budget and len(self._sent) < self._window:
            if not self._again:
                self._again.extend(self._packed(message) for message in self._outbox.take(self._window))
            if not self._again:
                return
            message = self._again[0]
            payload = message.message.line.encode()
            info = self._client.publish(self._broker.topic, payload, self._qos, properties=message.properties)
            if info.rc == MQTTErrorCode.MQTT_ERR_QUEUE_SIZE:  # the packet identifier is still in use
                return
            message.sent_s = now_s
            self._budget -= 1
            self._sent[info.mid] = self._again.popleft()

    def _packed(self, message: Message) -> _Sent:
        named = [("run", message.run), ("seq", str(message.seq))]
        made = None
        if not self._older:
            made = properties("PUBLISH", UserProperty=named, ContentType="application/json")
        return _Sent(message, made)

    def _send_again(self, messages: Iterable[_Sent]) -> None:
        self._again = deque(sorted([*messages, *self._again], key=lambda sent: sent.message.number))

    def _say(self, state: str, reason: str | None = None) -> MQTTMessageInfo:
        payload = self._status(state, reason, time=now())
        return self._client.publish(self._broker.status_topic, payload, qos=1, retain=True)

    def _status(self, state: str, reason: str | None, **more: str) -> str:
        return json.dumps({"state": state, "reason": reason, "run": self._run_id, **more})

    def _leave(self) -> None:
        said, deadline_s = self._say("offline", "ended"), time.monotonic() + 1
        while not said.is_published() and time.monotonic() < deadline_s and not self._client.loop(_TICK_S):
            pass
        self._client.disconnect(properties=None if self._older else properties("DISCONNECT", SessionExpiryInterval=0))
        self._client.loop(_TICK_S)

    def _on_connect(
        self, client: Client, _: object, flags: ConnectFlags, answer: ReasonCode, offered: Properties | None
    ) -> None:
        self._answers.append(answer)
        if answer.is_failure:
            return
        self._window = min(WINDOW, getattr(offered, "ReceiveMaximum", WINDOW))
        self._qos = min(2, getattr(offered, "MaximumQoS", 2))
        if flags.session_present:
            for message in self._sent.values():
                message.sent_s = time.monotonic()
        else:
            # The broker knows nothing of what was on its way. Left to itself paho would finish there what was
            # never begun, and the event would be lost.
            client.drop_out_messages()
            self._send_again(self._sent.values())
            self._sent.clear()
            self._refused.clear()

    def _on_disconnect(
        self, _client: Client, _: object, flags: Any, reason: ReasonCode, _given: Properties | None
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            self._goodbye = str(reason)

    def _on_publish(self, _client: Client, _: object, mid: int, reason: ReasonCode, _given: Properties | None) -> None:
        message = self._sent.pop(mid, None)
        if message is None:
            return  # our status
        if self._qos == 1 and reason.is_failure:
            self._refused[mid] = str(reason)
        if mid in self._refused:
            self._again.append(message)
            return
        self._outbox.delivered(message.message)
        if not self._refused:
            self._fault = None


@dataclass
class _Sent:
    message: Message
    properties: Properties | None
    sent_s: float = 0.0
