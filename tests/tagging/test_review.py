"""The review page shows what is least certain of every label, runs nothing it was given, and fits any screen."""

from __future__ import annotations

import functools
import http.server
import os
import random
import re
import shutil
import threading
import urllib.request
from collections.abc import Iterator, Sequence
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes, urljoin, urlsplit

import numpy as np
import pytest
from helpers.browser import CONTRAST, Browser, chromium
from helpers.events import fill, small_disk
from helpers.types import Run

from edgefashion.data import images
from edgefashion.errors import BadInputError
from edgefashion.tagging.review import check_page, write_review
from edgefashion.tagging.row import Garment, Row
from edgefashion.tagging.table import Ledger

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)>&lt;"


BASE = 0x5555_5555_5555_5555
"""Of a perceptual hash half of the bits are set."""


class Page(HTMLParser):
    """What a page consists of: its tags with their attributes, its words, and the pictures' items by section."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.sections: dict[str, list[str]] = {}
        self.counts: dict[str, str] = {}
        self.words = ""
        self._in = ""
        self._title = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in = tag
        if tag == "li" and self.sections:
            self.sections[self._title].append("")

    def handle_data(self, data: str) -> None:
        self.words += data
        if self._in == "h2":
            self._title = data.strip()
            self.sections[self._title] = []
        elif self._in == "small":
            self.counts[self._title] = data
        elif self.sections and self.sections[self._title]:
            self.sections[self._title][-1] += data

    def attributes(self, tag: str, name: str) -> list[str]:
        return [found for of, attributes in self.tags if of == tag and (found := attributes.get(name)) is not None]


def table(folder: Path, rows: Sequence[Row]) -> Path:
    out = folder / "tags.csv"
    with Ledger(out, {"model": "kiosk"}) as ledger:
        ledger.add(rows)
        ledger.finish()
    return out


def row(path: str, label: str, confidence: float, **more: object) -> Row:
    top = ((label, confidence), ("Bag", 0.001))
    fields = {"accepted": True, "box": (10, 20, 50, 40), "width": 100, "height": 80, **more}
    return Row(path, label, confidence, top, **fields)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a table of every kind of picture, hostile names among them."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    rows: list[Row] = []
    for n in range(12):
        picture = folder / f"picture {n:02} with a long name that nobody will ever read to its end.png"
        images.write_png(picture, rng.integers(0, 255, (80, 100, 3), np.uint8))
        label, accepted = ("Coat", "Dress", "T-shirt/top")[n % 3], n < 8
        rows.append(
            row(str(picture), label, 0.95 - n / 20, accepted=accepted, phash=f"{BASE ^ 0b11111 << (5 * n):016x}")
        )
    script = folder / "a <script>alert(1)<>'&\" b.png"
    shutil.copy(picture, script)
    rows += [
        row(str(script), "Coat", 0.99, phash=f"{BASE ^ 0b11110:016x}"),
        row(HOSTILE, HOSTILE, 0.5, box=(-5, -5, 10**6, 10**6)),
        row(str(folder / "gone\udcff\n.png"), "Coat", 0.6, phash="no hash"),
        row("s3://key:secret@shop/a.png", "Unknown", 0.6, accepted=False),
        row("https://127.0.0.1:9/b%20c.jpg", "Coat", 0.0),
        Row(str(folder / "empty room.png"), width=5, height=5, phash="f" * 16),
        Row("javascript:alert(1)", error=HOSTILE),
    ]
    images.write_png(folder / "empty room.png", np.zeros((400, 3, 3), np.uint8))
    write_review(table(folder, rows), folder / "review.html")
    return folder


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


def test_least_certain_first(tmp_path: Path) -> None:
    """Of each label the least certain are shown, the least certain first, and how many are not shown is told."""
    rng = random.Random(0)
    rows = [row(f"{n}.jpg", rng.choice(("Coat", "Dress")), rng.randrange(1000) / 1000) for n in range(500)]
    write_review(table(tmp_path, rows), tmp_path / "r.html", per_label=20)
    page = Page(tmp_path / "r.html")
    assert list(page.sections) == ["Coat", "Dress"]
    for label, shown in page.sections.items():
        wanted = sorted((r for r in rows if r.label == label), key=lambda r: r.confidence)
        assert page.counts[label] == str(len(wanted))
        assert f"Shown are 20; {len(wanted) - 20} more certain are not." in page.words
        assert [re.findall(r"\d+\.jpg", item)[0] for item in shown] == [r.path for r in wanted[:20]]
    assert page.words.count("Cannot be read any more") == 40


@pytest.mark.linux_only("file names that Windows forbids")
def test_every_kind(shop: Path) -> None:
    """Each picture is in the section of its label; what has none, or is not accepted, has a section of its own."""
    page = Page(shop / "review.html")
    titles = list(page.sections)
    assert titles.index("Not accepted") == 0
    assert titles[-3:] == ["Unknown", "No garment", "Not read"]
    assert page.counts == {
        **dict(zip(("Not accepted", HOSTILE, "Coat", "Dress", "T-shirt/top"), "41632", strict=True)),
        **dict.fromkeys(("Unknown", "No garment", "Not read"), "1"),
    }
    assert page.sections["Dress"][0].startswith("Dress 60 %or Bag < 1 %picture 07")
    assert "".join(page.sections["No garment"]).strip() == "empty room.png"
    assert HOSTILE in page.sections["Not read"][0]


def test_several_garments(tmp_path: Path) -> None:
    """A picture's card names what else is in view, the doubtful with a question mark, and frames each of them."""
    images.write_png(tmp_path / "a.png", np.zeros((80, 100, 3), np.uint8))
    main, bag = Garment("Coat", 0.5, True, (10, 20, 50, 40)), Garment("Bag", 0.9, True, (0, 0, 100, 80))
    garments = (main, bag, Garment(HOSTILE, 0.4, False, (50, 0, 20, 20)))
    rows = [row(str(tmp_path / "a.png"), "Coat", 0.5, garments=garments), row("b.png", "Coat", 0.6, garments=(main,))]
    write_review(table(tmp_path, rows), tmp_path / "r.html")
    page = Page(tmp_path / "r.html")
    first, second = page.sections["Coat"]
    assert f"also Bag, {HOSTILE}?" in first
    assert "also" not in second
    assert "script" not in {tag for tag, _ in page.tags}
    frames = [(a["class"], a["style"]) for tag, a in page.tags if a.get("class") in ("box", "other")]
    assert frames == [
        ("other", "left:0.00%;top:0.00%;width:100.00%;height:100.00%"),
        ("other", "left:50.00%;top:0.00%;width:20.00%;height:25.00%"),
        ("box", "left:10.00%;top:25.00%;width:50.00%;height:50.00%"),
    ]


