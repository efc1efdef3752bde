"""The finder's IRs: converted, quantized, gated by what they find, and asked by the bundle's network."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from helpers.finding import square
from helpers.photos import put

from edgefashion.bundles import bundle, draft, resolve
from edgefashion.conversion import finder, without_vnni
from edgefashion.errors import GateError
from edgefashion.inference.finder import Region
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import read_ir
from edgefashion.training.photo_bundle import save_compactly

if TYPE_CHECKING:
    from numpy.typing import NDArray

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("plain_graphs")]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo folder of squares that the finder knows."""
    folder = tmp_path_factory.mktemp("squares")
    rng = np.random.default_rng(0)
    for number in range(12):
        path = folder / "Bag" / f"{number}-square.png"
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), square(rng))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, finder_of_squares: Any) -> bundle.Bundle:
    """The shipped photo network with the original of a finder that has learned to find squares."""
    shipped = resolve.resolve("kiosk").bundle
    assert shipped is not None
    out = tmp_path_factory.mktemp("models") / "squares"
    with draft.draft(out, shipped) as making:
        for part in ("finder_fp16", "finder_int8"):
            making.drop(part)
        save_compactly(finder_of_squares, making.part("finder_keras"))
        making.facts = making.facts._replace(name="squares", thresholds=making.facts.thresholds._replace(found=0.3))
    return bundle.open_bundle(out)


def test_irs_find_what_the_original_finds(
    made: bundle.Bundle, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FP16 and INT8 find what FP32 finds, say so in the report, and are asked by the loaded network."""
    monkeypatch.setattr(finder, "ENOUGH", 0)  # it has learned squares alone, and no drawn garments
    copy = bundle.open_bundle(Path(shutil.copytree(made.path, tmp_path / "squares")))
    done, measured = finder.add_finder(copy, [photos])
    assert [one.precision for one in measured] == ["fp16", "int8"]
    assert all(one.found_too >= finder.LEAST_FOUND and one.finds > 0 for one in measured)
    assert measured[1].size_bytes < 0.6 * measured[0].size_bytes
    assert [one["precision"] for one in done.report()["finder"]["irs"]] == ["fp16", "int8"]
    picture = square(np.random.default_rng(5))
    for precision in ("fp16", "int8"):
        classifier = load(done.path, precision=precision)
        assert classifier.finder is not None
        found = classifier.finder.find(picture)
        assert found
        assert found[0].kind == "bag"


def test_a_finder_that_overflows_without_vnni_gets_seven_bits(
    made: bundle.Bundle, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where INT8 finds too little on a CPU without VNNI, it is quantized with seven bits, and measured there again."""
    answered, asked = without_vnni.found, list[float]()

    def at_first_nothing(xml: Path, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
        largest = max(np.abs(weights.astype(int)).max() for weights in _in_8_bits(xml))
        asked.append(largest)
        answers = answered(xml, pictures)
        return answers if len(asked) > 1 else np.full_like(answers, -20)

    monkeypatch.setattr(finder, "ENOUGH", 0)
    monkeypatch.setattr(without_vnni, "differs", lambda: True)
    monkeypatch.setattr(without_vnni, "found", at_first_nothing)
    copy = bundle.open_bundle(Path(shutil.copytree(made.path, tmp_path / "squares")))
    _, (_, int8) = finder.add_finder(copy, [photos])
    assert int8.found_too >= finder.LEAST_FOUND
    assert [largest > 64 for largest in asked] == [True, False]


def _in_8_bits(xml: Path) -> list[NDArray[np.int8]]:
    constants = [op for op in read_ir(xml).get_ops() if op.get_type_name() == "Constant"]
    weights = [op.get_data() for op in constants if op.get_element_type().get_type_name() == "i8"]
    return [some for some in weights if some.ndim == 4]  # a depthwise convolution has five and adds no two in 16 bits


BAG = Region("bag", (0.1, 0.1, 0.5, 0.5), 0.9, 0.0)


@pytest.mark.parametrize(
    ("original", "converted", "says"),
    [
        ([[BAG]], [[]], r"in FP16 finds only 0\.0% of what it finds in FP32 in 1 pictures"),
        ([[], []], [[], []], r"finds no garment in 50 pictures, .* Give pictures of garments with --photos"),
        ([[], []], [[BAG], [BAG]], r"finds no garment in 50 pictures"),  # all it finds is wrong
    ],
)
def test_an_ir_that_finds_something_else_is_not_written(
    original: list[list[Region]],
    converted: list[list[Region]],
    says: str,
    made: bundle.Bundle,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where an IR misses what the original finds, or the original finds nothing that it could be compared by, nothing
    is written, and one sentence says so."""
    import openvino as ov
    from openvino import opset13 as ops

    frame = ops.parameter([1, 4], np.float32)
    copy = bundle.open_bundle(Path(shutil.copytree(made.path, tmp_path / "squares")))
    answers = iter([original, converted])
    monkeypatch.setattr(finder, "_convert", lambda *_: ov.Model([ops.relu(frame)], [frame], "finder"))
    monkeypatch.setattr(finder, "_found", lambda *_: next(answers))
    with pytest.raises(GateError, match=says):
        finder.add_finder(copy, [photos], int8=False)
    assert not bundle.open_bundle(copy.path).has("finder_fp16")


def test_photos_have_the_labels_of_the_network(tmp_path: Path) -> None:
    """Pictures of a shop's own labels are looked at by its finder, and what is left out is told."""
    put(tmp_path, *(f"{label}/s{n}-1.png" for label in ("Polo", "Hoodie", "Hodie") for n in range(2)))
    skipped: list[str] = []
    assert len(finder._pictures([tmp_path], [], ("Polo", "Hoodie", "Unknown"), skipped)) == 4
    assert [line.partition(":")[0] for line in skipped] == [str(tmp_path / "Hodie")]


def test_a_compact_original_is_the_network_in_16_bits(made: bundle.Bundle) -> None:
    """The saved original has about half the size of its 32-bit weights, and each of them is a 16-bit number."""
    from edgefashion.inference.tensorflow_engine import load_keras

    path = made.verified("finder_keras")
    model = load_keras(path)
    weights = [np.asarray(weight) for weight in model.get_weights()]
    assert path.stat().st_size < 0.62 * sum(weight.nbytes for weight in weights)
    assert all((weight == weight.astype(np.float16).astype(np.float32)).all() for weight in weights)
