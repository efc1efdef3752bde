"""The photo network's features: what its answers are made of, computed once."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from helpers.bundles import fill
from helpers.damaged import DAMAGED

from edgefashion.bundles import bundle, draft, resolve
from edgefashion.data import drawn
from edgefashion.data.images import write_png
from edgefashion.errors import BadInputError
from edgefashion.inference import features, load, taught
from edgefashion.inference.taught import Taught


@pytest.fixture(scope="module")
def kiosk() -> features.Features:
    found = resolve.resolve("kiosk").bundle
    assert found is not None
    return features.Features(found)


def _views(count: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 160, 160, 3), np.uint8)


def test_features_times_the_weights_of_the_answer_are_the_answer(kiosk: features.Features) -> None:
    """From the features the network's own last layer makes the probabilities that the network gives."""
    import openvino as ov

    views = _views(features.BATCH + 3)
    ops = {op.get_friendly_name(): op for op in ov.Core().read_model("models/kiosk/fp16.xml").get_ops()}
    add = ops["kiosk_1/logits_1/BiasAdd"]
    weights, bias = (
        source.input_value(0).get_node().get_data().astype(np.float32)
        for source in (add.input_value(0).get_node().input_value(1).get_node(), add.input_value(1).get_node())
    )
    logits = kiosk(views) @ weights.T + bias
    likely = np.exp(logits - logits.max(1, keepdims=True))
    answered = load.load("kiosk", precision="fp16")(views)
    assert likely / likely.sum(1, keepdims=True) == pytest.approx(answered, abs=1e-3)


@pytest.mark.parametrize(
    "views",
    [np.zeros((1, 160, 160, 3), np.float32), np.zeros((1, 28, 28, 1), np.uint8), np.zeros((160, 160, 3), np.uint8)],
)
def test_views_of_another_form_are_refused(kiosk: features.Features, views: np.ndarray) -> None:
    """Features are given of whole uint8 views alone, and an error says of which shape."""
    with pytest.raises(BadInputError, match="160, 160, 3"):
        kiosk(views)


def test_a_network_of_fashion_mnist_has_no_features_of_pictures() -> None:
    """Edge is refused in a sentence that names kiosk."""
    found = resolve.resolve("edge").bundle
    assert found is not None
    with pytest.raises(BadInputError, match="kiosk"):
        features.Features(found)


def test_features_are_computed_once(kiosk: features.Features, tmp_path: Path) -> None:
    """What is kept is found again bit for bit, after a move to another label's folder too, and unreadable files are
    told; a broken file of kept features, or another network's, is as good as none."""
    folder = tmp_path / "Polo"
    folder.mkdir()
    files = [folder / f"{name}.png" for name in "abc"]
    for number, file in enumerate(files[:2]):
        write_png(file, drawn.wall(np.random.default_rng(number)))
    files[2].write_bytes(b"no picture")
    keeping, skipped = tmp_path / features.KEPT_IN, list[str]()
    found, first = features.of_files(kiosk, files, features.Kept(keeping, kiosk.network, kiosk.size), skipped)
    assert found == files[:2]
    assert len(skipped) == 1
    moved = tmp_path / "Shirt" / files[0].name
    moved.parent.mkdir()
    files[0].rename(moved)
    kept = features.Kept(keeping, kiosk.network, kiosk.size)
    assert f"{features.key_of(moved)}" in kept
    assert (features.of_files(kiosk, [moved, files[1]], kept)[1] == first).all()
    assert features.key_of(moved) not in features.Kept(keeping, "another network", kiosk.size)
    keeping.write_bytes(keeping.read_bytes()[:100])
    assert features.key_of(moved) not in features.Kept(keeping, kiosk.network, kiosk.size)


@pytest.mark.parametrize(("size_px", "at"), [((20, 20), 0.5), ((400, 300), 0.5), ((400, 300), 0.97)])
def test_two_pictures_of_one_name_size_and_time(tmp_path: Path, size_px: tuple[int, int], at: float) -> None:
    """Files that their name, size and time do not tell apart are told apart by what is in them, though only a stripe
    is; and each is still known after a move."""
    keys = []
    for label, shade in (("Polo", 0), ("Hoodie", 128)):
        picture = np.full((*size_px, 3), 255, np.uint8)
        rows = max(1, size_px[0] // 20)
        picture[int(at * size_px[0]) - rows : int(at * size_px[0])] = shade
        file = tmp_path / label / "001.bmp"
        file.parent.mkdir()
        file.write_bytes(cv2.imencode(".bmp", picture)[1].tobytes())
        os.utime(file, (1e9, 1e9))
        keys.append(features.key_of(file))
        moved = tmp_path / f"{label} too" / file.name
        moved.parent.mkdir()
        assert features.key_of(file.rename(moved)) == keys[-1]
    assert keys[0] != keys[1]


@pytest.mark.parametrize("content", [*DAMAGED.values(), None], ids=[*DAMAGED, "rows of another size"])
def test_kept_features_that_are_none(tmp_path: Path, content: bytes | None) -> None:
    """A file of kept features that is damaged, or something else, is as good as none, and is written anew."""
    file = tmp_path / features.KEPT_IN
    if content is None:
        np.savez(file, network=np.array("x"), keys=np.array(["a"]), features=np.zeros((1, 7), np.float16))
    else:
        file.write_bytes(content)
    kept = features.Kept(file, "x", 8)
    assert "a" not in kept
    kept["a"] = np.ones(8, np.float32)
    kept.save()
    assert "a" in features.Kept(file, "x", 8)


@pytest.mark.parametrize("content", [*DAMAGED.values(), None], ids=[*DAMAGED, "rows of another size"])
def test_features_in_a_bundle_that_are_none(tmp_path: Path, content: bytes | None) -> None:
    """What a bundle has of the pictures it learned from is refused in a sentence where it is damaged, something else,
    or of another size."""
    whole = Taught.of(np.ones((3, 7), np.float32), ["Coat", "Bag", "Coat"], held=True)
    with draft.draft(tmp_path / "mine") as making:
        fill(making)
        if content is None:
            taught.save(making.part("taught"), whole, "x")
        else:
            making.part("taught").write_bytes(content)
    of = bundle.open_bundle(tmp_path / "mine")
    with pytest.raises(BadInputError, match=r"taught.*cannot be read \(.*Restore the bundle"):
        taught.read(of, "x", 8)
    if content is None:
        assert taught.read(of, "x", 7).labels == whole.labels
