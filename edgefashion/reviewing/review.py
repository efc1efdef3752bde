"""What the page shows and does: groups of pictures, decisions, and what is like what."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from edgefashion.data import collected
from edgefashion.data.collected import Moved, Picture
from edgefashion.data.label_names import DELETED, folder_of_label, key
from edgefashion.data.photo_folders import FEW
from edgefashion.errors import BadInputError, printable
from edgefashion.labels import GROUPS, NAMELESS, NO_GARMENT, UNKNOWN, folder_labels
from edgefashion.reviewing import alike
from edgefashion.reviewing.doubts import Doubts

if TYPE_CHECKING:
    from edgefashion.reviewing.looking import Looking
    from edgefashion.reviewing.watched_folder import Seen, WatchedFolder

WANTED: Final = FEW
"""Pictures of a label with which teaching begins to work."""

WANTED_DAYS: Final = 2
"""Days of a label's pictures: what is taught on one day can be tested on another."""

MOST_AT_ONCE: Final = 500
"""Pictures that one request may name."""

_REMEMBERED: Final = 500
"""Decisions that can be undone, of all who look at the page together."""

_KEYS: Final = "123456789"


@dataclass(frozen=True)
class Done:
    """What became of a decision."""

    batch: int
    """By which it can be undone; 0 where there is nothing to undo."""
    done: int
    gone: int
    """Pictures that were not there any more: somebody was faster."""
    said: str
    """In words."""

    def as_json(self) -> dict[str, Any]:
        return {"batch": self.batch, "done": self.done, "gone": self.gone, "said": self.said}


