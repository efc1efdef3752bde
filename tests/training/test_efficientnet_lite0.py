"""The backbone is EfficientNet-Lite0 as Google released it, and folding changes nothing."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefashion.inference.tensorflow_engine import tensorflow
from edgefashion.training.zoo import efficientnet_lite0
from edgefashion.training.zoo.photo import kiosk


def ramp() -> Any:
    """A picture anyone can make: red rises to the right, green downwards, blue along both."""
    y, x = np.mgrid[:160, :160]
    return np.stack([x * 255 / 159, y * 255 / 159, (x + y) * 255 / 318], -1).astype(np.uint8)[None]


@pytest.fixture(scope="module")
def imagenet() -> Any:
    tensorflow("to test")
    model = kiosk(to_train=True)
    efficientnet_lite0.load_imagenet(model)
    return model


def test_the_port_answers_as_pytorch_does(imagenet: Any) -> None:
    """The pooled features of a picture are those PyTorch computes with the same weights: its mean,
    deviation, largest and third were read off PyTorch 2.13."""
    import keras

    pooled = keras.Model(imagenet.inputs, imagenet.get_layer("pool").output)
    features = np.asarray(pooled(ramp()))[0]
    assert features.shape == (1280,)
    assert features.mean() == pytest.approx(0.078414, abs=2e-6)
    assert features.std() == pytest.approx(0.362412, abs=2e-6)
    assert features.argmax() == 897
    assert features[2] == pytest.approx(0.00926, abs=1e-5)


def test_folding_and_unfolding_change_no_answer(imagenet: Any) -> None:
    """A network trained with scales, the plain one folded from it and the one unfolded from that agree."""
    plain, again = kiosk(), kiosk(to_train=True)
    efficientnet_lite0.fold(imagenet, plain)
    efficientnet_lite0.unfold(plain, again)
    wanted = imagenet(ramp())
    np.testing.assert_allclose(again(ramp())["probabilities"], wanted["probabilities"], atol=1e-4)
    np.testing.assert_allclose(again(ramp())["mask"], wanted["mask"], atol=1e-4)
    softmax = np.exp(wanted["probabilities"]) / np.exp(wanted["probabilities"]).sum()
    np.testing.assert_allclose(plain(ramp())["probabilities"], softmax, atol=1e-5)


def test_a_weight_file_runs_no_code(tmp_path: Path) -> None:
    """A .pth whose pickle would call anything but a tensor's constructor is refused."""

    class Harmful:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "touched",))

    path = tmp_path / "weights.pth"
    parts: tuple[Any, ...] = (1, 2, 3, Harmful(), [])
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in parts))
    with pytest.raises(pickle.UnpicklingError, match="has no place in a weight file"):
        efficientnet_lite0.read_pth(path)
    assert not (tmp_path / "touched").exists()
