"""Pictures decoded in a process of their own, which may hang or die of them.

The other end of :mod:`edgefashion.tagging.pool`. The first message says with ``photos`` whether a photo network is to
see the pictures, with ``network`` which one is to name their garments here, or null (``collect`` in it says what is to
be cut out), and with ``logins`` what is known of accounts. Each of the others is a chunk:
``paths`` and, in the payload, the bytes of those pictures that only the parent can read; ``sizes`` has their numbers of
bytes, or null. Each picture is answered with the fields of :class:`edgefashion.tagging.picture.Prepared`, the ``shape``
in place of the pixels, which are the payload; or, with a network, with those of
:class:`edgefashion.tagging.several.Named`, the payload being the JPEGs of its ``cuts``; or with ``error`` and
``try_again`` of its :class:`edgefashion.tagging.row.Row`; or with ``failed``, where the network cannot go on.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple

from edgefashion.system.addresses import shown, without_secrets
from edgefashion.system.processes import Message, Parent
from edgefashion.system.text import is_url

if TYPE_CHECKING:
    from edgefashion.tagging.picture import Prepared
    from edgefashion.tagging.several import Named

_SAID_CHARS: Final = 300

Answer = tuple[dict[str, Any], bytes]
"""A message and its payload."""


def main() -> None:
    """Answer chunk after chunk until the parent closes our stdin."""
    parent = Parent()
    job = parent.receive()
    import cv2

    from edgefashion.tagging import logins, picture, several  # all that takes time to load, before it says so

    logins.learn(job["logins"])
    cv2.setNumThreads(1)  # the other cores have pictures of their own
    if job["network"] is None:
        steps = Steps(functools.partial(picture.prepare, photos=job["photos"]), lambda _, found: _prepared(found))
    else:
        try:
            classifier = several.loaded(job["network"])
        except Exception as error:
            parent.send({"failed": _failed(error)})
            return
        collect = job["network"].get("collect")
        steps = Steps(picture.read, lambda name, found: _named(several.named(classifier, name, found, collect)))
    parent.send({"ready": True})
    while True:
        _answer(parent, parent.receive(), steps)


class Steps(NamedTuple):
    """What is done to a picture."""

    read: Callable[[BinaryIO, str], Any]
    """What it raises is told of the picture."""
    answer: Callable[[str, Any], Answer]
    """Takes the picture's path and what was read. What it raises ends the run."""


def _answer(parent: Parent, chunk: Message, steps: Steps) -> None:
    from edgefashion.tagging import inventory

    here = io.BytesIO(chunk.get("payload", b""))
    for path, size in zip(chunk["paths"], chunk["sizes"], strict=True):
        try:
            with inventory.open_picture(path) if size is None else io.BytesIO(here.read(size)) as file:
                read = steps.read(file, path)
        except Exception as error:  # of any kind: every file system behind a URL has its own, and memory may end
            parent.send({"error": why_not(path, error), "try_again": may_pass(error)})
            continue
        try:
            message, payload = steps.answer(path, read)
        except Exception as error:
            parent.send({"failed": _failed(error)})
            continue
        parent.send(message, payload)


def _prepared(found: Prepared) -> Answer:
    facts = vars(found).copy()
    pixels = facts.pop("pixels")
    shape, payload = (None, b"") if pixels is None else (pixels.shape, pixels.tobytes())
    return {**facts, "shape": shape}, payload


def _named(found: Named) -> Answer:
    from edgefashion.tagging.formats import to_record

    cuts = [cut.as_json() for cut in found.cuts]
    return {**vars(found), "row": to_record(found.row), "cuts": cuts}, b"".join(cut.jpeg for cut in found.cuts)


def _failed(error: Exception) -> str:
    from edgefashion.errors import EdgeFashionError

    if isinstance(error, EdgeFashionError):
        return str(error)
    said = f"{type(error).__name__} {error}".splitlines()[0][:_SAID_CHARS].rstrip(" .")
    return f"the network failed where pictures are decoded: {without_secrets(said)}. Run: edgefashion doctor"


def why_not(path: str, error: Exception) -> str:
    """What the error row of a picture says; of what a file system says not more than a line."""
    from edgefashion.errors import EdgeFashionError

    if isinstance(error, EdgeFashionError):
        # Not its text, in which odd letters are escaped: each table has an escape of its own.
        return without_secrets(str(error.args[0]), path)
    if isinstance(error, FileNotFoundError) and isinstance(error.__cause__, Exception):
        return why_not(path, error.__cause__)  # what fsspec says of every error of a web server
    if isinstance(error, OSError):
        # A file system behind a URL gives the name alone.
        missing = "No such file" if isinstance(error, FileNotFoundError) else ""
        reason = error.strerror or missing or str(error) or type(error).__name__
    elif type(error).__name__ == "TooManyRedirects":  # aiohttp's, which has a status of 0
        reason = "its server leads from one address to the next without an end"
    elif isinstance(status := getattr(error, "status", None), int):
        reason = f"its server answers {status} ({getattr(error, 'message', '')})"
    else:
        reason = f"{type(error).__name__} {error}"
    reason = " ".join(without_secrets(reason[: 2 * _SAID_CHARS], path).split())[:_SAID_CHARS].rstrip(" .")
    advice = "Check the URL and its server" if is_url(path) else "Check the path and its permissions"
    return f"{shown(path)} cannot be read: {reason}. {advice}"


def may_pass(error: Exception) -> bool:
    """False for an error that is the picture's own, True for one of its file, which may be had at another time."""
    from edgefashion.errors import EdgeFashionError, NoDecoderError
    from edgefashion.tagging.errors import RefusedLoginError

    if not isinstance(error, EdgeFashionError) or isinstance(error, NoDecoderError | RefusedLoginError):
        return True  # of a missing library and a wrong login, too: the next run may have them right
    # A decoder's OSError has a number where the file could not be read, and none where the picture is broken.
    return getattr(error.__cause__, "errno", None) is not None


if __name__ == "__main__":
    main()
