"""The tagged pictures for the eye: one self-contained HTML page, label by label, the least certain first.

No script and no request: the pictures are in the page, small. It is light or dark as the reader's system is.
"""

from __future__ import annotations

import base64
import contextlib
import heapq
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

import numpy as np

from edgefashion.data import images, photo_folders
from edgefashion.errors import BadInputError, printable
from edgefashion.labels import NO_GARMENT, UNKNOWN
from edgefashion.system import addresses, files
from edgefashion.system.text import is_url, reason_of
from edgefashion.tagging.formats import read_rows
from edgefashion.tagging.inventory import open_picture, walk
from edgefashion.tagging.remote_store import local_path
from edgefashion.tagging.row import Row

if TYPE_CHECKING:
    from edgefashion.inference.preprocess import Box

PER_LABEL: Final = 200
"""The number of pictures of a label that are shown, at most."""

THUMB_PX: Final = 160
"""Longest edge of a picture on the page."""

NOT_ACCEPTED: Final = "Not accepted"
UNREADABLE: Final = "Not read"

_JPEG_QUALITY: Final = 80

_MOST_COMPARED: Final = 10_000
"""Pictures that look the same are searched among so many at most: the time grows with the square of their number."""

_AT_ONCE: Final = 2
"""Pictures decoded at the same time: each may be of hundreds of megabytes."""

_PHASH: Final = re.compile("[0-9a-f]{16}")
_LEAST_BITS: Final = 8
"""A picture's perceptual hash has about 32 of its 64 bits set. One of a single colour has none or a few: it is like
every other such picture, and is not compared."""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_ABOUT: Final = {
    NOT_ACCEPTED: "Most like the label it names, but not like enough to be tagged with it.",
    UNKNOWN: "A garment or a thing that is none of the labels.",
    NO_GARMENT: "Nothing to name was found in these.",
    UNREADABLE: "These files could not be read.",
}

Thumb = tuple[bytes, int, int]
"""A JPEG, its width and its height in pixels."""


@dataclass(frozen=True)
class Card:
    """One picture that is shown."""

    place: str
    """Its name on the page."""
    row: Row
    opened: str | None
    """How its file is opened; None where the table hides what is needed for it."""
    href: str | None
    """Where its file is, for a browser; None where it can follow no link to it."""
    twins: tuple[str, ...]
    """Places of the pictures that look the same."""


@dataclass
class _Section:
    """One label's pictures: how many, and those that are shown."""

    title: str
    count: int = 0
    heap: list[tuple[float, int, Row]] = field(default_factory=list)
    """(-confidence, -number in the table, row). Where it is full, the most certain is left out first."""

    def take(self, number: int, row: Row, most: int) -> None:
        self.count += 1
        put = heapq.heappushpop if len(self.heap) >= most else heapq.heappush
        put(self.heap, (-row.confidence, -number, row))

    def rows(self) -> list[Row]:
        return [row for _, _, row in sorted(self.heap, reverse=True, key=lambda item: item[:2])]


@contextlib.contextmanager
def _threads() -> Iterator[Executor]:
    """Threads that make thumbnails. On leaving, at a Ctrl-C for example, those that have not begun are given up."""
    threads = ThreadPoolExecutor(_AT_ONCE, "thumbs")
    try:
        yield threads
    finally:
        threads.shutdown(cancel_futures=True)


def check_page(page: Path, out: Path | None = None) -> None:
    """Raise :class:`BadInputError` if a page cannot be written there, before the work for it is done, or would take
    the place of the table ``out`` or of what is kept beside it."""
    if out is not None:
        ours = os.path.realpath(out)
        if os.path.realpath(page) in (ours, *(f"{ours}.{end}" for end in ("partial", "made_with"))):
            raise BadInputError(f"{page} belongs to the table that --out names. Choose another --review")
    if page.is_dir():
        raise BadInputError(f"{page} is a folder. Give the name of a file for --review")
    if page.suffix.lower() not in (".html", ".htm"):
        raise BadInputError(f"{page} is to be a page. Give --review a name that ends in .html")
    if not page.parent.is_dir():
        raise BadInputError(f"{page} cannot be written: {page.parent} is no folder. Make it first")


