"""What a bundle states of its network: the fields of ``bundle.json``, typed.

:meth:`Facts.from_json` checks the kind of every field it reads. Optional fields that an older bundle lacks are None,
and fields that are not known here are kept as they are, so that a bundle read and written again loses nothing.
Named tuples, because every start pays for this module: frozen dataclasses take seven times as long to define.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from edgefashion.bundles import fields

_NONE: Final[Mapping[str, Any]] = MappingProxyType({})


def takes_photos(image_shape: Sequence[int]) -> bool:
    """True if images of (height, width, channels) are photos: RGB pictures as they are. Fashion-MNIST's have one
    channel: garments cut out in grey. No other way of asking is used."""
    return image_shape[-1] == 3


class Thresholds(NamedTuple):
    """From which confidence an answer counts, and how finely it is named."""

    accept: float
    """0 to 1."""
    chosen_on: str | None = None
    """The images they were chosen on, as a phrase."""
    others: Mapping[str, Any] = _NONE
    """Fields not known here."""
    floors: Mapping[str, float] | None = None
    """By group: the share, 0 to 1, that an answer of its name needs besides; None where none were chosen."""
    kind_floor: float | None = None
    """The part of a group's share, 0 to 1, from which its likeliest member is named; None: never."""
    worn_floors: Mapping[str, float] | None = None
    """In the place of ``floors`` for garments that somebody wears; None where those serve for both."""
    found: float | None = None
    """The score, 0 to 1, from which what the bundle's finder sees counts as found; None without a finder."""

    @classmethod
    def from_json(cls, told: Any) -> Thresholds:
        """Raises ValueError without a share for ``accept``, and for floors that are no shares."""
        if not isinstance(told, dict) or not fields.is_share(told.get("accept")):
            raise ValueError("thresholds has no number for accept from 0 to 1")
        floors, worn = fields.mapping(told, "floors"), fields.mapping(told, "worn_floors")
        kind_floor = told.get("kind_floor")
        for field, given in (("floors", floors), ("worn_floors", worn)):
            if not all(isinstance(name, str) and fields.is_share(floor) for name, floor in (given or {}).items()):
                raise ValueError(f"{field} has what is no number from 0 to 1")
        if kind_floor is not None and not fields.is_share(kind_floor):
            raise ValueError("kind_floor is no number from 0 to 1")
        found = told.get("found")
        if found is not None and not fields.is_share(found):
            raise ValueError("found is no number from 0 to 1")
        rest = _rest(told, "accept", "chosen_on", "floors", "kind_floor", "worn_floors", "found")
        return cls(told["accept"], fields.text(told, "chosen_on"), rest, floors, kind_floor, worn, found)

    def as_json(self) -> dict[str, Any]:
        """The fields of ``bundle.json``."""
        floors = None if self.floors is None else dict(self.floors)
        known = _present(
            accept=self.accept,
            floors=floors,
            worn_floors=None if self.worn_floors is None else dict(self.worn_floors),
            kind_floor=self.kind_floor,
            found=self.found,
            chosen_on=self.chosen_on,
        )
        return {**known, **self.others}


class Measured(NamedTuple):
    """What was measured of one form of the network (the original, or an IR)."""

    test_accuracy: float | None
    """Share of Fashion-MNIST's 10,000 test images that it names right, 0 to 1."""
    agreement: Mapping[str, Any] | None = None
    """INT8 beside the original, as :meth:`edgefashion.evaluation.agreement.Agreement.as_json` tells it."""
    others: Mapping[str, Any] = _NONE
    """Fields not known here."""

    @classmethod
    def from_json(cls, told: Any) -> Measured:
        """Raises ValueError for a field of the wrong kind."""
        told = fields.table("metrics", told)
        agreement = fields.mapping(told, "agreement")
        for name, check in AGREEMENT.items():
            check(agreement or {}, name)
        return cls(fields.number(told, "test_accuracy"), agreement, _rest(told, "test_accuracy", "agreement"))

    def as_json(self) -> dict[str, Any]:
        """The fields of ``bundle.json``."""
        return {**_present(test_accuracy=self.test_accuracy, agreement=self.agreement), **self.others}


