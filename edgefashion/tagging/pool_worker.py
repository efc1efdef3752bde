"""Pictures decoded in a process of their own, which may hang or die of them.

The other end of :mod:`edgefashion.tagging.pool`. The first message says with ``photos`` whether a photo network is to
see the pictures. Each of the others is a chunk: ``paths`` and, in the payload, the bytes of those pictures that only
the parent can read; ``sizes`` has their numbers of bytes, or null. Each picture is answered with the fields of
:class:`edgefashion.tagging.picture.Prepared`, the ``shape`` in place of the pixels, which are the payload; or with
``error`` and ``try_again`` of its :class:`edgefashion.tagging.row.Row`.
"""

from __future__ import annotations

import io
from typing import Final

from edgefashion.system.processes import Message, Parent
from edgefashion.system.text import without_password

_SAID_CHARS: Final = 300


def main() -> None:
    """Answer chunk after chunk until the parent closes our stdin."""
    parent = Parent()
    photos = bool(parent.receive()["photos"])
    import cv2

    from edgefashion.tagging import picture  # noqa: F401 (all that takes time to load, before it says so)

    cv2.setNumThreads(1)  # the other cores have pictures of their own
    parent.send({"ready": True})
    while True:
        _answer(parent, parent.receive(), photos)


def _answer(parent: Parent, chunk: Message, photos: bool) -> None:
    from edgefashion.tagging import inventory, picture

    here = io.BytesIO(chunk.get("payload", b""))
    for path, size in zip(chunk["paths"], chunk["sizes"], strict=True):
        try:
            with inventory.open_picture(path) if size is None else io.BytesIO(here.read(size)) as file:
                prepared = picture.prepare(file, path, photos)
        except Exception as error:  # of any kind: every file system behind a URL has its own, and memory may end
            parent.send({"error": why_not(path, error), "try_again": may_pass(error)})
            continue
        facts = vars(prepared).copy()
        pixels = facts.pop("pixels")
        shape, payload = (None, b"") if pixels is None else (pixels.shape, pixels.tobytes())
        parent.send({**facts, "shape": shape}, payload)


def why_not(path: str, error: Exception) -> str:
    """What the error row of a picture says; of what a file system says not more than a line."""
    from edgefashion.errors import EdgeFashionError

    if isinstance(error, EdgeFashionError):
        return without_password(str(error))
    if isinstance(error, OSError):
        # A file system behind a URL gives the name alone.
        missing = "No such file" if isinstance(error, FileNotFoundError) else ""
        reason = error.strerror or missing or str(error) or type(error).__name__
    else:
        reason = f"{type(error).__name__} {error}"
    reason = " ".join(without_password(reason[: 2 * _SAID_CHARS]).split())[:_SAID_CHARS].rstrip(" .")
    return f"{without_password(path)} cannot be read: {reason}. Check the path and its permissions"


def may_pass(error: Exception) -> bool:
    """False for an error that is the picture's own, True for one of its file, which may be had at another time."""
    from edgefashion.errors import EdgeFashionError

    if not isinstance(error, EdgeFashionError):
        return True
    # A decoder's OSError has a number where the file could not be read, and none where the picture is broken.
    return getattr(error.__cause__, "errno", None) is not None


if __name__ == "__main__":
    main()
