"""Several networks answer as one, averaged, in one IR."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from edgefashion.bundles import bundle
from edgefashion.conversion.convert import convert
from edgefashion.conversion.ensemble import convert_ensemble
from edgefashion.conversion.quantize import QuantizeOptions, quantize
from edgefashion.errors import BadInputError
from edgefashion.inference.ensemble import averaged
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import read_ir
from edgefashion.training.train import train

if TYPE_CHECKING:
    from helpers.types import Arrays, Run

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_test_images_throughout", "plain_graphs")]


@pytest.fixture(scope="module")
def members(
    tmp_path_factory: pytest.TempPathFactory,
    trained: bundle.Bundle,
    few_test_images_throughout: None,
    plain_graphs: None,
) -> list[Path]:
    """Two small networks of different build."""
    folder = tmp_path_factory.mktemp("members")
    other = train("feed-forward", out=folder / "other", epochs=1, batch_size=64, limit=3000)
    return [Path(shutil.copytree(trained.path, folder / "small")), other.path]


@pytest.fixture(scope="module")
def merged(members: list[Path], tmp_path_factory: pytest.TempPathFactory) -> bundle.Bundle:
    made = convert_ensemble(members, tmp_path_factory.mktemp("ensemble") / "both").bundle
    return quantize(made, QuantizeOptions(max_drop=0.05, calibration=30))[0]


def test_one_ir_answers_the_mean(members: list[Path], merged: bundle.Bundle, test_set: Arrays) -> None:
    """The merged IR, one input and one output, answers the mean of its members' originals."""
    images = test_set[0][:300]
    expected = np.mean([load(path, engine="tensorflow")(images) for path in members], axis=0)
    np.testing.assert_allclose(load(merged.path, precision="fp32")(images), expected, atol=1e-5)
    ir = read_ir(merged.verified("fp32"))
    assert (len(ir.inputs), len(ir.outputs)) == (1, 1)


def test_eight_bits_keep_the_mean(merged: bundle.Bundle, test_set: Arrays) -> None:
    """In the INT8 IR the averaging itself is not quantized: its answers still sum to 1."""
    answers = load(merged.path, precision="int8")(test_set[0][:300])
    np.testing.assert_allclose(answers.sum(1), 1, atol=1e-5)


def test_evaluate_averages_models(members: list[Path], merged: bundle.Bundle, run_here: Run) -> None:
    """`evaluate A B` measures what the merged IR of A and B measures."""
    for path in members:
        convert(path, path)
    two = json.loads(run_here("evaluate", *members, "--precision", "fp32", "--json").stdout)
    one = json.loads(run_here("evaluate", merged.path, "--precision", "fp32", "--json").stdout)
    assert abs(two["accuracy"] - one["accuracy"]) <= 0.001  # one answer of a thousand may hang on the last digit
    assert two["calibration_error"] == pytest.approx(one["calibration_error"], abs=1e-3)


def test_members_must_go_together(members: list[Path], tmp_path: Path) -> None:
    """A network of other labels is refused by name, and nothing is written."""
    with pytest.raises(BadInputError, match="kiosk 12 others: they cannot be averaged"):
        convert_ensemble([members[0], "kiosk"], tmp_path / "out")
    with pytest.raises(BadInputError, match="they cannot be averaged"):
        averaged([load(members[0], engine="keras"), load("kiosk")])
    assert not (tmp_path / "out").exists()


def test_an_ensemble_replaces_no_other_bundle(members: list[Path]) -> None:
    """--out that names a network of another kind is refused."""
    before = (members[0] / bundle.INFO).read_bytes()
    with pytest.raises(BadInputError, match="is no ensemble"):
        convert_ensemble(members, members[0])
    assert (members[0] / bundle.INFO).read_bytes() == before


def test_an_ensemble_is_not_converted_again(merged: bundle.Bundle) -> None:
    """Converting an ensemble's bundle says to convert its members."""
    with pytest.raises(BadInputError, match="is an ensemble already"):
        convert(merged.path, merged.path)