def write_review(rows_file: Path, page: Path, *, per_label: int = PER_LABEL, given: Sequence[str] = ()) -> None:
    """Write the page of a finished table: under another name first, then renamed.

    The pictures are read again; one that is gone is shown without a picture. Of each label the ``per_label`` least
    certain are shown, and no more of the table is in memory at any time. ``given`` are the paths that the table was
    made of, with the accounts that it hides: without these such pictures are not asked for.
    Raises :class:`BadInputError` if the table cannot be read or the page not be written.
    """
    check_page(page)
    sections = _sections(read_rows(rows_file), per_label)
    try:
        with (
            files.written_aside(page) as aside,
            aside.open("w", encoding="utf-8") as file,
            _threads() as threads,
        ):
            opened = _opened(sections, given)
            for part in _page(rows_file.name, sections, opened, page.absolute().parent, threads):
                file.write(part + "\n")
    except OSError as error:
        raise BadInputError(f"{page} cannot be written: {reason_of(error)}. Choose another place") from error


def _sections(rows: Iterable[Row], most: int) -> list[_Section]:
    """In the order of the page: what needs a look, the labels by name, what has no label."""
    found: dict[str, _Section] = {}
    for number, row in enumerate(rows):
        title = _title(row)
        found.setdefault(title, _Section(title)).take(number, row, most)
    first, last = (NOT_ACCEPTED,), (UNKNOWN, NO_GARMENT, UNREADABLE)
    labels = sorted(found.keys() - {*first, *last})
    return [found[title] for title in (*first, *labels, *last) if title in found]


def _opened(sections: Iterable[_Section], given: Sequence[str]) -> dict[str, str]:
    """By their paths in the table, how the pictures are opened of which the table hides a part, as far as ``given``
    leads to them."""
    shown = (row.path for section in sections if section.title != UNREADABLE for row in section.rows())
    wanted = set(filter(_lacks_secret, shown))
    urls = [path for path in given if is_url(path)]
    found = {name: path for path in urls if (name := addresses.shown(path)) in wanted}
    for path in urls:  # a folder's or a pattern's pictures
        if len(found) < len(wanted) and addresses.shown(path) not in found:
            with contextlib.suppress(Exception):  # the server is away by now, for one
                found |= {name: each for each in walk([path]) if (name := addresses.shown(each)) in wanted}
    return found


def _lacks_secret(path: str) -> bool:
    return is_url(path) and addresses.lacks_secret(path)


def _title(row: Row) -> str:
    if row.error is not None:
        return UNREADABLE
    if row.label is None:
        return NO_GARMENT
    return row.label if row.accepted or row.label == UNKNOWN else NOT_ACCEPTED


# --- The page --------------------------------------------------------------------------------


def _page(
    name: str, sections: Sequence[_Section], opened: Mapping[str, str], folder: Path, threads: Executor
) -> Iterator[str]:
    style = Path(__file__).with_name("review.css").read_text(encoding="utf-8")
    count = sum(section.count for section in sections)
    yield (
        '<!doctype html>\n<html lang="en" id=top><head><meta charset="utf-8">'
        f"<title>Review: {_as_html(name)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><link rel="icon" href="data:,">'
        f"<style>{style}</style></head>\n<body>"
    )
    yield (
        f"<header><p class=overline>edgefashion tag</p><h1>{_as_html(name)}</h1>"
        f"<p class=lead>{count:,} picture{'s' * (count != 1)}, label by label, the least certain first.</p></header>"
    )
    yield _contents(sections, count)
    yield "<main>"
    cards = _cards(sections, opened, folder)
    for number, (section, shown) in enumerate(zip(sections, cards, strict=True)):
        yield from _section(number, section, shown, threads)
    yield "</main>"
    yield (
        "<footer>The pictures are as they were when this page was written; a link opens the file itself. From a web "
        "server only links to pictures in this page's folder, or below it, can be followed. "
        "A frame is where the garment was found; a thin one is around what else is in view.</footer>\n</body></html>"
    )


