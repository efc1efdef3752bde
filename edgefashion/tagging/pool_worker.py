"""Pictures decoded in a process of their own, which may hang or die of them: the other end of ``tag_pool``.

The first line of stdin is JSON: ``photos``, whether a photo network is to see them. Then comes a chunk a line, a list
of a path and, of what only the parent can read, its bytes in base64, else null. A picture's answer is a JSON line
with the fields of :class:`edgefashion.tagging.picture.Prepared`, ``shape`` in place of the pixels, and then the pixels' bytes;
or ``{"error": ...}``. The end of stdin ends the process.
"""

from __future__ import annotations

import base64
import io
import json
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from edgefashion.system.processes import leave_ending_to_the_parent
from edgefashion.tagging.row import NOT_READ

if TYPE_CHECKING:
    from edgefashion.tagging.picture import Prepared


_SAID_CHARS: Final = 300


def main() -> None:
    """Answer chunk after chunk until stdin ends."""
    leave_ending_to_the_parent()
    # Whatever a library prints must not get between our answers.
    out = os.fdopen(os.dup(1), "wb", buffering=1 << 18)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    photos = bool(json.loads(sys.stdin.readline())["photos"])
    chunks: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(chunks,), name="chunks", daemon=True).start()
    import cv2

    from edgefashion.tagging import picture  # noqa: F401 (all that takes time to load, before it says so)

    cv2.setNumThreads(1)  # the other cores have pictures of their own
    try:
        _say(out, {"ready": True})
        while True:
            for path, raw in json.loads(chunks.get()):
                _answer(out, path, raw, photos)
    except OSError:  # nobody listens any more
        os._exit(0)


def _listen(chunks: queue.SimpleQueue[str]) -> None:
    for line in sys.stdin:
        chunks.put(line)
    os._exit(0)  # a picture may hold the main thread for ever


def _answer(out: BinaryIO, path: str, raw: str | None, photos: bool) -> None:
    try:
        prepared = prepared_of(path, raw, photos)
    except NotReadError as error:
        _say(out, {"error": str(error)})
        return
    facts = vars(prepared).copy()
    pixels = facts.pop("pixels")
    _say(out, facts | {"shape": None if pixels is None else pixels.shape}, b"" if pixels is None else pixels.data)


class NotReadError(Exception):
    """A picture that makes an error row."""


def prepared_of(path: str, raw: str | None, photos: bool) -> Prepared:
    """Open and prepare a picture; ``raw``: its bytes in base64. Raises :class:`NotReadError` with the row's error."""
    from edgefashion.tagging import inventory, picture

    try:
        with io.BytesIO(base64.b64decode(raw)) if raw is not None else inventory.open_picture(path) as file:
            return picture.prepare(file, path, photos)
    except Exception as error:  # of any kind: every file system behind a URL has its own, and memory may end
        raise NotReadError(why_not(path, error)) from error


def why_not(path: str, error: Exception) -> str:
    """What the error row of a picture says; of what a file system says not more than a line."""
    from edgefashion.errors import EdgeFashionError
    from edgefashion.system.text import without_password

    if isinstance(error, EdgeFashionError):
        return without_password(str(error))
    if isinstance(error, OSError):
        # A file system behind a URL gives the name alone.
        missing = "No such file" if isinstance(error, FileNotFoundError) else ""
        reason = error.strerror or missing or str(error) or type(error).__name__
    else:
        reason = f"{type(error).__name__} {error}"
    reason = " ".join(without_password(reason[: 2 * _SAID_CHARS]).split())[:_SAID_CHARS].rstrip(" .")
    return f"{without_password(path)} {NOT_READ} {reason}. Check the path and its permissions"


def _say(out: BinaryIO, facts: dict[str, Any], pixels: Any = b"") -> None:
    out.write(json.dumps(facts).encode() + b"\n")
    out.write(pixels)
    out.flush()


if __name__ == "__main__":
    main()