@pytest.mark.linux_only("file names that Windows forbids")
def test_same_pictures_are_marked(shop: Path) -> None:
    """Two pictures whose perceptual hashes are near lead to one another, and no other two do."""
    text = (shop / "review.html").read_text("utf-8")
    items = re.findall(r"<li id=(p\d+)>(.*)</li>", text)
    twins = {place: re.findall(r"class=twin href=#(p\d+)", item) for place, item in items}
    places = {found[0]: place for place, item in items if (found := re.findall(r"picture \d\d|a &lt;script", item))}
    marked = {place: to for place, to in twins.items() if to}
    assert len(places) == 13
    near = {places["picture 00"], places["a &lt;script"]}
    assert marked.keys() == near
    assert {to for found in marked.values() for to in found} == near


def test_unlike_pictures_are_not_marked(tmp_path: Path) -> None:
    """Hashes that differ in five bits are two pictures, in four one; plain colours are not compared."""
    hashes = {"a": 0, "b": 0b1111, "c": 0b111110000 << 30, "d": 0b11111 << 50}
    rows = [row(f"{name}.jpg", "Coat", 0.5, phash=f"{number:016x}") for name, number in (("black", 0), ("white", 1))]
    rows += [row(f"{name}.jpg", "Coat", 0.5, phash=f"{BASE ^ number:016x}") for name, number in hashes.items()]
    write_review(table(tmp_path, rows), tmp_path / "r.html")
    said = ["looks like another" in item for item in Page(tmp_path / "r.html").sections["Coat"]]
    assert said == [False, False, True, True, False, False]


