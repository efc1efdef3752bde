"""Parts of a page between two comment lines, which a program replaces.

The first line is ``<!-- written by scripts/write_docs: NAME -->``, the last one ``<!-- end of NAME -->``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

BEGINS = re.compile(r"<!-- written by scripts/write_docs: ([a-z0-9-]+) -->")


class PageError(Exception):
    """A page or a result that no part can be made of."""


def filled(text: str, parts: Mapping[str, Callable[[], str]], used: set[str], page: str) -> str:
    """``text`` with every part in it as it is today; adds the parts' names to ``used``.

    Raises :class:`PageError`, which names ``page``, for a part that nobody makes or that does not end.
    """
    lines, kept = iter(text.splitlines()), list[str]()
    for line in lines:
        kept.append(line)
        if not (begins := BEGINS.fullmatch(line)):
            continue
        name = begins[1]
        if name not in parts:
            raise PageError(f"{page}: there is no part {name}. Known: {', '.join(sorted(parts))}")
        end = f"<!-- end of {name} -->"
        if end not in lines:  # reads on to the line after it
            raise PageError(f"{page}: the part {name} has no line {end}")
        used.add(name)
        kept += ["", parts[name](), "", end]
    return "\n".join(kept) + "\n"
