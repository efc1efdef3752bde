"""Words for people: sizes, reasons, and what a shell would take apart. Addresses are in
:mod:`edgefashion.system.addresses`."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import Any

from edgefashion.system.addresses import without_secrets


def is_of_texts(array: Any) -> bool:
    """Whether a numpy array holds texts and no numbers, as the names that some networks answer beside them do."""
    return bool(array.dtype.kind in "SUO")


def size(size_bytes: int) -> str:
    """Bytes as kB or MB; a served model's, which are not known, as a dash."""
    if not size_bytes:
        return "-"
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"


def quoted(argument: str | Path) -> str:
    """``argument`` as it is typed on a command line: in quotes where a shell would take it apart."""
    text = str(argument)
    if os.name == "nt":  # there single quotes are part of the name
        return f'"{text}"' if " " in text else text
    return shlex.quote(text)


def reason_of(error: BaseException | str, longest: int = 200) -> str:
    """An error, or what a library says of one, on one line of ``longest`` characters at most, without a full stop."""
    if isinstance(error, OSError) and error.strerror:
        return without_secrets(error.strerror)
    return " ".join(without_secrets(str(error)).split())[:longest].rstrip(" .") or type(error).__name__


def whole_number(text: str) -> int | None:
    """A number of plain digits, as a header or an argument brings it; None for anything else, and for more digits than
    any size has. Python's ``isdigit`` takes a ``²`` too, and its ``int`` raises over that and over 4,300 digits."""
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def last_line(text: str, longest: int = 200) -> str:
    """The last line of ``text`` that is not blank, ``longest`` characters at most; empty if there is none.

    In a traceback, and in most of what a library says about an error, it names the error.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not lines:
        return ""
    line = "".join(c if c.isprintable() else " " for c in without_secrets(lines[-1]))
    return line if len(line) <= longest else f"{line[:longest]}..."


def is_url(model: str | Path) -> bool:
    """True if a MODEL or a picture's path is written as a URL, be it a usable one or not."""
    return isinstance(model, str) and "://" in model


def openvino_reason(error: BaseException, longest: int = 160) -> str:
    """What OpenVINO says is wrong with a model, in one line: without the place in its source, and without its advice,
    which is for those who write programs with it."""
    cause = re.sub(r"(?m) Please check that .*|^To facilitate the conversion .*|^-- ", "", str(error))
    return last_line(cause, longest) or type(error).__name__
