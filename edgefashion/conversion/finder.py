"""The finder's IRs: converted from its original, quantized, and gated by what they find."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, card, draft, model_files
from edgefashion.conversion import without_vnni
from edgefashion.conversion.post_training import overflow_fix, quietly
from edgefashion.data import drawn, fashion_mnist, photo_folders, scenes, splits
from edgefashion.errors import GateError
from edgefashion.inference.finder import FINDER_PX, FOUND, GARMENT_KINDS, Region, overlap, regions
from edgefashion.inference.openvino_finder import OpenVinoFinder
from edgefashion.inference.preprocess import frame_view

if TYPE_CHECKING:
    from numpy.typing import NDArray

PICTURES: Final = 300
"""Pictures that INT8 is calibrated on, and pictures that gate it, at most."""

SAME: Final = 0.5
"""Overlap from which two boxes of one kind are the same find."""

LEAST_FOUND: Final = 0.95
"""Share of what the FP32 finder finds that an IR has to find too, or nothing is written."""


ENOUGH: Final = 100
"""Pictures below which drawn ones are added: of few finds one that is missed is more than the gate allows."""


@dataclass(frozen=True)
class FinderIr:
    """What an IR of the finder finds beside the FP32 one's finds, at the bundle's own score."""

    precision: str
    pictures: int
    """Pictures that calibration has not seen."""
    finds: int
    """Garments that FP32 finds in them."""
    found_too: float
    """Share of these that this IR finds too, 0 to 1."""
    more: float
    """What it finds besides, as a share of ``finds``."""
    size_bytes: int


def add_finder(
    made: bundle.Bundle,
    photos: Sequence[Path] = (),
    marked: Sequence[Path] = (),
    *,
    int8: bool = True,
    skipped: list[str] | None = None,
) -> tuple[bundle.Bundle, tuple[FinderIr, ...]]:
    """Write the finder's FP16 IR into a bundle that has its original, and with ``int8`` its INT8 IR, calibrated on the
    pictures of photo folders, whose labels are the bundle's, and of scenes folders.

    Without pictures, or with few, both are done with drawn ones too. ``skipped``: gets a line for each folder or file
    that is left out. Raises :class:`GateError` where the original finds nothing, or an IR too little of what it finds,
    and :class:`MissingError` where the process that stands for a CPU without VNNI fails.
    """
    pictures = _pictures(photos, marked, made.labels, [] if skipped is None else skipped)
    if len(pictures) < ENOUGH:
        pictures += _drawn()[: (PICTURES if not pictures else ENOUGH) - len(pictures)]
    calibrate, gate = pictures[::2][:PICTURES], pictures[1::2][:PICTURES] or pictures
    floor = made.facts.thresholds.found or FOUND
    with draft.draft(made.path, made) as making:
        plain = _convert(made.verified("finder_keras"))
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            exact = Path(folder) / "finder.xml"
            model_files.save_ir(plain, exact)
            expected = _found(exact, gate, floor)
        if not any(expected):
            raise GateError(_nothing(len(gate)))
        halved = making.part("finder_fp16")
        model_files.save_ir(plain, halved, halved=True)
        measured = [_compared("fp16", expected, _found(halved, gate, floor), halved)]
        if int8 and measured[0].found_too >= LEAST_FOUND:
            measured.append(_int8(plain, calibrate, making.part("finder_int8"), expected, gate, floor))
        if measured[-1].found_too < LEAST_FOUND:
            raise GateError(_too_little(measured[-1]))
        making.add_report("finder", {"irs": [asdict(one) for one in measured]})
        card.write_card(making)
    return bundle.open_bundle(made.path), tuple(measured)


def _nothing(pictures: int) -> str:
    return (
        f"the finder finds no garment in {pictures:,} pictures, before it is converted: what its IRs find cannot be "
        "compared. Nothing of the finder is written. Give pictures of garments with --photos or --scenes, or train it "
        "longer"
    )


def _too_little(measured: FinderIr) -> str:
    told = (
        f"the finder in {measured.precision.upper()} finds only {measured.found_too:.1%} of what it finds in FP32 in "
        f"{measured.pictures} pictures. Nothing of the finder is written"
    )
    if measured.precision == "int8":
        return f"{told}. Calibrate on more pictures: --photos, --scenes"
    return f"{told}. Its weights are too large for 16 bits: train it anew"


def _convert(keras: Path) -> Any:
    """The finder as an ``openvino.Model`` of static batch 1."""
    import openvino as ov

    from edgefashion.inference.tensorflow_engine import export_saved_model, load_keras

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        saved = Path(folder) / "saved_model"
        export_saved_model(load_keras(keras), saved)
        ir = ov.convert_model(saved)
        ir.reshape([1, FINDER_PX, FINDER_PX, 3])
        return ir


def _int8(
    plain: Any,
    calibrate: Sequence[NDArray[np.uint8]],
    xml: Path,
    expected: list[list[Region]],
    gate: Sequence[NDArray[np.uint8]],
    floor: float,
) -> FinderIr:
    """Write the INT8 IR ``xml``, and tell what it finds on the CPU, with VNNI or without, that finds less. Its weights
    get seven bits where eight find too little."""
    for seven_bits in (False, True):
        model_files.save_ir(_quantize(plain, calibrate, seven_bits=seven_bits), xml)
        found = [_found(xml, gate, floor)]
        if without_vnni.differs():
            found.append([_garments(answer, floor) for answer in without_vnni.found(xml, gate)])
        least = min((_compared("int8", expected, one, xml) for one in found), key=lambda seen: seen.found_too)
        if least.found_too >= LEAST_FOUND:
            break
    return least


def _quantize(plain: Any, pictures: Sequence[NDArray[np.uint8]], *, seven_bits: bool) -> Any:
    """In INT8 but for its last convolutions: a box's edge is a logarithm, and a step of 8 bits is too much of it."""
    import logging

    import nncf

    with quietly():
        nncf.set_log_level(logging.ERROR)
        return nncf.quantize(
            plain.clone(),
            nncf.Dataset([picture[None] for picture in pictures]),
            subset_size=len(pictures),
            fast_bias_correction=True,
            advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=overflow_fix(seven_bits=seven_bits)),
            ignored_scope=nncf.IgnoredScope(names=_last_convolutions(plain)),
        )


