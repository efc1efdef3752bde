"""What ``--source`` names: a camera of this machine, a stream by its scheme, a file; and what is not read here."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit
from urllib.request import url2pathname

from edgefashion.camera.sources.failures import StreamLostError
from edgefashion.errors import BadInputError
from edgefashion.system.addresses import check_whole, how_to_escape, shown

DEVICES: Final = ("/dev/video", "/dev/v4l/")
"""How a camera's name begins, besides its number: one by its id is the same after it was plugged in elsewhere."""

PORTS: Final[dict[str, int | None]] = {
    "http": 80,
    "https": 443,
    "rtsp": 554,
    "rtsps": 322,
    "rtmp": 1935,
    "rtmps": 443,
    "tcp": None,
    "udp": None,
    "rtp": None,
}
"""The schemes that are read, each with its port where none is given; None where one has to be given."""

STREAMS: Final = frozenset(PORTS) - {"http", "https"}
"""Those that only cameras and streams have. By http a picture may come, or a model's answers."""

CONNECTIONLESS: Final = ("udp", "rtp")
"""Schemes of what is sent to us, whether we listen or not: nobody is there to be connected to."""

DESCRIBED: Final = ".sdp"
"""The suffix of a file that describes an RTP stream."""

_DEVICE: Final = "give the camera's number or its name, such as /dev/video0"
_RESTREAM: Final = "let its sender offer rtsp://, or send MPEG-TS by udp://"
_FETCH: Final = "copy the film to this machine, or let a web server offer it by http://"
_WEB: Final = "write http:// or https:// instead"
_CAMERAS_OWN: Final = "give the rtsp:// address that the camera or its server offers too"
_INSTEAD: Final = {
    **dict.fromkeys(("v4l", "v4l2", "dshow", "avfoundation", "device", "camera", "webcam", "usb"), _DEVICE),
    **dict.fromkeys(("srt", "rist", "ndi", "zixi", "quic"), _RESTREAM),
    **dict.fromkeys(("ftp", "ftps", "sftp", "scp", "smb", "nfs", "s3", "gs", "az", "abfs", "hf"), _FETCH),
    **dict.fromkeys(("webrtc", "whep", "whip", "ws", "wss", "onvif", "homekit", "kinesis", "nest"), _CAMERAS_OWN),
    **dict.fromkeys(("rtspt", "rtspu", "rtsph", "satip", "mms", "mmsh", "mmst"), "write rtsp:// or http:// instead"),
    **dict.fromkeys(
        ("hls", "hls+http", "hls+https", "m3u8", "dash", "mjpg", "mjpeg"), "write http:// or https:// instead"
    ),
}
"""What to give in place of schemes that people know from other programs."""

_HOST: Final = re.compile(
    r"(?:[^/\s@]+:[^/\s]*@)?(?:(?:\d{1,3}\.){3}\d{1,3}|localhost|[\w.-]+\.(?:local|lan))(?::\d+)?(?:/.*)?"
)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://")


def is_device(spec: str) -> bool:
    """True if ``spec`` names a camera of this machine, by its number or its device file."""
    return spec.isdecimal() or spec.startswith(DEVICES) or (is_there(Path(spec)) and Path(spec).is_char_device())


def is_stream(spec: str) -> bool:
    """True if ``spec`` is the address of a camera or a stream, by a scheme that is read here, or describes one."""
    return scheme_of(spec) in PORTS or is_described(spec)


def is_described(spec: str) -> bool:
    """True for the name of a file that describes a stream."""
    path = Path(spec)
    return not scheme_of(spec) and path.suffix.lower() == DESCRIBED and is_there(path) and not path.is_dir()


def is_there(path: Path) -> bool:
    """Whether something is at ``path``; false also for what can be no path, being too long for one."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def looks_like_host(spec: str) -> bool:
    """True of an address without its scheme: ``192.168.1.20/live``, ``admin:secret@camera.local:8080``."""
    return _HOST.fullmatch(spec) is not None


def scheme_of(spec: str) -> str:
    """The scheme of an address, in small letters; empty for a path, a number or a name."""
    found = _SCHEME.match(spec)
    return found[1].lower() if found else ""


def resolved(spec: str) -> str:
    """``spec`` with a ``file://`` address made the path that it is.

    Raises :class:`BadInputError` for an address that is not read here, with what to give instead.
    """
    scheme = scheme_of(spec)
    if scheme == "file":
        rest = spec[len("file://") :]
        path = rest[rest.index("/") :] if "/" in rest and not rest.startswith("/") else rest
        host = rest[: len(rest) - len(path)].lower()
        if host not in ("", "localhost") and host != rest.lower():
            raise BadInputError(f"{shown(spec)} is a file of another machine. Give its path as this machine sees it")
        # Everything behind the host is the name: ? and # are letters of it to those who write it by hand.
        plain = url2pathname(path) if sys.platform == "win32" else unquote(path)
        return path if is_there(Path(path)) else plain
    if scheme and scheme not in PORTS:
        instead = _INSTEAD.get(scheme, f"Read are {', '.join(f'{each}://' for each in PORTS)} and file://")
        instead = instead[:1].upper() + instead[1:]
        raise BadInputError(f"--source {shown(spec)}: {scheme}:// is not read here. {instead}")
    if scheme:
        check_whole(spec)
        try:
            parts = split(spec)
            if parts.fragment.startswith("ca=") and scheme != "https":
                raise BadInputError(f"--source {shown(spec)}: #ca= is for https://. Leave it out")
        except StreamLostError as error:
            escape = how_to_escape(spec)
            # Not the password's part that a parser quotes.
            raise BadInputError(
                f"--source {shown(spec)}: {error}. {escape or f'Write {scheme}://HOST:PORT/PATH'}"
            ) from None
    return spec


def split(url: str) -> SplitResult:
    """A stream's address taken apart. Raises :class:`StreamLostError` where it is none."""
    try:
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname
    except ValueError:
        raise StreamLostError("it is no address", "address") from None
    if any(letter.isspace() or not letter.isprintable() for letter in parts.netloc):
        raise StreamLostError("it is no address: white space is in it", "address")
    if not host and parts.scheme not in CONNECTIONLESS:
        raise StreamLostError("it names no host", "address")
    if port == 0 or (port is None and PORTS.get(parts.scheme) is None):
        raise StreamLostError("it names no port", "address")
    return parts


def for_ffmpeg(url: str) -> str:
    """A stream's address as FFmpeg takes it, which knows schemes in small letters only."""
    scheme, rest = scheme_of(url), url.partition("://")[2]
    if scheme == "rtp" and rest.startswith(("@:", ":")):  # udp takes it for any address, rtp does not
        rest = f"0.0.0.0:{rest.partition(':')[2]}"
    elif scheme == "rtp":
        rest = rest.removeprefix("@")
    return f"{scheme}://{rest}"
