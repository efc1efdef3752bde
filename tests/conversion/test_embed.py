"""An IR that takes whole frames answers as Python does, preprocessing and all, or is not written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.bundles import bundle, draft, resolve
from edgefashion.conversion import convert, originals, write_bundle
from edgefashion.conversion.embed import FrameParity, FrameReader, embed, frame_size, in_python
from edgefashion.conversion.graph import fixed_size
from edgefashion.data import drawn
from edgefashion.errors import BadInputError, GateError
from edgefashion.inference import preprocess
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import read_ir
from edgefashion.labels import LABELS

if TYPE_CHECKING:
    from helpers.types import Arrays, Run


def _copy(name: str, folder: Path) -> bundle.Bundle:
    return bundle.open_bundle(Path(shutil.copytree(resolve.resolve(name).path, folder / name)))


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    return embed(_copy("edge", tmp_path_factory.mktemp("embed")), (320, 241), frames=50)[0]


def _frame(image: Any, background: int) -> Any:
    """A 320x241 frame of a garment's image, black or white, on a background of that grey."""
    import cv2

    frame = np.full((241, 320), background, np.float32)
    shape = cv2.resize(image[..., 0], (241, 241)).astype(np.float32) / 255
    frame[:, 39:280] += ((0.0 if background >= 128 else 255.0) - frame[:, 39:280]) * shape
    return np.repeat(np.rint(frame).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("background", [255, 200, 128, 127, 60, 0])
def test_polarity_is_decided_inside(edge: bundle.Bundle, background: int, test_set: Arrays) -> None:
    """A dark garment on a light background and a bright one on a dark are answered alike, by the rim's
    brightness, down to the last level at which one becomes the other."""
    read, classifier = FrameReader(edge.verified("embedded")), load("edge")
    for image in test_set[0][:5]:
        frame = _frame(image, background)
        assert np.abs(read(frame) - in_python(classifier, frame)).max() < 0.2
        assert preprocess.whole(frame)[0, 0, 0] == 0
        assert preprocess.whole(frame).max() > 200
    # The boot is told by both, so the test would see a frame that was not negated.
    assert LABELS[read(_frame(test_set[0][0], background)).argmax()] == "Ankle boot"


def test_the_bundle_holds_what_was_measured(edge: bundle.Bundle, test_set: Arrays) -> None:
    """The embedded IR is in the manifest, its report holds the measured parity, and frames it was not gated on
    are answered as by Python."""
    edge.verify_all()
    report = edge.report()["embed"]
    assert report["precision"] == "int8"
    assert report["size_wh"] == [320, 241]
    assert report["parity"]["n"] == 50
    assert 0 < report["parity"]["mean_abs_difference"] < report["parity"]["max_abs_difference"]
    assert report["size_bytes"] == edge.size_bytes("embedded")
    read, classifier, rng = FrameReader(edge.verified("embedded")), load("edge"), np.random.default_rng(9)
    frames = [drawn.shot_of(image, rng, (320, 241)) for image in test_set[0][2000:2050]]
    difference = [np.abs(read(frame) - in_python(classifier, frame)).mean() for frame in frames]
    assert np.mean(difference) < 0.01


def test_the_ir_says_what_it_takes(edge: bundle.Bundle) -> None:
    """A program that reads the bare IR finds the frame's size, type and colour order, what is inside, and the
    labels."""
    import openvino as ov

    model = ov.Core().read_model(edge.verified("embedded"))
    assert [port.any_name for port in model.inputs] == ["frame"]
    assert model.input(0).element_type == ov.Type.u8
    assert tuple(model.input(0).shape) == (1, 241, 320, 3)
    assert [port.any_name for port in model.outputs] == ["probabilities"]

    def fact(*path: str) -> Any:
        return model.get_rt_info(list(path)).astype(str)

    assert json.loads(fact("edgefashion", "frame")) == {"width": 320, "height": 241, "colour": "BGR"}
    assert "negate" in " ".join(json.loads(fact("edgefashion", "embedded")))
    assert json.loads(fact("edgefashion", "labels")) == list(LABELS)
    assert fact("model_info", "embedded_processing") == "True"
    assert (fact("model_info", "orig_width"), fact("model_info", "orig_height")) == ("320", "241")


def test_a_photo_network_keeps_its_mask(tmp_path: Path, test_set: Arrays) -> None:
    """An embedded photo network answers an upright frame with Python's probabilities and mask."""
    import openvino as ov

    made, done = embed(_copy("kiosk", tmp_path), (240, 321), frames=20)
    assert done.parity.n == 20
    one_thread = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(read_ir(made.verified("embedded")), "CPU", one_thread)
    frame = drawn.shot_of(test_set[0][0], np.random.default_rng(0), (240, 321))
    answer = compiled(frame[None])
    probabilities, mask = load(made.path).look(preprocess.view(frame))
    np.testing.assert_allclose(answer["probabilities"][0], probabilities, atol=0.1)
    np.testing.assert_allclose(answer["mask"][0, ..., 0], mask, atol=0.2)


def test_the_precision_can_be_chosen(tmp_path: Path) -> None:
    """FP32 is embedded on request, and is what a bundle without INT8 gets."""
    copy = _copy("edge", tmp_path)
    _, chosen = embed(copy, (64, 64), precision="fp32", frames=5)
    assert chosen.precision == "fp32"
    with draft.draft(copy.path, bundle.open_bundle(copy.path)) as making:
        making.drop("int8")
    _, left = embed(bundle.open_bundle(copy.path), (64, 64), frames=5)
    assert left.precision == "fp32"


def test_a_failed_gate_keeps_the_old_bundle(
    edge: bundle.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the graph resizes as Python does not, the gate says so in figures, and the bundle with its older
    embedded IR stays byte for byte."""
    copy = bundle.open_bundle(Path(shutil.copytree(edge.path, tmp_path / "edge")))
    monkeypatch.setattr(fixed_size, "area_weights", lambda size, to: np.eye(to, size, dtype=np.float32))
    with pytest.raises(GateError, match=r"of 50 frames.*answers changed"):
        embed(copy, (640, 480), frames=50)
    after = bundle.open_bundle(copy.path)
    assert (after.facts, after.files) == (edge.facts, edge.files)
    after.verify_all()
    assert [p.name for p in tmp_path.iterdir()] == ["edge"]


@pytest.mark.parametrize(
    ("mean", "changed", "passed"), [(0.005, 50, True), (0.007, 0, False), (0.001, 51, False)], ids=["ok", "mean", "top"]
)
def test_the_limits(mean: float, changed: int, passed: bool) -> None:
    """The gate fails on the mean difference and on the share of changed answers, each alone."""
    assert FrameParity(1000, 0.2, mean, changed).passed is passed


def test_converting_anew_drops_the_embedded_ir(
    edge: bundle.Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An embedded IR and its report do not outlive a conversion: they were made of the IR before."""
    monkeypatch.setattr(originals, "installed", lambda _: False)  # the answers stored at training are quicker
    monkeypatch.setattr(write_bundle, "measure_irs", lambda *_: None)
    copy = Path(shutil.copytree(edge.path, tmp_path / "edge"))
    made = convert.convert(copy).bundle
    assert not made.has("embedded")
    assert not (copy / "embedded.xml").exists()
    assert "embed" not in made.report()
    assert "convert" in made.report()


def test_the_embedded_ir_is_no_model_of_ours(edge: bundle.Bundle, tmp_path: Path) -> None:
    """Given where a model is expected, in its bundle or out of it, the embedded IR is refused in a sentence."""
    with pytest.raises(BadInputError, match="takes whole camera frames"):
        load(edge.path / "embedded.xml")
    for name in ("embedded.xml", "embedded.bin"):
        shutil.copyfile(edge.path / name, tmp_path / name)
    with pytest.raises(BadInputError, match="takes whole camera frames"):
        load(tmp_path / "embedded.xml")
    assert load(edge.path).precision == "int8"


@pytest.mark.parametrize(
    "text", ["640", "640x", "x480", "640x27", "4097x480", "0x0", "-640x480", "640x480x3", "640.0x480", "a lot", ""]
)
def test_sizes_that_are_none_are_refused(text: str) -> None:
    """Anything but WIDTHxHEIGHT from 28 to 4096 is refused by name."""
    with pytest.raises(BadInputError, match=r"--embed takes a frame's WIDTHxHEIGHT"):
        frame_size(text)


def test_sizes_that_are_some() -> None:
    """The smallest and the largest size are taken."""
    assert frame_size("28x4096") == (28, 4096)
    assert frame_size("640x480") == (640, 480)


def test_the_command_embeds_after_converting(
    edge: bundle.Bundle, run_here: Run, tmp_path: Path, few_test_images: None
) -> None:
    """``convert --embed`` puts the new size in the older one's place, compares 1,000 frames, and prints its row."""
    copy = shutil.copytree(edge.path, tmp_path / "made")
    done = run_here("convert", copy, "--embed", "64x48")
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if "64x48" in line)
    assert "passed" in row
    assert "of 1,000 answers changed" in row
    made = bundle.open_bundle(copy)
    assert FrameReader(made.verified("embedded")).shape == (1, 48, 64, 3)
    assert made.report()["embed"]["parity"]["n"] == 1000
