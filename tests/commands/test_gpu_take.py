"""What a GPU's training wrote becomes a network of the product."""

from __future__ import annotations

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pytest

from edgefashion.inference.finder import FINDER_PX
from edgefashion.inference.tensorflow_engine import load_keras
from edgefashion.training.zoo import efficientnet_lite0
from edgefashion.training.zoo.finder import finder

SCRIPT = Path(__file__).parents[2] / "scripts" / "gpu" / "take.py"


def test_a_trained_finder_answers_as_it_did_in_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights by layer, as ``fit.py`` writes them, make the plain network with the same answers, its history beside."""
    trained = finder(to_train=True)
    efficientnet_lite0.load_imagenet(trained)
    stored = {f"{layer.name}|{at}": w for layer in trained.layers for at, w in enumerate(layer.get_weights())}
    np.savez(tmp_path / "finder.npz", **stored)
    (tmp_path / "finder.json").write_text(json.dumps([{"step": 1.0, "heat_loss": 2.5}]))
    made = tmp_path / "kiosk.finder.keras"
    monkeypatch.setattr(sys, "argv", [SCRIPT.name, str(made), str(tmp_path / "finder.npz")])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    picture = np.random.default_rng(0).integers(0, 256, (1, FINDER_PX, FINDER_PX, 3)).astype(np.uint8)
    logits = np.asarray(trained(picture, training=False))[..., :8]
    heat = np.asarray(load_keras(made)(picture, training=False))[..., :8]
    np.testing.assert_allclose(heat, 1 / (1 + np.exp(-logits)), atol=1e-4)
    assert np.ptp(logits) > 0.1
    assert json.loads(made.with_suffix(".json").read_text()) == [{"step": 1.0, "heat_loss": 2.5}]