class PhotoFigures(NamedTuple):
    """What was measured of a photo network on one set of photos. Shares are 0 to 1."""

    n: int | None = None
    """Photos of known garments."""
    accuracy: float | None = None
    """Share of them named right, nothing rejected."""
    reject_auroc: float | None = None
    """Area under the ROC curve of telling known garments from Unknown; None without photos of Unknown."""
    per_label: Mapping[str, float] | None = None
    by_colour: Mapping[str, float] | None = None
    by_background: Mapping[str, float] | None = None
    told: Mapping[str, Any] = _NONE
    """Every field as it was read, in its order; those above may be among them."""

    @classmethod
    def from_json(cls, told: Any) -> PhotoFigures:
        """Raises ValueError for a field of the wrong kind."""
        told = fields.table("photos", told)
        return cls(
            n=fields.whole(told, "n"),
            accuracy=fields.number(told, "accuracy"),
            reject_auroc=fields.number(told, "reject_auroc"),
            per_label=fields.numbers(told, "per_label"),
            by_colour=fields.numbers(told, "by_colour"),
            by_background=fields.numbers(told, "by_background"),
            told=told,
        )

    def as_json(self) -> dict[str, Any]:
        """The fields of ``bundle.json``."""
        known = {name: value for name, value in self._asdict().items() if name != "told"}
        return {**self.told, **_present(**known)}


class MadeElsewhere(NamedTuple):
    """How the model from elsewhere that a bundle was made from is fed, as its conversion found out."""

    scale: str | None
    """What its pixels are scaled to, like ``0-1`` or ``0-255``."""
    chosen: str | None = None
    """How the scale came about, as a phrase."""
    softmax: bool = False
    """True if the file answers logits."""
    precision: str = "fp32"
    """What the file computes in: fp32, fp16 or int8."""
    contract: Mapping[str, Any] | None = None
    """All of how it is fed and read, as :mod:`edgefashion.inference.contract` writes it; None in older bundles."""

    @classmethod
    def from_json(cls, told: Any) -> MadeElsewhere:
        """Raises ValueError for a field of the wrong kind."""
        told = fields.table("foreign", told)
        precision = fields.text(told, "precision") or "fp32"
        softmax, contract = bool(told.get("softmax")), fields.mapping(told, "contract")
        return cls(fields.text(told, "scale"), fields.text(told, "chosen"), softmax, precision, contract)

    def as_json(self) -> dict[str, Any]:
        """The fields of ``bundle.json``."""
        told = {"scale": self.scale, "chosen": self.chosen, "softmax": self.softmax, "precision": self.precision}
        return {**told, **_present(contract=None if self.contract is None else dict(self.contract))}


TAUGHT: Final = "taught"
"""The field of ``bundle.json`` that says what a shop taught a network, from which one on, and from what."""


