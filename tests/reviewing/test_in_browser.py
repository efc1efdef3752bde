"""The review page in a real browser: by keyboard alone, by thumb, by two people at once, and for everyone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from helpers.axe import violations
from helpers.browser import Browser, chromium, press
from helpers.reviewing import GOOD, collect, stub_command, there, two_revisions

from edgefashion.data import collected
from edgefashion.reviewing.page import ReviewPage

pytestmark = pytest.mark.linux_only("the browser is steered over inherited file descriptors")

DESKTOP, PHONE = (1280, 800), (360, 740)
TILES = "document.querySelectorAll('#grid li').length"
SAID = "document.getElementById('said').textContent"
LABELS = "[...document.querySelectorAll('#grid li b')].map(name => name.textContent)"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium(200) as found:
        yield found


@pytest.fixture(autouse=True)
def silent(browser: Browser) -> Iterator[None]:
    """Each test begins with an empty page, and nothing that the one before complained of."""
    browser.complaints.clear()
    browser.requests.clear()
    yield
    browser.call("Page.navigate", url="about:blank")


def shown(browser: Browser, page: ReviewPage, tiles: int, size: tuple[int, int] = DESKTOP, **how: bool) -> None:
    browser.open(page.url, size[0], height_px=size[1], **how)
    browser.wait_until(f"{TILES} === {tiles}")


def tap(browser: Browser, selector: str) -> None:
    """A finger on the middle of an element, which has to be where it can be touched."""
    where = f"document.querySelector({selector!r})"
    browser.evaluate(f"{where}.scrollIntoView({{block: 'nearest', inline: 'nearest'}})")
    box = browser.evaluate(f"(box => [box.x + box.width / 2, box.y + box.height / 2])({where}.getBoundingClientRect())")
    at = f"document.elementFromPoint({box[0]}, {box[1]})"
    assert browser.evaluate(f"{where}.contains({at})"), f"{selector} is covered by something"
    point = {"x": box[0], "y": box[1]}
    browser.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[point])
    browser.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])


def test_by_keyboard_alone(browser: Browser, page: ReviewPage, folder: Path) -> None:
    """Without a mouse: confirmed, corrected, none of these, no garment, deleted, a range of many, a new label by typing
    it, and undone; each is on the disk at once, and the least sure picture comes first."""
    shown(browser, page, 9)
    assert browser.evaluate(LABELS)[:3] == ["Pullover"] * 3
    assert browser.evaluate("document.querySelector('#labels button').textContent") == "1 T-shirt"
    assert "Footwear" in browser.evaluate("document.getElementById('labels').textContent"), "the group has a button"
    browser.wait_until("document.activeElement.getAttribute('role') === 'option'")
    press(browser, "Enter")
    browser.wait_until(f"{TILES} === 8 && {SAID}.includes('put under Pullover')")
    assert there(folder) == {"to review": 8, "Pullover": 1}
    press(browser, "1")
    browser.wait_until(f"{SAID}.includes('put under T-shirt') && {TILES} === 7")
    press(browser, "0", "n", "Delete")
    browser.wait_until(f"{TILES} === 4 && {SAID}.includes('deleted')")
    wanted = {"to review": 4, "Pullover": 1, "T-shirt": 1, "Unknown": 1, "No garment": 1, ".deleted": 1}
    assert there(folder) == wanted
    press(browser, "ArrowRight", "ArrowRight", shift=True)
    browser.wait_until("document.getElementById('chosen').textContent === '3 chosen'")
    press(browser, "/", *"Polo", "Enter")
    browser.wait_until(f"{TILES} === 1 && {SAID}.includes('3 pictures put under Polo')")
    assert there(folder)["Polo"] == 3
    assert "1 T-shirt" in browser.evaluate("document.getElementById('labels').innerText"), "keys stay as they were"
    press(browser, "z")
    browser.wait_until(f"{TILES} === 4 && {SAID}.includes('3 pictures put back')")
    press(browser, "z")
    browser.wait_until(f"{TILES} === 5")
    assert there(folder) == {name: count for name, count in wanted.items() if name != ".deleted"} | {"to review": 5}
    press(browser, "?")
    browser.wait_until("document.getElementById('help').open")
    press(browser, "Escape")
    browser.wait_until("!document.getElementById('help').open")
    press(browser, " ")
    browser.wait_until("document.getElementById('chosen').textContent === '1 chosen'")
    press(browser, "Escape", "]")
    browser.wait_until("document.getElementById('title').textContent.startsWith('Says')")
    assert browser.complaints == []
    assert {urlsplit(request).netloc for request in browser.requests} == {urlsplit(page.url).netloc}


def test_by_thumb(browser: Browser, page: ReviewPage, folder: Path) -> None:
    """On a phone of 360 pixels: pictures are chosen by tapping, labelled, and it is undone; nothing runs out of the
    page, and whatever is touched is as large as a fingertip."""
    shown(browser, page, 9, PHONE)
    assert browser.evaluate("document.documentElement.scrollWidth") <= PHONE[0]
    small = """[...document.querySelectorAll('button, select, input, #grid li')].filter(each => each.checkVisibility())
      .map(each => each.getBoundingClientRect()).filter(box => box.height < 44 || box.width < 44).length"""
    assert browser.evaluate(small) == 0
    tap(browser, "#grid li:nth-child(1)")
    tap(browser, "#grid li:nth-child(2)")
    browser.wait_until("document.getElementById('chosen').textContent === '2 chosen'")
    tap(browser, "#labels button:nth-child(3)")
    browser.wait_until(f"{TILES} === 7 && {SAID}.includes('2 pictures put under')")
    assert there(folder)["to review"] == 7
    tap(browser, "#undo")
    browser.wait_until(f"{TILES} === 9")


def test_two_people(browser: Browser, page: ReviewPage, folder: Path) -> None:
    """What another decides leaves the page by itself, and what a camera brings comes; who acts on a picture that is
    gone is told so, and nothing is done twice."""
    shown(browser, page, 9)
    collect(folder, "Dress")
    browser.wait_until(f"{TILES} === 10")
    name = browser.evaluate("document.querySelector('#grid li').dataset.id")
    other = collected.find(folder, name)
    assert other is not None
    browser.evaluate("document.querySelector('#grid li').focus()")
    collected.move(other, "Jumper")
    press(browser, "1")
    browser.wait_until(f"{SAID}.includes('somebody was faster')")
    assert there(folder) == {"to review": 9, "Jumper": 1}
    browser.wait_until("document.getElementById('groups').textContent.includes('Jumper')")
    assert browser.evaluate(TILES) == 9


def test_teach(
    browser: Browser, opened: Callable[..., ReviewPage], folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The button Teach shows what the command says, can be stopped, and shows the verdict, before beside after; what is
    not in use yet can be put to use, and taken back."""
    monkeypatch.chdir(tmp_path)
    two_revisions(tmp_path, whole=True)
    page = opened(command=stub_command(folder, sleep=60))
    shown(browser, page, 9)
    status, click = "document.getElementById('teach-status').textContent", "document.getElementById('{}').click()"
    browser.evaluate(click.format("teach-open"))
    browser.evaluate(click.format("teach-go"))
    browser.wait_until("document.getElementById('teach-lines').textContent.includes('epoch 2 of 2')")
    assert "train shop --photos" in browser.evaluate("document.getElementById('teach-lines').textContent")
    browser.evaluate(click.format("teach-stop"))
    browser.wait_until(f"{status}.startsWith('Stopped after')")
    kept = GOOD | {"verdict": "within chance", "words": "No difference that is more than chance", "in_force": False}
    stub_command(folder, json=kept)
    browser.evaluate(click.format("teach-on"))
    browser.wait_until(
        "document.getElementById('teach-words').textContent === 'No difference that is more than chance'"
    )
    assert violations(browser) == []
    table = browser.evaluate("document.getElementById('teach-table').innerText.split(/\\s+/).join(' ')")
    assert "All your labels 40 30% 90%" in table
    assert "Polo 40 30% 90%" in table
    browser.wait_until("document.getElementById('teach-use').checkVisibility()")
    assert not browser.evaluate("document.getElementById('teach-back').checkVisibility()")
    browser.evaluate(click.format("teach-use"))
    browser.wait_until(f"{status}.startsWith('Cameras use it now')")
    browser.wait_until("document.getElementById('teach-back').checkVisibility()")
    assert "use the first network again" in browser.evaluate("document.getElementById('teach').innerText")
    browser.evaluate(click.format("teach-back"))
    browser.wait_until(f"{status}.startsWith('Cameras use the one before again')")
    stub_command(folder, exit=3)
    browser.evaluate(click.format("teach-go"))
    browser.wait_until("document.getElementById('teach-missing').textContent.includes('edgefashion train shop')")
    assert browser.complaints == []


