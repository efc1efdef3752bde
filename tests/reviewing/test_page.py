"""The page over plain HTTP: who is let in, who may change what, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from helpers.camera import wait_until
from helpers.reviewing import ask, shop, there
from helpers.types import Run
from helpers.web import TOKEN

from edgefashion.data import collected
from edgefashion.errors import BadInputError
from edgefashion.reviewing.page import ReviewPage

JSON = "application/json"
DELETE = {"what": "delete", "pictures": ["to review/x.jpg"]}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec_Fetch_Site": "same-origin"}, 200),
        ({"Origin": "http://{host}"}, 200),
        ({"Authorization": "Bearer x"}, 200),  # no browser sends it by itself
        ({}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://{host}.evil.example"}, 403),
        ({"Sec_Fetch_Site": "cross-site", "Origin": "http://{host}"}, 403),
        ({"Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Site": "none"}, 403),
        ({"Sec_Fetch_Site": "same-origin", "Content_Type": "text/plain"}, 403),
        ({"Sec_Fetch_Site": "same-origin", "Content_Type": "application/x-www-form-urlencoded"}, 403),
    ],
)
def test_only_the_page_changes_anything(shared: ReviewPage, headers: dict[str, str], status: int) -> None:
    """What another site's page sends in a visitor's name is refused, whatever it is made to look like."""
    host = urlsplit(shared.url).netloc
    sent = {"Content_Type": JSON} | {name: value.format(host=host) for name, value in headers.items()}
    assert ask(shared, "do", DELETE, **sent)[0] == status


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "no JSON"),
        (b"[1]", 400, "no JSON"),
        (b"{" * 5000, 400, "no JSON"),
        (b"\xff\xfe", 400, "no JSON"),
        (b"{" + b" " * 300_000 + b"}", 413, "too much"),
        ({}, 409, "does not know"),
        ({"what": "label"}, 409, "does not know"),
        ({"what": "label", "label": 3, "pictures": []}, 409, "does not know"),
        ({"what": "undo", "batch": "x"}, 409, "does not know"),
        ({"what": "undo", "batch": 12345}, 409, "undone already"),
        ({"what": "delete", "pictures": "x"}, 409, "list"),
        ({"what": "delete", "pictures": [1]}, 409, "list"),
        ({"what": "delete", "pictures": ["x"] * 600}, 409, "at once"),
        ({"what": "label", "label": "a/b", "pictures": ["x"]}, 409, "no label"),
        ({"what": "use"}, 409, "Teach first"),
    ],
)
def test_nonsense_is_refused(shared: ReviewPage, body: Any, status: int, words: str) -> None:
    """Each request that means nothing is refused in words, and none as a fault of the server's."""
    found, told = ask(shared, "do", body, Content_Type=JSON, Sec_Fetch_Site="same-origin")
    assert found == status
    assert words in told.get("error", "")


@pytest.mark.parametrize(
    "path",
    [
        "thumb?picture=../../etc/passwd",
        f"thumb?picture={quote('to review/../../x.jpg')}",
        f"picture?picture={quote('.deleted/../x.jpg')}",
        "thumb",
        "closer?picture=x",
        "pictures?group=like/none",
        "pictures?group=nonsense&count=-1",
        "pictures?count=99999999999999999999",
        "do",
        "nothing",
        "state/../../etc/passwd",
    ],
)
def test_hostile_addresses(shared: ReviewPage, path: str) -> None:
    """No address leads out of the folder, and none makes the server fail."""
    status, told = ask(shared, path)
    assert status in (200, 404, 405, 409)
    assert "root:" not in str(told)


def test_what_is_shown(shared: ReviewPage) -> None:
    """The page, its pictures small and large, and its state; each with the headers that keep everything else out."""
    status, state = ask(shared, "state")
    assert (status, state["undecided"], state["failure"]) == (200, 9, "")
    first = ask(shared, "pictures?count=1")[1]["pictures"][0]
    for kind in ("thumb", "picture"):
        status, jpeg = ask(shared, f"{kind}?picture={quote(first['id'])}")
        assert (status, jpeg[:2]) == (200, b"\xff\xd8")
    assert "<title>Review</title>" in ask(shared, "")[1]
    assert "--paper" in ask(shared, "review.css")[1]


@pytest.mark.linux_only("names of any bytes")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    """Files and folders whose names are bytes that are no text are left out, the page says so, and all else is
    shown."""
    folder = shop(tmp_path / os.fsdecode(b"caf\xe9"), 1)
    jpeg = collected.listing(folder).undecided[0].path.read_bytes()
    for name in (
        b"caf\xe9/1.jpg",
        b"Polo/caf\xe9.jpg",
        b"Polo/\xe9/2.jpg",
        b"to review/\xe9.jpg",
        b".deleted/Polo/\xe9.jpg",
    ):
        place = folder / os.fsdecode(name)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(jpeg)
    with ReviewPage(folder, web="127.0.0.1:0") as page:
        status, state = ask(page, "state")
        assert (status, state["folder"], state["undecided"], state["deleted"]) == (200, "caf\\udce9", 3, 0)
        assert state["unnamed"].startswith("4 pictures are not shown: ")
        assert state["unnamed"].endswith("to review/\\udce9.jpg. Rename it")
        for group in ("undecided", "label/Polo", "deleted", "doubted"):
            assert ask(page, f"pictures?group={group}")[0] == 200


