"""Pictures put into a folder of :mod:`edgefashion.data.collected`, within limits that keep it small and various.

What looks like one that is there already is left out. Of those that nobody has decided about the oldest give way, and
those that are too old; what somebody has decided stays for ever. So does what was not collected: photos that a person
has put among those to review are told by their names.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from edgefashion.data import collected
from edgefashion.data.collected import Facts, Picture
from edgefashion.data.images import perceptual_hash, scaled_box
from edgefashion.errors import BadInputError
from edgefashion.system.text import reason_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESERVE_BYTES: Final = 200_000_000
"""Nothing is collected while less than this is free on the disk: the machine needs it for itself."""

SAME_BITS: Final = 6
"""Two pictures whose 64-bit perceptual hashes differ in at most so many bits teach the same. Of 244,650 pairs of photos
of different garments 2 are as close."""

SAME_BITS_OF_LATE: Final = 10
"""The same against the newest few of a camera, which are likely to show the very garment from another side. 36 are as
close."""

OF_LATE: Final = 20
"""Pictures of a camera that are its newest few."""

LONGEST_PX: Final = 640
"""A picture with a longer edge is made smaller: a network looks at 160 pixels."""

DELETED_S: Final = 86_400.0
"""A deleted picture can be had back for a day."""

_QUALITY: Final = 92
_HOUR_S: Final = 3600.0
_LOOK_S: Final = 60.0
"""How long what is known of the folder is taken for true: others decide in it meanwhile."""

_LEFT_BEHIND_S: Final = 600.0
"""An unfinished file of this age belongs to no running process: its own was killed."""

_REMEMBERED: Final = 10_000


_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))

_Aged = tuple[float, int, Picture]
"""When it was written, in seconds since 1970, its bytes, and the picture."""


@dataclass(frozen=True)
class Limits:
    """How much is collected."""

    most_an_hour: int | None = None
    days: int | None = None
    """A picture that nobody has decided about for so long is deleted: like any such it can be had back for a day. So a
    clock that is set wrong for some hours costs nothing."""
    mb: int = 200
    """Millions of bytes that the pictures have together that nobody has decided about."""
    makes_room: bool = True
    """Whether the oldest of these give way to a new one, where there is room for no more."""
    of_late: int = 0
    """How many of the newest are compared by :data:`SAME_BITS_OF_LATE`."""
    reserve_bytes: int = RESERVE_BYTES


class Collection:
    """A folder that is collected into. For one thread; other processes may use the folder at the same time."""

    def __init__(self, folder: Path, limits: Limits) -> None:
        self.folder, self.limits = folder, limits
        self.kept = 0
        """Pictures so far."""
        self.full = False
        """Whether one was left out because there is room for no more."""
        self._times_s: deque[float] = deque(maxlen=limits.most_an_hour or 0)
        """When the newest were kept, by ``time.monotonic()``: the clock may be set back."""
        self._hashes: deque[int] = deque(maxlen=_REMEMBERED)
        self._there = np.empty(0, np.uint64)
        self._undecided: list[_Aged] = []
        """Those that were collected, the oldest first."""
        self._looked_s: float | None = None

    def open(self) -> None:
        """Make the folder where its parent is there, and see whether it can be written to.

        Raises :class:`BadInputError` where it cannot. A disk that is full is no error: there may be room later.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except FileNotFoundError:
            raise BadInputError(f"{self.folder} cannot be made: the folder above it is not there. Make that") from None
        except OSError as error:  # a file of this name, too
            raise BadInputError(f"{self.folder} can be no folder: {reason_of(error)}. Choose another place") from None
        try:
            self.try_out()
        except OSError as error:
            if error.errno not in _FULL:
                said = f"{self.folder} cannot be written to: {reason_of(error)}"
                raise BadInputError(f"{said}. Allow it, or choose another place") from None

    def try_out(self) -> None:
        """Raise :class:`OSError` where nothing can be kept at the moment."""
        self._check_room()
        trial = self.folder / f".edgefashion-{os.getpid()}.trial"
        try:
            with trial.open("wb") as file:
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
        finally:
            with contextlib.suppress(OSError):
                trial.unlink()

    def keep(self, image: NDArray[np.uint8], facts: Facts, *, by: NDArray[np.uint8] | None = None) -> Picture | None:
        """Keep ``image``, BGR (h, w, 3); None where a limit is reached or one like it is there.

        ``by``: what is compared in its place, where the garment is only a part of it. Raises :class:`OSError`.
        """
        phash = perceptual_hash(image if by is None else by)
        if not self.wants(phash):
            return None
        image, facts = smaller(image, facts)
        return self.put(jpeg_of(image), facts, phash)

    def wants(self, phash: int) -> bool:
        """Whether a picture of this hash is to be kept. Raises :class:`OSError` where the folder cannot be read."""
        self.look()
        now_s, most = time.monotonic(), self.limits.most_an_hour
        if most is not None and len(self._times_s) == most and now_s - self._times_s[0] < _HOUR_S:
            return False
        ours = np.array(self._hashes, np.uint64)
        late = ours[len(ours) - min(len(ours), self.limits.of_late) :]
        return not (
            _is_among(phash, late, SAME_BITS_OF_LATE)
            or _is_among(phash, ours, SAME_BITS)
            or _is_among(phash, self._there, SAME_BITS)
        )

    def put(self, jpeg: bytes, facts: Facts, phash: int) -> Picture | None:
        """Write a JPEG that is wanted; None where there is room for no more. Raises :class:`OSError`."""
        self._check_room()
        if not self._fits(len(jpeg)):
            self.full = True
            return None
        picture = collected.write(self.folder, jpeg, facts, phash)
        self.kept += 1
        self._times_s.append(time.monotonic())
        self._hashes.append(phash)
        self._undecided.append((time.time(), len(jpeg), picture))
        return picture

    def look(self, *, anew: bool = False) -> None:
        """See what is there, unless that was seen a moment ago, and remove what is too old.

        Raises :class:`OSError` where the folder is gone.
        """
        now_s, first = time.monotonic(), self._looked_s is None
        if not (first or anew) and self._looked_s is not None and now_s - self._looked_s < _LOOK_S:
            return
        try:
            found, removed = collected.listing(self.folder), collected.deleted(self.folder)
        except (BadInputError, OSError):
            raise FileNotFoundError(errno.ENOENT, "the folder is gone", str(self.folder)) from None
        hashed = [(picture, picture.phash) for picture in (*found.undecided, *found.decided, *removed)]
        self._there = np.array([phash for _, phash in hashed if phash is not None], np.uint64)
        self._undecided = _by_age(picture for picture in found.undecided if picture.phash is not None)
        if first and self.limits.most_an_hour is not None:  # a service that is started again and again
            ages_s = [time.time() - _taken_s(picture) for picture, phash in hashed if phash is not None]
            self._times_s.extend(now_s - age_s for age_s in sorted(ages_s, reverse=True) if 0 <= age_s < _HOUR_S)
        self._looked_s = now_s
        collected.empty(self.folder, time.time() - DELETED_S)
        if self.limits.makes_room:
            self._clear_away()

    def _clear_away(self) -> None:
        """Delete what is too old, and remove what a killed process has left unfinished."""
        now_s = time.time()
        if self.limits.days is not None:
            oldest_s = now_s - self.limits.days * 86_400
            for old in [each for each in self._undecided if each[0] < oldest_s]:
                self._undecided.remove(old)
                with contextlib.suppress(OSError):
                    collected.delete(old[2])
        for left in (self.folder / collected.TO_REVIEW).glob("*/.*.new-*.jpg"):
            with contextlib.suppress(OSError):
                if now_s - left.stat().st_mtime > _LEFT_BEHIND_S:
                    left.unlink()
                    left.parent.rmdir()  # where that was the last

    def _fits(self, size_bytes: int) -> bool:
        """Make room for so many bytes, where that may be done; whether there is room now."""
        most_bytes = self.limits.mb * 1_000_000
        there_bytes = sum(size for _, size, _ in self._undecided)
        while there_bytes + size_bytes > most_bytes and self._undecided and self.limits.makes_room:
            there_bytes -= self._undecided[0][1]
            self._remove(self._undecided[0])
        return there_bytes + size_bytes <= most_bytes

    def _remove(self, old: _Aged) -> None:
        self._undecided.remove(old)
        with contextlib.suppress(OSError):  # somebody holds it open; who has decided about it, has moved it
            collected.remove(old[2])

    def _check_room(self) -> None:
        free_bytes = shutil.disk_usage(self.folder).free
        if free_bytes < self.limits.reserve_bytes:
            needed = f"less than {self.limits.reserve_bytes / 1e6:,.0f} MB are free"
            raise OSError(errno.ENOSPC, needed, str(self.folder))


