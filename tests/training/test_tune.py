"""A search is resumable, shareable, honest about its space, and ends in a line to run."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from edgefashion.errors import BadInputError
from edgefashion.training.tune import TuneOptions, tune
from edgefashion.training.zoo.architecture import multiply_adds
from edgefashion.training.zoo.registry import ZOO

if TYPE_CHECKING:
    from helpers.types import Run

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("plain_graphs")]

QUICK = ("--epochs", "1", "--limit", "200")


def test_search_resumes_and_ends_in_a_train_line(run_here: Run, tmp_path: Path, few_test_images: None) -> None:
    """Two trials, then three: the second run adds one, draws the study, and its line trains."""
    first = run_here("tune", "cnn-413k", "--trials", "2", *QUICK, "--json")
    assert first.returncode == 0, first.stderr
    again = run_here("tune", "cnn-413k", "--trials", "3", *QUICK, "--json")
    found = json.loads(again.stdout)
    assert [t["trial"] for t in found["trials"]] == [0, 1, 2]
    assert found["trials"][:2] == json.loads(first.stdout)["trials"]
    assert again.stderr.count("trial ") == 1
    for name, value in found["best"].items():
        assert value in ZOO["cnn-413k"].space[name]
    assert Path(tmp_path, found["plot"]).read_bytes().startswith(b"\x89PNG")
    line = shlex.split(found["train"])
    assert line[:3] == ["edgefashion", "train", "cnn-413k"]
    trained = run_here(*line[1:], "--limit", "100")
    assert trained.returncode == 0, trained.stderr


def test_the_test_images_are_not_looked_at(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A search loads the training images and nothing else."""
    from edgefashion.data import fashion_mnist

    asked = []
    load = fashion_mnist.load

    def spy(part: str) -> object:
        asked.append(part)
        return load(part)

    monkeypatch.setattr(fashion_mnist, "load", spy)
    tune(TuneOptions("logistic-regression", trials=1, epochs=1, limit=200), tmp_path)
    assert set(asked) == {"train"}


def test_two_machines_share_a_study(tmp_path: Path) -> None:
    """Two processes with one --storage fill one study together, and none repeats what another has tried."""
    storage = f"sqlite:///{tmp_path / 'shared.db'}"
    command = [sys.executable, "-m", "edgefashion", "tune", "logistic-regression", "--trials", "4", *QUICK]
    command += ["--storage", storage, "--json"]
    running = [
        subprocess.Popen(
            [*command, "--out", tmp_path / name], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for name in ("a", "b")
    ]
    outputs = [process.communicate(timeout=300) for process in running]
    assert [process.returncode for process in running] == [0, 0], outputs
    begun = [line.split(":")[0] for _, errors in outputs for line in errors.splitlines() if line.startswith("trial ")]
    assert len(begun) == len(set(begun)) >= 4
    tried = [json.dumps(trial["parameters"]) for trial in max((json.loads(o)["trials"] for o, _ in outputs), key=len)]
    assert len(tried) == len(set(tried)) >= 4


def test_no_settings_are_tried_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many trials are asked for, each has settings of its own, though one is best from the start; the search
    ends, and says so, when all of them were tried, and so does one that is gone on with."""
    trained = []

    def as_good_as(trial: object, options: TuneOptions, chosen: dict[str, object], *_: object, **__: object) -> float:
        trained.append(tuple(chosen.values()))
        return 0.9 if chosen["optimizer"] == "sgd" and chosen["batch_size"] == 32 else 0.1

    monkeypatch.setattr("edgefashion.training.tune._trained", as_good_as)
    monkeypatch.setattr(
        "edgefashion.training.tune.SPACE", {"optimizer": ("sgd", "adam"), "batch_size": tuple(range(25, 33))}
    )
    known = TuneOptions("logistic-regression", trials=10)
    assert not tune(known, tmp_path).all_tried
    assert tune(replace(known, trials=100), tmp_path).all_tried
    assert len(trained) == len(set(trained)) == 16
    assert len(tune(replace(known, trials=100), tmp_path).trials) == len(trained) == 16


def test_a_study_of_another_space_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study that was searched with other values, epochs, images or another seed is not mixed with these."""
    known = TuneOptions("logistic-regression", trials=1, epochs=1, limit=200)
    tune(known, tmp_path)
    for other, differs in (
        (replace(known, limit=300), "limit"),
        (replace(known, epochs=2), "epochs"),
        (replace(known, seed=1), "seed"),
    ):
        with pytest.raises(BadInputError, match=rf"searched another space \({differs} differ\)"):
            tune(other, tmp_path)
    monkeypatch.setattr("edgefashion.training.tune.SPACE", {"optimizer": ("sgd",)})
    with pytest.raises(BadInputError, match=r"searched another space \(space differ\)"):
        tune(known, tmp_path)


def test_a_search_for_latency_ends_in_the_networks_that_none_beats_in_both(
    run_here: Run, tmp_path: Path, few_test_images: None
) -> None:
    """``tune edge --latency`` times each network's INT8 beside the default's, trains none that is too large, and its
    front is the trials that no other beats in both accuracy and latency."""
    done = run_here("tune", "edge", "--latency", "--trials", "2", *QUICK, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    trials = {trial["trial"]: trial for trial in found["trials"]}
    assert len(trials) == 2
    for trial in trials.values():
        network = ZOO["edge"].build(**trial["parameters"])
        assert ZOO["edge"].may_have(network.count_params(), multiply_adds(network))
        assert 0.05 < trial["latency"] < 20
    values = {number: (-trial["val_accuracy"], trial["latency"]) for number, trial in trials.items()}
    beaten = {
        one
        for one, mine in values.items()
        for theirs in values.values()
        if theirs != mine and all(t <= m for t, m in zip(theirs, mine, strict=True))
    }
    assert found["front"] == sorted(set(trials) - beaten, key=lambda number: values[number][1])
    assert Path(tmp_path, found["plot"]).read_bytes().startswith(b"\x89PNG")


def test_the_photo_network_is_not_searched() -> None:
    """The network that learns from photos is refused before a study is made."""
    with pytest.raises(BadInputError, match="kiosk learns from photos"):
        TuneOptions("kiosk", trials=1)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--trials", "0"), 2, "--trials must be at least 1"),
        (("--seed", "-1"), 2, "--seed must be from 0 to 4294967295"),
        (("--storage", "nonsense"), 2, "the study's storage nonsense cannot be opened"),
        (("--storage", "sqlite:////nowhere/at/all.db"), 2, "cannot be opened"),
        (
            ("--storage", "postgresql://me:secret@localhost/x"),
            3,
            "postgresql://...@localhost/x needs its database's",
        ),
    ],
)
def test_bad_input_is_one_line(run: Run, arguments: tuple[str, ...], code: int, message: str) -> None:
    """A search that cannot start says why in one line, without the password."""
    done = run("tune", "logistic-regression", *QUICK, *arguments)
    assert done.returncode == code
    assert message in done.stderr
    assert "secret" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