def test_for_everyone(browser: Browser, page: ReviewPage, folder: Path) -> None:
    """axe-core finds nothing that keeps anybody out: on a desktop and a phone, light and dark, in every group and
    dialog, with pictures chosen."""
    collect(folder, "Dress")
    collected.move(collect(folder, "Shirt"), "Polo")
    pick = "(pick => {{ pick.value = '{}'; pick.dispatchEvent(new Event('change')) }})(document.getElementById('pick'))"
    click = "document.querySelector('{}').click()"
    views = [
        click.format("#grid li"),
        pick.format("label/Polo"),
        pick.format("doubted"),
        click.format("[data-act=closer]"),
        click.format("#teach-open"),
        click.format("#help-open"),
    ]
    for (size, dark), view in itertools.product(((DESKTOP, False), (PHONE, True)), views):
        browser.open(page.url, size[0], height_px=size[1], dark=dark, still=True)
        browser.wait_until(f"{TILES} > 5")
        browser.evaluate(view)
        if "closer" in view:
            browser.wait_until("document.getElementById('closer').open")
        assert violations(browser) == [], (size, dark, view)
    browser.evaluate("document.getElementById('help').close(); document.querySelector('#new label').remove()")
    assert any(line.startswith("label:") for line in violations(browser)), "a check that cannot fail"


