"""Network cameras that are legitimate and odd, or fail: by HTTP at a path for each oddity, and by RTSP."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import re
import socketserver
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
from helpers.camera import numbered, whole_part

USER, PASSWORD = "admin", "S3c/ret:1"
LOGIN = "admin:S3c%2Fret%3A1@"
"""The account of :class:`OddCameras`, as it is written in an address."""

_TYPES = {"film.mp4": "video/mp4", "page": "text/html", "text.txt": "text/plain", "state": "application/json"}


def jpeg(number: int = 7) -> bytes:
    return cv2.imencode(".jpg", numbered(number))[1].tobytes()


def png(number: int = 7) -> bytes:
    return cv2.imencode(".png", numbered(number))[1].tobytes()


class OddCameras:
    """An HTTP server on 127.0.0.1. The path says what it does: ``/503``, ``/digest``, ``/moved``, ``/shot.jpg``, ..."""

    def __init__(self, files: dict[str, bytes] | None = None, tls: Path | None = None) -> None:
        """``files`` are served by their names, ``tls`` is a file with a key and a certificate."""
        self.files = files or {}
        self.instead = ""
        """The name whose answer every request gets."""
        self.asked: list[str] = []
        """The paths of all requests."""
        self.logins: list[str] = []
        """Every login that was tried."""
        cameras = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                cameras.asked.append(self.path)
                with contextlib.suppress(OSError):  # the viewer has gone
                    cameras._answer(self, self.path.partition("?")[0].strip("/"))

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.at = f"127.0.0.1:{self._server.server_port}"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(tls)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if tls is None else "https"

    def __enter__(self) -> OddCameras:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def url(self, path: str, login: str = "") -> str:
        return f"{self._scheme}://{login}{self.at}/{path}"

    # --- What it does -------------------------------------------------------------------------

    def _answer(self, to: http.server.BaseHTTPRequestHandler, path: str) -> None:
        path = self.instead or path
        name = path.split("/")[0]
        if path.isdecimal():
            self._send(to, b"", status=int(path))
        elif name in ("basic", "digest", "digest256", "unknown", "forbidding"):
            if self._let_in(to, name):
                self._stream(to)
        elif name == "moved":
            self._send(to, b"", status=302, Location=f"/{path.partition('/')[2] or 'video'}")
        elif name == "open":
            self._send(to, b"", status=302, Location=f"http://{self.at}/video")
        elif name == "round":
            self._send(to, b"", status=301, Location="/round")
        elif name == "away":
            self._send(to, b"", status=302, Location="rtsp://admin:S3cret@127.0.0.1:9/live")
        elif name == "shot.jpg":
            self._send(to, jpeg(len(self.asked)), kind="image/jpeg")
        elif name == "shot.png":
            self._send(to, png(len(self.asked)), kind="image/png")
        elif name == "unnamed":
            self._send(to, jpeg(len(self.asked)), kind="application/octet-stream")
        elif name == "untold":
            to.send_response(200)
            to.end_headers()
            to.wfile.write(jpeg(len(self.asked)))
        elif name == "login.html":
            self._send(to, b"<html>Who are you?", kind="text/html")
        elif name == "half.jpg":
            self._send(to, jpeg()[:-200], kind="image/jpeg")
        elif path in self.files:
            self._send(to, self.files[path], kind=_TYPES.get(path, "application/octet-stream"))
        else:
            self._stream(to, name)

    def _stream(self, to: http.server.BaseHTTPRequestHandler, name: str = "") -> None:
        to.send_response(200)
        to.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        to.end_headers()
        for number in range(10_000):
            part = whole_part(png(number) if name == "png" else jpeg(number))
            to.wfile.write(part.replace(b"image/jpeg", b"image/jpg") if name == "jpg" else part)
            if name == "once":
                return
            # The first is sent twice, as some do.
            if not (name == "slow" and number == 0):
                time.sleep(1.3 if name == "slow" else 0.02)

    @staticmethod
    def _send(
        to: http.server.BaseHTTPRequestHandler, body: bytes, *, status: int = 200, kind: str = "", **headers: str
    ) -> None:
        to.send_response(status)
        for header, value in {**headers, "Content-Type": kind, "Content-Length": str(len(body))}.items():
            if value:
                to.send_header(header, value)
        to.end_headers()
        to.wfile.write(body)

    def _let_in(self, to: http.server.BaseHTTPRequestHandler, name: str) -> bool:
        given = to.headers.get("Authorization", "")
        if given:
            self.logins.append(given)
        if given == "Basic YWRtaW46UzNjL3JldDox" and name in ("basic", "forbidding"):
            return True
        hashed: Callable[[str], str] = lambda text: hashlib.new(  # noqa: E731
            "sha256" if name == "digest256" else "md5", text.encode()
        ).hexdigest()
        if given.startswith("Digest "):
            said = {one: two or three for one, two, three in re.findall(r'(\w+)=(?:"([^"]*)"|([^",]+))', given)}
            middle = [said.get(key, "") for key in ("nonce", "nc", "cnonce", "qop")]
            parts = [hashed(f"{USER}:cam:{PASSWORD}"), *middle, hashed(f"GET:{said.get('uri')}")]
            if said.get("response") == hashed(":".join(parts)):
                return True
        if name == "forbidding":
            self._send(to, b"", status=403)
            return False
        to.send_response(401)
        demands = {
            "basic": ['Basic realm="cam"'],
            "digest": ['Digest realm="cam", nonce="f00d", qop="auth", algorithm=MD5'],
            "digest256": [
                'Basic realm="c", Digest realm="cam", qop="auth,auth-int", algorithm=SHA-256, nonce="a,b=", opaque="o"'
            ],
            "unknown": ["Negotiate"],
        }
        for demand in demands[name]:
            to.send_header("WWW-Authenticate", demand)
        to.send_header("Content-Length", "0")
        to.end_headers()
        return False


def certificate(folder: Path) -> Path:
    """A key and a certificate of its own making in one file, as a camera has."""
    file = folder / "camera.pem"
    command = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=camera -keyout {file} -out {folder}/cert.pem"
    )
    subprocess.run(command.split(), check=True, capture_output=True)
    file.write_text(file.read_text() + (folder / "cert.pem").read_text())
    return file


@contextlib.contextmanager
def rtsp_answering() -> Iterator[str]:
    """An RTSP server that answers a description of ``/404`` with 404, and so on; yields its host and port."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while lines := self._request():
                number = next((line for line in lines if line.lower().startswith("cseq")), "CSeq: 1")
                status = lines[0].split()[1].rpartition("/")[2]
                if lines[0].startswith("OPTIONS"):
                    status = "200"
                more = 'WWW-Authenticate: Basic realm="cam"\r\n' if status == "401" else ""
                self.wfile.write(
                    f"RTSP/1.0 {status} No\r\n{number}\r\nPublic: OPTIONS, DESCRIBE\r\n{more}\r\n".encode()
                )

        def _request(self) -> list[str]:
            lines: list[str] = []
            while line := self.rfile.readline().strip():
                lines.append(line.decode())
            return lines

    class Server(socketserver.ThreadingTCPServer):
        allow_reuse_address, daemon_threads = True, True

        def handle_error(self, *_: Any) -> None:
            """A client that has hung up is no error."""

    with Server(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
