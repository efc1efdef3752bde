"""A user and password that a server refuses are tried once in a run: a few wrong tries lock an account."""

from __future__ import annotations

import base64
import contextlib
import ftplib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.tagging import tag_here

from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.tagging import inventory, logins

RIGHT = "Basic " + base64.b64encode(b"shop:right").decode()


class Shop(http.server.ThreadingHTTPServer):
    """Gives a picture to whoever knows the password, and to anybody what is called public. It counts the logins."""

    daemon_threads = True

    def __init__(self, picture: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.picture, self.wrong = picture, list[str]()
        self.host = f"127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        login = self.headers.get("Authorization")
        status = 200 if login == RIGHT or "public" in self.path else 500 if "broken" in self.path else 401
        if login not in (None, RIGHT) and status == 401:
            self.server.wrong.append(self.path)
        self.send_response(status)
        body = self.server.picture if status == 200 else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    do_HEAD = do_GET  # noqa: N815, the base class's name

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def server(shop: Path) -> Iterator[Shop]:
    with Shop((shop / "00.jpg").read_bytes()) as made:
        threading.Thread(target=made.serve_forever, daemon=True).start()
        yield made
        made.shutdown()


def test_tried_once(classifier: Classifier, shop: Path, server: Shop, tmp_path: Path) -> None:
    """Of many pictures with a wrong login one is asked for; all have a row that says so, and the others are tagged.
    The next run tries again, once. What else a server answers is told as it is."""
    wrong = [f"http://shop:wrong@{server.host}/{number}.jpg" for number in range(12)]
    others = [f"http://shop:right@{server.host}/a.jpg", f"http://{server.host}/public.jpg"]
    failing = {
        f"http://{server.host}/b.jpg": "its server answers 401",
        f"http://{server.host}/broken.jpg": "its server answers 500",
        "http://127.0.0.1:1/a.jpg": "Connect call failed",
    }
    for _ in range(2):
        paths: list[str | Path] = [*wrong, *others, *failing, shop / "03.jpg"]
        rows, _ = tag_here(classifier, tmp_path / "tags.csv", *paths)
        assert len(server.wrong) == 1
        server.wrong.clear()
        for url in wrong:
            row = rows[inventory.shown(url)]
            assert "its server refuses the user and password, and is not asked again" in (row.error or "")
        assert all(rows[inventory.shown(url)].error is None for url in others)
        for url, says in failing.items():
            assert says in (rows[url].error or "")


def test_folders(server: Shop) -> None:
    """A folder that cannot be listed for its login is refused at once, and no other of that account is asked for."""
    folders = [f"http://shop:wrong@{server.host}/{name}/" for name in ("a", "b")]
    with pytest.raises(BadInputError, match="refuses the user and password") as refused:
        inventory.check(folders)
    assert len(server.wrong) == 1
    assert "wrong" not in str(refused.value)


class _StatusError(Exception):
    status = 401


class _ResponseError(Exception):
    response = _StatusError()


class AuthenticationException(Exception):  # noqa: N818, Paramiko's name
    """As Paramiko's."""


def _from(cause: Exception) -> Exception:
    """As fsspec tells it of a web server's answer."""
    try:
        raise FileNotFoundError("http://host/a.jpg") from cause
    except FileNotFoundError as error:
        return error


@pytest.mark.parametrize(
    ("error", "is_refusal"),
    [
        (_StatusError(), True),
        (_ResponseError(), True),
        (_from(_StatusError()), True),
        (ftplib.error_perm("530 Login incorrect."), True),
        (AuthenticationException("Authentication failed."), True),
        (ftplib.error_perm("550 No such file."), False),
        (FileNotFoundError("a.jpg"), False),
        (_from(OSError("Connection refused")), False),
        (PermissionError(13, "Permission denied"), False),
    ],
)
def test_what_a_refusal_is(error: Exception, is_refusal: bool) -> None:
    """A login is refused by HTTP's 401, FTP's 530 or what an SSH library raises, at any depth; nothing else is."""
    assert logins.is_refusal(error) is is_refusal


@pytest.mark.parametrize(
    ("url", "account"),
    [
        ("https://u:p@host/a.jpg", "https://u:p@host"),
        ("https://u:p@host:8443/b.jpg?x=1", "https://u:p@host:8443"),
        ("zip://a.jpg::ftp://u:p@host/shop.zip", "ftp://u:p@host"),
        ("zip://a@2x.jpg::shop.zip", None),
        ("https://host/a@2x.jpg", None),
        ("s3://bucket/a.jpg", None),
        ("http://[::1/a.jpg", None),
    ],
)
def test_accounts(url: str, account: str | None) -> None:
    """An account is a user, a password and a server, whatever is asked for; a URL without one has none to lock."""
    assert logins.account_of(url) == account


def test_refused_in_the_middle() -> None:
    """A login that is refused while pictures are read is not used again either; one of another account is."""
    logins.refused.clear()
    asked = []
    for url in ("http://u:p@host/a.jpg", "http://u:p@host/b.jpg", "http://v:p@host/c.jpg", "http://host/d.jpg"):
        with contextlib.suppress(Exception), logins.asking(url):
            asked.append(url[-5:])
            raise _StatusError
    assert asked == ["a.jpg", "c.jpg", "d.jpg"]
    logins.refused.clear()
