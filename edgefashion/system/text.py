"""Words for people: sizes, reasons, URLs, and no password in any of them."""

from __future__ import annotations

import re
from pathlib import Path


def size(size_bytes: int) -> str:
    """Bytes as kB or MB; a served model's, which are not known, as a dash."""
    if not size_bytes:
        return "-"
    return f"{size_bytes / 1e6:.2f} MB" if size_bytes >= 1e6 else f"{size_bytes / 1e3:.0f} kB"


_ACCOUNT = re.compile(r"//[^/\s]*@")


def without_password(text: str) -> str:
    """``text`` without the account and password of a URL in it: messages end up in logs."""
    return _ACCOUNT.sub("//...@", text)


def reason_of(error: BaseException) -> str:
    """An error in a few words."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def is_url(model: str | Path) -> bool:
    """True if a MODEL or a picture's path is written as a URL, be it a usable one or not."""
    return isinstance(model, str) and "://" in model
