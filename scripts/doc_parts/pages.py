"""The pages that `scripts/write_docs` writes parts of, and the command itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from doc_parts import benchmarks, camera, commands, garments, networks, photos, serving, tagging
from doc_parts.parts import PageError, filled
from doc_parts.results import Results

_GROUPS = (photos, garments, networks, camera, tagging, serving, benchmarks)
_TABLES = {name: part for group in _GROUPS for name, part in group.PARTS.items()}


def main(root: Path, arguments: Sequence[str]) -> int:
    """Write every page of the checkout ``root``, or with ``--check`` only look; the exit code."""
    if arguments not in ([], ["--check"]):
        print("usage: scripts/write_docs [--check]", file=sys.stderr)
        return 2
    # This checkout's edgefashion, wherever the script is started.
    sys.path.insert(1, str(root))
    try:
        stale = out_of_date(root)
    except PageError as error:
        print(f"write_docs: {error}", file=sys.stderr)
        return 2
    for page, text in stale.items():
        name = page.relative_to(root).as_posix()
        if arguments:
            print(f"{name} is out of date. Run: .venv/bin/python scripts/write_docs")
        else:
            page.write_text(text, encoding="utf-8", newline="\n")
            print(name)
    return 1 if arguments and stale else 0


def out_of_date(root: Path) -> dict[Path, str]:
    """Every page with a part that is not what it would be today -> its text as it would be.

    Raises :class:`PageError` for a page or a result that no part can be made of, and for a part that no page has.
    """
    parts, used, stale = every_part(root), set[str](), dict[Path, str]()
    pages = (root / "README.md", *sorted((root / "docs").glob("*.md")), root / "benchmarks" / "README.md")
    for page in pages:
        before = page.read_text(encoding="utf-8")
        after = filled(before, parts, used, page.relative_to(root).as_posix())
        if after != before:
            stale[page] = after
    if unused := sorted(set(parts) - used):
        raise PageError(f"no page has the part {', '.join(unused)}. Add its two lines, or delete what makes it")
    return stale


def every_part(root: Path) -> dict[str, Callable[[], str]]:
    """Name -> a function that makes the part, Markdown without an empty line around it."""
    results = Results(root)
    return {**{name: partial(make, results) for name, make in _TABLES.items()}, "commands": commands.reference}