@pytest.mark.linux_only("file names that Windows forbids")
def test_hostile_text_stays_text(shop: Path) -> None:
    """Markup in a path, a label or an error is shown as written; a link is a file's or a web page's; no password is
    shown; nothing comes from elsewhere."""
    page = Page(shop / "review.html")
    assert not {tag for tag, _ in page.tags} & {"script", "iframe", "object", "embed", "form", "base"}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.attributes("img", "src"))
    links = [link for link in page.attributes("a", "href") if not link.startswith("#")]
    assert {link.partition("/")[0] for link in links} <= {".", "file:", "https:"}
    assert f"./{quote(hostile := 'a <script>alert(1)')}" in [link[: 2 + len(quote(hostile))] for link in links]
    text = (shop / "review.html").read_text("utf-8")
    assert "<script" not in text
    assert "secret" not in text
    assert "default-src 'none'" in text


@pytest.mark.linux_only("file names that Windows forbids")
def test_pictures_are_small_and_upright(shop: Path) -> None:
    """Thumbnails are 160 pixels at most, lazily decoded, with their size told; the frame lies where the garment is."""
    page = Page(shop / "review.html")
    sizes = {(a["width"], a["height"]) for tag, a in page.tags if tag == "img"}
    assert sizes == {("100", "80"), ("1", "160")}
    assert set(page.attributes("img", "loading")) == {"lazy"}
    frames = [a["style"] for tag, a in page.tags if a.get("class") == "box"]
    assert "left:10.00%;top:25.00%;width:50.00%;height:50.00%" in frames


def test_fsspec(tmp_path: Path) -> None:
    """Pictures are read from wherever fsspec reads them; one of which the table hides a part, where what was given
    leads to it."""
    fsspec = pytest.importorskip("fsspec")
    images.write_png(tmp_path / "a.png", np.zeros((50, 60, 3), np.uint8))
    with fsspec.open("memory://review/a.png", "wb") as file:
        file.write((tmp_path / "a.png").read_bytes())
    with fsspec.open("memory://review/b?token=1.png", "wb") as file:
        file.write((tmp_path / "a.png").read_bytes())
    rows = [row("memory://review/a.png", "Coat", 0.5), row("memory://review/b?token=...", "Coat", 0.5)]
    write_review(table(tmp_path, rows[:1]), tmp_path / "r.html")
    page = Page(tmp_path / "r.html")
    assert page.attributes("img", "width") == ["60"]
    for given, images_there in ((), 1), (["memory://review", "memory://nothing"], 2), (["memory://review/*"], 2):
        write_review(table(tmp_path, rows), tmp_path / "r.html", given=given)
        assert len(Page(tmp_path / "r.html").attributes("img", "width")) == images_there
    assert not [link for link in page.attributes("a", "href") if not link.startswith("#")]


