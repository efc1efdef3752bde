"""A shop teaches its own labels: the command, its bundle, and what it refuses."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.bundles import make
from helpers.types import Run

from edgefashion import teach
from edgefashion.bundles import bundle
from edgefashion.data.images import read_image, write_png
from edgefashion.inference import preprocess
from edgefashion.inference.load import load
from edgefashion.inference.predict import predict
from edgefashion.packs.gate import try_pinned
from edgefashion.training import shop_bundle, shop_head, shop_material
from edgefashion.training import teach as teaching
from edgefashion.training.shop_head import HeadOptions
from edgefashion.training.teach import Teaching

pytestmark = pytest.mark.long

NAMES = {"Dress": "School dress", "Trouser": "Work trousers", "Unknown": "Unknown"}


OPTIONS = HeadOptions(epochs=15)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path) -> Path:
    """Twelve photos of each of three labels, two of them the shop's own, by four senders."""
    folder = tmp_path_factory.mktemp("shop")
    for theirs, own in NAMES.items():
        (folder / own).mkdir()
        for path in sorted((photo_folder / theirs).iterdir())[:12]:
            shutil.copy(path, folder / own)
    return folder


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory, shop: Path) -> Teaching:
    """The network that learned them, on a computer without TensorFlow."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "tensorflow", None)
        patch.setitem(sys.modules, "keras", None)
        patch.setattr(shop_bundle, "installed", lambda _: False)
        return teach([shop], tmp_path_factory.mktemp("models") / "shop", OPTIONS)


def test_it_names_what_the_shop_names(taught: Teaching, shop: Path) -> None:
    """The bundle answers the ten labels, the shop's own and the two of nothing; what it was taught it names, held-out
    pictures too, and what was not taught it still knows."""
    made = taught.bundle
    assert made is not None
    assert made.labels[10:] == ("School dress", "Work trousers", "Unknown", "No garment")
    assert taught.verdict.word == "better"
    assert taught.report.own.before.right == pytest.approx(12 / 36, abs=0.15)
    assert (taught.report.own.after.right or 0) > 0.8
    assert taught.report.kept.before.n > 500
    assert not {"worse", "too few to tell"} & {taught.verdict.word}
    for precision in ("fp16", "int8"):
        classifier = load(made.path, precision=precision)
        views = np.stack([preprocess.view(read_image(path)) for path in sorted((shop / "School dress").iterdir())])
        said = [classifier.labels[at] for at in classifier(views).argmax(1)]
        assert said.count("School dress") >= 8


def test_the_bundle_is_one_like_any_other(
    taught: Teaching, run_here: Run, shop: Path, tmp_path: Path, photo_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds garments, passes the gate of its own pinned pictures, states what it is made of, and is measured,
    benched and exported as others are."""
    made = taught.bundle
    assert made is not None
    made.verify_all()
    classifier = load(made.path)
    assert classifier.finder is not None
    assert try_pinned(made, classifier).agreement > 0.9
    picture = read_image(sorted((shop / "Work trousers").iterdir())[0])
    assert predict(classifier, picture, single=True).garments
    facts = made.facts
    assert facts.others["taught"]["photos"] == 36
    assert all(each.startswith("sha256:") for each in facts.others["taught"]["learned_from"])
    assert set(facts.thresholds.floors or {}) > {"School dress", "Coat", "Footwear"}
    assert "needed" in (facts.thresholds.chosen_on or "")
    card = made.verified("card").read_text(encoding="utf-8")
    for part in ("School dress", "36 of them (last layer alone); it began from kiosk", "CC0"):
        assert part in card
    monkeypatch.chdir(tmp_path)
    shutil.copytree(made.path, "models/kiosk")
    began = teaching._start("kiosk")
    assert (began.facts.taught, began.has("taught")) == (None, True), "a taught one called kiosk is not begun from"
    for arch in ("shop", "kiosk"):
        refused = run_here("train", arch, "--photos", photo_folder, "--start", made.path, "--out", tmp_path / "on")
        assert (refused.returncode, "taught" in refused.stderr, "kiosk" in refused.stderr) == (2, True, True)
    told = run_here("evaluate", made.path, "--photos", shop, "--json")
    assert told.returncode == 0, told.stderr
    assert set(json.loads(told.stdout)["per_label"]) == {"School dress", "Work trousers"}
    done = run_here("export", "ovms", tmp_path / "served", "--model", made.path)
    assert done.returncode == 0, done.stderr
    labels = next((tmp_path / "served").rglob("labels.txt")).read_text(encoding="utf-8").splitlines()
    assert labels == list(made.labels)