class Review:
    """A folder under review. Every call may come from any thread.

    Pictures are named as :class:`~edgefashion.data.collected.Picture` names them, groups as :meth:`state` does. Raises
    :class:`BadInputError` for a label that can be none, or a group that nobody knows.
    """

    def __init__(self, folder: WatchedFolder, looking: Looking) -> None:
        self.folder, self.looking = folder, looking
        self.doubts = Doubts(folder, looking)
        self._numbers = itertools.count(1)
        self._undoable: dict[int, list[Moved]] = {}
        self._lock = threading.Lock()
        self._order: list[str] = []
        self._keys: dict[str, str] = {UNKNOWN: "0", NO_GARMENT: "N"}
        self._basis: tuple[object, ...] = ()
        self._state: dict[str, Any] = {}

    # --- What is there ---

    def state(self) -> dict[str, Any]:
        """All that the page shows but the pictures. Made anew only where something has changed, for pages ask for it
        every other second."""
        now = self.folder.now()
        looking = self.looking
        basis = now.version, looking.done, looking.changes, looking.failure, self.doubts.changes
        if basis != self._basis:
            self._basis, self._state = basis, self._made_state(now)
        return self._state

    def _made_state(self, now: Seen) -> dict[str, Any]:
        counts, said = self.folder.counts(), self._said(now.undecided)
        days = self._days(now.decided)
        often: dict[str, int] = {}
        for name, _ in said.values():
            often[name] = often.get(name, 0) + 1
        pictures = len(now.undecided) + len(now.decided)
        return {
            "folder": printable(self.folder.path.name or self.folder.path),
            "version": now.version,
            "undecided": len(now.undecided),
            "unseen": len(now.undecided) - len(said),
            "says": [{"name": name, "count": often[name]} for name in sorted(often, key=lambda n: (-often[n], n))],
            "labels": [
                {
                    "name": name,
                    "count": counts.get(name, 0),
                    "lacks": _lacks(name, counts, days),
                    "key": self._keys.get(name, ""),
                }
                for name in (*self.choices(), *NAMELESS)
            ],
            "doubted": self.doubts.count,
            "deleted": len(now.deleted),
            "looked": min(self.looking.done, pictures),
            "pictures": pictures,
            "unread": len(self.looking.unread),
            "failure": self.looking.failure,
            "unnamed": _unnamed(now.unnamed),
        }

    def choices(self) -> list[str]:
        """The labels to choose from, without Unknown and No garment: those that have pictures or that the network says.

        At the start those with the most pictures come first. Nobody's fingers have to learn anew: a label keeps its
        place and its key while the page runs, and a new one gets a key that is free, or none.
        """
        counts = self.folder.counts()
        with self._lock:
            if not self._order:
                self._order += sorted(
                    (n for n in counts if n not in NAMELESS), key=lambda n: (-counts[n], n.casefold())
                )
            names = (*self.looking.labels, *(group for group in folder_labels(self.looking.labels) if group in GROUPS))
            answers = dict.fromkeys(name for label in names if (name := _named(label)))
            self._order += [
                name for name in dict.fromkeys((*answers, *counts)) if name not in (*self._order, *NAMELESS)
            ]
            there = [name for name in self._order if counts.get(name) or name in answers]
            for name in there:
                free = next((key for key in _KEYS if key not in self._keys.values()), "")
                if free and name not in self._keys:
                    self._keys[name] = free
            return there

    def group(self, group: str, most: int) -> dict[str, Any]:
        """A group's name, how many pictures it has, and the first ``most`` of them.

        A group is ``undecided``, ``says/NAME``, ``label/NAME``, ``doubted``, ``deleted`` or ``like/PICTURE``.
        """
        kind, _, name = group.partition("/")
        now = self.folder.now()
        match kind:
            case "undecided" | "says":
                said = self._said(now.undecided)
                there = [one for one in now.undecided if kind == "undecided" or said.get(one.name, ("", 0))[0] == name]
                there.sort(key=lambda one: said.get(one.name, ("", 2.0))[1])  # the least sure first, the unseen last
            case "label":
                there = [one for one in now.decided if one.label == name]
            case "doubted":
                return self._shown(group, self.doubts.found(), most, self.doubts.why)
            case "deleted":
                there = list(reversed(now.deleted))
            case "like":
                there = self.like(name)
            case _:
                raise BadInputError(f"there is no group {group!r}. Load the page again")
        return self._shown(group, there, most)

    def _shown(
        self, group: str, there: Sequence[Picture], most: int, why: Callable[[Picture], str] = lambda _: ""
    ) -> dict[str, Any]:
        pictures = []
        for one in there[:most]:
            said = self.looking.says(one)
            name, sure = said or (None, None)
            pictures.append({"id": one.name, "label": _label_of(one), "says": name, "sure": sure, "why": why(one)})
        return {"group": group, "total": len(there), "pictures": pictures}

    def _said(self, pictures: Iterable[Picture]) -> dict[str, tuple[str, float]]:
        return {one.name: said for one in pictures if (said := self.looking.says(one)) is not None}

    def _days(self, pictures: Iterable[Picture]) -> dict[str, set[str]]:
        """By label, the days or senders of its pictures, no more than are wanted: files are opened for them."""
        days: dict[str, set[str]] = {}
        for one in pictures:
            assert one.label is not None
            if len(known := days.setdefault(one.label, set())) < WANTED_DAYS:
                known.add(self.folder.place(one))
        return days

    # --- What is like what ---

    def like(self, name: str) -> list[Picture]:
        """The picture called so, and those in the same heap (undecided, or of its label) that the network sees alike,
        the likest first."""
        one = self._find(name)
        now = self.folder.now()
        heap = [each for each in (*now.undecided, *now.decided) if each.label == one.label and each.name != one.name]
        seen, rows = self.looking.seen([one, *heap])
        if not seen or seen[0].name != one.name:
            return [one]
        return [one, *(seen[1 + i] for i in alike.like(rows[1:], rows[0]))]

    def closer(self, name: str) -> dict[str, Any]:
        """One picture: what the network says, what is known of it, and the labelled pictures that it is likest to."""
        one = self._find(name)
        others = [each for each in self.folder.now().decided if each.name != one.name]
        seen, rows = self.looking.seen([one, *others])
        near = alike.like(rows[1:], rows[0], least=-1.0, most=6) if seen and seen[0].name == one.name else []
        facts = self.folder.facts(one)
        return {
            "id": one.name,
            "label": _label_of(one),
            "top": [{"name": label, "share": share} for label, share in self.looking.top(one)],
            "nearest": [{"id": seen[1 + i].name, "label": seen[1 + i].label} for i in near],
            "time": facts.time if facts else "",
            "camera": facts.camera if facts else "",
        }

    def _find(self, name: str) -> Picture:
        one = collected.find(self.folder.path, name)
        if one is None:
            raise BadInputError("this picture is not there any more: somebody was faster")
        return one

    # --- Decisions ---

    def label(self, names: Sequence[str], label: str) -> Done:
        """Put pictures under a label, which may be new."""
        label = folder_of_label(label, (*self.choices(), *self.folder.counts()))
        return self._moved(names, lambda one: collected.move(one, label), f"{{n}} put under {_shown(label)}")

    def confirm(self, names: Sequence[str]) -> Done:
        """Each picture is what the network says; one that it has not looked at stays. A labelled one, which is doubted,
        is right as it is and doubted no more."""
        found = [one for name in dict.fromkeys(names) if (one := collected.find(self.folder.path, name)) is not None]
        labelled = [one for one in found if one.label is not None]
        for one in labelled:
            self.doubts.right(one)
        answers = self._said(one for one in found if one.label is None)
        done = self._moved(
            [name for name in names if name in answers or not any(one.name == name for one in found)],
            lambda one: collected.move(one, answers[one.name][0]),
            "{n} put where the network says"
            if len({label for label, _ in answers.values()}) != 1
            else f"{{n}} put under {_shown(next(iter(answers.values()))[0])}",
        )
        if labelled and not answers:
            return Done(0, len(labelled), done.gone, _in_words("{n} kept as it is", len(labelled), done.gone))
        return done

    def delete(self, names: Sequence[str]) -> Done:
        """Put pictures where they can be brought back from."""
        return self._moved(names, lambda one: None if _is_deleted(one) else collected.delete(one), "{n} deleted")

    def back(self, names: Sequence[str]) -> Done:
        """Put pictures back among those to decide, deleted ones where they came from."""

        def put_back(one: Picture) -> Moved | None:
            if not _is_deleted(one):
                return collected.move(one, None)
            before = Picture(one.folder, one.name.partition("/")[2])
            return collected.undo(Moved(before, one))

        return self._moved(names, put_back, "{n} put back")

    def undo(self, batch: int) -> Done:
        """Take a decision back."""
        with self._lock:
            moves = self._undoable.pop(batch, None)
        if moves is None:
            raise BadInputError("this was undone already, or the page was started anew since")
        done = gone = 0
        try:
            while moves:
                back = collected.undo(moves[-1])
                done, gone = done + (back is not None), gone + (back is None)
                moves.pop()
        finally:
            if moves:  # the disk is full: the rest can be undone later
                with self._lock:
                    self._undoable[batch] = moves
        return Done(0, done, gone, _in_words("{n} put back", done, gone))

    def _moved(self, names: Sequence[str], how: Callable[[Picture], Moved | None], said: str) -> Done:
        if len(names) > MOST_AT_ONCE:
            raise BadInputError(f"more than {MOST_AT_ONCE} pictures at once. Choose fewer")
        moves: list[Moved] = []
        failure = ""
        names = list(dict.fromkeys(names))
        for number, name in enumerate(names):
            one = collected.find(self.folder.path, name) or self.deleted(name)
            try:
                moved = how(one) if one else None
            except OSError as error:  # a full disk: what was moved before is moved, and can be undone
                failure = f"{len(names) - number} not moved: the disk says: {error.strerror or error}"
                names = names[:number]
                break
            if moved is not None:
                moves.append(moved)
        gone = len(names) - len(moves)
        batch = next(self._numbers) if moves else 0
        with self._lock:
            if moves:
                self._undoable[batch] = moves
            while len(self._undoable) > _REMEMBERED:
                del self._undoable[next(iter(self._undoable))]
        told = _in_words(said, len(moves), gone) if moves or gone or not failure else ""
        return Done(batch, len(moves), gone, ". ".join(filter(None, (told, failure))))

    def deleted(self, name: str) -> Picture | None:
        """The deleted picture called so, which can still be brought back."""
        return next((one for one in self.folder.now().deleted if one.name == name), None)


