"""An output that keeps a device of Home Assistant's up to date over an MQTT broker."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any, Final

from edgefashion.camera.events.mqtt_client import parse
from edgefashion.camera.events.mqtt_failures import HangsUpError, RefusedError, told
from edgefashion.camera.home_assistant import device
from edgefashion.system.backoff import LOGIN_S
from edgefashion.system.extras import need

if TYPE_CHECKING:
    from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags
    from paho.mqtt.enums import MQTTErrorCode
    from paho.mqtt.properties import Properties
    from paho.mqtt.reasoncodes import ReasonCode

    from edgefashion.camera.moment import Moment

FLAG: Final = "--home-assistant"

RETRY_S: Final = (1, 30)
"""First and longest wait before the broker is tried again."""
AWAY_S: Final = 10.0
"""A broker that is away for so long is a fault."""
KEEPALIVE_S: Final = 15
LEAVE_S: Final = 1.0
"""How long closing waits for the word that the camera is offline, and for the end of the connection."""

_LATE: Final = 0x8D
"""What paho says of a broker that has sent nothing for so long: MQTT 5, "Keep Alive timeout"."""


class HomeAssistant:
    """An :class:`~edgefashion.camera.moment.Output`. It never waits: paho has a thread of its own, which connects again
    whenever the connection is lost.

    Args:
        spec: ``mqtt://[user:password@]host[:port]/topic``, or ``mqtts://``; below ``topic`` are the device's own.

    Raises:
        BadInputError: an address that is none.
        MissingError: the extra ``mqtt`` is not installed.
    """

    name = "home assistant"
    shows = False
    keeping = None

    def __init__(self, spec: str) -> None:
        self._broker = parse(spec, FLAG)
        need("paho", f"for {FLAG}")
        self._state: dict[str, Any] = {}
        self._told_s = float("-inf")
        self._trouble: Exception = _no_answer()
        """Why the broker is away, while it is."""
        self._heard = False
        """Whether it has answered the latest attempt to connect, be it with a no."""
        self._lost_s: float | None = time.monotonic()
        """Since when the broker is away; None while it is there."""
        self._client = self._make_client()
        self._client.connect_async(self._broker.host, self._broker.port, KEEPALIVE_S)
        self._client.loop_start()

    @property
    def lacks(self) -> str:
        """What keeps Home Assistant from being told; empty while nothing does."""
        lost_s, trouble = self._lost_s, self._trouble
        if lost_s is None or not (isinstance(trouble, RefusedError) or time.monotonic() - lost_s > AWAY_S):
            return ""
        return f"{self._broker.host}:{self._broker.port}: {told(trouble)}"

    def take(self, moment: Moment) -> None:
        """Tell what has changed, and all of it now and then; confidence alone is no change."""
        told = device.state(moment, self._state)
        changed = any(told[key] != self._state.get(key) for key in told if key != "confidence")
        if changed or time.monotonic() - self._told_s >= device.BEAT_S:
            self._state, self._told_s = told, time.monotonic()
            if self._lost_s is None:
                self._say_state()

    def keys(self) -> str:
        """None."""
        return ""

    def close(self) -> None:
        """Say that the camera is offline, and leave, in a few seconds at most. May be called twice."""
        if self._lost_s is None:
            with contextlib.suppress(RuntimeError, ValueError):  # the connection has ended just now
                said = self._say(device.availability_topic(self._broker.topic), "offline")
                until_s = time.monotonic() + LEAVE_S
                while not said.is_published() and time.monotonic() < until_s:
                    time.sleep(0.02)
            self._lost_s = time.monotonic()
        self._client.disconnect()
        # paho would wait for a name that is being looked up, or a machine that does not answer.
        ending = threading.Thread(target=self._client.loop_stop, name="home assistant", daemon=True)
        ending.start()
        ending.join(LEAVE_S)

    def _make_client(self) -> Client:
        from paho.mqtt import client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        class Noting(paho.Client):
            def reconnect(noting) -> MQTTErrorCode:  # noqa: N805 - self is the output
                self._heard = False
                try:
                    code = super().reconnect()
                except Exception as error:
                    self._trouble = error
                    raise OSError from error  # the one kind that does not end paho's thread
                if not isinstance(self._trouble, RefusedError):
                    self._trouble = _no_answer()
                return code

        # MQTT 3.1.1, which every broker speaks: nothing of 5 is needed.
        client = Noting(CallbackAPIVersion.VERSION2, client_id=f"edgefashion-{uuid.uuid4().hex[:11]}")
        client.reconnect_delay_set(*RETRY_S)
        client.connect_timeout = 5.0
        if self._broker.user is not None:
            client.username_pw_set(self._broker.user, self._broker.password)
        if self._broker.tls:
            client.tls_set_context(ssl.create_default_context())
        client.will_set(device.availability_topic(self._broker.topic), "offline", qos=1, retain=True)
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        return client

    def _say(self, topic: str, what: dict[str, Any] | str, qos: int = 1) -> Any:
        return self._client.publish(topic, what if isinstance(what, str) else json.dumps(what), qos=qos, retain=True)

    def _say_state(self) -> None:
        # Once, without waiting for an answer: an older state that is sent anew after a break would come after this one.
        # All of it is told again with each connection, and now and then.
        self._say(device.state_topic(self._broker.topic), self._state, qos=0)

    def _on_connect(
        self, client: Client, _: object, _flags: ConnectFlags, answer: ReasonCode, _given: Properties | None
    ) -> None:
        self._heard = True
        if answer.is_failure:
            refused, before = RefusedError(answer), self._trouble
            if refused.locks and not (isinstance(before, RefusedError) and before.locks):
                client.reconnect_delay_set(int(LOGIN_S[0]), int(LOGIN_S[1]))
            self._trouble = refused
            return
        client.reconnect_delay_set(*RETRY_S)
        topic = self._broker.topic
        # In this order: the entities are there before their states come.
        self._say(device.discovery_topic(topic), device.discovery(topic))
        if self._state:
            self._say_state()
        self._say(device.availability_topic(topic), "online")
        self._lost_s, self._trouble = None, _no_answer()

    def _on_disconnect(
        self, _client: Client, _: object, _flags: DisconnectFlags, reason: ReasonCode, _given: Properties | None
    ) -> None:
        self._lost_s = self._lost_s or time.monotonic()
        if not self._heard and reason.value != _LATE:
            self._trouble = HangsUpError()


def _no_answer() -> TimeoutError:
    return TimeoutError("the broker does not answer")
