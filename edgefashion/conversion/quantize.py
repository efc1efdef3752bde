"""FP32 IR and calibration images to INT8 IR, with a gate on the accuracy it costs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.bundles import bundle, card, draft, model_files, onnx_file, resolve
from edgefashion.bundles.facts import Measured
from edgefashion.bundles.guard import check
from edgefashion.conversion import accuracy_control, calibration_sets, int8_gate, without_vnni
from edgefashion.conversion.accuracy_control import PlainQuantization
from edgefashion.conversion.calibration_sets import CalibrationSets
from edgefashion.conversion.parity_gate import TRYING_S
from edgefashion.conversion.post_training import quantize_plain, quietly, written
from edgefashion.data import fashion_mnist
from edgefashion.data.photo_folders import Photo
from edgefashion.errors import BadInputError
from edgefashion.evaluation import agreement
from edgefashion.inference import foreign_files, load
from edgefashion.inference.classifier import Classifier
from edgefashion.system.extras import installed, need
from edgefashion.system.text import size

if TYPE_CHECKING:
    from numpy.typing import NDArray

SLOWER: Final = 1.1
"""From this share of FP32's time on INT8 is said to be slower."""
_EIGHT_BITS: Final = 8
_TURNS: Final = 21
_CALLS: Final = 10


@dataclass(frozen=True)
class QuantizeOptions:
    """How to calibrate and what INT8 may cost."""

    max_drop: float = int8_gate.MAX_DROP
    """Accuracy INT8 may lose, 0 to 1."""
    calibration: int = 300
    """Training images to calibrate on; NNCF's own default."""

    def __post_init__(self) -> None:
        if not 0 <= self.max_drop <= 1:
            raise BadInputError(f"--max-drop must be from 0 to 1, not {self.max_drop:g} (0.005 is half a point)")
        if self.calibration < 1:
            raise BadInputError(f"--calibration must be at least 1 image, not {self.calibration}")


@dataclass(frozen=True)
class Quantization:
    """What INT8 costs and brings. The gate's accuracies are on training images that calibration
    has not seen; the test set's are for the report and decide nothing."""

    calibration_images: int
    bias_correction: str
    """NNCF's ``fast`` or ``slow`` one or ``none``, whichever came nearest to FP32 on the calibration images."""
    gate_images: int
    gate_images_held_out: bool
    """True if the network was not trained on them either."""
    accuracy_before: float
    accuracy_after: float
    test_accuracy_before: float
    test_accuracy_after: float
    size_before_bytes: int
    size_after_bytes: int
    accuracy_plain: float
    """Accuracy of plain quantization on the gate's images. Without accuracy control it is ``accuracy_after``."""
    accuracy_without_vnni: float
    """Accuracy on the gate's images on a CPU without VNNI, which adds products of 8 bits in 16. That is
    ``accuracy_after`` where this CPU is one."""
    weight_bits: int
    """8, or 7 where a CPU without VNNI loses less so. (A first convolution's have 7 in any case.)"""
    control: accuracy_control.Control | None
    """None where plain quantization was good enough."""
    agreement: agreement.Agreement
    """INT8's answers to the 10,000 test images beside the original's."""
    seconds: dict[str, float]
    """What each stage took: plain quantization, accuracy control, gate."""
    time_of_fp32: float | None = None
    """The time INT8 takes for one image, as a share of FP32's; both measured here, in turns. None for a photo network,
    of which it is not measured."""
    max_drop: float = int8_gate.MAX_DROP
    """What INT8 was allowed to lose on the gate's images, 0 to 1."""
    notes: tuple[str, ...] = ()
    """What calibrated it, where more is to be said than was asked for, each as a sentence."""
    skipped: tuple[str, ...] = ()
    """A line for each of the folders and files given that was left out, and why."""

    @property
    def accuracy_gated(self) -> float:
        """Accuracy on the gate's images, on a CPU with VNNI or without, whichever is lower."""
        return min(self.accuracy_after, self.accuracy_without_vnni)

    @property
    def drop(self) -> float:
        """Accuracy lost on the gate's images, on a CPU with VNNI or without, whichever loses more; negative where INT8
        is better on both."""
        return self.accuracy_before - self.accuracy_gated

    def warnings(self) -> list[str]:
        """What speaks against INT8 here, each as a sentence."""
        said = []
        if self.weight_bits < _EIGHT_BITS:
            said.append(
                "INT8's weights have seven bits: with eight this network loses more on CPUs without VNNI (Intel Core "
                "before the eleventh generation), which add products of 8 bits in 16"
            )
        if self.size_after_bytes >= self.size_before_bytes:
            before, after = size(self.size_before_bytes), size(self.size_after_bytes)
            said.append(f"INT8 is larger than FP32: {after}, not {before}. This network is too small to gain by it")
        if self.time_of_fp32 is not None and self.time_of_fp32 > SLOWER:
            said.append(
                f"INT8 is slower than FP32 on this machine: {self.time_of_fp32:.2f} times its time for an image. See "
                "edgefashion bench, and use --precision fp32 here"
            )
        return said

    def as_json(self) -> dict[str, Any]:
        """The fields of the bundle's report. A bundle goes to others: it does not say what lies on this machine."""
        control = self.control.as_json() if self.control else None
        fields = {**asdict(self), "control": control, "drop": self.drop}
        return {name: value for name, value in fields.items() if name not in ("notes", "skipped")}


