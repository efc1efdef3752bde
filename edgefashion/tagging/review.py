"""The tagged pictures for the eye: one self-contained HTML page, label by label, the least certain first.

No script and no request: the pictures are in the page, small. It is light or dark as the reader's system is.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from edgefashion.data import photo_folders
from edgefashion.errors import BadInputError
from edgefashion.labels import NO_GARMENT, UNKNOWN
from edgefashion.system import files
from edgefashion.tagging.formats import read_rows, reason_of
from edgefashion.tagging.review_cards import Card, as_html, card_html, link, percent, thumb_of
from edgefashion.tagging.row import Row

PER_LABEL: Final = 200
"""So many pictures of a label are shown."""

NOT_ACCEPTED: Final = "Not accepted"
UNREADABLE: Final = "Not read"

_COMPARED: Final = 10_000
"""More pictures are not compared with one another: it takes the square of their number."""

_AT_ONCE: Final = 2
"""Pictures decoded at the same time: each may be of hundreds of megabytes."""

_PHASH: Final = re.compile("[0-9a-f]{16}")
_TELLING_BITS: Final = 8
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


@contextlib.contextmanager
def _threads() -> Iterator[Executor]:
    """To make thumbnails in; what is left to do on leaving, at a Ctrl-C, is left undone."""
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


def write_review(rows_file: Path, page: Path, *, per_label: int = PER_LABEL) -> None:
    """Write the page of a finished table, aside first; the pictures are read again, as far as they are there.

    Of each label the ``per_label`` least certain are shown; no more of the table is in memory at any time.
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
    style = Path(__file__).with_name("review.css").read_text(encoding="utf-8")
    count = sum(section.count for section in sections)
    yield (
        '<!doctype html>\n<html lang="en" id=top><head><meta charset="utf-8">'
        f"<title>Review: {as_html(name)}</title>"
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}"><link rel="icon" href="data:,">'
        f"<style>{style}</style></head>\n<body>"
    )
    yield (
        f"<header><p class=overline>edgefashion tag</p><h1>{as_html(name)}</h1>"
        f"<p class=lead>{count:,} picture{'s' * (count != 1)}, label by label, the least certain first.</p></header>"
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
        f"<li><a href=#s{number}><span class=title>{as_html(section.title)}</span><span class=bar>"
        f'<span style="width:{100 * section.count / largest:.2f}%"></span></span>'
        f"<span class=count>{section.count:,}</span>"
        f"<span class=share>{percent(section.count / count)}</span></a></li>"
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
        f"<section aria-labelledby=s{number}><h2 id=s{number}>{as_html(section.title)} "
        f"<small>{section.count:,}</small><a href=#top>Top</a></h2><p class=quiet>{' '.join(filter(None, about))}</p>"
    )
    if section.title == UNREADABLE:
        yield "<ul class=errors>"
        for card in cards:
            yield f"<li id={card.place}>{link(card.row)}<span>{as_html(card.row.error or '')}</span></li>"
    else:
        yield "<ul class=cards>"
        for card, thumb in zip(cards, threads.map(thumb_of, (card.row.path for card in cards)), strict=True):
            yield card_html(card, thumb)
    yield "</ul></section>"


def _cards(sections: Sequence[_Section]) -> list[list[Card]]:
    """The pictures shown of each section, and which of all of them look the same."""
    shown = [section.rows() for section in sections]
    rows = list(itertools.chain(*shown))
    hashed = [number for number, row in enumerate(rows) if _telling(row.phash)]
    twins: dict[int, list[int]] = {}
    if len(hashed) <= _COMPARED:
        hashes = np.array([int(rows[number].phash or "0", 16) for number in hashed], np.uint64)
        for a, b in photo_folders.same_pairs(hashes):
            twins.setdefault(hashed[a], []).append(hashed[b])
            twins.setdefault(hashed[b], []).append(hashed[a])
    cards = (Card(f"p{n}", row, tuple(f"p{m}" for m in twins.get(n, ()))) for n, row in enumerate(rows))
    return [list(itertools.islice(cards, len(part))) for part in shown]


def _telling(phash: str | None) -> bool:
    """False where there is no hash, and for a picture of one colour: half of any other's bits are set, of its none."""
    return bool(_PHASH.fullmatch(phash or "")) and int(phash or "", 16).bit_count() >= _TELLING_BITS
