"""The tagged pictures for the eye: one self-contained HTML page, label by label, the least certain first.

No script and no request: the pictures are in the page, small. It is light or dark as the reader's system is.
"""

from __future__ import annotations

import base64
import heapq
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Final

import numpy as np

from edgefashion import data, photos
from edgefashion.errors import BadInputError, without_password
from edgefashion.labels import NO_GARMENT, UNKNOWN
from edgefashion.tag_formats import as_text, read_rows, reason_of
from edgefashion.tag_rows import Row
from edgefashion.tag_walk import is_url, open_picture

PER_LABEL: Final = 200
"""So many pictures of a label are shown."""

THUMB_PX: Final = 160
"""Longest edge of a picture on the page."""

NOT_ACCEPTED: Final = "Not accepted"
UNREADABLE: Final = "Not read"

_QUALITY: Final = 80
_COMPARED: Final = 10_000
"""More pictures are not compared with one another: it takes the square of their number."""

_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_ABOUT: Final = {
    NOT_ACCEPTED: "Most like the label it names, but not like enough to be tagged with it.",
    UNKNOWN: "A garment or a thing that is none of the labels.",
    NO_GARMENT: "Nothing to name was found in these.",
    UNREADABLE: "These files could not be read.",
}


@dataclass
class _Section:
    """One label's pictures: how many, and those that are shown."""

    title: str
    count: int = 0
    heap: list[tuple[float, int, Row]] = field(default_factory=list)
    """(-confidence, -number in the table, row): the most certain is the first to go."""

    def take(self, number: int, row: Row, most: int) -> None:
        self.count += 1
        put = heapq.heappushpop if len(self.heap) >= most else heapq.heappush
        put(self.heap, (-row.confidence, -number, row))

    def rows(self) -> list[Row]:
        return [row for _, _, row in sorted(self.heap, reverse=True, key=lambda item: item[:2])]


@dataclass(frozen=True)
class _Card:
    """One picture that is shown."""

    place: str
    """Its name on the page."""
    row: Row
    twins: tuple[str, ...]
    """Places of the pictures that look the same."""


def check_page(page: Path) -> None:
    """Raise :class:`BadInputError` if a page cannot be written there, before the work for it is done."""
    if page.is_dir():
        raise BadInputError(f"{page} is a folder. Give the name of a file for --review")
    if not page.parent.is_dir():
        raise BadInputError(f"{page} cannot be written: {page.parent} is no folder. Make it first")


def write_review(rows_file: Path, page: Path, *, per_label: int = PER_LABEL) -> None:
    """Write the page of a finished table, aside first; the pictures are read again, as far as they are there.

    Of each label the ``per_label`` least certain are shown; no more of the table is in memory at any time.
    Raises :class:`BadInputError` if the table cannot be read or the page not be written.
    """
    check_page(page)
    sections = _sections(read_rows(rows_file), per_label)
    try:
        with (
            data.written_aside(page) as aside,
            aside.open("w", encoding="utf-8") as file,
            ThreadPoolExecutor(os.cpu_count(), "thumbs") as threads,
        ):
            for part in _page(rows_file.name, sections, threads):
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


def _title(row: Row) -> str:
    if row.error is not None:
        return UNREADABLE
    if row.label is None:
        return NO_GARMENT
    return row.label if row.accepted or row.label == UNKNOWN else NOT_ACCEPTED


# --- The page --------------------------------------------------------------------------------


def _page(name: str, sections: Sequence[_Section], threads: Executor) -> Iterator[str]:
    style = Path(__file__).with_name("tag_review.css").read_text(encoding="utf-8")
    count = sum(section.count for section in sections)
    yield (
        f'<!doctype html>\n<html lang="en" id=top><head><meta charset="utf-8"><title>{_html(f"Review: {name}")}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><link rel="icon" href="data:,">'
        f"<style>{style}</style></head>\n<body>"
    )
    yield (
        f"<header><p class=overline>edgefashion tag</p><h1>{_html(name)}</h1>"
        f"<p class=lead>{_counted(count)}, label by label, the least certain first.</p></header>"
    )
    yield _contents(sections, count)
    yield "<main>"
    cards = _cards(sections)
    for number, (section, shown) in enumerate(zip(sections, cards, strict=True)):
        yield from _section(number, section, shown, threads)
    yield "</main>"
    yield (
        "<footer>The pictures are as they were when this page was written; a link opens the file itself. "
        "A frame is where the garment was found.</footer>\n</body></html>"
    )


def _contents(sections: Sequence[_Section], count: int) -> str:
    largest = max((section.count for section in sections), default=1)
    lines = "".join(
        f"<li><a href=#s{number}><span class=title>{_html(section.title)}</span><span class=bar>"
        f'<span style="width:{100 * section.count / largest:.2f}%"></span></span>'
        f"<span class=count>{section.count:,}</span><span class=share>{_percent(section.count / count)}</span></a></li>"
        for number, section in enumerate(sections)
    )
    frames = "<p><label><input type=checkbox id=frames checked> Frames around the garments</label></p>"
    return f"<nav aria-label=Labels><ol>{lines}</ol></nav>{frames}" if sections else ""


