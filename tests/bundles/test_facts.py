"""What bundle.json says of a network is read, checked and written without a loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers.bundles import FACTS, change_info, make

from edgefashion.bundles import bundle, draft, places
from edgefashion.bundles.facts import Facts, MadeElsewhere, Measured, PhotoFigures, takes_photos
from edgefashion.cli.main import app
from edgefashion.errors import BadInputError

NAMES = ("edge", "edge-teachers", "kiosk")
"""The teachers travel with the source alone."""
SHIPPED = [path for name in NAMES if (path := places.model_dirs()[-1] / name).is_dir()]


def test_there_are_shipped_bundles() -> None:
    """The models that the tests below are about are there."""
    assert {path.name for path in SHIPPED} >= {places.DEFAULT_MODEL, places.PHOTO_MODEL}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_bundle_is_written_as_it_was_read(path: Path, tmp_path: Path) -> None:
    """A shipped bundle, read and written again, has the same bundle.json, byte for byte."""
    with draft.draft(tmp_path / "copy", bundle.open_bundle(path)):
        pass
    assert (tmp_path / "copy" / bundle.INFO).read_bytes() == (path / bundle.INFO).read_bytes()


def test_the_shipped_facts() -> None:
    """The typed facts of the shipped networks are the fields of their files."""
    edge, kiosk = (bundle.open_bundle(places.model_dirs()[-1] / name) for name in ("edge", "kiosk"))
    told = json.loads((edge.path / bundle.INFO).read_text())
    assert edge.test_accuracy("int8") == told["metrics"]["int8"]["test_accuracy"]
    assert edge.facts.metrics["int8"].agreement == told["metrics"]["int8"]["agreement"]
    assert (edge.takes_photos, kiosk.takes_photos) == (False, True)
    assert (edge.facts.photos, edge.facts.foreign, edge.facts.members) == (None, None, None)
    assert kiosk.facts.photos is not None
    measured = json.loads((kiosk.path / bundle.INFO).read_text())["photos"]
    assert len(measured) == len(kiosk.facts.photos) > 2
    for name, of in measured.items():
        held_out = kiosk.facts.photos[name]
        assert (held_out.n, held_out.accuracy, held_out.per_label) == (of["n"], of["accuracy"], of["per_label"])


def test_an_old_bundle() -> None:
    """A bundle that lacks what came later reads as one in which it is not known."""
    few = {key: FACTS[key] for key in ("name", "labels", "input_shape", "thresholds")}
    facts = Facts.from_json(few)
    assert (facts.architecture, facts.parameters, facts.seed, facts.photos, facts.members) == (None,) * 5
    assert (facts.metrics, facts.versions, facts.test_accuracy("original")) == ({}, {}, None)
    assert facts.validation_seed == 0
    assert few.items() <= facts.as_json().items()


def test_what_is_not_known_here_is_kept() -> None:
    """Fields that this version does not know, at the top or inside another field, are written as they were read."""
    info = {
        **FACTS,
        "thresholds": {"accept": 0.5, "floors": {"Coat": 0.75, "Bag": 0}, "kind_floor": 0.9, "reject": 0.1},
        "metrics": {"original": {"test_accuracy": 0.9, "by_hand": 0.8}},
        "photos": {"ours": {"accuracy": 0.7, "lamps": 3}},
        "later": [1, {"a": None}],
    }
    assert Facts.from_json(info).as_json() == info


def test_nulls() -> None:
    """Where bundle.json says that something is not known, by null, it says so again."""
    info = {**FACTS, "parameters": None, "seed": None, "validation_split": None}
    info["photos"] = {"held_out": {"n": 3, "accuracy": 0.5, "reject_auroc": None}}
    assert Facts.from_json(info).as_json() == info


def test_facts_made_here_read_back() -> None:
    """Facts that were put together here, rather than read, are read back as the same."""
    facts = Facts.from_json(FACTS)._replace(
        members=("a", "b"),
        photos={"shop": PhotoFigures(n=4, accuracy=0.75, per_label={"Coat": 0.5})},
        foreign=MadeElsewhere("0-1", "as given", softmax=True),
    )
    facts = facts.with_measured("int8", Measured(0.8, {"n": 10})).with_version("nncf", "3.0")
    read = Facts.from_json(json.loads(json.dumps(facts.as_json())))
    assert read.as_json() == facts.as_json()
    assert (read.members, read.foreign, read.metrics, read.versions) == (
        facts.members,
        facts.foreign,
        facts.metrics,
        facts.versions,
    )
    assert read.photos is not None
    assert read.photos["shop"][:-1] == PhotoFigures(n=4, accuracy=0.75, per_label={"Coat": 0.5})[:-1]


def test_measured_facts_are_of_their_own() -> None:
    """Adding or removing what was measured leaves the facts that it was added to as they were."""
    facts = Facts.from_json(FACTS)
    more = facts.with_measured("fp32", Measured(0.5))
    assert (facts.test_accuracy("fp32"), more.test_accuracy("fp32")) == (None, 0.5)
    assert more.without_measured("fp32").without_measured("fp16") == facts


@pytest.mark.parametrize(
    ("told", "seed"),
    [({"seed": 3, "split_seed": 0}, 0), ({"seed": 3}, 3), ({"seed": None}, 0), ({"seed": None, "split_seed": 5}, 5)],
)
def test_validation_seed(told: dict[str, Any], seed: int) -> None:
    """The validation images were chosen by the split's seed, in older bundles by the training's, else by 0."""
    assert Facts.from_json({**FACTS, **told}).validation_seed == seed


@pytest.mark.parametrize(("shape", "photos"), [((160, 160, 3), True), ((28, 28, 1), False), ([3], True)])
def test_takes_photos(shape: Any, photos: bool) -> None:
    """Three channels make a photo network, one a network of Fashion-MNIST's kind."""
    assert takes_photos(shape) is photos


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("labels", None, "labels is no list of names"),
        ("labels", [], "labels is no list of names"),
        ("input_shape", [], "input_shape is no list of numbers"),
        ("input_shape", ["28"], "input_shape is no list of numbers"),
        ("members", "edge", "members is no list of names"),
        ("parameters", "many", "parameters is no number"),
        ("parameters", 1.5, "parameters is no whole number"),
        ("seed", True, "seed is no number"),
        ("seed", -1, "seed is below 0"),
        ("split_seed", -1, "split_seed is below 0"),
        ("validation_split", 7, "validation_split is no number from 0 to 0.5"),
        ("validation_split", -0.1, "validation_split is no number from 0 to 0.5"),
        ("architecture", 7, "architecture is no text"),
        ("metrics", [], "metrics is no table"),
        ("metrics", {"original": 0.9}, "metrics is no table"),
        ("metrics", {"original": {"test_accuracy": "high"}}, "test_accuracy is no number"),
        ("photos", {"held_out": None}, "photos is no table"),
        ("photos", {"held_out": {"per_label": 1}}, "per_label is no table"),
        ("foreign", "0-1", "foreign is no table"),
        ("labels", ["Coat", "Bag", "Coat"], "labels name one thing twice"),
        ("labels", ["Unknown"] * 10, "labels name one thing twice"),
        ("labels", ["Unknown", "No garment"], "labels name no garment"),
        ("labels", ["No garment"], "labels name no garment"),
        ("parameters", 10**400, "parameters is no number"),
        ("photos", {"held_out": {"per_label": {"Coat": "most"}}}, "Coat is no number"),
        ("metrics", {"int8": {"agreement": []}}, "agreement is no table"),
        ("metrics", {"int8": {"agreement": {"n": 1.5}}}, "n is no whole number"),
        ("metrics", {"int8": {"agreement": {"p_value": "small"}}}, "p_value is no number"),
        ("metrics", {"int8": {"agreement": {"reference": 7}}}, "reference is no text"),
        ("metrics", {"int8": {"agreement": {"per_class_drop": {"Coat": []}}}}, "Coat is no number"),
        ("thresholds", {"accept": True}, "no number for accept"),
        ("thresholds", {"accept": 0.5, "floors": [0.5]}, "floors is no table"),
        ("thresholds", {"accept": 0.5, "floors": {"Coat": "high"}}, "floors has what is no number from 0 to 1"),
        ("thresholds", {"accept": 0.5, "floors": {"Coat": 1.5}}, "floors has what is no number from 0 to 1"),
        ("thresholds", {"accept": 0.5, "floors": {"Coat": float("nan")}}, "floors has what is no number from 0 to 1"),
        ("thresholds", {"accept": 0.5, "kind_floor": True}, "kind_floor is no number from 0 to 1"),
        ("thresholds", {"accept": 0.5, "kind_floor": -0.1}, "kind_floor is no number from 0 to 1"),
    ],
)
def test_a_field_of_the_wrong_kind(field: str, value: Any, message: str) -> None:
    """A field of the wrong kind is named, rather than failing in the middle of use."""
    with pytest.raises(ValueError, match=message):
        Facts.from_json({**FACTS, field: value})


@pytest.mark.parametrize("command", ["predict ./broken x.png", "convert ./broken --int8", "bench ./broken"])
@pytest.mark.parametrize(
    "told", [{"labels": ["Unknown"] * 10}, {"metrics": {"int8": {"agreement": 3}}}, {"thresholds": {}}, {"labels": 1}]
)
def test_damaged_facts_are_said_by_every_command(
    told: dict[str, Any], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked of a bundle whose facts are damaged, the one sentence names its file and what to do."""
    monkeypatch.chdir(tmp_path)
    make("broken")
    change_info(Path("broken"), lambda info: info.update(told))
    with pytest.raises(BadInputError, match=r"broken/bundle\.json cannot be read \(.*\); restore the bundle"):
        app(command.split(), prog_name="edgefashion")


@pytest.mark.parametrize("field", ["name", "labels", "input_shape", "thresholds"])
def test_a_missing_field(field: str) -> None:
    """A field that everything relies on is asked for by its name."""
    with pytest.raises(ValueError, match=f"no {field}"):
        Facts.from_json({key: value for key, value in FACTS.items() if key != field})
