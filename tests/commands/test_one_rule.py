"""The rule by which answers count goes wherever the network goes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers.bundles import change_info
from helpers.serve import Server, infer

from edgefashion.bundles import bundle, resolve
from edgefashion.bundles.facts import Thresholds
from edgefashion.bundles.guard import check
from edgefashion.conversion.ovms.served_ir import write_ir
from edgefashion.inference import openvino_engine
from edgefashion.inference.decision import Rule
from edgefashion.inference.load import load
from edgefashion.inference.predict import Prediction, predict_files
from edgefashion.inference.rt_info import describe
from edgefashion.tagging.run import tag
from edgefashion.tagging.table import read_rows

if TYPE_CHECKING:
    from helpers.types import Run

RULE = Rule(0.5, {"T-shirt/top": 0.9, "Dress": 0.8, "Trouser": 0.5, "Footwear": 0.8, "Pullover": 0.8}, 0.69)
"""Of the pictures below it takes some and refuses others, and names a shoe by its kind."""

Answered = dict[str, tuple[str | None, float, bool]]
"""File name -> label, confidence, accepted."""


@pytest.fixture(scope="module")
def pictures(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photos of each label, in one folder."""
    folder = tmp_path_factory.mktemp("pictures")
    for label in sorted(path for path in photo_folder.iterdir() if path.is_dir()):
        for path in sorted(label.iterdir())[:6]:
            shutil.copy(path, folder / f"{label.name.replace(' ', '')}-{path.name}")
    return folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped photo network in a bundle of another rule."""
    path = Path(shutil.copytree(resolve.resolve("kiosk").path, tmp_path_factory.mktemp("bundle") / "kiosk"))
    change_info(path, lambda info: info.update(thresholds={**RULE.as_json(), "chosen_on": "these pictures"}))
    return path


def of(seen: Any) -> Answered:
    return {path.name: answered(one) for path, one in seen}


def answered(one: Prediction) -> tuple[str | None, float, bool]:
    answer = one.answer
    return (None, 0.0, False) if answer is None else (answer.label, answer.confidence, answer.accepted)


@pytest.fixture(scope="module")
def expected(model: Path, pictures: Path) -> Answered:
    found = of(predict_files(str(model), [pictures]))
    labels = {label for label, _, _ in found.values()}
    assert {True, False} == {accepted for label, _, accepted in found.values() if label}
    assert labels & {"Sneaker", "Sandal", "Ankle boot"}
    return found


def test_a_loose_ir(model: Path, pictures: Path, tmp_path: Path) -> None:
    """An IR that is taken out of its bundle carries the whole rule with it."""
    import openvino as ov

    opened = bundle.open_bundle(model)
    network = openvino_engine.read_ir(opened.verified("int8"))
    describe(network, opened.facts)
    ov.save_model(network, tmp_path / "loose.xml", compress_to_fp16=False)
    check.vouch(tmp_path / "loose.xml")
    classifier = load(tmp_path / "loose.xml", precision="int8")
    assert (classifier.rule, classifier.accept_threshold) == (RULE, 0.5)
    # By itself it has no finder, and takes each picture for one garment.
    assert of(predict_files(classifier, [pictures])) == of(predict_files(str(model), [pictures], single=True))


def test_the_commands(run: Run, model: Path, pictures: Path, expected: Answered, tmp_path: Path) -> None:
    """`predict` prints what the library answers, and `tag` writes it."""
    printed = map(json.loads, run("predict", str(model), str(pictures), "--json").stdout.splitlines())
    assert {Path(p["source"]).name: (p["label"], p["confidence"], p["accepted"]) for p in printed} == expected
    tag(load(model, purpose="throughput"), [str(pictures)], tmp_path / "rows.jsonl")
    rows = {Path(row.path).name: row for row in read_rows(tmp_path / "rows.jsonl")}
    assert {name: (row.label, row.accepted) for name, row in rows.items()} == {
        name: (label, accepted) for name, (label, _, accepted) in expected.items()
    }


def test_a_server(model: Path, pictures: Path, expected: Answered) -> None:
    """A served network answers pictures by its rule, and tells the rule to who decides on the probabilities."""
    pytest.importorskip("tritonclient")
    paths = sorted(pictures.iterdir())
    with Server(str(model), "--workers=1") as server:
        files = np.array([path.read_bytes() for path in paths], object)
        answer = infer(server.client("http"), "kiosk", files, "pictures")
        labels = [label.decode() or None for label in answer.as_numpy("label")]
        told = zip(labels, answer.as_numpy("confidence").tolist(), answer.as_numpy("accepted").tolist(), strict=True)
        assert dict(zip([path.name for path in paths], told, strict=True)) == expected
        there = load(f"{server.said['http']}/v2/models/kiosk")
        assert there.rule == RULE
        assert of(predict_files(there, [pictures])) == expected


def test_an_exported_ir(model: Path, tmp_path: Path) -> None:
    """An IR for OpenVINO Model Server has the rule in its facts, and so has what is told of it."""
    import openvino as ov

    served = write_ir(model, None, tmp_path / "model.xml")
    assert Rule(served.accept_threshold, served.floors, served.kind_floor) == RULE
    network = ov.Core().read_model(tmp_path / "model.xml")
    told = json.loads(network.get_rt_info([bundle.RT_INFO, "thresholds"]).astype(str))
    assert Rule.of(Thresholds.from_json(told)) == RULE
