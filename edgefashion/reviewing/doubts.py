"""Which labelled pictures are doubted, found in the background whenever labels have changed."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any, Final

from edgefashion.reviewing import mistakes
from edgefashion.system.files import written_aside
from edgefashion.system.server_log import complain

if TYPE_CHECKING:
    from edgefashion.data.collected import Picture
    from edgefashion.reviewing.looking import Looking
    from edgefashion.reviewing.watched_folder import WatchedFolder

RIGHT_IN: Final = ".right.json"
"""The file in a folder that lists what a person has called right, though it was doubted, with the label of each."""

MOST: Final = 60
"""Doubted pictures that are shown: the likeliest mistakes."""

AGAIN_S: Final = 5.0
"""Between two looks whether labels have changed."""


class Doubts:
    """The doubted pictures of a folder. Every call may come from any thread, and none waits."""

    def __init__(self, folder: WatchedFolder, looking: Looking) -> None:
        self._folder, self._looking = folder, looking
        self._file = folder.path / RIGHT_IN
        self._right: dict[str, str] = self._read()
        self._found: dict[str, tuple[Picture, str]] = {}
        self.changes = 0
        """Another number whenever other pictures are doubted."""
        self._lock = threading.Lock()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, name="doubts", daemon=True)

    def start(self) -> None:
        """Begin to look for mistakes."""
        self._thread.start()

    def close(self) -> None:
        """Stop."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(20)

    @property
    def count(self) -> int:
        """How many pictures are doubted."""
        return len(self.found())

    def found(self) -> list[Picture]:
        """The doubted pictures, the likeliest mistake first; those only that are still where they were."""
        there = {one.name for one in self._folder.now().decided}
        return [one for name, (one, _) in self._found.items() if name in there and not self._is_right(one)][:MOST]

    def why(self, picture: Picture) -> str:
        """What a doubted picture looks like instead."""
        found = self._found.get(picture.name)
        return found[1] if found else ""

    def right(self, picture: Picture) -> None:
        """A person says that the label is right: the picture is not doubted under it again."""
        with self._lock:
            self.changes += 1
            self._right[picture.name] = picture.label or ""
            with written_aside(self._file) as aside:
                aside.write_text(json.dumps(self._right, indent=0), "utf-8")

    def _is_right(self, picture: Picture) -> bool:
        return picture.name in self._right

    def _read(self) -> dict[str, str]:
        try:
            found: Any = json.loads(self._file.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        # Once the file's name alone was kept: that of a picture which lay in its label's folder itself is still told.
        return {str(name) if "/" in name else f"{label}/{name}": str(label) for name, label in found.items()}

    def _run(self) -> None:
        looked: tuple[int, int] | None = None
        while True:
            try:
                now = self._folder.now()
                if looked != (now.version, self._looking.done):
                    self._look()
                    looked = now.version, self._looking.done
            except Exception as error:  # a thread has nobody to raise to; the next look may go well
                complain("looking for mistakes", error, "review")
            if self._end.wait(AGAIN_S):
                return

    def _look(self) -> None:
        pictures, rows = self._looking.seen(self._folder.now().decided)
        labels = [one.label or "" for one in pictures]
        places = [self._folder.place(one) for one in pictures]
        found = mistakes.find(rows, labels, places)
        self._found = {pictures[one.index].name: (pictures[one.index], one.other) for one in found}
        self.changes += 1
