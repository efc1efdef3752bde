"""``edgefashion convert`` as a function: a model to a bundle with its IRs, INT8 and the IR for frames among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from edgefashion.bundles import places, resolve
from edgefashion.bundles.bundle import Bundle
from edgefashion.conversion import embed
from edgefashion.conversion.calibration_sets import check_calibration, takes_no_photos
from edgefashion.conversion.convert import convert
from edgefashion.conversion.embed import Embedding
from edgefashion.conversion.ensemble import convert_ensemble
from edgefashion.conversion.finder import FinderIr, add_finder
from edgefashion.conversion.quantize import (
    Quantization,
    QuantizeOptions,
    check_quantizable_file,
    in_int8,
    quantize,
)
from edgefashion.conversion.write_bundle import Conversion
from edgefashion.data.photo_folders import scan
from edgefashion.data.scenes import scan_scenes
from edgefashion.errors import BadInputError
from edgefashion.inference import told as noted
from edgefashion.inference.told import Told
from edgefashion.labels import PHOTO_LABELS
from edgefashion.system.extras import need

ENSEMBLE: Final = Path("models/ensemble")
"""Where several models go unless told otherwise."""

CONVERTING: Final = "converting and comparing with the original"
QUANTIZING: Final = "quantizing to INT8 and comparing accuracy"
FINDING: Final = "converting the finder and comparing what it finds"
EMBEDDING: Final = "embedding the preprocessing and comparing with Python's"


@dataclass(frozen=True)
class Build:
    """What :func:`build` made and measured."""

    bundle: Bundle
    conversion: Conversion
    quantization: Quantization | None
    """None where INT8 was not asked for."""
    embedding: Embedding | None
    """None where no IR for frames was asked for."""
    finder: tuple[FinderIr, ...] = ()
    """What the IRs of the bundle's finder find; empty where it has no original of one."""
    skipped: tuple[str, ...] = ()
    """A line for each of the folders and files given that was left out, and why."""