def _contents(sections: Sequence[_Section], count: int) -> str:
    largest = max((section.count for section in sections), default=1)
    lines = "".join(
        f"<li><a href=#s{number}><span class=title>{_as_html(section.title)}</span><span class=bar>"
        f'<span style="width:{100 * section.count / largest:.2f}%"></span></span>'
        f"<span class=count>{section.count:,}</span>"
        f"<span class=share>{_percent(section.count / count)}</span></a></li>"
        for number, section in enumerate(sections)
    )
    frames = "<p><label><input type=checkbox id=frames checked> Frames around the garments</label></p>"
    return f"<nav aria-label=Labels><ol>{lines}</ol></nav>{frames}" if sections else ""


def _section(number: int, section: _Section, cards: Sequence[Card], threads: Executor) -> Iterator[str]:
    left = section.count - len(cards)
    about = [_ABOUT.get(section.title, "")]
    if left:
        certain = "others" if section.title in (NO_GARMENT, UNREADABLE) else "more certain"
        about.append(f"Shown are {len(cards):,}; {left:,} {certain} are not.")
    yield (
        f"<section aria-labelledby=s{number}><h2 id=s{number}>{_as_html(section.title)} "
        f"<small>{section.count:,}</small><a href=#top>Top</a></h2><p class=quiet>{' '.join(filter(None, about))}</p>"
    )
    if section.title == UNREADABLE:
        yield "<ul class=errors>"
        for card in cards:
            yield f"<li id={card.place}>{_link(card)}<span>{_as_html(card.row.error or '')}</span></li>"
    else:
        several = any(len(card.row.garments) > 1 for card in cards)
        yield f'<ul class="cards{" several" * several}">'
        for card, thumb in zip(cards, threads.map(_thumb_of, (card.opened for card in cards)), strict=True):
            yield _card_html(card, thumb)
    yield "</ul></section>"


def _cards(sections: Sequence[_Section], opened: Mapping[str, str], folder: Path) -> list[list[Card]]:
    """The pictures shown of each section, and which of all of them look the same; ``folder`` is the page's."""
    shown = [section.rows() for section in sections]
    rows = list(itertools.chain(*shown))
    hashed = [number for number, row in enumerate(rows) if _telling(row.phash)]
    twins: dict[int, list[int]] = {}
    if len(hashed) <= _MOST_COMPARED:
        hashes = np.array([int(rows[number].phash or "0", 16) for number in hashed], np.uint64)
        for a, b in photo_folders.same_pairs(hashes):
            twins.setdefault(hashed[a], []).append(hashed[b])
            twins.setdefault(hashed[b], []).append(hashed[a])
    cards = (
        Card(f"p{n}", row, how, _href(row.path, folder), tuple(f"p{m}" for m in twins.get(n, ())))
        for n, row in enumerate(rows)
        for how in (opened.get(row.path, None if _lacks_secret(row.path) else row.path),)
    )
    return [list(itertools.islice(cards, len(part))) for part in shown]


def _telling(phash: str | None) -> bool:
    """False where there is no hash, and for a picture of one colour."""
    return bool(_PHASH.fullmatch(phash or "")) and int(phash or "", 16).bit_count() >= _LEAST_BITS


# --- One picture -----------------------------------------------------------------------------


def _thumb_of(path: str | None) -> Thumb | None:
    """A picture as a small JPEG, its width and its height; None where it cannot be read."""
    import cv2

    if path is None:
        return None
    try:
        with open_picture(path) as file:
            picture = images.decode_image(file, path, THUMB_PX).image
    except Exception:  # every file system has errors of its own; the page then shows no picture here
        return None
    shrink = min(1.0, THUMB_PX / max(picture.shape[:2]))
    height, width = (max(1, round(edge * shrink)) for edge in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, (cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY))
    return jpeg.tobytes(), width, height