def test_the_command_tells_all_and_keeps_the_one_in_force(
    run_here: Run, taught: Teaching, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``train shop`` prints one object; taught again with nothing new it is the next revision and not in force, for
    nothing says that it is better."""
    monkeypatch.setattr(shop_bundle, "installed", lambda _: False)
    assert taught.bundle is not None
    out = Path(shutil.copytree(taught.bundle.path, tmp_path / "shop"))
    done = run_here("train", "shop", "--photos", shop, "--out", out, "--epochs", "15", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert set(told) == {
        "bundle", "revision", "in_force", "labels", "verdict", "words", "compared_with", "before", "after", "p_value",
        "not_taught", "per_label", "notes", "skipped",
    }  # fmt: skip
    assert (told["in_force"], told["compared_with"]) == (False, str(out))
    assert told["words"].startswith(f"{told['before']['n']} photos are too few to tell: keep the one you have")
    assert told["per_label"]["Coat"]["taught"] is False
    assert told["per_label"]["Unknown (not the shop's)"]["before"]["n"] > 100
    assert load(out).labels == tuple(told["labels"])
    assert load(out).source == out / "int8.xml"
    table = run_here("train", "shop", "--photos", shop, "--out", tmp_path / "new", "--epochs", "15")
    for words in (
        "what was not taught",
        "named before",
        "what an answer needs",
        "pictures that neither has learned from",
    ):
        assert words in table.stdout


def test_a_network_that_got_worse_replaces_nothing(
    run_here: Run, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A training that spoils the head ends with exit code 1 and a sentence; the bundle that is there stays."""
    ruinous = HeadOptions(epochs=1, learning_rate=20.0, drawn=0.0)
    monkeypatch.setattr(shop_head, "HeadOptions", lambda **_: ruinous)
    done = run_here("train", "shop", "--photos", shop, "--out", tmp_path / "shop")
    assert done.returncode == 1
    assert "forgot too much" in done.stderr
    assert "Keep the one you have" in done.stderr
    assert not (tmp_path / "shop").exists()


def test_interrupted_and_gone_on_with(
    taught: Teaching, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle keeps what was learned; ``--resume`` ends with the very weights of an unbroken run."""
    monkeypatch.setattr(shop_bundle, "installed", lambda _: False)
    epochs: list[int] = []

    def stop(done: int, *_: Any) -> None:
        epochs.append(done)
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        teach([shop], tmp_path / "shop", OPTIONS, on_epoch=stop)
    assert not (tmp_path / "shop").exists()
    again: list[int] = []
    done = teach([shop], tmp_path / "shop", OPTIONS, resume=True, on_epoch=lambda at, *_: again.append(at))
    assert again[0] == 21
    assert done.bundle is not None
    assert taught.bundle is not None
    assert done.bundle.sha256_of("fp16") != ""
    same = (of.verified("int8").with_suffix(".bin").read_bytes() for of in (done.bundle, taught.bundle))
    assert len(set(same)) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["shop"]


def _one_label(at: Path) -> None:
    for name in ("Unknown", "School dress"):
        shutil.rmtree(at / name)


def _one_picture(at: Path) -> None:
    for path in sorted((at / "Unknown").iterdir())[1:]:
        path.unlink()


def _case_twins(at: Path) -> None:
    shutil.copytree(at / "Unknown", at / "school dress")


def _all_broken(at: Path) -> None:
    for path in (at / "Unknown").iterdir():
        path.write_bytes(b"no picture")


def _most_cut(at: Path) -> None:
    for path in sorted((at / "Unknown").iterdir())[3:]:
        path.write_bytes(path.read_bytes()[:900])


def _named_by_a_camera(at: Path) -> None:
    for folder in NAMES.values():
        for number, path in enumerate(sorted((at / folder).iterdir())):
            path.rename(path.with_name(f"IMG_{number:04}.jpg"))


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (_one_label, "is the only label"),
        (_one_picture, "Unknown has 1 photo:"),
        (_case_twins, "differ by case or blanks only"),
        (_all_broken, "Unknown has 0 photos that can be read"),
        (_most_cut, "Unknown has 3 photos that can be read"),
        (_named_by_a_camera, "of one place and day"),
        (shutil.rmtree, "is no folder"),
    ],
)
def test_what_cannot_be_learned_from(run_here: Run, shop: Path, tmp_path: Path, spoil: Any, says: str) -> None:
    """Folders that teach nothing are refused with exit code 2 and a sentence, and nothing is written."""
    mine = Path(shutil.copytree(shop, tmp_path / "mine"))
    spoil(mine)
    done = run_here("train", "shop", "--photos", mine, "--out", tmp_path / "out")
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert not mine.exists() or f"See all of it: edgefashion data check {mine}" in done.stderr
    assert not (tmp_path / "out").exists()


STAGES = {
    "nothing": "what was looked at is kept",
    "looking at the photos": "what was looked at is kept",
    "learning": "what was looked at is kept",
    "comparing before and after": "what was learned is kept",
    "writing the network": "what was learned is kept",
}


@pytest.mark.parametrize("stage", STAGES)
def test_what_is_kept_is_told_wherever_it_is_stopped(
    run_here: Run, shop: Path, stage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C says in one line what is kept and with which command, of the same settings, it goes on."""

    def stopped(*_: Any, on_stage: Any, **__: Any) -> None:
        for doing in list(STAGES)[1 : list(STAGES).index(stage) + 1]:
            on_stage(doing)
        raise KeyboardInterrupt

    monkeypatch.setattr("edgefashion.training.teach.teach", stopped)
    done = run_here("train", "shop", "--photos", shop, "--out", "models/x", "--epochs", "7", "--resume")
    assert done.returncode == 130
    command = f"edgefashion train shop --photos {shop} --epochs 7 --out models/x --resume"
    assert done.stderr == f"stopped; {STAGES[stage]}. Go on with: {command}\n"


@pytest.mark.parametrize("where", ["in the network", "in between"])
def test_photos_that_were_looked_at_are_kept(shop: Path, tmp_path: Path, where: str) -> None:
    """Ctrl-C while it looks at the photos: those it has looked at need not be looked at again."""
    mine = Path(shutil.copytree(shop, tmp_path / "mine"))
    (mine / ".features.npz").unlink(missing_ok=True)
    batches: list[int] = []

    class Network:
        network, size = "it", 4

        def __call__(self, views: Any) -> Any:
            if where == "in the network" and len(batches) == 3:
                raise KeyboardInterrupt
            batches.append(len(views))
            return np.ones((len(views), 4), np.float32)

    def step(done: int, total: int) -> None:
        assert total == 36
        if where == "in between" and done >= 12:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop_material.gather([mine], Network(), step)  # type: ignore[arg-type]
    assert sum(batches) == 48
    where = "nowhere"
    shop_material.gather([mine], Network(), step)  # type: ignore[arg-type]
    assert sum(batches) == 36 * 4


def test_stopped_while_it_writes(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C once all is learned: ``--resume`` learns nothing anew. With nothing kept it begins, and says so."""

    def stopped(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    short = HeadOptions(epochs=1)
    with monkeypatch.context() as patch:
        patch.setattr(shop_bundle, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            teach([shop], tmp_path / "shop", short)
    epochs: list[int] = []
    monkeypatch.setattr(shop_bundle, "_write", lambda out, *_: make(out))
    teach([shop], tmp_path / "shop", short, resume=True, on_epoch=lambda at, *_: epochs.append(at))
    assert epochs == []
    done = teach([shop], tmp_path / "new", short, resume=True, on_epoch=lambda at, *_: epochs.append(at))
    assert epochs[0] == 1
    assert any("no interrupted run had learned anything yet" in note for note in done.notes)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (("--batch-size", "8"), "--batch-size is not for shop"),
        (("--scenes", "x"), "--scenes is not for shop"),
        (("--start", "edge"), "edge is no bundle of the photo network"),
        (("--start", "nothing"), "no model 'nothing'"),
        (("--epochs", "0"), "--epochs must be from 1 to 1000"),
        (("--out", "models/../."), "Change to the folder above"),
    ],
)
def test_flags_that_are_not_for_it(run_here: Run, shop: Path, flags: tuple[str, ...], says: str) -> None:
    """A flag, a start or an output that cannot be is refused before the work."""
    done = run_here("train", "shop", "--photos", shop, *flags)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr


def test_photos_are_needed(run_here: Run) -> None:
    """Without --photos it says what it learns from."""
    done = run_here("train", "shop")
    assert done.returncode == 2
    assert "--photos" in done.stderr


def test_pictures_that_come_while_it_looks(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is being written to: a picture that vanishes or is half there is told and left out."""
    monkeypatch.setattr(shop_bundle, "installed", lambda _: False)
    mine = Path(shutil.copytree(shop, tmp_path / "mine"))
    write_png(mine / "Unknown" / "late.png", read_image(next((mine / "Unknown").glob("*.jpg"))))
    half = (mine / "Unknown" / "late.png").read_bytes()
    (mine / "Unknown" / "late.png").write_bytes(half[: len(half) // 2])
    (mine / ".features.npz").unlink(missing_ok=True)
    for name in NAMES.values():
        for path in sorted((mine / name).glob("*.jpg"))[7:]:
            path.unlink()
    gone = sorted((mine / "Work trousers").iterdir())[-1]
    done = teach([mine], tmp_path / "out", OPTIONS, on_progress=lambda *_: gone.unlink(missing_ok=True))
    assert any("late.png" in line for line in done.skipped)
    assert any(gone.name in line for line in done.skipped)
    assert done.bundle is not None
    assert bundle.open_bundle(done.bundle.path).labels == done.labels
