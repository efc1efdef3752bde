"""Why a source cannot be read: for each kind of failure what a person can do about it, and when to try again.

A camera that was off comes back by itself and is looked for all the time. A refused login is tried seldom: cameras
lock an account after a few wrong passwords. What only a person can mend is tried now and then.
"""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from typing import Final

from edgefashion.system.backoff import LOGIN_S
from edgefashion.system.text import reason_of

RETRY_S: Final = (0.25, 1.25)
"""First and longest wait before a source that comes back by itself is opened again. The longest wait, its spread, the
second that a silent host is waited for and the opening together stay under 3 s, within which it is to be seen."""

MENDED_S: Final = (5.0, 60.0)
"""The same where somebody has to mend something."""

BUSY_S: Final = (2.0, 30.0)
"""The same for a server that is busy or broken, which more requests do not help."""


@dataclass(frozen=True)
class Kind:
    """A kind of failure."""

    remedy: str
    """What to do, as a phrase."""
    retry_s: tuple[float, float] = MENDED_S
    """First and longest wait before the next attempt."""
    bad_input: bool = False
    """True where what was given is wrong, not the camera away."""


_IS_ON: Final = "see that it is switched on and that the address is right"
_ESCAPE: Final = "in a user or password write @ / : ? # as %40 %2F %3A %3F %23"

KINDS: Final = {
    "lost": Kind("check that it is there and try again", RETRY_S),
    "refused": Kind("see that it is switched on and that the port is right", RETRY_S),
    "silent": Kind(f"{_IS_ON}, and that it is in this network", RETRY_S),
    "name": Kind("check the name, or give the address in numbers", (1.0, 10.0)),
    "address": Kind(f"correct the address; {_ESCAPE}", bad_input=True),
    "login wanted": Kind("write them into the address: //USER:PASSWORD@HOST", LOGIN_S, bad_input=True),
    "login": Kind(
        f"correct them ({_ESCAPE}); it is tried seldom, because cameras lock an account", LOGIN_S, bad_input=True
    ),
    "login kind": Kind("switch the camera's login to digest or basic", LOGIN_S, bad_input=True),
    "forbidden": Kind("let the camera allow this account, or this machine, to watch", LOGIN_S, bad_input=True),
    "path": Kind("correct the path; the camera's manual names it", bad_input=True),
    "busy": Kind("end another viewer, or give the camera's second stream", BUSY_S),
    "server": Kind("restart the camera if this stays", BUSY_S),
    "transport": Kind("let the camera send RTSP over TCP, or give another of its streams", bad_input=True),
    "request": Kind("correct the address; the camera's manual names it", bad_input=True),
    "redirect": Kind("give the address that it leads to", bad_input=True),
    "tls": Kind("write http:// or rtsp:// if it has no encryption, else update it", bad_input=True),
    "certificate": Kind("give the certificate of the camera, or of who signed it, as #ca=FILE", bad_input=True),
    "unchecked": Kind("leave #ca= out, or give an https:// address of motion JPEG or a picture", bad_input=True),
    "page": Kind("give the address of the stream itself; the camera's manual names it", bad_input=True),
    "no pictures": Kind("see in a browser what it shows there, and restart it if that is no picture either"),
    "spoiled": Kind("give another one", bad_input=True),
    "broke off": Kind("try again"),
    "over": Kind("give a stream that goes on"),
    "nothing sent": Kind("check the sender's address and port, and the firewall", RETRY_S),
    "sdp": Kind("give the .sdp file that describes it, or let it send MPEG-TS", bad_input=True),
    "no sdp": Kind("give the file that the sender of the video writes", bad_input=True),
    "port": Kind("end the program that has it, or choose another port"),
    "no device": Kind("plug it in, or give another number; edgefashion doctor lists the cameras", RETRY_S),
    "not allowed": Kind("add this user to the group video, and log in anew; give a container the device"),
    "no camera": Kind("give a camera's number or its name, such as /dev/video0", bad_input=True),
    "device": Kind("close the program that uses it, or plug it in anew", (1.0, 10.0)),
}
"""By their names, which is what the process that reads a source tells of a failure."""


