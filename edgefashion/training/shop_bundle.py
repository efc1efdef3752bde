"""A shop's network, written as a bundle like any other: its start's IRs with another last layer."""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, card, draft, model_files, probation, resolve, revisions
from edgefashion.bundles.bundle import Bundle
from edgefashion.bundles.current import has_revisions, keeps_history, place_of
from edgefashion.bundles.facts import TAUGHT, Facts, PhotoFigures, Thresholds
from edgefashion.bundles.guard import check
from edgefashion.data import splits
from edgefashion.data.photo_folders import Photo
from edgefashion.errors import BadInputError
from edgefashion.evaluation.acceptance import is_right
from edgefashion.evaluation.before_after import Verdict
from edgefashion.inference import decision, load, preprocess
from edgefashion.inference.collected_view import read_garment
from edgefashion.inference.head import Head, with_head
from edgefashion.inference.pinned import pinned_of
from edgefashion.inference.rt_info import describe
from edgefashion.system.extras import installed
from edgefashion.training.history import write_history
from edgefashion.training.shop_material import Shop

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.classifier import Classifier

HELD_OUT: Final = "the shop's own, held out by place and day"
"""What a bundle's photo figures are of."""

PINNED: Final = 200
"""Held-out pictures that travel in the bundle, at most: some 2 MB."""

GATED: Final = 300
"""Pictures that gate INT8, at most."""

MAY_LOSE: Final = 0.01
"""Share of these that INT8 may do worse than FP16, and two pictures at least: of few each is more than a hundredth."""

_WAIT_S: Final = 20.0
"""For so long at most another process that changes the revisions is waited for."""

FINDER_PARTS: Final = ("finder_keras", "finder_fp16", "finder_int8")


@dataclass(frozen=True, eq=False)
class Made:
    """A head that is ready, and what is stated of it."""

    head: Head
    labels: tuple[str, ...]
    thresholds: Thresholds
    figures: PhotoFigures
    taught: dict[str, Any]
    report: dict[str, Any]
    history: list[dict[str, float]]
    seed: int


@dataclass(frozen=True)
class Written:
    """Where a network is."""

    bundle: Bundle
    revision: str | None
    """None where it is the only one."""
    in_force: bool


def check_target(out: Path) -> None:
    """Raise :class:`BadInputError` if a shop's network cannot be written to ``out``."""
    if not (is_there(out) and has_revisions(out)):  # of a model with revisions it is the next one
        draft.check_new(out)
    if resolve.is_shipped(out / bundle.INFO):
        raise BadInputError(f"{out} came with edgefashion and is not changed. Choose another --out")


def is_there(out: Path) -> bool:
    """True where a model is at ``out`` already."""
    return keeps_history(out) or (out / bundle.INFO).is_file()


def in_force(out: Path) -> str | None:
    """The hash of the network that whoever names ``out`` gets; None where there is none, or none that can be read."""
    with contextlib.suppress(BadInputError, OSError):
        if is_there(out):
            return bundle.open_bundle(place_of(out)).sha256
    return None


def write(
    out: Path,
    start: Bundle,
    made: Made,
    shop: Shop,
    held: NDArray[np.bool_],
    verdict: Verdict,
    compared: str | None,
    *,
    take: bool,
) -> tuple[Written, list[str]]:
    """Write the model ``out``; ``held`` (n,) are the shop's pictures that the network has not learned from.

    Where a model is there already it is its next revision, put in force with ``take``, if what is in force is still
    ``compared``, the hash of what it was compared with: another may have been taught meanwhile.
    Returns it, and what INT8 costs, in words. Where that is too much the bundle has no INT8.
    """
    if not is_there(out):
        told = _write(out, out.name, start, made, shop, held)
        return Written(bundle.open_bundle(out), None, True), [told]
    place = _reserved(out)
    try:
        told = _write(place, out.name, start, made, shop, held)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
        raise
    why, data = f"taught with {len(shop.photos):,} photos", str(made.taught["data_sha256"])
    with _changing(out):
        recorded = revisions.record(out, place, revisions.Origin(why=why, verdict=verdict.words, data_sha256=data))
        notes = [told]
        if take and in_force(out) != compared:
            take = False
            notes.append(
                f"another network of {out.name} was put in force while this one was learning, and nothing compared the "
                "two: this one is kept beside it. To compare them, teach again"
            )
        if take:
            revisions.switch(out, recorded.id, probation_s=probation.MINUTES * 60)
        revisions.prune(out)
    return Written(bundle.open_bundle(place), recorded.id, take), notes


def _reserved(out: Path) -> Path:
    """The folder of the next revision, made: whoever asks for the next one meanwhile gets another number."""
    with _changing(out):
        place = revisions.next_place(out)
        try:
            place.mkdir(parents=True)
        except OSError as error:
            raise BadInputError(f"{place} cannot be written: {error.strerror}. Choose another --out") from error
    return place


@contextlib.contextmanager
def _changing(out: Path) -> Iterator[None]:
    """:func:`revisions.changing`, once whoever changes them now is done: minutes of learning are at stake."""
    until_s = time.monotonic() + _WAIT_S
    with contextlib.ExitStack() as held:
        while True:
            try:
                held.enter_context(revisions.changing(out))
                break
            except BadInputError:
                if time.monotonic() > until_s:
                    raise
                time.sleep(0.2)
        yield