def quantize(
    made: bundle.Bundle,
    options: QuantizeOptions = QuantizeOptions(),
    photo_folders: Sequence[str | Path] = (),
    *,
    photos: Sequence[Photo] = (),
    **given: Any,
) -> tuple[bundle.Bundle, Quantization]:
    """Add an INT8 IR to a bundle that has an FP32 IR, calibrated by NNCF.

    Where that costs more accuracy than is allowed on a CPU without VNNI, all weights get seven bits; where it still
    does, accuracy control puts back to floating point what hurts. Calibration and gate use disjoint parts of
    Fashion-MNIST's training images: the part that the network was fitted on and the part held out from it, where there
    is one. A photo network is calibrated on photos, and gated on those of other senders.

    Args:
        made: The bundle, as :func:`edgefashion.convert` gives it.
        options: How to calibrate and what INT8 may cost.
        photo_folders: For a photo network: photo folders, a sub-folder a label.
        photos: In their place the photos themselves, where some of a folder's are kept for something else.
        given: Any field of ``options`` by its name: ``max_drop``, accuracy from 0 to 1, and ``calibration``, images.

    Returns:
        The bundle with the INT8 IR, and what it costs and brings. Accuracies are shares from 0 to 1.

    Raises:
        BadInputError: A bundle without an FP32 IR, an option out of range, a photo network without photos that can be
            read, or photos for another network.
        GateError: Accuracy drops by more than ``max_drop`` all the same. The FP32 IR stays, and no INT8 IR is left.
        MissingError: NNCF or Fashion-MNIST is not installed, or the process that stands for a CPU without VNNI fails.

    Example:
        >>> from edgefashion import convert, quantize
        >>> made, cost = quantize(convert("edge", "models/mine").bundle, max_drop=0.01)
        >>> made.has("int8"), cost.drop <= 0.01
        (True, True)
    """
    options = replace(options, **given)
    need("nncf", "to quantize to INT8")
    _check_quantizable(made)
    draft.check_target(made.path)
    folders = [Path(folder) for folder in photo_folders]
    if not photos:
        calibration_sets.check_calibration(made, folders)
    fp32 = made.verified("fp32")
    before = load.load(fp32, precision="fp32")
    if before.takes_photos:
        sets = calibration_sets.of_photos(made, options.calibration, folders, photos)
    else:
        sets = calibration_sets.of_fashion_mnist(made, options.calibration)
    int8 = _quantized(fp32, before, sets, options.max_drop)
    with draft.draft(made.path, made) as making:
        result = _write(making, made, before, int8, sets)
        result = replace(result, max_drop=options.max_drop, notes=sets.notes, skipped=sets.skipped)
        passed = int8_gate.passes(result.drop, options.max_drop)
        making.add_report("int8", {**result.as_json(), "passed": passed})
        if passed:
            measured = Measured(result.test_accuracy_after, result.agreement.as_json())
            making.facts = making.facts.with_measured("int8", measured).with_version("nncf", version("nncf"))
        else:
            making.drop("int8")
            making.facts = making.facts.without_measured("int8")
        card.write_card(making)
    if not passed:
        assert result.control is not None  # plain quantization would have passed
        raise int8_gate.failed(
            images=result.gate_images,
            before=result.accuracy_before,
            after=result.accuracy_gated,
            max_drop=options.max_drop,
            tried=result.control.in_short(),
            kept=made.path,
        )
    return bundle.open_bundle(made.path), result


def in_int8(made: bundle.Bundle) -> bool:
    """True for a bundle of a model that was made elsewhere and computes in 8 bits itself."""
    return made.facts.foreign is not None and made.facts.foreign.precision == "int8"


def _check_quantizable(made: bundle.Bundle) -> None:
    """Raise :class:`BadInputError` for a network that is rounded already: rounded twice it only gets worse."""
    if in_int8(made):
        raise BadInputError(f"{made.path} holds a network that computes in 8 bits already. It is not quantized again")
    if made.facts.foreign is not None and made.facts.foreign.precision == "fp16":
        raise _in_16_bits(made.path)


def check_quantizable_file(found: resolve.Model) -> None:
    """Raise :class:`BadInputError` for a file from elsewhere that :func:`quantize` would refuse later."""
    if found.kind not in (*foreign_files.KINDS, "ir") or not foreign_files.is_foreign(found):
        return
    with onnx_file.whole(found.path) as file:
        if foreign_files.precision_of(file, found.path) == "fp16":
            raise _in_16_bits(found.path)


def _in_16_bits(path: Path) -> BadInputError:
    return BadInputError(
        f"{path} holds a network that computes in 16 bits: its INT8 would be slower than FP32. Convert it as it was "
        "before, in 32 bits, or leave --int8 out"
    )


