"""What can go wrong with a broker: what a person can do about it, and whether trying again may lock an account."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final

from edgefashion.errors import BadInputError, EdgeFashionError, MissingError
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    from paho.mqtt.reasoncodes import ReasonCode

    from edgefashion.camera.events.mqtt_client import Broker

_LOGINS: Final = (0x86, 0x87, 0x8A, 0x8C)
"""Bad user name or password, not authorized, banned, bad authentication method: MQTT 5, 3.2.2.2, into which paho also
translates the codes of 3.1.1."""

_OLDER: Final = 0x84
"""Unsupported protocol version."""

_WAIT: Final = "Try again when it is less busy"
_PERMIT: Final = "Let the broker take retained messages of QoS 1 on TOPIC/status"
_REMEDIES: Final = {
    **dict.fromkeys(_LOGINS, "Check the user and password, and what the broker lets them do"),
    _OLDER: "Use a broker that speaks MQTT 5 or 3.1.1",
    0x85: "Let the broker take any client's name",
    **dict.fromkeys((0x88, 0x89, 0x97, 0x9F), _WAIT),
    **dict.fromkeys((0x90, 0x95, 0x9A, 0x9B), _PERMIT),
    **dict.fromkeys((0x9C, 0x9D), "Give the address of the broker that took its place"),
}
_AWAY: Final = (0x88, 0x89, 0x97, 0x9F)


class RefusedError(ConnectionError):
    """The broker has answered, with a no."""

    def __init__(self, code: ReasonCode) -> None:
        super().__init__(f"the broker answers {code}")
        self.code = int(code.value)

    @property
    def locks(self) -> bool:
        """True of a login: a few more tries may lock the account."""
        return self.code in _LOGINS

    @property
    def older(self) -> bool:
        """True where the broker does not speak this version of MQTT."""
        return self.code == _OLDER


class HangsUpError(ConnectionError):
    """It has ended the connection instead of an answer: as an older broker does, and what is none."""

    older = True
    """As :attr:`RefusedError.older`: it may be."""

    def __init__(self) -> None:
        super().__init__("it hangs up, as what is no MQTT broker does, or one that wants TLS (mqtts://)")


def as_error(broker: Broker, error: Exception) -> EdgeFashionError:
    """What to raise for the first failure to connect."""
    if isinstance(error, RefusedError):
        kind = MissingError if error.code in _AWAY else BadInputError
        return kind(f"--events {broker}: {told(error)}")
    return MissingError(f"--events {broker}: no broker answers ({reason_of(error)}). {_remedy(error)}")


def told(error: Exception) -> str:
    """A failure to connect, and what to do about it."""
    return f"{reason_of(error)}. {_remedy(error)}"


def _remedy(error: Exception) -> str:
    if isinstance(error, RefusedError):
        return _REMEDIES.get(error.code, "The log of the broker tells more")
    if isinstance(error, ssl.SSLCertVerificationError):
        return "Give the name that its certificate has, or name its authority in SSL_CERT_FILE"
    if isinstance(error, ssl.SSLError):
        return "Write mqtt:// if it has no TLS, or correct the port"
    if isinstance(error, socket.gaierror):
        return "Check the name, or give the address in numbers"
    if isinstance(error, TimeoutError):
        return "See that it is switched on and in this network, or correct the address"
    if isinstance(error, HangsUpError):
        return "Correct the port, or write mqtts://"
    return "Start it or correct the address"