def _shown(label: str) -> str:
    """A label as the page shows it."""
    return "None of these" if label == UNKNOWN else label


def _in_words(said: str, done: int, gone: int) -> str:
    parts = []
    if done or not gone:
        parts.append(said.format(n=f"{done} picture{'s' * (done != 1)}"))
    if gone:
        parts.append(
            "1 was not there any more: somebody was faster"
            if gone == 1
            else f"{gone} were not there any more: somebody was faster"
        )
    return ". ".join(parts)


def _unnamed(pictures: Sequence[Picture]) -> str:
    """Of pictures that cannot be shown for their names, in one sentence; empty where there are none."""
    if not pictures:
        return ""
    count = "1 picture is" if len(pictures) == 1 else f"{len(pictures):,} pictures are"
    return f"{count} not shown: characters that are no text stand in the name {printable(pictures[0].name)}. Rename it"


def _lacks(name: str, counts: dict[str, int], days: dict[str, set[str]]) -> str:
    """What a label's pictures still lack, in words; empty where nothing is, and where the label has none. The network
    knows enough of what is none of the labels."""
    count = counts.get(name, 0)
    if not count or name in NAMELESS:
        return ""
    if twin := next((other for other in counts if other != name and key(other) == key(name)), None):
        return f"{twin} is the same label: put all under one"
    if count < WANTED:
        return f"{WANTED} are wanted"
    if len(days[name]) < WANTED_DAYS:
        return "all are of one day: take some on another"
    return ""


def _is_deleted(picture: Picture) -> bool:
    return picture.name.startswith(f"{DELETED}/")


def _label_of(picture: Picture) -> str | None:
    """Its label; of a deleted one that which it had."""
    return Picture(picture.folder, picture.name.removeprefix(f"{DELETED}/")).label


def _named(label: str) -> str:
    """A network's label as its folder is called; empty where it can be none."""
    try:
        return folder_of_label(label)
    except BadInputError:
        return ""
