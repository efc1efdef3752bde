"""A picture to an answer: find the garment, classify it, decide. Used by predict and camera."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgefashion.data import images
from edgefashion.errors import BadInputError
from edgefashion.inference import preprocess, scene
from edgefashion.inference.decision import Answer, Rule, decide, shows_none
from edgefashion.labels import group_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgefashion.data.picture_walk import LeftOut
    from edgefashion.inference.classifier import Classifier

Smooth = Callable[["NDArray[np.uint8]", "NDArray[np.float32]"], "NDArray[np.float32]"]


@dataclass(frozen=True, eq=False)
class SeenGarment:
    """One garment of a picture."""

    answer: Answer
    box: preprocess.Box
    """(x, y, width, height) in pixels of the picture."""
    probabilities: NDArray[np.float32]
    """What the network says of it, (classes,)."""
    score: float = 1.0
    """How sure the finder is that a garment is there, from 0 to 1; 1 where the picture was looked at as one garment."""
    worn: float | None = None
    """Probability that somebody wears it; None where no finder looked."""

    def as_json(self) -> dict[str, Any]:
        """The fields of an entry of ``garments``."""
        answer = self.answer
        return {
            "label": answer.label,
            "confidence": answer.confidence,
            "accepted": answer.accepted,
            "top": [[label, p] for label, p in answer.top],
            "box": list(self.box),
        }


@dataclass(frozen=True)
class Prediction:
    """What was seen in one picture; without a garment there is no answer."""

    answer: Answer | None
    """The main garment's."""
    garment: preprocess.Garment | None
    """What the model saw of the main one; None where a search on a plain background found nothing."""
    garments: tuple[SeenGarment, ...] = ()
    """Every garment in view, the main one first; empty where none is."""
    people: tuple[preprocess.Box, ...] = ()
    """Where somebody stands, as far as a finder looked."""
    heads: tuple[preprocess.Box, ...] = ()
    """Where heads are: what privacy hides inside a garment's box."""

    def as_json(self, source: str) -> dict[str, Any]:
        """The fields ``predict --json`` prints."""
        answer = self.answer
        return {
            "source": source,
            "label": answer.label if answer else None,
            "confidence": answer.confidence if answer else 0.0,
            "top": [[label, p] for label, p in answer.top] if answer else [],
            "accepted": bool(answer and answer.accepted),
            "box": list(self.garment.box) if self.garment and answer else None,
            "garments": [garment.as_json() for garment in self.garments],
        }


def see(
    classifier: Classifier, picture: NDArray[np.uint8], within: preprocess.Box | None = None
) -> tuple[preprocess.Garment, NDArray[np.float32]] | None:
    """Find the garment in a BGR uint8 (h, w, 3) picture and classify it: what the model saw, and
    its probabilities (classes,). None where a search on a plain background finds nothing."""
    if classifier.takes_photos and preprocess.is_fashion_image(preprocess.part(picture, within)):
        image = preprocess.fashion_image(preprocess.part(picture, within))
        probabilities, mask = classifier.look(image)
        pixels = preprocess.as_photos(image[None])[0]
        return preprocess.Garment(pixels, within or (0, 0, *image.shape[1::-1]), mask), probabilities
    if classifier.takes_photos:
        within = within or (0, 0, picture.shape[1], picture.shape[0])
        pixels = preprocess.view(picture, within)
        probabilities, mask = classifier.look(pixels)
        return preprocess.Garment(pixels, preprocess.box_of(mask, within), mask), probabilities
    found = preprocess.find(picture, within)
    return None if found is None else (found, classifier(found.pixels)[0])


def predict(
    classifier: Classifier,
    picture: NDArray[np.uint8],
    *,
    within: preprocess.Box | None = None,
    smooth: Smooth | None = None,
    top: int = 3,
    single: bool = False,
) -> Prediction:
    """Name the garment in a picture.

    Args:
        classifier: What :func:`edgefashion.load` gave.
        picture: BGR uint8 (height, width, 3), from 0 to 255, of any size.
        within: The box (x, y, width, height), in pixels, to look at. None: all of the picture.
        smooth: Takes what was looked at, BGR uint8 (height, width, 3), and its probabilities, float32 (classes,), and
            gives the probabilities to decide on: a camera's weigh in what earlier frames of the same garment said.
        top: How many labels the answer names, the likeliest first.
        single: Take the picture, or what lies in ``within``, for one garment; no others are looked for.

    Returns:
        ``answer`` has a ``label``, its ``confidence`` from 0 to 1, and whether it is ``accepted``; it is None where no
        garment is in view. ``garment`` has its ``box`` (x, y, width, height) in pixels.

    Raises:
        BadInputError: A photo network that is run by an engine that gives no mask.

    Example:
        >>> from edgefashion import load, predict, read_image
        >>> seen = predict(load("kiosk"), read_image("shirt.jpg"))
        >>> seen.answer.label, seen.answer.accepted
        ('T-shirt/top', True)
    """
    if classifier.finder is not None and not single and not preprocess.is_fashion_image(picture):
        several = _several(classifier, picture, within or (0, 0, picture.shape[1], picture.shape[0]), top)
        if several is not None:
            return several
    seen = see(classifier, picture, within)
    if seen is None:
        return Prediction(None, None)
    found, probabilities = seen
    if smooth:
        probabilities = smooth(preprocess.part(picture, within), probabilities)
    answer = answer_of(probabilities, classifier.labels, classifier.rule, top)
    garments = () if answer is None else (SeenGarment(answer, found.box, probabilities),)
    return Prediction(answer, found, garments)