def build(
    models: str | Path | Sequence[str | Path] = places.DEFAULT_MODEL,
    out: str | Path | None = None,
    *,
    scale: str | None = None,
    int8: bool = False,
    max_drop: float | None = None,
    calibration: int | None = None,
    photos: Sequence[str | Path] = (),
    scenes: Sequence[str | Path] = (),
    frame_wh: tuple[int, int] | None = None,
    told: Told | None = None,
    on_stage: Callable[[str], None] | None = None,
) -> Build:
    """Convert a model to OpenVINO IR, quantize it with ``int8``, and write an IR for whole frames with ``frame_wh``.

    All that can be refused without reading a picture is refused before the work, which takes from seconds to many
    minutes; so is what would be used by nothing. Every step is gated and written by itself: where the INT8 gate fails,
    the FP32 and FP16 IRs are there.

    Args:
        models: A MODEL, or several, which become one IR that averages their probabilities.
        out: The bundle to write. Default: a bundle of yours in place, else ``models/NAME``; for several models
            ``models/ensemble``.
        scale: What the pixels of a model made elsewhere run to, ``"0-1"``, ``"0-255"``, ``"-1-1"``. Default: measured.
        int8: Add an INT8 IR.
        max_drop: Accuracy that INT8 may lose, 0 to 1. Default: 0.005, half a point.
        calibration: Images that INT8 is calibrated on. Default: 300.
        photos: Photo folders, a sub-folder a label, that INT8 of a photo network is calibrated on and gated with, and
            the finder that it has an original of.
        frame_wh: (width, height) in pixels, each from 28 to 4096, of the BGR frames, uint8 (1, height, width, 3), that
            one more IR takes.
        told: All that is known of a model made elsewhere, ``scale`` included. Default: what the command line was told.
        scenes: Scenes folders, pictures with a COCO file, that the finder of a photo network is calibrated on besides.
        on_stage: Called with what is done next, in words, and which step of how many that is.

    Raises:
        BadInputError: A model that cannot be converted, an option out of range or of a step that is not asked for, an
            output that cannot be written, a photo network without ``photos``, folders that hold none, or pictures for a
            network that takes none.
        GateError: The IRs do not answer like the original, INT8 loses more than ``max_drop``, the finder's IRs miss
            what its original finds, or the IR for frames does not answer like Python's preprocessing.
        MissingError: Fashion-MNIST, NNCF, or what has to run the original, is not installed.

    Example:
        >>> from edgefashion import build
        >>> made = build("edge", "models/mine", int8=True, frame_wh=(640, 480))
        >>> [proof.changed_top1 for proof in made.conversion.parity]
        [0, 0]
        >>> made.quantization.drop < 0.005
        True
        >>> made.embedding.size_wh
        (640, 480)
    """
    several = [models] if isinstance(models, str | Path) else list(models)
    usual = QuantizeOptions()
    options = QuantizeOptions(
        usual.max_drop if max_drop is None else max_drop, usual.calibration if calibration is None else calibration
    )
    if not int8 and not (max_drop is None and calibration is None):
        raise BadInputError("--max-drop and --calibration are for INT8. Add --int8, or leave them out")
    folders, marked = [Path(folder) for folder in photos], [Path(folder) for folder in scenes]
    if frame_wh is not None:
        embed.check_frame_size(frame_wh)
    if int8:
        need("nncf", "to quantize to INT8")
    found = [resolve.resolve(model) for model in several]
    if len(several) > 1 and (scale or not (noted.given() if told is None else told).is_empty):
        raise BadInputError("--scale is for one model made elsewhere. Convert them one by one")
    stages = _stages(found, int8=int8, embed=frame_wh is not None)
    _check_pictures(found, folders, marked, stages)

    def tell(doing: str) -> None:
        if on_stage:
            on_stage(f"{stages.index(doing) + 1} of {len(stages)}: {doing}")

    tell(CONVERTING)
    done = (
        convert(several[0], out, scale, told) if len(several) == 1 else convert_ensemble(several, Path(out or ENSEMBLE))
    )
    made, quantization, embedding = done.bundle, None, None
    if int8 and in_int8(made):
        done = replace(done, note=f"{done.note}; it computes in 8 bits already, and is not quantized again")
    elif int8:
        tell(QUANTIZING)
        made, quantization = quantize(made, options, folders)
    finds, skipped = tuple[FinderIr, ...](), list(quantization.skipped if quantization else ())
    if FINDING in stages:
        tell(FINDING)
        made, finds = add_finder(made, folders, marked, int8=int8, skipped=skipped)
    if frame_wh is not None:
        tell(EMBEDDING)
        made, embedding = embed.embed(made, frame_wh)
    return Build(made, done, quantization, embedding, finds, tuple(dict.fromkeys(skipped)))


def _stages(found: Sequence[resolve.Model], *, int8: bool, embed: bool) -> list[str]:
    """What will be done, in its order."""
    only = found[0].bundle if len(found) == 1 else None
    there = (
        (CONVERTING, True),
        (QUANTIZING, int8),
        (FINDING, only is not None and only.has("finder_keras")),
        (EMBEDDING, embed),
    )
    return [stage for stage, asked in there if asked]


def _check_pictures(
    found: Sequence[resolve.Model], photos: Sequence[Path], marked: Sequence[Path], stages: Sequence[str]
) -> None:
    """Raise :class:`BadInputError` for what INT8 of the models would refuse, for folders that hold no picture to use,
    and for pictures that no stage uses."""
    if marked and FINDING not in stages:
        raise BadInputError(
            f"{found[0].name} has no finder's original that scenes could calibrate. Leave --scenes out, or train one: "
            "edgefashion train kiosk --photos DIR --scenes DIR"
        )
    for model in found:
        if photos and not _may_take_photos(model):
            raise takes_no_photos(model.name)
        if QUANTIZING in stages:
            check_quantizable_file(model)
            if model.bundle:
                check_calibration(model.bundle, photos)
    if photos and len(found) > 1:
        raise BadInputError("several models become one IR for Fashion-MNIST's images. Leave --photos out")
    if photos and QUANTIZING not in stages and FINDING not in stages:
        raise BadInputError("--photos is for INT8 of a photo network. Add --int8, or leave --photos out")
    if photos:
        scan(*photos, of=found[0].bundle.labels if found[0].bundle else PHOTO_LABELS)
    if marked:
        scan_scenes(*marked)


def _may_take_photos(model: resolve.Model) -> bool:
    """Whether it is a photo network. An original outside a bundle may be one, until it is converted."""
    return model.bundle.takes_photos if model.bundle else model.kind in ("saved_model", "keras")