@dataclass
class _Int8:
    """A network quantized, not written yet."""

    ir: Any
    """An ``openvino.Model``."""
    bias_correction: str
    weight_bits: int
    accuracy_before: float
    plain: _Gated
    control: accuracy_control.Control | None
    seconds: dict[str, float]


@dataclass(frozen=True)
class _Gated:
    """An INT8 network's accuracy on the gate's images."""

    here: float
    without_vnni: float

    @property
    def lower(self) -> float:
        return min(self.here, self.without_vnni)


def _gated(xml: Path, sets: CalibrationSets) -> _Gated:
    network = load.load(xml, precision="int8")
    here = sets.gate(network)
    return _Gated(here, sets.gate(without_vnni.capped(network, xml)) if without_vnni.differs() else here)


def _quantized(fp32: Path, before: Classifier, sets: CalibrationSets, max_drop: float) -> _Int8:
    """The IR ``fp32`` in INT8, with accuracy control where plain quantization loses more than ``max_drop``."""
    seconds: dict[str, float] = {}
    accuracy_before, control = sets.gate(before), None

    def plainly(*, seven_bits: bool) -> tuple[PlainQuantization, _Gated]:
        with _timed(seconds, "plain"):
            made = quantize_plain(fp32, sets.calibrate, photo=before.takes_photos, seven_bits=seven_bits)
        with _timed(seconds, "gate"), written(made.ir) as xml:
            return made, _gated(xml, sets)

    def passes(gated: _Gated) -> bool:
        return int8_gate.passes(accuracy_before - gated.lower, max_drop)

    (plain, gated), bits = plainly(seven_bits=False), _EIGHT_BITS
    # What a CPU with VNNI alone loses is no overflow's. Where both lose alike this one may have no VNNI itself.
    if not passes(gated) and gated.without_vnni <= gated.here:
        other, other_gated = plainly(seven_bits=True)
        if other_gated.lower > gated.lower:
            plain, gated, bits = other, other_gated, _EIGHT_BITS - 1
    ir = plain.ir
    if not passes(gated):
        with _timed(seconds, "accuracy_control"), quietly():
            ir, control = accuracy_control.control(plain, sets.selection(), max_drop)
    return _Int8(ir, plain.bias_correction, bits, accuracy_before, gated, control, seconds)


def _write(
    making: draft.Draft, made: bundle.Bundle, before: Classifier, int8: _Int8, sets: CalibrationSets
) -> Quantization:
    """Write the INT8 IR into the draft and measure what was written."""
    making.drop_embedded()
    path = making.part("int8")
    model_files.save_ir(int8.ir, path)
    if made.facts.foreign is not None:
        check.check(path, check.Limits(TRYING_S), named=Path("the INT8 IR"))
    else:
        check.vouch(path)
    after = load.load(path, precision="int8")
    with _timed(int8.seconds, "gate"):
        gated = _gated(path, sets) if int8.control else int8.plain
    test_images, test_labels = fashion_mnist.load("test")
    fp32_answers, int8_answers = before(test_images), after(test_images)
    original, reference = _original(made, test_images, fp32_answers)
    return Quantization(
        calibration_images=len(sets.calibrate),
        bias_correction=int8.bias_correction,
        gate_images=sets.gate_images,
        gate_images_held_out=sets.held_out,
        accuracy_before=int8.accuracy_before,
        accuracy_after=gated.here,
        test_accuracy_before=calibration_sets.share_right(fp32_answers, test_labels),
        test_accuracy_after=calibration_sets.share_right(int8_answers, test_labels),
        size_before_bytes=made.size_bytes("fp32"),
        size_after_bytes=model_files.size_bytes(path),
        accuracy_plain=int8.plain.here,
        accuracy_without_vnni=gated.without_vnni,
        weight_bits=int8.weight_bits,
        control=int8.control,
        agreement=agreement.compare(original, int8_answers, test_labels, reference),
        seconds={stage: round(taken, 1) for stage, taken in int8.seconds.items()},
        time_of_fp32=None if before.takes_photos else _time_of(after, before, test_images[:1]),
    )


def _time_of(after: Classifier, before: Classifier, image: NDArray[np.uint8]) -> float:
    """The time ``after`` takes for one image, as a share of what ``before`` takes: medians, measured in turns."""
    took_s: dict[str, list[float]] = {"after": [], "before": []}
    for _ in range(_TURNS):
        for name, one in (("after", after), ("before", before)):
            start_s = time.perf_counter()
            for _ in range(_CALLS):
                one(image)
            took_s[name].append(time.perf_counter() - start_s)
    return float(np.median(took_s["after"]) / np.median(took_s["before"]))


def _original(
    made: bundle.Bundle, images: NDArray[np.uint8], fp32: NDArray[np.float32]
) -> tuple[NDArray[np.float32], str]:
    """The original's answers, and who gave them. The FP32 IR's answers, which the gate has found equal, stand in where
    TensorFlow is not installed, the bundle holds no SavedModel, or a photo network's original would take minutes."""
    if installed("tensorflow") and made.has("saved_model") and not made.takes_photos:
        return load.load(made.path, engine="tensorflow")(images), "TensorFlow"
    return fp32, "the FP32 IR"


@contextlib.contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - start