def _several(classifier: Classifier, picture: NDArray[np.uint8], within: preprocess.Box, top: int) -> Prediction | None:
    """Every garment that the finder sees; None where it sees none, nor anybody's head or figure."""
    assert classifier.finder is not None
    found = classifier.finder.find(preprocess.part(picture, within))
    named = []
    for one in scene.look(classifier, picture, found, within):
        answer = answer_of(one.probabilities, classifier.labels, classifier.rule.where(one.region.worn), top)
        if answer is not None:
            garment = SeenGarment(answer, one.box, one.probabilities, one.region.score, one.region.worn)
            named.append((garment, one))
    named = _each_once(named)
    garments, looked = [garment for garment, _ in named], [one for _, one in named]
    people = tuple(region.in_pixels(within) for region in found if region.kind == "person")
    heads = tuple(region.in_pixels(within) for region in found if region.kind == "head")
    if not garments:
        # Not the whole frame in their place: it would be shown, and with it what privacy hides.
        return Prediction(None, None, (), people, heads) if people or heads else None
    main = preprocess.Garment(looked[0].pixels, looked[0].box, within=looked[0].within)
    return Prediction(garments[0].answer, main, tuple(garments), people, heads)


def _each_once(named: list[tuple[SeenGarment, scene.Looked]]) -> list[tuple[SeenGarment, scene.Looked]]:
    """The garments, less those that are a part of a surer one of the same name; their order stays."""
    surest = sorted(named, key=lambda each: each[0].score * each[0].answer.confidence, reverse=True)
    kept: list[SeenGarment] = []
    for garment, _ in surest:
        same = (other for other in kept if group_of(other.answer.label) == group_of(garment.answer.label))
        if not any(scene.is_part(garment.box, other.box) for other in same):
            kept.append(garment)
    return [each for each in named if any(each[0] is garment for garment in kept)]


def answer_of(probabilities: NDArray[np.float32], labels: tuple[str, ...], rule: Rule, top: int = 3) -> Answer | None:
    """What probabilities (classes,) say of a picture; None where they say that it shows no garment."""
    return None if shows_none(probabilities, labels) else decide(probabilities, labels, rule, top)


def at_full_size(seen: Prediction, picture: images.Picture) -> Prediction:
    """What was seen in a decoded picture, its boxes in pixels of the picture at its full size."""
    return scaled(seen, (picture.image.shape[1], picture.image.shape[0]), (picture.width, picture.height))


def scaled(seen: Prediction, of_wh: tuple[int, int], to_wh: tuple[int, int]) -> Prediction:
    """What was seen in a picture of one size, with its boxes in pixels of the same picture at another."""
    if of_wh == to_wh:
        return seen

    def box_of(box: preprocess.Box) -> preprocess.Box:
        return images.scaled_box(box, of_wh, to_wh)

    main = seen.garment
    if main is not None:
        main = replace(main, box=box_of(main.box), within=None if main.within is None else box_of(main.within))
    return Prediction(
        seen.answer,
        main,
        tuple(replace(garment, box=box_of(garment.box)) for garment in seen.garments),
        tuple(map(box_of, seen.people)),
        tuple(map(box_of, seen.heads)),
    )


def predict_files(
    model: str | Path | Classifier,
    paths: list[Path],
    top: int = 3,
    *,
    single: bool = False,
    device: str | None = None,
    left_out: LeftOut | None = None,
) -> Iterator[tuple[Path, Prediction | BadInputError]]:
    """Predict image files and every image in folders, one result a file.

    ``model`` is loaded, for ``device``, if it is not a classifier yet; the first picture is read while it is compiled.
    An unreadable file yields its error in place of a prediction. ``single`` is as :func:`predict` takes it. What is no
    picture in the folders is counted in ``left_out``. Raises :class:`BadInputError` before the first result for a model
    that cannot be used, a path that does not exist or a folder without images.
    """
    pictures = _Ahead(_pictures(paths, left_out))
    if isinstance(model, str | Path):
        from edgefashion.inference.load import load

        model = load(model, meanwhile=pictures.begin, device=device)
    for path, picture in pictures:
        if isinstance(picture, BadInputError):
            yield path, picture
        else:
            yield path, at_full_size(predict(model, picture.image, top=top, single=single), picture)


_Read = tuple[Path, images.Picture | BadInputError]
"""A file with its picture, or with the reason why it cannot be read."""


def _pictures(paths: list[Path], left_out: LeftOut | None) -> Iterator[_Read]:
    for path in [file for given in paths for file in images.image_paths(given, left_out)]:
        read: images.Picture | BadInputError
        try:
            read = images.decode_image(path, str(path))
        except BadInputError as error:
            read = error
        yield path, read


class _Ahead:
    """Pictures, of which the first may be read before it is asked for."""

    def __init__(self, pictures: Iterator[_Read]) -> None:
        self._pictures = pictures
        self._first: list[_Read] = []
        self._error: BadInputError | None = None

    def begin(self) -> None:
        """Read the first one. What prevents that is raised when it is asked for."""
        try:
            self._first = list(itertools.islice(self._pictures, 1))
        except BadInputError as error:
            self._error = error

    def __iter__(self) -> Iterator[_Read]:
        if self._error:
            raise self._error
        yield from self._first
        yield from self._pictures
