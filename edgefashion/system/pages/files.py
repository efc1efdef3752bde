"""A page's own files, ready to be sent: with the colours of this package, and a version that tells a new page."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgefashion.system import palette
from edgefashion.system.pages.access import WITHIN

if TYPE_CHECKING:
    from starlette.routing import Route

_WITHIN_MARK: Final = b"/* WITHIN */"
"""Where a page holds :data:`~edgefashion.system.pages.access.WITHIN`."""

_TYPES: Final = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def routes(folder: Path, names: Mapping[str, str]) -> tuple[list[Route], str]:
    """Routes for the files of ``folder``, by the path that each is asked for by, and a hash of all of them, in hex.

    A style sheet begins with the colours of :mod:`edgefashion.system.palette`.
    """
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    contents = {path: _ready(folder / name) for path, name in names.items()}
    version = hashlib.sha256(b"".join(contents.values())).hexdigest()[:16]

    async def file(request: Request) -> Response:
        path = request.scope["path"]
        return Response(contents[path], media_type=_TYPES[Path(names[path]).suffix])

    return [Route(path, file) for path in contents], version


def _ready(file: Path) -> bytes:
    content = file.read_bytes()
    if file.suffix == ".css":
        return palette.page_css().encode() + content
    return content.replace(_WITHIN_MARK, WITHIN.encode())
