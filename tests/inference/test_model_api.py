"""Intel's Model API reads our IR, by what the IR says of itself, and names the same garments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from edgefashion.bundles import resolve
from edgefashion.inference import preprocess
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import read_ir

if TYPE_CHECKING:
    from helpers.types import Arrays

IMAGES = 100


def _names(ir: Path, images: Any) -> list[str]:
    """What Model API calls each image, with no setting but the IR's own."""
    models = pytest.importorskip("model_api.models")
    model = models.ClassificationModel.create_model(str(ir))
    return [model(image).top_labels[0].name for image in images]


@pytest.mark.parametrize("precision", ["int8", "fp32"])
def test_the_shipped_network_gives_the_same_labels(precision: str, test_set: Arrays) -> None:
    """Model API loads edge's IR and names 100 test images as our classifier does."""
    shipped = resolve.resolve("edge").bundle
    assert shipped is not None
    images = test_set[0][:IMAGES]
    ours = load("edge", precision=precision)
    expected = [ours.labels[i].replace(" ", "_") for i in ours(images).argmax(1)]
    assert _names(shipped.verified(precision), images) == expected


def test_the_photo_network_without_its_mask(tmp_path: Path, test_set: Arrays) -> None:
    """Model API takes the first output for the answer, which is kiosk's mask; the IR without it gives the same labels
    for pictures as OpenCV reads them."""
    import openvino as ov

    shipped = resolve.resolve("kiosk").bundle
    assert shipped is not None
    ir = read_ir(shipped.verified("int8"))
    ir.remove_result(ir.output("mask").node)
    ov.save_model(ir, tmp_path / "kiosk.xml", compress_to_fp16=False)
    ours = load("kiosk", precision="int8")
    rgb = preprocess.as_photos(test_set[0][:IMAGES], preprocess.PHOTO_PX)
    expected = [ours.labels[i].replace(" ", "_") for i in ours(rgb).argmax(1)]
    assert _names(tmp_path / "kiosk.xml", rgb[..., ::-1].copy()) == expected
