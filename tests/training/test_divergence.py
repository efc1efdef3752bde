"""A training that runs away ends in one line, and throws away nothing that was there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from helpers.bundles import content_of, make

from edgefashion.bundles import draft
from edgefashion.errors import BadInputError
from edgefashion.inference.head import Head
from edgefashion.training import finder_fit, photo_fit, shop_head, tune
from edgefashion.training.divergence import DivergedError
from edgefashion.training.finder_fit import FinderOptions
from edgefashion.training.options import FinetuneOptions
from edgefashion.training.run import Run as TrainingRun
from edgefashion.training.shop_head import HeadOptions, Lessons, State
from edgefashion.training.train import train

if TYPE_CHECKING:
    from helpers.types import Run

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("few_test_images", "plain_graphs")]

FAR = 1e30
NAN = float("nan")


@pytest.mark.parametrize("more", [(), ("--validation-split", "0")])
def test_a_rate_that_is_too_large(more: tuple[str, ...], tmp_path: Path, run_here: Run) -> None:
    """A learning rate with which the network diverges is told in one line, and the bundle that was there is as it
    was."""
    make(tmp_path / "models" / "cnn-242k")
    before = content_of(tmp_path / "models" / "cnn-242k")
    done = run_here("train", "cnn-242k", "--learning-rate", str(FAR), "--epochs", "2", "--limit", "200", *more)
    assert done.returncode == 2, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("edgefashion: ")]
    assert line.startswith("edgefashion: the training diverged in epoch 1 (")
    assert line.endswith(" Give a smaller --learning-rate than 1e+30")
    assert content_of(tmp_path / "models" / "cnn-242k") == before


def test_the_epochs_before_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that diverges in its second epoch leaves the first one to go on from."""
    given: dict[str, Any] = {"epochs": 2, "limit": 200, "batch_size": 50, "validation_split": 0.01}
    out, epoch = tmp_path / "run", TrainingRun.epoch

    def broken(self: TrainingRun, number: int, *rest: Any) -> dict[str, float]:
        if number == 1:
            self.model.set_weights([np.full_like(each, NAN) for each in self.model.get_weights()])
        return epoch(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingRun, "epoch", broken)
        with pytest.raises(DivergedError, match=r"diverged in epoch 2 \(loss nan, val_loss nan\)"):
            train("feed-forward", out=out, **given)
    assert not out.exists()
    assert [path.name for path in draft.checkpoints_dir(out).glob("epoch-*")] == ["epoch-0001"]
    assert train("feed-forward", out=out, resume=True).report()["train"]["epochs"] == 2


def test_answers_that_are_no_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network whose weights are numbers still, and so large that no answer is, is not written either."""

    def huge(self: TrainingRun, number: int, _: Any = None) -> dict[str, float]:
        self.model.set_weights([np.full_like(each, 3e38) for each in self.model.get_weights()])
        return {"epoch": number + 1, "accuracy": 0.1, "loss": 2.3, "seconds": 1.0}

    monkeypatch.setattr(TrainingRun, "epoch", huge)
    with pytest.raises(DivergedError, match="diverged in its last epoch"):
        train("cnn-242k", out=tmp_path / "run", epochs=1, limit=200, validation_split=0.0)
    assert not (tmp_path / "run").exists()


def _network() -> Any:
    import keras

    return keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(2)])


@pytest.mark.parametrize(("loss", "weight"), [(NAN, 1.0), (float("inf"), 1.0), (1.0, NAN)])
def test_a_photo_networks_losses_are_looked_at(loss: float, weight: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """The photo network's training and the finder's end where a loss or a weight is no number."""
    network = _network()
    network.set_weights([np.full_like(each, weight) for each in network.get_weights()])
    learner = SimpleNamespace(step=lambda *_: (loss, 1.0, 1.0), finish=lambda: None)
    for of in (photo_fit, finder_fit):
        monkeypatch.setattr(of, "_Learner", lambda *_: learner)
    material: Any = SimpleNamespace(kinds=(), photos=8)
    shown: Any = [((),)] * 9
    with pytest.raises(DivergedError, match=r"diverged in epoch 1 .* Give a smaller learning_rate than 0\.0004"):
        photo_fit._fit(network, FinetuneOptions(), material, iter(shown), 2, None, None)
    monkeypatch.setattr(finder_fit, "finder", lambda **_: network)
    monkeypatch.setattr(finder_fit, "batches", lambda *_: iter(shown))
    monkeypatch.setattr("edgefashion.training.zoo.efficientnet_lite0.load_imagenet", lambda _: None)
    with pytest.raises(DivergedError, match="diverged in step 3 of the finder"):
        finder_fit.train(material, FinderOptions(steps=3))


def test_a_shops_head(recwarn: pytest.WarningsRecorder) -> None:
    """A shop's head that diverges is refused, and what it had learned before is still there."""
    rng = np.random.default_rng(0)
    of = Lessons(rng.random((40, 8), np.float32), np.eye(4, dtype=np.bool_)[np.arange(40) % 4], np.ones(40, np.float32))
    start = Head(np.zeros((8, 4), np.float32), np.zeros(4, np.float32))
    state = State.begin(start)
    with pytest.raises(DivergedError, match=r"diverged in epoch 1 .* smaller learning_rate than 1e\+39"):
        shop_head.fit(start, of, HeadOptions(learning_rate=1e39), state)
    assert state.epoch == 0
    assert np.isfinite(state.head.weights).all()


SPACE = {"learning_rate": (FAR, 0.001), "batch_size": (50,)}


@pytest.mark.parametrize("latency", [False, True])
def test_a_search_goes_on(latency: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that diverges is told, cut short and not tried again; the search goes on and ends in another one's
    settings."""
    monkeypatch.setattr("edgefashion.training.tune.SPACE", SPACE)
    told: list[tuple[float, float | None]] = []
    done = tune.tune(
        tune.TuneOptions("feed-forward", trials=2, epochs=1, limit=200),
        tmp_path,
        lambda _, __, chosen, accuracy: told.append((chosen["learning_rate"], accuracy)),
        (lambda _: 1.0) if latency else None,
    )
    assert (dict(told)[FAR], done.best["learning_rate"], done.all_tried) == (None, 0.001, True)
    assert len(told) == 2
    assert [trial.parameters["learning_rate"] for trial in done.front] == [0.001]


def test_a_search_in_which_all_diverge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where every trial has diverged that is one line."""
    monkeypatch.setattr("edgefashion.training.tune.SPACE", {"learning_rate": (FAR,)})
    with pytest.raises(BadInputError, match="every trial diverged or was cut short"):
        tune.tune(tune.TuneOptions("feed-forward", trials=1, epochs=1, limit=200), tmp_path)
