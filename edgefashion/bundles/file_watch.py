"""Whether the files of the network in use have been replaced, or another revision put in force, while it runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from edgefashion.bundles import bundle, model_files
from edgefashion.bundles.current import CURRENT, folder_of

LOOK_S: Final = 2.0
"""How often the files of the network in use are looked at."""

SETTLE_S: Final = 1.0
"""Files that changed are read once they have been left alone for this long."""

_LONGEST_BYTES: Final = 100

Stamp = tuple[tuple[str, int, int], ...]
"""Name, time of change and size of the files a network is read from; and the name of the revision in force."""


class FileWatch:
    """Looks at a network's files now and then."""

    def __init__(self, source: Path | None, in_force: str | None = None) -> None:
        self._looked_s = time.monotonic()
        self.watch(source, stamp(source, in_force))

    def watch(self, source: Path | None, known: Stamp) -> None:
        """Watch the files of ``source`` from now on, which were read as ``known``; None watches nothing."""
        self._source, self._known = source, known
        self._changed: tuple[Stamp, float] | None = None

    @property
    def seen(self) -> Stamp:
        """The files as they were when they were last told of, or began to be watched."""
        return self._known

    def is_replaced(self, now_s: float) -> bool:
        """True once for files that have changed and then been left alone; again when they change again."""
        if now_s - self._looked_s < LOOK_S:
            return False
        self._looked_s = now_s
        seen = stamp(self._source)
        if seen == self._known:
            self._changed = None
        elif self._changed is None or self._changed[0] != seen:
            self._changed = (seen, now_s)
        elif now_s - self._changed[1] >= SETTLE_S:
            self._known, self._changed = seen, None
            return True
        return False


def stamp(source: Path | None, in_force: str | None = None) -> Stamp:
    """What tells whether a network's files have been replaced; empty while they are away, and for a served one.

    ``in_force``: what :func:`said_in_force` gave before they were read; None asks it now.
    """
    if source is None:
        return ()
    files = [*model_files.files_of(source), source.parent / bundle.INFO]
    found = []
    for file in files:
        try:
            facts = file.stat()
        except OSError:
            continue
        found.append((file.name, facts.st_mtime_ns, facts.st_size))
    said = said_in_force(source.parent) if in_force is None else in_force
    return (*found, (said, 0, 0)) if said else tuple(found)


def said_in_force(bundle_dir: Path) -> str:
    """Which revision of its model is in force, as the file that names it says; empty where no history is kept."""
    try:
        with (folder_of(bundle_dir) / CURRENT).open("rb") as file:
            return file.read(_LONGEST_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return ""