class Facts(NamedTuple):
    """What a bundle states of its network."""

    name: str
    labels: tuple[str, ...]
    """One for each probability that the network answers, in their order."""
    input_shape: tuple[int, ...]
    """(height, width, channels) of one image."""
    thresholds: Thresholds
    architecture: str | None = None
    """A name of the zoo, ``ensemble``, or ``unknown`` for a network trained elsewhere."""
    members: tuple[str, ...] | None = None
    """The networks that an ensemble averages."""
    source: str | None = None
    """Where the architecture, or the network, comes from."""
    parameters: int | None = None
    """Their number; None where it is not known."""
    pixels: str | None = None
    """The pixel contract, in one sentence."""
    metrics: Mapping[str, Measured] = _NONE
    """By form: ``original``, ``fp32``, ``fp16``, ``int8``."""
    photos: Mapping[str, PhotoFigures] | None = None
    """By set of photos; None for a Fashion-MNIST network."""
    data: tuple[str, ...] | None = None
    """The sets of pictures that a photo network was trained on, each with its licence, as phrases; None where they are
    the user's own. Of a taught network those of its start."""
    finds: bool = False
    """True where it has learned from scenes, and its bundle has a finder of garments."""
    versions: Mapping[str, str] = _NONE
    """Of the libraries that made it."""
    data_sha256: Mapping[str, str] = _NONE
    """Of Fashion-MNIST's files, unpacked."""
    seed: int | None = None
    """Of the training; None for a network trained elsewhere."""
    split_seed: int | None = None
    """What parted the training images; None in bundles that were parted by ``seed``."""
    validation_split: float | None = None
    """Share of Fashion-MNIST's training images that was held out; None where nobody knows."""
    foreign: MadeElsewhere | None = None
    """None for a network that was not made elsewhere."""
    others: Mapping[str, Any] = _NONE
    """Fields not known here."""

    @property
    def takes_photos(self) -> bool:
        """True for a photo network: RGB pictures as they are, not garments cut out in grey."""
        return takes_photos(self.input_shape)

    @property
    def taught(self) -> Mapping[str, Any] | None:
        """What a shop taught the network, and from which network on; None for one that was not taught."""
        told = self.others.get(TAUGHT)
        return told if isinstance(told, Mapping) else None

    @property
    def learned_from(self) -> frozenset[str]:
        """The hashes of the places and days from which a taught network has learned."""
        told = (self.taught or {}).get("learned_from")
        return (
            frozenset(each for each in told if isinstance(each, str)) if isinstance(told, list | tuple) else frozenset()
        )

    @property
    def validation_seed(self) -> int:
        """The seed that chose the validation images among the training images."""
        return (self.seed or 0) if self.split_seed is None else self.split_seed

    def test_accuracy(self, form: str) -> float | None:
        """Share of the 10,000 test images that ``form`` (``original``, ``fp32``, ``int8``, ...) names right, 0 to 1;
        None where it was not measured."""
        return self.metrics[form].test_accuracy if form in self.metrics else None

    def with_measured(self, form: str, measured: Measured) -> Facts:
        """These facts, with what was measured of ``form``."""
        return self._replace(metrics={**self.metrics, form: measured})

    def without_measured(self, form: str) -> Facts:
        """These facts, without what was measured of ``form``, if it was."""
        return self._replace(metrics={name: measured for name, measured in self.metrics.items() if name != form})

    def with_version(self, library: str, version: str) -> Facts:
        """These facts, with the version of a library that had a part in the bundle."""
        return self._replace(versions={**self.versions, library: version})

    @classmethod
    def from_json(cls, info: Mapping[str, Any]) -> Facts:
        """The facts of a ``bundle.json`` (its ``format`` and ``files`` left out).

        Raises ValueError, saying which, for a field that is missing or of the wrong kind.
        """
        if missing := {"name", "labels", "input_shape", "thresholds"} - set(info):
            raise ValueError(f"no {', '.join(sorted(missing))}")
        metrics, photos, foreign = fields.mapping(info, "metrics"), fields.mapping(info, "photos"), info.get("foreign")
        return cls(
            name=fields.given_text(info, "name"),
            labels=fields.labels(info),
            input_shape=fields.image_shape(info),
            thresholds=Thresholds.from_json(info["thresholds"]),
            architecture=fields.text(info, "architecture"),
            members=fields.listed(info, "members", str, "names"),
            source=fields.text(info, "source"),
            parameters=fields.whole(info, "parameters"),
            pixels=fields.text(info, "pixels"),
            metrics={form: Measured.from_json(told) for form, told in (metrics or {}).items()},
            photos=None if photos is None else {name: PhotoFigures.from_json(told) for name, told in photos.items()},
            data=fields.listed(info, "data", str, "phrases"),
            finds=bool(info.get("finds")),
            versions=fields.mapping(info, "versions") or {},
            data_sha256=fields.mapping(info, "data_sha256") or {},
            seed=fields.seed(info, "seed"),
            split_seed=fields.seed(info, "split_seed"),
            validation_split=fields.held_out_share(info, "validation_split"),
            foreign=None if foreign is None else MadeElsewhere.from_json(foreign),
            others=_rest(info, *_KNOWN),
        )

    def as_json(self) -> dict[str, Any]:
        """The fields of ``bundle.json``, in its order. What is not known is null in ``parameters``, ``seed`` and
        ``validation_split``; other fields are then left out."""
        started = _present(
            name=self.name, architecture=self.architecture, members=_as_list(self.members), source=self.source
        )
        described = _present(
            labels=list(self.labels),
            input_shape=list(self.input_shape),
            pixels=self.pixels,
            thresholds=self.thresholds.as_json(),
            metrics={form: measured.as_json() for form, measured in self.metrics.items()} or None,
            photos=None if self.photos is None else {name: of.as_json() for name, of in self.photos.items()},
            data=_as_list(self.data),
            finds=self.finds or None,
            versions=dict(self.versions) or None,
            data_sha256=dict(self.data_sha256) or None,
        )
        return {
            **started,
            "parameters": self.parameters,
            **described,
            "seed": self.seed,
            **_present(split_seed=self.split_seed),
            "validation_split": self.validation_split,
            **_present(foreign=None if self.foreign is None else self.foreign.as_json()),
            **self.others,
        }


_KNOWN: Final = (*(name for name in Facts._fields if name != "others"), "format", "files")


def _present(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _as_list(of: Sequence[Any] | None) -> list[Any] | None:
    return None if of is None else list(of)


def _rest(told: Mapping[str, Any], *known: str) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name not in known}


AGREEMENT: Final[Mapping[str, Callable[[Mapping[str, Any], str], Any]]] = {
    "reference": fields.text,
    "per_class_drop": fields.numbers,
    **dict.fromkeys(("n", "only_original_right", "only_converted_right"), fields.whole),
    **dict.fromkeys(("top1_agreement", "p_value", "mean_abs_difference", "max_abs_difference"), fields.number),
}
"""What a model card tells of how two networks agree, and what checks each."""
