"""A broker's address taken apart, and paho's client made for it: MQTT 5 or 3.1.1, TLS, login and last will."""

from __future__ import annotations

import re
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from edgefashion.errors import BadInputError
from edgefashion.system import addresses

if TYPE_CHECKING:
    from collections.abc import Callable

    from paho.mqtt.client import Client
    from paho.mqtt.enums import MQTTErrorCode
    from paho.mqtt.properties import Properties

EXAMPLE: Final = "mqtt://user:password@host:1883/shop/window"

WILL_DELAY_S: Final = 5
"""How long we may be away before the broker calls us offline."""


_LONGEST_TEXT: Final = 65_535
"""Bytes of a text in a packet of MQTT's."""

_LONGEST_NAME: Final = 23
"""Characters of a client's name that every broker of MQTT 3.1.1 takes."""


@dataclass(frozen=True)
class Broker:
    """Where events go. The account shows in no text of this object."""

    host: str
    port: int
    topic: str
    tls: bool = False
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def status_topic(self) -> str:
        """Where it is told whether we are there."""
        return f"{self.topic}/status"

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}/{self.topic}"


def parse(spec: str, setting: str = "--events") -> Broker:
    """``mqtt://[user:password@]host[:port]/topic`` taken apart, as ``setting`` has it.

    Raises :class:`BadInputError`, without the password.
    """
    shown = addresses.shown(spec)
    addresses.check_whole(spec)
    try:
        url = urlsplit(spec)
        if re.search("[?#]", spec) or "@" in url.path:
            # Perhaps a password with one of these in it; what was taken for a host is none then.
            raise BadInputError(
                f"{setting} {shown}: a topic has no + or #; in a user or password write @ / : ? # "
                "as %40 %2F %3A %3F %23"
            )
        port = url.port
        host = url.hostname or ""
        topic = unquote(url.path.removeprefix("/"), errors="strict")
        user, password = (unquote(text or "", errors="strict") or None for text in (url.username, url.password))
        topic_bytes, *account_bytes = (len((text or "").encode()) for text in (topic, user, password))
    except ValueError:
        # Without its cause: that may name a part of the password.
        raise BadInputError(f"{setting} {shown} is no broker's address. Write it like {EXAMPLE}") from None
    if url.scheme not in ("mqtt", "mqtts"):
        raise BadInputError(f"{setting} {shown} is no broker's address. Write it like {EXAMPLE}")
    if not addresses.is_host(host) or port == 0:
        raise BadInputError(f"{setting} {shown} names no host or port. Write it like {EXAMPLE}")
    if not topic or re.search(r"[+#\x00]", topic) or topic.startswith("$") or topic_bytes > 60_000:
        raise BadInputError(
            f"{setting} {shown} names no topic that can be written to (no +, no #, no $ first). Write it like {EXAMPLE}"
        )
    if password and not user:
        raise BadInputError(f"{setting} {shown} has a password but no user. Write it like {EXAMPLE}")
    if max(account_bytes) > _LONGEST_TEXT:
        raise BadInputError(f"{setting} {shown}: its user or password is too long for a broker. Give another one")
    tls = url.scheme == "mqtts"
    return Broker(host, port or (8883 if tls else 1883), topic, tls, user, password)


def properties(packet: str, **values: Any) -> Properties:
    """MQTT 5 properties of a packet: ``properties("CONNECT", SessionExpiryInterval=60)``."""
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.properties import Properties

    made = Properties(getattr(PacketTypes, packet))  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(made, name, value)
    return made


def make_client(
    broker: Broker,
    name: str,
    will: str,
    on_refusal: Callable[[int, str], None],
    is_doubtful: Callable[[], bool],
    *,
    older: bool = False,
) -> Client:
    """A client that has yet to connect. ``will`` is what the broker says, retained, when we are lost.

    ``on_refusal`` is told the packet identifier and the reason of a message that the broker does not take.
    ``is_doubtful`` is asked whether the broker may have forgotten messages that it has had from us. ``older``: it is to
    speak MQTT 3.1.1, in which a message has no properties, and a session that is to outlast the connection outlasts the
    client too: it begins a new one each time.
    """
    from paho.mqtt import client as paho
    from paho.mqtt.enums import CallbackAPIVersion, MessageState, MQTTProtocolVersion
    from paho.mqtt.packettypes import PacketTypes
    from paho.mqtt.reasoncodes import ReasonCode

    class Listening(paho.Client):
        def _handle_pubrec(self) -> MQTTErrorCode:
            # paho overhears that a broker refuses a message of QoS 2, and would call it published.
            packet = self._in_packet["packet"]
            if len(packet) > 2 and packet[2] >= 0x80:
                reason = ReasonCode(PacketTypes.PUBREC, identifier=packet[2])
                on_refusal(int.from_bytes(packet[:2], "big"), str(reason))
            return super()._handle_pubrec()

        def _messages_reconnect_reset_out(self) -> None:
            # paho forgets at the second attempt to come back that a message is to be released only, and sends
            # it a second time; which is right only where the broker may not have it any more.
            releasing = [m for m in self._out_messages.values() if m.state == MessageState.MQTT_MS_RESEND_PUBREL]
            super()._messages_reconnect_reset_out()
            for message in releasing if not is_doubtful() else ():
                message.state = MessageState.MQTT_MS_RESEND_PUBREL

    if older:
        client = Listening(
            CallbackAPIVersion.VERSION2,
            client_id=name[:_LONGEST_NAME],
            protocol=MQTTProtocolVersion.MQTTv311,
            reconnect_on_failure=False,  # paho would try 3.1 by itself
        )
    else:
        client = Listening(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
    client.connect_timeout = 5.0
    if broker.user is not None:
        client.username_pw_set(broker.user, broker.password)
    if broker.tls:
        client.tls_set_context(ssl.create_default_context())
    delay = None if older else properties("WILLMESSAGE", WillDelayInterval=WILL_DELAY_S)
    client.will_set(broker.status_topic, will, qos=1, retain=True, properties=delay)
    return client