def _write(out: Path, name: str, start: Bundle, made: Made, shop: Shop, held: NDArray[np.bool_]) -> str:
    """Write the bundle ``out``; what INT8 costs, in words."""
    pictures = _pictures(shop, held)
    head = made.head.in_half()
    with draft.draft(out) as making:
        making.facts = Facts(
            name=name,
            architecture=start.facts.architecture,
            source=start.facts.source,
            parameters=None
            if start.facts.parameters is None
            else start.facts.parameters + (len(made.labels) - len(start.labels)) * (len(head.weights) + 1),
            labels=made.labels,
            input_shape=start.facts.input_shape,
            pixels=start.facts.pixels,
            thresholds=made.thresholds,
            photos={HELD_OUT: made.figures},
            data=start.facts.data,
            finds=start.facts.finds,
            versions={"openvino": version("openvino"), "numpy": version("numpy")},
            seed=made.seed,
            others={TAUGHT: made.taught},
        )
        making.add_report("teach", made.report)
        write_history(making.part("history"), made.history)
        copy_parts(start, making, FINDER_PARTS)
        for part in ("fp16", "int8"):
            if start.has(part):
                _write_ir(making, start, part, head)
        told = _gate(making, pictures, made.labels)
        making.add_report("int8", told)
        answers = load.load(making.part("fp16"), precision="fp16")
        pin(making, [each for each in pictures if each.held], answers)
        if installed("tensorflow") and start.has("keras"):
            write_keras(making, start, head)
        card.write_card(making)
    return str(told["words"])


def _write_ir(making: draft.Draft, start: Bundle, part: str, head: Head) -> None:

    ir = with_head(start.verified(part), head)
    describe(ir, making.facts)
    model_files.save_ir(ir, making.part(part))
    check.vouch(making.part(part))


def copy_parts(start: Bundle, making: draft.Draft, parts: tuple[str, ...]) -> None:
    """Put ``parts`` of ``start``, those that it has, into a draft."""
    for part in parts:
        if start.has(part):
            making.take(start, part)


def write_keras(making: draft.Draft, start: Bundle, head: Head) -> None:
    """The original, for whoever goes on from it with TensorFlow."""
    from edgefashion.inference.tensorflow_engine import load_keras
    from edgefashion.training.photo_bundle import save_compactly
    from edgefashion.training.zoo import photo

    old, new = load_keras(start.verified("keras")), photo.kiosk(classes=len(head.bias))
    for layer in new.layers:
        layer.set_weights(
            [head.weights, head.bias] if layer.name == "logits" else old.get_layer(layer.name).get_weights()
        )
    save_compactly(new, making.part("keras"))


# --- Pictures that gate --------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Picture:
    """A photo, as the network sees it."""

    photo: Photo
    view: NDArray[np.uint8]
    held: bool
    """True where the network has not learned from it."""

    @property
    def truth(self) -> tuple[str, ...]:
        """The labels that are right for it."""
        return self.photo.label, *self.photo.also


def _pictures(shop: Shop, held: NDArray[np.bool_]) -> list[Picture]:
    """Of the shop's pictures those that gate, the held-out ones first, of each label about as many."""
    found: list[Picture] = []
    for which, room in ((held, PINNED), (~held, GATED - min(PINNED, int(held.sum())))):
        some = [photo for photo, keep in zip(shop.photos, which, strict=True) if keep]
        found += read(some if len(some) <= room else splits.evenly(some, room), held=which is held)
    return found


def read(photos: Sequence[Photo], *, held: bool) -> list[Picture]:
    """Those of the photos that can be read."""
    found = []
    for photo in photos:
        try:
            found.append(Picture(photo, preprocess.view(read_garment(photo.path)), held))
        except BadInputError:  # it was there a moment ago: the folder is in use
            continue
    return found


def _gate(making: draft.Draft, pictures: list[Picture], labels: tuple[str, ...]) -> dict[str, Any]:
    """Compare INT8 with FP16 on the shop's pictures, and drop it where it does too much worse."""
    if not making.part("int8").is_file():
        return {"words": "the start has no INT8, and so has this", "passed": None}
    views = np.stack([each.view for each in pictures])
    truths = [each.truth for each in pictures]
    said = {
        part: [labels[at] for at in decision.best(load.load(making.part(part), precision=part)(views), labels)]
        for part in ("fp16", "int8")
    }
    hits = {part: sum(is_right(*each) for each in zip(answers, truths, strict=True)) for part, answers in said.items()}
    lost, allowed = hits["fp16"] - hits["int8"], max(2, int(MAY_LOSE * len(views)))
    alike = sum(a == b for a, b in zip(said["fp16"], said["int8"], strict=True))
    told = f"INT8 answers {alike:,} of {len(views):,} pictures as FP16 does"
    if lost > allowed:
        making.drop("int8")
        told += f" and names {lost:,} fewer right, more than the {allowed:,} allowed: it is left out"
    return {"words": told, "passed": lost <= allowed, "n": len(views), "alike": alike, "lost": lost, "allowed": allowed}


def pin(making: draft.Draft, pictures: list[Picture], answers: Classifier) -> None:
    """Put held-out pictures, :data:`PINNED` at most, into the bundle, with what its FP16 IR ``answers`` to them here:
    where it is installed it has to answer the same."""
    pictures = pictures[:PINNED]
    if not pictures:
        return
    import cv2

    # As the network sees them: all that the gate needs, and the smallest.
    files = [cv2.imencode(".jpg", each.view[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1] for each in pictures]
    views = np.stack([preprocess.view(np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)) for file in files])
    pinned = pinned_of([file.tobytes() for file in files], [each.photo.label for each in pictures], answers(views))
    np.savez(making.part("pinned"), **pinned)  # type: ignore[arg-type]


def taught_facts(of: Bundle) -> dict[str, Any] | None:
    """What a bundle states of its teaching; None for one that was not taught."""
    return None if of.facts.taught is None else dict(json.loads(json.dumps(of.facts.taught)))