@pytest.mark.linux_only("names that Windows has not")
@pytest.mark.parametrize("name", ["10.11.12\u202fAM.jpg", "anna\u00a0b/1.jpg", "\u3000/1.jpg", "10:11.jpg", "a\\b.jpg"])
def test_names_with_odd_blanks(opened: Callable[..., ReviewPage], folder: Path, name: str) -> None:
    """A picture is shown, looked at and decided whatever blanks, colons and strokes stand in its name."""
    jpeg = collected.listing(folder).undecided[0].path.read_bytes()
    place = folder / "School\u00a0blazer" / name
    place.parent.mkdir(parents=True)
    place.write_bytes(jpeg)
    page = opened()
    group = quote("label/School\u00a0blazer")
    (one,) = ask(page, f"pictures?group={group}")[1]["pictures"]
    assert one["id"] == f"School\u00a0blazer/{name}"
    for kind in ("thumb", "picture", "closer"):
        assert ask(page, f"{kind}?picture={quote(one['id'])}")[0] == 200
    body = {"what": "label", "pictures": [one["id"]], "label": "Polo"}
    done = ask(page, "do", body, Content_Type=JSON, Sec_Fetch_Site="same-origin")
    assert (done[0], done[1].get("done"), done[1].get("gone")) == (200, 1, 0)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One page for tests that change nothing."""
    from helpers.reviewing import shop

    with ReviewPage(shop(tmp_path_factory.mktemp("shared") / "shop"), web="127.0.0.1:0") as page:
        yield page


def test_a_token(opened: Callable[..., ReviewPage], folder: Path) -> None:
    """Beyond this machine a token is wanted; with it nothing is told or changed without it."""
    with pytest.raises(BadInputError, match="needs a token"):
        opened(web="0.0.0.0:0")
    page = opened(token=TOKEN)
    for path in ("", "state", "pictures", "thumb?picture=x", "review.js"):
        assert ask(page, path)[0] == 401
        assert ask(page, path, Authorization=f"Bearer {TOKEN}")[0] in (200, 404)
    sent = {"Content_Type": JSON, "Sec_Fetch_Site": "same-origin"}
    name = ask(page, "pictures", Authorization=f"Bearer {TOKEN}")[1]["pictures"][0]["id"]
    assert ask(page, "do", {"what": "delete", "pictures": [name]}, **sent)[0] == 401
    assert there(folder) == {"to review": 9}
    assert ask(page, "state", Host="evil.example")[0] == 401


def test_the_network_looks(page: ReviewPage, folder: Path) -> None:
    """Pictures that no camera has noted anything of are looked at in the background, what is seen is kept in the
    folder, and a file that is no picture costs nothing but itself."""
    from helpers.reviewing import drawing

    (folder / "to review" / "phone").mkdir()
    (folder / "to review" / "phone" / "IMG_0001.jpg").write_bytes(drawing("Bag", 3)[0])
    (folder / "to review" / "phone" / "IMG_0002.jpg").write_bytes(b"\xff\xd8 no picture")
    wait_until(lambda: ask(page, "state")[1]["looked"] == 11, "the network")
    by_name = {one["id"]: one for one in ask(page, "pictures")[1]["pictures"]}
    assert by_name["to review/phone/IMG_0001.jpg"]["says"]
    assert by_name["to review/phone/IMG_0002.jpg"]["says"] is None
    assert ask(page, "thumb?picture=to%20review/phone/IMG_0002.jpg")[0] == 404
    page.close()
    assert (folder / ".features.npz").is_file()
    assert (folder / ".answers.npz").is_file()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere"], "no folder"),
        ([".", "--web", "nonsense"], "no address"),
        ([".", "--web", "0.0.0.0:0"], "needs a token"),
        ([".", "--token", "short"], "--token must be"),
        ([".", "--name", "../x"], "can be no name"),
        ([".", "--name", "kiosk"], "Give the name of your own with --name, such as --name shop"),
    ],
)
def test_bad_input(run: Run, arguments: list[str], words: str) -> None:
    """What cannot be opened is said in a sentence, and the exit code is 2."""
    done = run("review", *arguments, "--no-browser")
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_the_door(opened: Callable[..., ReviewPage], page: ReviewPage) -> None:
    """A second page on one port is told that one is open perhaps; one for others says by which address a phone finds
    it; and a browser without the token is shown a page that a phone can read, a program a line."""
    assert page.for_others == ""
    with pytest.raises(BadInputError, match="Perhaps a review page is open already") as raised:
        opened(web=urlsplit(page.url).netloc)
    assert f"--web 127.0.0.1:{(urlsplit(page.url).port or 0) + 1}" in str(raised.value)
    wide = opened(web="0.0.0.0:0", token="k" * 20)
    found = urlsplit(wide.for_others)
    assert wide.for_others == "" or (found.port == urlsplit(wide.url).port and found.hostname != "0.0.0.0")
    status, words = ask(wide, "", Accept="text/html,*/*")
    assert (status, "viewport" in words, "This page is shown to whoever has its token" in words) == (401, True, True)
    assert ask(wide, "")[1].startswith("This page is shown")
