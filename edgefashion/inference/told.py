"""What a user says of a model made elsewhere: how it is fed, what its answers stand for, and which output has them.

What is not said is measured, see :mod:`edgefashion.inference.contract_measure`. A command line notes here what it was
told, and :func:`edgefashion.inference.load.load` looks it up: so every command that loads a MODEL goes by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from edgefashion.errors import BadInputError
from edgefashion.labels import LABELS

MEASURED: Final = "measured"
"""For ``--labels``: take the order that the answers to training images show."""

_NUMBER: Final = r"(-?\d+(?:\.\d+)?)"
_RANGE: Final = re.compile(f"{_NUMBER}-{_NUMBER}")
_LARGEST: Final = 1e6


@dataclass(frozen=True)
class Told:
    """What was said; None for what is to be measured."""

    scale: str | None = None
    """What the darkest and the brightest pixel become: ``0-1``, ``0-255``, ``-1-1``; ``1-0`` is inverted."""
    mean: str | None = None
    """Taken off the scaled pixels: a number, or three with commas. Without a scale they are scaled to 0-1."""
    std: str | None = None
    """What they are divided by then."""
    labels: str | None = None
    """The names in the order of the answers, with commas or a line each in a file; or ``measured``."""
    output: str | None = None
    """Which output has the answers: its name, or its number from 0."""
    anyway: bool = False
    """True to go on with a model that fits in no way that was tried."""

    @property
    def feeds(self) -> bool:
        """True if it says how pixels are fed."""
        return any(value is not None for value in (self.scale, self.mean, self.std))

    @property
    def is_empty(self) -> bool:
        """True if nothing was said."""
        return self == Told()

    def as_arguments(self) -> list[str]:
        """The command line's words that say the same."""
        words = []
        for name, value in asdict(self).items():
            if value is True:
                words.append(f"--{name}")
            elif isinstance(value, str):
                words.append(f"--{name}={value}")  # a range may begin with a minus
        return words

    def range(self) -> tuple[float, float]:
        """What the darkest and the brightest pixel become. Raises :class:`BadInputError` for what is no range."""
        found = _RANGE.fullmatch((self.scale or "0-1").replace(" ", ""))
        low, high = (float(number) for number in found.groups()) if found else (0.0, 0.0)
        if low == high or max(abs(low), abs(high)) > _LARGEST:
            raise BadInputError(
                f"--scale must be two numbers like 0-1, 0-255 or -1-1 (1-0: inverted), not {self.scale}"
            )
        return low, high

    def means(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Mean and std, one number or three each. Raises :class:`BadInputError` for what is neither."""
        mean, std = _numbers("--mean", self.mean, 0.0), _numbers("--std", self.std, 1.0)
        if min(std) <= 0:
            raise BadInputError(f"--std must be above 0, not {self.std}")
        largest = max(map(abs, (*mean, *std)))
        if self.scale is None and largest > 1:
            raise BadInputError(
                f"--mean and --std are of pixels from 0 to 1, and {largest:g} is more. Give --scale 0-255 with it"
            )
        return mean, std

    def order(self) -> tuple[int, ...] | None:
        """The place of each of Fashion-MNIST's labels among the answers; None where it was not told or is measured.

        Raises :class:`BadInputError` for names that are not the ten, each once.
        """
        if self.labels is None or self.labels.strip().lower() == MEASURED:
            return None
        given = _names(self.labels)
        known = {_plain(label): number for number, label in enumerate(LABELS)} | _ALSO
        known |= {str(number): number for number in range(len(LABELS))}
        numbers = [known.get(_plain(name)) for name in given]
        if sorted(number for number in numbers if number is not None) != list(range(len(LABELS))):
            wrong = [name for name, number in zip(given, numbers, strict=True) if number is None]
            what = f"{wrong[0]!r} is none of them" if wrong else f"{len(given)} names are given, some twice or not"
            raise BadInputError(
                f"--labels must be Fashion-MNIST's ten names or numbers, each once, in the model's order: {what}. "
                f"The names are {', '.join(LABELS)}"
            )
        return tuple(numbers.index(number) for number in range(len(LABELS)))


NOTHING: Final = Told()


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_ALSO: Final = {
    "tshirt": 0,
    "top": 0,
    "tshirts": 0,
    "trousers": 1,
    "pants": 1,
    "sandals": 5,
    "sneakers": 7,
    "bags": 8,
    "boot": 9,
    "boots": 9,
    "ankleboots": 9,
}
"""What else people call them."""


def _names(labels: str) -> list[str]:
    if "," not in labels:
        try:
            text = Path(labels).read_text(encoding="utf-8-sig")
        except (OSError, ValueError) as error:
            raise BadInputError(
                f"--labels {labels} is neither ten names with commas, nor a text file with a name a line, nor measured"
            ) from error
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        return lines if len(lines) > 1 else _names(lines[0] if lines and "," in lines[0] else ",")
    return [name.strip() for name in labels.split(",")]


def _numbers(option: str, text: str | None, otherwise: float) -> tuple[float, ...]:
    if text is None:
        return (otherwise,)
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in (1, 3) or not all(abs(number) <= _LARGEST for number in numbers):
        raise BadInputError(
            f"{option} must be a number, or three with commas for a network of three colours, not {text}"
        )
    return numbers


# --- What this process was told --------------------------------------------------------------


@dataclass
class _Process:
    """What this process was told, and whom it tells what it finds out."""

    told: Told
    said: set[str]
    listener: Callable[[str], None] | None
    warned: Callable[[str], None] | None


_process: Final = _Process(Told(), set(), None, None)


def give(told: Told) -> None:
    """Go by ``told`` for every model made elsewhere that this process loads from now on.

    Raises :class:`BadInputError` for what cannot be meant.
    """
    for check in (told.range, told.means, told.order):
        check()
    _process.told = told


def forget() -> None:
    """Go by nothing that was told, and tell nobody."""
    _process.told, _process.said, _process.listener, _process.warned = NOTHING, set(), None, None


def given() -> Told:
    """What :func:`give` was given last."""
    return _process.told


def listen(say: Callable[[str], None] | None, warn: Callable[[str], None]) -> None:
    """Have ``say`` called from now on with what is found out of each model made elsewhere, and ``warn`` with what
    contradicts what was told of it; each line once."""
    _process.said, _process.listener, _process.warned = set(), say, warn


def say(found: str, doubt: str = "") -> None:
    """Tell what was found out of a model made elsewhere, and what is doubted of what was told of it."""
    for line, listener in ((found, _process.listener), (doubt, _process.warned)):
        if line and line not in _process.said:
            _process.said.add(line)
            if listener:
                listener(line)