def _is_among(phash: int, known: NDArray[np.uint64], bits: int) -> bool:
    return bool((np.bitwise_count(known ^ np.uint64(phash)) <= bits).any())


def jpeg_of(image: NDArray[np.uint8]) -> bytes:
    """A BGR (h, w, 3) picture as a JPEG file."""
    import cv2

    _, encoded = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, _QUALITY))
    return encoded.tobytes()


def smaller(image: NDArray[np.uint8], facts: Facts) -> tuple[NDArray[np.uint8], Facts]:
    """A picture as small as it is kept, and its facts with the box in it."""
    import cv2

    height, width = image.shape[:2]
    shrink = LONGEST_PX / max(height, width)
    if shrink >= 1:
        return image, facts
    small_wh = max(1, round(width * shrink)), max(1, round(height * shrink))
    small = np.asarray(cv2.resize(image, small_wh, interpolation=cv2.INTER_AREA), np.uint8)
    box = None if facts.box is None else scaled_box(facts.box, (width, height), small_wh)
    return small, replace(facts, box=box)


def _taken_s(picture: Picture) -> float:
    """When a collected picture was taken, by its name, in seconds since 1970; 0 where that is no time. The file's own
    time is another once somebody has put it back."""
    try:
        return time.mktime(time.strptime(picture.path.name[:15], "%Y%m%d-%H%M%S"))
    except (ValueError, OverflowError):
        return 0.0


def _by_age(pictures: Iterable[Picture]) -> list[_Aged]:
    aged = []
    for picture in pictures:
        with contextlib.suppress(OSError):  # decided meanwhile
            facts = picture.path.stat()
            aged.append((facts.st_mtime, facts.st_size, picture))
    return sorted(aged, key=lambda each: each[0])