def _last_convolutions(ir: Any) -> list[str]:
    """The names of the convolutions between the answer and the first ReLU before it."""
    found: set[str] = set()
    waiting, seen = [ir.output(0).get_node()], set[str]()
    while waiting:
        op = waiting.pop()
        name = op.get_friendly_name()
        if name in seen or op.get_type_name() == "Clamp":
            continue
        seen.add(name)
        if op.get_type_name() == "Convolution":
            found.add(name)
            continue
        waiting += [value.get_node() for value in op.input_values()]
    return sorted(found)


def _pictures(
    photos: Sequence[Path], marked: Sequence[Path], labels: tuple[str, ...], skipped: list[str]
) -> list[NDArray[np.uint8]]:
    """Pictures as the finder sees them, photos and scenes in turn. ``labels``: what photo folders may be named after.
    ``skipped`` gets a line for each folder or file that is left out."""
    of_photos, of_scenes = list[photo_folders.Photo](), list[scenes.Scene]()
    if photos:
        listed = photo_folders.scan(*photos, of=labels)
        of_photos = list(listed.photos)
        skipped += listed.skipped
    if marked:
        annotated = scenes.scan_scenes(*marked)
        of_scenes = list(annotated.scenes)
        skipped += annotated.skipped
    rng = np.random.default_rng(0)
    some = [of_scenes[at] for at in rng.permutation(len(of_scenes))[:PICTURES]]
    views = [frame_view(picture, FINDER_PX) for _, picture in scenes.read(some, skipped)]
    chosen = splits.evenly(of_photos, 2 * PICTURES - len(views)) if of_photos else []
    views += [frame_view(picture, FINDER_PX) for _, picture in photo_folders.read(chosen, skipped)]
    return [views[at] for at in rng.permutation(len(views))]


def _drawn() -> list[NDArray[np.uint8]]:
    """Fashion-MNIST's garments, drawn as photos."""
    rng = np.random.default_rng(0)
    images, _ = fashion_mnist.load("test")
    return [frame_view(drawn.photo_of(image, rng), FINDER_PX) for image in images[:PICTURES]]


def _found(xml: Path, pictures: Sequence[NDArray[np.uint8]], floor: float) -> list[list[Region]]:
    run = OpenVinoFinder(xml, "fp32", 1)
    return [_garments(run(picture[None])[0], floor) for picture in pictures]


def _garments(answer: NDArray[np.float32], floor: float) -> list[Region]:
    return [region for region in regions(answer, floor) if region.kind in GARMENT_KINDS]


def _compared(precision: str, expected: list[list[Region]], given: list[list[Region]], xml: Path) -> FinderIr:
    """``expected`` holds a find at least."""
    finds = sum(map(len, expected))
    both = sum(
        any(_same(one, other) for other in theirs) for ours, theirs in zip(expected, given, strict=True) for one in ours
    )
    besides = sum(
        not any(_same(one, other) for other in ours)
        for ours, theirs in zip(expected, given, strict=True)
        for one in theirs
    )
    return FinderIr(precision, len(expected), finds, both / finds, besides / finds, model_files.size_bytes(xml))


def _same(one: Region, other: Region) -> bool:
    return one.kind == other.kind and overlap(one.corners, other.corners) >= SAME