def test_on_a_phone(browser: Browser, opened: Callable[..., ReviewPage], folder: Path) -> None:
    """On a phone: from "All like this" a button and the list of groups lead back; the verdict stays within its card,
    with one button that stands out, and what only an administrator understands is folded away; what the page says is
    in the open dialog, and covers no button of the page."""
    notes = ["All pictures of Polo are of two days.", "INT8 answers 40 of 40 pictures as FP16 does"]
    kept = GOOD | {"verdict": "within chance", "words": "No difference", "in_force": False, "notes": notes}
    page = opened(command=stub_command(folder, json=kept))
    shown(browser, page, 9, PHONE)
    tap(browser, "[data-act=like]")
    browser.wait_until("document.getElementById('leave').checkVisibility()")
    assert browser.evaluate("document.getElementById('pick').selectedOptions[0].textContent") == "All like this"
    tap(browser, "#leave")
    browser.wait_until(f"{TILES} === 9 && document.getElementById('title').textContent === 'To decide'")
    tap(browser, "[data-act=confirm]")
    browser.wait_until(f"{SAID}.includes('put')")
    bottom = "document.getElementById('said').getBoundingClientRect().bottom"
    assert browser.evaluate(f"{bottom} <= document.getElementById('bar').getBoundingClientRect().top")
    tap(browser, "#teach-open")
    tap(browser, "#teach-go")
    browser.wait_until("document.getElementById('teach-words').textContent === 'No difference'")
    inside = "document.getElementById('{}').getBoundingClientRect().right"
    assert browser.evaluate(f"{inside.format('teach-table')} <= {inside.format('teach-verdict')}")
    assert notes[0] in browser.evaluate("document.getElementById('teach').innerText")
    assert notes[1] not in browser.evaluate("document.getElementById('teach').innerText")
    colours = "[...document.querySelectorAll('#teach .row button')].filter(each => each.checkVisibility())"
    assert len(browser.evaluate(f"{colours}.map(each => getComputedStyle(each).backgroundColor)")) == 2
    assert len(set(browser.evaluate(f"{colours}.map(each => getComputedStyle(each).backgroundColor)"))) == 2
    stub_command(folder, sleep=60)
    browser.evaluate("document.getElementById('teach-go').click(); document.getElementById('teach-go').click()")
    browser.wait_until(f"{SAID}.includes('running already')")
    assert browser.evaluate("document.querySelector('#teach #said') !== null && document.getElementById('teach').open")


def test_closer_and_what_is_typed(browser: Browser, page: ReviewPage, folder: Path) -> None:
    """While one picture is looked at closer, a key or a button says what that one is, though others are chosen; a label
    that can be none is refused with the reason, and never cut to one that can; the pictures stay chosen where they
    were, so that the label which is mended goes to them and to no others."""
    shown(browser, page, 9)
    browser.wait_until("document.activeElement.getAttribute('role') === 'option'")
    press(browser, "ArrowRight", "ArrowRight", shift=True)
    for number, act in enumerate((["1"], ["Delete"], []), 1):
        press(browser, "i")
        browser.wait_until("document.getElementById('closer').open")
        press(browser, *act)
        if not act:
            browser.evaluate("document.querySelector('#closer-labels button').click()")
        browser.wait_until(f"!document.getElementById('closer').open && {TILES} === {9 - number}")
    browser.wait_until(f"{SAID}.includes('put under T-shirt')")
    assert there(folder) == {"to review": 6, "T-shirt": 2, ".deleted": 1}
    framed = (
        "[...['[aria-selected=true]', '[tabindex=\"0\"]']].map(which => "
        "[...document.querySelectorAll(`#grid ${which}`)].map(tile => tile.dataset.id))"
    )
    were = browser.evaluate(framed)
    assert were[0]
    for typed, why in (
        ("x" * 61, "more than 60 characters"),
        (".hid", "begins with a dot"),
        ("a/b", "may not be in it"),
    ):
        browser.evaluate(f"document.getElementById('name').value = {typed!r}")
        browser.evaluate("document.getElementById('new').requestSubmit()")
        browser.wait_until(f"{SAID}.includes({why!r})")
        browser.wait_until(f"document.getElementById('name').value === {typed!r}")
        assert browser.evaluate(framed) == were
        assert browser.evaluate("document.activeElement.id") == "name"
    assert there(folder) == {"to review": 6, "T-shirt": 2, ".deleted": 1}
    browser.evaluate("document.getElementById('name').value = 'None of these'")
    press(browser, "Enter")
    browser.wait_until(f"{SAID}.includes('put under None of these')")
    assert there(folder) == {"to review": 6 - len(were[0]), "Unknown": len(were[0]), "T-shirt": 2, ".deleted": 1}
    assert {path.name for path in (folder / "Unknown").iterdir()} == {each.rpartition("/")[2] for each in were[0]}