class StreamLostError(Exception):
    """A source cannot be read, or not any further: why, as a phrase, and the name of its kind in :data:`KINDS`."""

    def __init__(self, reason: str, kind: str = "lost") -> None:
        super().__init__(reason)
        self.kind = kind


class EndedError(Exception):
    """A film has been played to its end."""


def told(reason: str, kind: str) -> str:
    """What an event says of a failure: with the remedy where it does not come back by itself."""
    return reason if KINDS[kind].retry_s == RETRY_S else f"{reason}; {KINDS[kind].remedy}"


def advice(kind: str) -> str:
    """The remedy as a sentence, without a full stop."""
    remedy = KINDS[kind].remedy
    return remedy[:1].upper() + remedy[1:]


def by_status(status: int, reason: str, *, with_login: bool) -> StreamLostError:
    """The failure that an HTTP or RTSP status tells. ``with_login``: a user and password were given."""
    answer = f"it answers {status} {reason}".rstrip()
    match status:
        case 401 if with_login:
            return StreamLostError("it refuses the user and password (401)", "login")
        case 401:
            return StreamLostError("it asks for a user and password (401)", "login wanted")
        case 403:
            return StreamLostError("it forbids to watch this (403)", "forbidden")
        case 404 | 410 | 454:
            return StreamLostError(f"it has no such stream or path ({status})", "path")
        case 429 | 453:
            return StreamLostError(f"it serves no more viewers just now ({status})", "busy")
        case 461:
            return StreamLostError("it offers no way to send that is read here (461)", "transport")
        case _ if 300 <= status < 400:
            return StreamLostError(f"it leads to no other address ({status})", "redirect")
        case _ if status >= 500:
            return StreamLostError(answer, "server")
        case _:
            return StreamLostError(answer, "request")


def by_error(error: OSError, limit_s: float) -> StreamLostError:
    """The failure that an operating system's error tells; ``limit_s`` is how long was waited."""
    import socket
    import ssl

    if isinstance(error, socket.gaierror):
        return StreamLostError("no machine is known by this name", "name")
    if isinstance(error, ssl.SSLError):  # before the others: some are of two kinds
        return StreamLostError(
            f"no encrypted connection: {(error.reason or 'it fails').lower().replace('_', ' ')}", "tls"
        )
    if isinstance(error, TimeoutError):
        return StreamLostError(f"nobody answers for {limit_s:.0f} s", "silent")
    if isinstance(error, ConnectionRefusedError):
        return StreamLostError(reason_of(error).lower(), "refused")
    if error.errno in (errno.EHOSTUNREACH, errno.ENETUNREACH, errno.EHOSTDOWN, errno.ENETDOWN):
        return StreamLostError(reason_of(error).lower(), "silent")
    return StreamLostError(reason_of(error).lower())


_STATUS: Final = re.compile(r"(?:failed|error):? (\d{3})\b")
_PAYLOAD: Final = re.compile(r"Unable to receive RTP payload type (\d+)")
_BIND: Final = re.compile(r"bind failed: (.+)")
_RTMP: Final = re.compile(r"Server error: (.+)")
_TLS: Final = re.compile(r"error:[0-9A-F]+:[^:]*:[^:]*:([\w ]+)")


def by_ffmpeg(log: str, *, with_login: bool) -> StreamLostError | None:
    """The failure of which FFmpeg tells in its log, which is the only place where it tells; None if it says nothing.

    Its texts are not repeated but for the words of an error: they may quote an address with its password.
    """
    if found := _STATUS.search(log):
        return by_status(int(found[1]), "", with_login=with_login)
    if found := _PAYLOAD.search(log):
        return StreamLostError(f"it sends RTP of type {found[1]}, which nothing describes", "sdp")
    if found := _BIND.search(log):
        return StreamLostError(f"the port cannot be had: {reason_of(found[1]).lower()}", "port")
    if "Failed to resolve hostname" in log or "getaddrinfo" in log:
        return StreamLostError("no machine is known by this name", "name")
    if found := _TLS.search(log):
        return StreamLostError(f"no encrypted connection: {found[1].strip()}", "tls")
    if _RTMP.search(log):
        return StreamLostError("its server knows no such stream, or does not let this one be watched", "path")
    return None
