"""An IR that takes whole frames answers as Python does, preprocessing and all, or is not written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from edgefashion.bundles import bundle, draft, resolve
from edgefashion.conversion import convert, output
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

SIZES_WH = [(640, 480), (480, 640), (1280, 720), (28, 28), (56, 56), (101, 333), (159, 400), (321, 319), (130, 28)]


def _copy(name: str, folder: Path) -> bundle.Bundle:
    return bundle.open_bundle(Path(shutil.copytree(resolve.resolve(name).path, folder / name)))


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    return embed(_copy("edge", tmp_path_factory.mktemp("embed")), (320, 241), frames=50)[0]


def _identity(shape: tuple[int, ...], dtype: Any = np.uint8) -> Any:
    """A network that answers with its input, as float32."""
    import openvino as ov
    import openvino.opset13 as ops

    image = ops.parameter(shape, dtype)
    return ov.Model([ops.result(ops.convert(image, np.float32))], [image], "identity")


def _inside(network: Any, frame: Any) -> Any:
    """What ``network`` gets of a frame that is preprocessed before it."""
    import openvino as ov

    height, width = frame.shape[:2]
    one_thread = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.Core().compile_model(fixed_size.with_frame(network, (width, height)), "CPU", one_thread)
    return compiled(frame[None])[0]


@pytest.mark.parametrize("size_wh", SIZES_WH, ids=str)
def test_the_graph_sees_what_python_sees(size_wh: tuple[int, int], test_set: Arrays) -> None:
    """Of a frame of any size, odd, narrow or upright, the networks inside get the pixels ``garment.view`` and
    ``garment.whole`` make, but for rounding: a level and less in colour, some more where it is sharpened."""
    rng, image = np.random.default_rng(1), test_set[0][1]
    photo = drawn.photo_of(image, rng, size_wh)
    seen = _inside(_identity((1, preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3)), photo)[0]
    assert np.abs(seen - preprocess.view(photo)).max() <= 2
    shot = drawn.shot_of(image, rng, size_wh)
    difference = np.abs(_inside(_identity((1, 28, 28, 1)), shot)[0] - preprocess.whole(shot))
    assert difference.max() <= 5
    assert difference.mean() < 0.7


@pytest.mark.parametrize(("size", "to"), [(40, 28), (480, 160), (28, 28), (333, 7), (29, 28), (64, 1)])
def test_area_weights_are_opencvs(size: int, to: int) -> None:
    """A matrix of area weights shrinks as OpenCV's INTER_AREA does."""
    import cv2

    picture = np.random.default_rng(0).random((size, 5), np.float32)
    shrunk = cv2.resize(picture, (5, to), interpolation=cv2.INTER_AREA)
    np.testing.assert_allclose(fixed_size.area_weights(size, to) @ picture, shrunk, atol=1e-5)


@pytest.mark.parametrize(("size", "to"), [(28, 160), (159, 160), (400, 160), (1, 160)])
def test_linear_weights_are_opencvs(size: int, to: int) -> None:
    """A matrix of linear weights resizes as OpenCV's INTER_LINEAR does, up and down."""
    import cv2

    picture = np.random.default_rng(0).random((size, 5), np.float32)
    resized = cv2.resize(picture, (5, to), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(fixed_size.linear_weights(size, to) @ picture, resized, atol=1e-5)


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 784)])
def test_networks_of_other_shapes_take_frames_too(shape: tuple[int, ...], test_set: Arrays) -> None:
    """A network that takes its 28x28 pixels in another shape, as floats, gets the same pixels."""
    shot = drawn.shot_of(test_set[0][0], np.random.default_rng(0), (97, 64))
    seen = _inside(_identity(shape, np.float32), shot)
    assert seen.shape == shape
    assert np.abs(seen.reshape(28, 28, 1) - preprocess.whole(shot)).max() <= 5


def test_colours_keep_their_order() -> None:
    """A photo network inside gets a blue frame's blue in the last channel: BGR has become RGB."""
    blue = np.zeros((200, 300, 3), np.uint8)
    blue[..., 0] = 250
    seen = _inside(_identity((1, preprocess.PHOTO_PX, preprocess.PHOTO_PX, 3)), blue)
    assert seen.reshape(-1, 3).tolist() == [[0, 0, 250]] * preprocess.PHOTO_PX**2


@pytest.mark.parametrize(("channel", "level"), [(0, 226), (1, 105), (2, 179)], ids=["blue", "green", "red"])
def test_grey_weighs_the_colours(channel: int, level: int) -> None:
    """Blue, green and red cloth on white become the grey that the eye sees: blue the darkest, green the lightest."""
    frame = np.full((120, 120, 3), 255, np.uint8)
    frame[30:90, 30:90] = 0
    frame[30:90, 30:90, channel] = 255
    seen = _inside(_identity((1, 28, 28, 1)), frame)[0]
    assert abs(float(seen[14, 14, 0]) - level) <= 2
    assert np.abs(seen - preprocess.whole(frame)).max() <= 5


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
    assert after.info == edge.info
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
    monkeypatch.setattr(convert, "installed", lambda _: False)  # the answers stored at training are quicker
    monkeypatch.setattr(output, "measure_irs", lambda *_: None)
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


def test_the_command_embeds_after_converting(edge: bundle.Bundle, run: Run, tmp_path: Path) -> None:
    """``convert --embed`` puts the new size in the older one's place, compares 1,000 frames, and prints its row."""
    copy = shutil.copytree(edge.path, tmp_path / "made")
    done = run("convert", copy, "--embed", "64x48")
    assert done.returncode == 0, done.stderr
    row = next(line for line in done.stdout.splitlines() if "64x48" in line)
    assert "passed" in row
    assert "of 1,000 answers changed" in row
    made = bundle.open_bundle(copy)
    assert FrameReader(made.verified("embedded")).shape == (1, 48, 64, 3)
    assert made.report()["embed"]["parity"]["n"] == 1000
