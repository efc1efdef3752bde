"""A user and password that a server refuses are hardly tried again in a run: a few wrong tries lock an account."""

from __future__ import annotations

import base64
import contextlib
import ftplib
import http.server
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.tagging import tag_here

from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.tagging import inventory, logins
from edgefashion.tagging.errors import RefusedLoginError
from edgefashion.tagging.review import write_review
from edgefashion.tagging.tag import tag

RIGHT = "Basic " + base64.b64encode(b"shop:right").decode()


class Shop(http.server.ThreadingHTTPServer):
    """Gives a picture to whoever knows the password, to anybody what is called public, and to nobody what is called
    closed. It counts the logins."""

    daemon_threads = True

    def __init__(self, picture: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.picture, self.wrong, self.asked = picture, list[str](), list[str]()
        self.host = f"127.0.0.1:{self.server_port}"


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Shop

    def do_GET(self) -> None:
        login = self.headers.get("Authorization")
        self.server.asked.append(self.path)
        is_open = (login == RIGHT and "closed" not in self.path) or "public" in self.path
        status = 200 if is_open else 500 if "broken" in self.path else 401
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
    """Of many pictures with a wrong login one is asked for; all have a row that says so, and the others are tagged,
    also those of an account that is refused elsewhere. The next run tries again, once. What else a server answers is
    told as it is."""
    wrong = [f"http://shop:wrong@{server.host}/{number}.jpg" for number in range(12)]
    closed = f"http://shop:right@{server.host}/closed/a.jpg"
    others = [f"http://shop:right@{server.host}/a.jpg", f"http://{server.host}/public.jpg"]
    failing = {
        closed: "its server answers 401",
        f"http://{server.host}/b.jpg": "its server answers 401",
        f"http://{server.host}/broken.jpg": "its server answers 500",
        "http://127.0.0.1:1/a.jpg": "cannot be read",
    }
    for _ in range(2):
        paths: list[str | Path] = [*wrong, *failing, *others, shop / "03.jpg"]
        rows, _ = tag_here(classifier, tmp_path / "tags.csv", *paths)
        assert len(server.wrong) == 1
        server.wrong.clear()
        for url in wrong:
            row = rows[inventory.shown(url)]
            assert "its server refuses the user and password for its top folder, and is not" in (row.error or "")
        assert all(rows[inventory.shown(url)].error is None for url in others)
        for url, says in failing.items():
            assert says in (rows[inventory.shown(url)].error or "")


def test_the_page_for_review(classifier: Classifier, server: Shop, tmp_path: Path) -> None:
    """The page's pictures are asked for with what was given, never with the dots that the table has in its place; made
    of the table alone, it asks for none of them, and says why. No link leads to one."""
    hidden = [
        f"http://shop:right@{server.host}/0.jpg",
        f"http://shop:right@{server.host}/1.jpg?sig=S3cret&v=1",
        f"http://{server.host}/public.jpg?token=S3cret",
    ]
    out, page = tmp_path / "tags.csv", tmp_path / "r.html"
    tag([*hidden, f"http://{server.host}/public...jpg"], out, model=classifier, review=page, workers=1)
    assert page.read_text().count("data:image/jpeg") == 4
    assert not server.wrong
    assert not [path for path in server.asked if "=..." in path]
    server.asked.clear()
    write_review(out, page)
    assert set(server.asked) == {"/public...jpg"}
    assert page.read_text().count("Not shown: its password is not in the table") == 3
    assert re.findall('href="(http:[^"]*)"', page.read_text()) == [f"http://{server.host}/public...jpg"]
    for path in (out, page):
        assert not [secret for secret in ("right@", "S3cret") if secret in path.read_text()]


def test_folders(server: Shop) -> None:
    """Folders that cannot be listed for their login are refused at once, and three of that account are asked for."""
    folders = [f"http://shop:wrong@{server.host}/{name}/{part}/" for name in "abcdef" for part in ("", "x")]
    with pytest.raises(BadInputError, match="refuses the user and password") as refused:
        inventory.check(folders)
    assert server.wrong == ["/a//", "/b//", "/c//"]
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


WEB, FTP, OTHER = "https://u:p@host", "ftp://u:p@host", "https://v:p@host"


@pytest.mark.parametrize(
    ("answers", "unasked"),
    [
        pytest.param({"/1": 401, "/2": 200}, ["/2"], id="files in no folder are of one"),
        pytest.param({"/a/1": 401, "/a/b/2": 200, "/b/3": 200}, ["/a/b/2"], id="one folder is closed"),
        pytest.param({"/a/1": 401, "/b/2": 200, "/a/3": 200, "/c/4": 401, "/c/5": 200}, [], id="it is right elsewhere"),
        pytest.param({"/a/1": 401, "/b/2": 401, "/c/3": 401, "/d/4": 200}, ["/d/4"], id="three folders are enough"),
        pytest.param({"/a/1": 401, "/a/2": 401, "/a/3": 401, "/b/4": 200}, ["/a/2", "/a/3"], id="one counts once"),
        pytest.param({"/a/1": 200, **{f"/{top}/1": 401 for top in "bcdef"}, "/f/2": 200}, [], id="it was right before"),
        pytest.param({"/a/1": 404, "/b/2": 401, "/b/3": 401}, ["/b/3"], id="what is not there says nothing"),
        pytest.param({"/a/1": 401, f"{OTHER}/a/2": 401, "https://host/a/3": 401}, [], id="each account by itself"),
        pytest.param({f"zip://x.jpg::{WEB}/a/1.zip": 401, "/a/2": 200}, ["/a/2"], id="an archive is of its folder"),
        pytest.param({f"{FTP}/a/1": 401, f"{FTP}/b/2": 200, "/a/3": 200}, [f"{FTP}/b/2"], id="FTP refuses as such"),
    ],
)
def test_what_is_not_asked_for(answers: dict[str, int], unasked: list[str]) -> None:
    """A login that is refused is not used again in that top folder, after three of them nowhere on that server; once it
    was right, nothing is left out. So it is in another process that is told half of it."""
    for told_after in (None, len(answers) // 2):
        logins.forget()
        left = []
        for number, (url, status) in enumerate(answers.items()):
            if number == told_after:
                known = logins.known()
                logins.forget()
                logins.learn(known)
            asked = False
            with contextlib.suppress(Exception), logins.asking(url if "://" in url else WEB + url):
                asked = True
                if status != 200:
                    raise _StatusError if status == 401 else FileNotFoundError
            if not asked:
                left.append(url)
        assert left == unasked
    logins.forget()


def test_a_folder_that_is_told_to_be_none() -> None:
    """What a file system calls no folder, as fsspec does whatever it may not list, proves no login right."""
    logins.forget()
    with logins.asking(f"{WEB}/a/", reads=False):
        pass
    refused = pytest.raises(RefusedLoginError, match=r"for its top folder, .* for more of that\. Correct them")
    with refused, logins.asking(f"{WEB}/a/1.jpg"):
        raise _StatusError
    assert logins.is_refused(f"{WEB}/a/2.jpg")
    logins.forget()


def _asked(answers: list[tuple[str, bool]]) -> list[str]:
    """The paths of those that were asked for of (path, whether it is let in), one after the other."""
    asked = []
    for path, is_open in answers:
        with contextlib.suppress(RefusedLoginError, _StatusError), logins.asking(f"{path}.jpg"):
            asked.append(path.partition("@h")[2])
            if not is_open:
                raise _StatusError
    return asked


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        # Changed in the run: three more of the folder, then none.
        ([("/a/0", True), *((f"/a/{n}", False) for n in range(1, 9))], ["/a/0", "/a/1", "/a/2", "/a/3"]),
        # Of folder after folder: three of three, then of no further folder.
        (
            [("/a/0", True), *((f"/{top}/{n}", False) for top in "bcdef" for n in range(5))],
            ["/a/0", *(f"/{top}/{n}" for top in "bcd" for n in range(3))],
        ),
        # Single pictures that are closed cost their own rows only.
        ([(f"/a/{n}", n % 3 == 0) for n in range(9)], [f"/a/{n}" for n in range(9)]),
        # A folder that is closed is no sign against the others.
        (
            [("/a/0", True), *((f"/shut/{n}", False) for n in range(5)), *((f"/a/{n}", True) for n in range(1, 4))],
            ["/a/0", "/shut/0", "/shut/1", "/shut/2", "/a/1", "/a/2", "/a/3"],
        ),
    ],
    ids=["one folder", "all folders", "single pictures", "a closed folder"],
)
def test_a_password_that_is_changed_in_the_run(answers: list[tuple[str, bool]], asked: list[str]) -> None:
    """An account that was taken and is refused from some moment on is tried seldom from then on."""
    logins.forget()
    assert _asked([(f"http://shop:right@h{path}", is_open) for path, is_open in answers]) == asked
    logins.forget()


def test_ftp_says_it_of_the_account() -> None:
    """By FTP an account that was taken and is refused is refused as such: it is not tried again."""
    logins.forget()
    answers = [("/a/0", True), ("/a/1", False), ("/b/2", False)]
    assert _asked([(f"ftp://shop:right@h{path}", is_open) for path, is_open in answers]) == ["/a/0", "/a/1"]
    logins.forget()