def _section(number: int, section: _Section, cards: Sequence[_Card], threads: Executor) -> Iterator[str]:
    left = section.count - len(cards)
    about = [_ABOUT.get(section.title, "")]
    if left:
        certain = "others" if section.title in (NO_GARMENT, UNREADABLE) else "more certain"
        about.append(f"Shown are {len(cards):,}; {left:,} {certain} are not.")
    yield (
        f"<section aria-labelledby=s{number}><h2 id=s{number}>{_html(section.title)} "
        f"<small>{section.count:,}</small><a href=#top>Top</a></h2><p class=quiet>{' '.join(filter(None, about))}</p>"
    )
    if section.title == UNREADABLE:
        yield "<ul class=errors>"
        for card in cards:
            yield f"<li id={card.place}>{_name(card.row)}<span>{_html(card.row.error or '')}</span></li>"
    else:
        yield "<ul class=cards>"
        for card, thumb in zip(cards, threads.map(_thumb, (card.row.path for card in cards)), strict=True):
            yield _card(card, thumb)
    yield "</ul></section>"


def _card(card: _Card, thumb: tuple[bytes, int, int] | None) -> str:
    row = card.row
    lines = [f"<b>{_html(row.label)}</b> <span>{_percent(row.confidence)}</span>" if row.label else ""]
    second = next((answer for answer in row.top if answer[0] != row.label), None)
    lines.append(f"or {_html(second[0])} <span>{_percent(second[1])}</span>" if second else "")
    lines.append(_name(row))
    twin = ""
    if card.twins:
        more = f" and {len(card.twins) - 1:,} more" if len(card.twins) > 1 else ""
        twin = f"<a class=twin href=#{card.twins[0]}>looks like another{more}</a>"
    said = "".join(f"<p>{line}</p>" for line in lines if line)
    return f"<li id={card.place}><div class=picture>{_picture(row, thumb)}{twin}</div>{said}</li>"


def _picture(row: Row, thumb: tuple[bytes, int, int] | None) -> str:
    if thumb is None:
        return "<span class=gone>Cannot be read any more</span>"
    jpeg, width, height = thumb
    source = base64.b64encode(jpeg).decode()
    return (
        f'<span class=frame style="width:{width}px;height:{height}px"><img alt="" loading=lazy decoding=async '
        f'width={width} height={height} src="data:image/jpeg;base64,{source}">{_frame(row)}</span>'
    )


def _frame(row: Row) -> str:
    if row.box is None or not row.width or not row.height:
        return ""
    x, y, width, height = row.box
    shares = (x / row.width, y / row.height, width / row.width, height / row.height)
    edges = zip(("left", "top", "width", "height"), shares, strict=True)
    style = ";".join(f"{edge}:{100 * min(max(share, 0.0), 1.0):.2f}%" for edge, share in edges)
    return f'<span class=box style="{style}"></span>'


def _name(row: Row) -> str:
    """The file's name, a link to it where a browser can follow one."""
    path = without_password(row.path)
    name = path.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or path
    title = f'title="{_html(path)}"'
    address = row.path
    if not is_url(address):
        address = Path(address).absolute().as_uri()
    elif not address.startswith(("http://", "https://")) or path != address:
        return f"<span class=name {title}>{_html(name)}</span>"
    return f'<a class=name href="{_html(address)}" {title}>{_html(name)}</a>'


def _html(text: str) -> str:
    return escape(as_text(text).replace("\0", "\N{REPLACEMENT CHARACTER}"))


def _counted(count: int) -> str:
    return "1 picture" if count == 1 else f"{count:,} pictures"


def _percent(share: float) -> str:
    """Whole percent, but never 100 for less than all, nor 0 for more than none."""
    if 0 < share < 0.01:
        return "&lt; 1 %"
    return f"{min(round(100 * share), 99 if share < 1 else 100)} %"


# --- The pictures ----------------------------------------------------------------------------


def _thumb(path: str) -> tuple[bytes, int, int] | None:
    """A picture as a small JPEG, its width and its height; None where it cannot be read."""
    import cv2

    try:
        with open_picture(path) as file:
            picture = data.decode_image(file, path, THUMB_PX).image
    except Exception:  # whatever a file system raises: it is one picture less
        return None
    shrink = min(1.0, THUMB_PX / max(picture.shape[:2]))
    height, width = (max(1, round(edge * shrink)) for edge in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return jpeg.tobytes(), width, height


def _cards(sections: Sequence[_Section]) -> list[list[_Card]]:
    """The pictures shown of each section, and which of all of them look the same."""
    shown = [section.rows() for section in sections]
    rows = list(itertools.chain(*shown))
    hashed = [number for number, row in enumerate(rows) if row.phash is not None]
    twins: dict[int, list[int]] = {}
    if len(hashed) <= _COMPARED:
        hashes = np.array([int(rows[number].phash or "0", 16) for number in hashed], np.uint64)
        for a, b in photos.same_pairs(hashes):
            twins.setdefault(hashed[a], []).append(hashed[b])
            twins.setdefault(hashed[b], []).append(hashed[a])
    numbers = itertools.count()
    return [
        [_Card(f"p{n}", row, tuple(f"p{m}" for m in twins.get(n, ()))) for n, row in zip(numbers, part, strict=False)]
        for part in shown
    ]