def _card_html(card: Card, thumb: Thumb | None) -> str:
    """The picture as an item of the page's list."""
    row = card.row
    lines = [f"<b>{_as_html(row.label)}</b> <span>{_percent(row.confidence)}</span>" if row.label else ""]
    second = next((answer for answer in row.top if answer[0] != row.label), None)
    lines.append(f"or {_as_html(second[0])} <span>{_percent(second[1])}</span>" if second else "")
    lines.append(_others(row))
    lines.append(_link(card))
    twin = ""
    if card.twins:
        more = f" and {len(card.twins) - 1:,} more" if len(card.twins) > 1 else ""
        twin = f"<a class=twin href=#{card.twins[0]}>looks like another{more}</a>"
    said = "".join(f"<p>{line}</p>" for line in lines if line)
    return f"<li id={card.place}><div class=picture>{_picture(card, thumb)}{twin}</div>{said}</li>"


def _others(row: Row) -> str:
    """What else is in view, the doubtful with a question mark."""
    names = ", ".join(_as_html(other.label) + "?" * (not other.accepted) for other in row.garments[1:])
    return f'<i title="{names}">also {names}</i>' if names else ""


def _picture(card: Card, thumb: Thumb | None) -> str:
    if card.opened is None:
        return "<span class=gone>Not shown: its password is not in the table</span>"
    if thumb is None:
        return "<span class=gone>Cannot be read any more</span>"
    jpeg, width, height = thumb
    source = base64.b64encode(jpeg).decode()
    return (
        f'<span class=frame style="width:{width}px;height:{height}px"><img alt="" loading=lazy decoding=async '
        f'width={width} height={height} src="data:image/jpeg;base64,{source}">{_frames(card.row)}</span>'
    )


def _frames(row: Row) -> str:
    """A frame around each garment, the main one's last, so that it lies on top."""
    others = [_frame("other", other.box, row) for other in row.garments[1:]]
    return "".join(others) + ("" if row.box is None else _frame("box", row.box, row))


def _frame(kind: str, box: Box, row: Row) -> str:
    if not row.width or not row.height:
        return ""
    x, y, width, height = box
    shares = (x / row.width, y / row.height, width / row.width, height / row.height)
    edges = zip(("left", "top", "width", "height"), shares, strict=True)
    style = ";".join(f"{edge}:{100 * min(max(share, 0.0), 1.0):.2f}%" for edge, share in edges)
    return f'<span class={kind} style="{style}"></span>'


def _href(path: str, folder: Path) -> str | None:
    """A link to a picture: from the page on where it lies below that, which a web server can offer too."""
    if path.startswith(("http://", "https://")):
        return path if addresses.shown(path) == path and not addresses.lacks_secret(path) else None
    here = local_path(path) if is_url(path) else path
    if here is None:
        return None
    file = Path(here).absolute()
    below = file.relative_to(folder) if file.is_relative_to(folder) else None
    if below is None or ".." in below.parts:
        return file.as_uri()
    return f"./{quote(os.fsencode(below.as_posix()))}"


def _link(card: Card) -> str:
    """The file's name, a link to it where a browser can follow one."""
    path = addresses.shown(card.row.path)
    name = path.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or path
    title = f'title="{_as_html(path)}"'
    if card.href is None:
        return f"<span class=name {title}>{_as_html(name)}</span>"
    return f'<a class=name href="{_as_html(card.href)}" {title}>{_as_html(name)}</a>'


def _as_html(text: str) -> str:
    """Any text, shown as it is written."""
    return escape(printable(text))


def _percent(share: float) -> str:
    """Whole percent, but never 100 for less than all, nor 0 for more than none."""
    if not 0 <= share <= 1:
        return "?"
    if 0 < share < 0.01:
        return "&lt; 1 %"
    return f"{min(round(100 * share), 99 if share < 1 else 100)} %"