@pytest.mark.linux_only("file names that Windows forbids")
def test_links_lead_to_the_pictures(tmp_path: Path) -> None:
    """A link opens the picture, from the page as a file and from a web server, whatever its name; what lies elsewhere
    is linked as a file, and as a page's address where it is one."""
    folder = tmp_path / "shop"
    names = ("a.png", "below/é b:c #1%20?.png", "é \udcff.png", "../elsewhere.png")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        images.write_png(folder / name, np.zeros((5, 6, 3), np.uint8))
    paths = [*(str(folder / name) for name in names), f"file://{folder}/a.png", "http://host/d.png"]
    write_review(table(tmp_path, [row(path, "Coat", n / 9) for n, path in enumerate(paths)]), folder / "r.html")
    links = [link for link in Page(folder / "r.html").attributes("a", "href") if not link.startswith("#")]
    assert links[3:] == [(folder / names[3]).as_uri(), "./a.png", "http://host/d.png"]
    for link, name in zip(links, names[:3], strict=False):
        as_file = urlsplit(urljoin((folder / "r.html").as_uri(), link))
        assert os.fsencode(folder / name) == unquote_to_bytes(as_file.path)
        assert (as_file.query, as_file.fragment) == ("", "")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Quiet) as server:
        server.RequestHandlerClass = functools.partial(_Quiet, directory=str(folder))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for link in links[:2]:  # Python's own server finds no name that is no text
            with urllib.request.urlopen(urljoin(f"http://127.0.0.1:{server.server_port}/r.html", link)) as answer:
                assert answer.read().startswith(b"\x89PNG")
        server.shutdown()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Nothing."""


def test_an_empty_table(tmp_path: Path) -> None:
    """A table of no pictures makes a page that says so."""
    write_review(table(tmp_path, ()), tmp_path / "r.html")
    assert "0 pictures" in Page(tmp_path / "r.html").words


@pytest.mark.linux_only("a small file system is mounted")
def test_where_no_page_can_be(tmp_path: Path) -> None:
    """A folder, no folder, a full disk and what is no table are refused in a line, and the old page stays."""
    out = table(tmp_path, [row("a.png", "Coat", 0.5)])
    for page, says in (
        (tmp_path, "is a folder"),
        (tmp_path / "shirt.jpg", "ends in .html"),
        (tmp_path / "none" / "r.html", "is no folder"),
    ):
        with pytest.raises(BadInputError, match=says):
            check_page(page)
    (tmp_path / "other.csv").write_text("a,b\n")
    with pytest.raises(BadInputError, match="is no table"):
        write_review(tmp_path / "other.csv", tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "r.html").write_text("old")
        ballast = fill(disk)
        with pytest.raises(BadInputError, match=r"r\.html cannot be written: No space left on device"):
            write_review(out, disk / "r.html")
        assert set(disk.iterdir()) == {disk / "r.html", ballast}
        assert (disk / "r.html").read_text() == "old"


@pytest.mark.linux_only("the browser is steered over inherited file descriptors")
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width_px", [1280, 390])
def test_in_a_real_browser(width_px: int, dark: bool, browser: Browser, shop: Path) -> None:
    """Chromium shows the page at a desktop's and a phone's width without scrolling sideways, asks for nothing else,
    has nothing to complain of, follows the reader's light or dark, and every word can be read."""
    path = shop / "review.html"
    browser.complaints.clear()
    browser.requests.clear()
    browser.open(path, width_px, dark=dark)
    assert browser.evaluate("document.documentElement.scrollWidth") <= width_px
    paper = browser.evaluate("getComputedStyle(document.body).backgroundColor")
    brightness = sum(map(int, re.findall(r"\d+", paper)[:3])) / 3
    assert brightness < 60 if dark else brightness > 200
    assert browser.evaluate(CONTRAST) >= 4.5
    assert browser.evaluate("[...document.images].every(e => e.decode())")
    assert {address for address in browser.requests if not address.startswith("data:")} == {path.as_uri()}
    assert browser.complaints == []


@pytest.mark.linux_only("the browser is steered over inherited file descriptors")
def test_nothing_moves(browser: Browser, shop: Path) -> None:
    """Scrolling through moves nothing: the page is as high before its pictures were shown as after."""
    height = "document.documentElement.scrollHeight"
    browser.open(shop / "review.html", 390)
    before = browser.evaluate(height)
    for step in range(0, int(before), 700):
        browser.evaluate(f"scrollTo(0, {step})")
        browser.evaluate("new Promise(done => requestAnimationFrame(() => setTimeout(done)))")
    assert browser.evaluate(height) == before
    assert browser.evaluate("[...document.querySelectorAll('.cards li')].every(e => e.scrollHeight <= e.clientHeight)")


@pytest.mark.linux_only("the browser is steered over inherited file descriptors")
def test_by_keyboard(browser: Browser, shop: Path) -> None:
    """The first of what Tab reaches are the labels, Enter goes to one, and the frames go with the space bar."""

    def press(key: str, code: int, text: str = "") -> None:
        for kind in ("keyDown", "keyUp"):
            extra = {"text": text} if text and kind == "keyDown" else {}
            browser.call("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **extra)

    browser.open(shop / "review.html", 1280)
    press("Tab", 9)
    press("Tab", 9)
    assert browser.evaluate("document.activeElement.hash") == "#s1"
    press("Enter", 13, "\r")
    browser.wait_until("Math.abs(document.getElementById('s1').getBoundingClientRect().top) < 2")
    framed = "document.querySelector('.box').checkVisibility()"
    assert browser.evaluate(framed)
    browser.evaluate("document.getElementById('frames').focus()")
    press(" ", 32, " ")
    browser.wait_until(f"!{framed}")


def test_review_over_the_table(shop: Path, tmp_path: Path, run_here: Run) -> None:
    """A page is not written over its table, nor over what lies beside it, and nothing is done before that is said."""
    for name in ("t.csv", "./t.csv", "t.csv.partial", "t.csv.made_with"):
        done = run_here("tag", shop, "--out", tmp_path / "t.csv", "--review", f"{tmp_path}/{name}")
        assert done.returncode == 2
        assert "belongs to the table" in done.stderr
    assert list(tmp_path.iterdir()) == []
