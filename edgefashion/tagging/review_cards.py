"""One tagged picture on the review page: small, with its frame, what was said of it, and the way to its file."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

from edgefashion.data import images
from edgefashion.system.text import is_url, without_password
from edgefashion.tagging.formats import as_text
from edgefashion.tagging.inventory import open_picture
from edgefashion.tagging.row import Row

THUMB_PX: Final = 160
"""Longest edge of a picture on the page."""

_QUALITY: Final = 80

Thumb = tuple[bytes, int, int]
"""A JPEG, its width and its height in pixels."""


@dataclass(frozen=True)
class Card:
    """One picture that is shown."""

    place: str
    """Its name on the page."""
    row: Row
    twins: tuple[str, ...]
    """Places of the pictures that look the same."""


def thumb_of(path: str) -> Thumb | None:
    """A picture as a small JPEG, its width and its height; None where it cannot be read."""
    import cv2

    try:
        with open_picture(path) as file:
            picture = images.decode_image(file, path, THUMB_PX).image
    except Exception:  # whatever a file system raises: it is one picture less
        return None
    shrink = min(1.0, THUMB_PX / max(picture.shape[:2]))
    height, width = (max(1, round(edge * shrink)) for edge in picture.shape[:2])
    small = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", small, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return jpeg.tobytes(), width, height


def card_html(card: Card, thumb: Thumb | None) -> str:
    """The picture as an item of the page's list."""
    row = card.row
    lines = [f"<b>{as_html(row.label)}</b> <span>{percent(row.confidence)}</span>" if row.label else ""]
    second = next((answer for answer in row.top if answer[0] != row.label), None)
    lines.append(f"or {as_html(second[0])} <span>{percent(second[1])}</span>" if second else "")
    lines.append(link(row))
    twin = ""
    if card.twins:
        more = f" and {len(card.twins) - 1:,} more" if len(card.twins) > 1 else ""
        twin = f"<a class=twin href=#{card.twins[0]}>looks like another{more}</a>"
    said = "".join(f"<p>{line}</p>" for line in lines if line)
    return f"<li id={card.place}><div class=picture>{_picture(row, thumb)}{twin}</div>{said}</li>"


def _picture(row: Row, thumb: Thumb | None) -> str:
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


def link(row: Row) -> str:
    """The file's name, a link to it where a browser can follow one."""
    path = without_password(row.path)
    name = path.rstrip("/\\").replace("\\", "/").rpartition("/")[2] or path
    title = f'title="{as_html(path)}"'
    address = row.path
    if not is_url(address):
        address = Path(address).absolute().as_uri()
    elif not address.startswith(("http://", "https://")) or path != address:
        return f"<span class=name {title}>{as_html(name)}</span>"
    return f'<a class=name href="{as_html(address)}" {title}>{as_html(name)}</a>'


def as_html(text: str) -> str:
    """Any text, shown as it is written."""
    return escape(as_text(text).replace("\0", "\N{REPLACEMENT CHARACTER}"))


def percent(share: float) -> str:
    """Whole percent, but never 100 for less than all, nor 0 for more than none."""
    if not 0 <= share <= 1:
        return "?"
    if 0 < share < 0.01:
        return "&lt; 1 %"
    return f"{min(round(100 * share), 99 if share < 1 else 100)} %"
