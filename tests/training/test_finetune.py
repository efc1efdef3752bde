"""Fine-tuning on folders of photos: what is trained, what is reported, what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers import scenes as scene_files
from helpers.types import Run

from edgefashion.bundles import bundle, draft
from edgefashion.data import fashion_mnist, photo_folders, splits
from edgefashion.data.images import read_image, write_png
from edgefashion.errors import BadInputError
from edgefashion.evaluation.before_after import Answered, Compared, verdict
from edgefashion.inference import decision, head, preprocess
from edgefashion.inference.load import load
from edgefashion.labels import PHOTO_LABELS
from edgefashion.training import finetune, photo_augment, shop_bundle, shop_deep, shop_head
from edgefashion.training.options import FinetuneOptions

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("plain_graphs")]


@pytest.fixture(scope="module", autouse=True)
def few_fashion_images() -> Iterator[None]:
    """A photo network takes minutes over Fashion-MNIST's 10,000 test images, which these tests are not about."""
    load = fashion_mnist.load

    def few(part: str) -> Any:
        images, labels = load(part)
        return (images[:60], labels[:60]) if part == "test" else (images, labels)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fashion_mnist, "load", few)
        patch.setattr(finetune, "FASHION_VALIDATION", 50)
        yield


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, plain_graphs: None) -> finetune.Finetuning:
    """The shipped network after two epochs on photos it has never seen the like of."""
    out = tmp_path_factory.mktemp("tuned") / "shop"
    options = FinetuneOptions(epochs=2, validation_split=0.25, fashion_images=8)
    return finetune.finetune([photo_folder], out, options)


def test_the_report_is_of_senders_not_trained_on(tuned: finetune.Finetuning, photo_folder: Path) -> None:
    """Before and after are measured on the held-out senders' photos, and after is what the written network does."""
    assert (tuned.trained, tuned.held_out) == (3 * 36, 42)
    assert tuned.before is not None
    assert (
        set(tuned.after.per_label) == set(tuned.before.per_label) == {"T-shirt", "Trouser", "Dress", "Coat", "Footwear"}
    )
    found = photo_folders.scan(photo_folder).photos
    _, held = splits.split_by_sender(found, 0.25, 0)
    known = [found[i] for i in held if found[i].label not in ("Unknown", "No garment")]
    views = np.stack([preprocess.view(read_image(p.path)) for p in known])
    answers = decision.best(load(tuned.bundle.path, engine="tensorflow")(views), PHOTO_LABELS)
    right = [int(a) in photo_folders.members(p.label) for a, p in zip(answers, known, strict=True)]
    assert np.mean(right) == pytest.approx(tuned.after.accuracy)


def test_no_rule_is_chosen_on_too_few_photos(tuned: finetune.Finetuning) -> None:
    """Thirty held-out garments are too few to choose a rule on: the start's is kept, and the bundle says so with the
    number; it draws what the rule means, tells what is named beside what is right, and says in words what to do."""
    thresholds, start = tuned.bundle.facts.thresholds, load("kiosk").rule
    assert (thresholds.accept, thresholds.floors, thresholds.kind_floor) == (
        start.threshold,
        start.floors,
        start.kind_floor,
    )
    assert "kept from kiosk" in (thresholds.chosen_on or "")
    assert "30 held-out photos" in (thresholds.chosen_on or "")
    assert tuned.after.named is not None
    assert set(tuned.after.named_per_label) == set(tuned.after.per_label)
    assert tuned.verdict is not None
    assert tuned.verdict.words.endswith((".", "told", "one", "have"))
    assert tuned.bundle.report()["acceptance"]["n"] == tuned.held_out
    for part in ("reliability", "risk_coverage"):
        assert min(read_image(tuned.bundle.verified(part)).shape[:2]) > 400


def test_it_learns(tuned: finetune.Finetuning) -> None:
    """Two epochs of a shop's own photos, and held-out ones are better answered and told from Unknown."""
    assert tuned.before is not None
    assert tuned.before.accuracy is not None
    assert tuned.after.accuracy is not None
    assert tuned.after.accuracy > tuned.before.accuracy
    assert tuned.before.reject_auroc is not None
    assert tuned.after.reject_auroc is not None
    assert tuned.after.reject_auroc > tuned.before.reject_auroc


def test_the_tuned_bundle_converts_and_quantizes(
    run: Run, run_here: Run, tmp_path: Path, tuned: finetune.Finetuning, photo_folder: Path
) -> None:
    """The bundle goes the ordinary way: IRs behind the parity gate, INT8 calibrated on photos, predict."""
    mine = Path(shutil.copytree(tuned.bundle.path, tmp_path / "shop"))
    photos = Path(shutil.copytree(photo_folder, tmp_path / "photos"))
    shutil.copytree(photo_folder / "Coat", photos / "Mantel")
    done = run_here("convert", mine, "--int8", "--photos", photos, "--max-drop", "0.05", "--calibration", "8")
    assert done.returncode == 0, done.stderr
    assert "\nINT8 is calibrated on 8 photos and 2 of Fashion-MNIST's images\n" in done.stdout
    assert f"\n1 skipped; the first: {photos / 'Mantel'}: no label is named so" in done.stdout
    made = bundle.open_bundle(mine)
    assert made.report()["convert"]["parity"][0]["changed_top1"] == 0
    assert made.has("int8")
    report = made.report()["int8"]
    assert report["time_of_fp32"] is None  # it is not measured
    assert report["max_drop"] == 0.05
    assert str(tmp_path) not in json.dumps(report)
    picture = next((photo_folder / "Trouser").iterdir())
    answer = json.loads(run("predict", mine, picture, "--json").stdout)
    assert set(answer) == {"source", "label", "confidence", "top", "accepted", "box", "garments"}


def test_scenes_teach_a_finder(tmp_path: Path, photo_folder: Path, steps_without_graphs: None) -> None:
    """With scenes the bundle gets a finder of its own, without photos too; its card says what it is for."""
    pictures = {"Coat": 1, "Trouser": 2}
    (tmp_path / "scenes").mkdir()
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for label, category in pictures.items():
        for number, path in enumerate(sorted((photo_folder / label).iterdir())[:4]):
            picture = read_image(path)
            height, width = picture.shape[:2]
            name = f"cam{number}-{label}.png"
            write_png(tmp_path / "scenes" / name, picture)
            images.append({"id": len(images), "file_name": name, "width": width, "height": height})
            box = (width // 8, height // 8, 3 * width // 4, 3 * height // 4)
            annotations.append(scene_files.thing(len(annotations), len(images) - 1, category, box))
    told = {"images": images, "annotations": annotations, "categories": scene_files.CATEGORIES}
    (tmp_path / "scenes" / "annotations.json").write_text(json.dumps(told))
    options = FinetuneOptions(epochs=1, batch_size=8, validation_split=0.25, fashion_images=8, finder_steps=1)
    done = finetune.finetune([], tmp_path / "shop", options, scenes=[tmp_path / "scenes"])
    assert done.bundle.has("finder_keras")
    assert done.bundle.facts.finds
    assert done.bundle.facts.thresholds.found == 0.5
    assert set(done.after.per_label) == set(pictures)
    assert "judge, count, recognise" in done.bundle.verified("card").read_text()


def test_int8_of_a_photo_network_wants_photos(run_here: Run, tmp_path: Path, tuned: finetune.Finetuning) -> None:
    """Without photos to calibrate on INT8 is refused in one line that names the flag."""
    mine = Path(shutil.copytree(tuned.bundle.path, tmp_path / "shop"))
    done = run_here("convert", mine, "--int8")
    assert done.returncode == 2
    assert "--photos" in done.stderr


@pytest.mark.parametrize(
    ("keep", "words"),
    [
        (("Coat",), "one garment's label only: Coat (24)"),
        (("Coat", "Unknown"), "one garment's label only"),
        ((), "holds no labelled photo"),
    ],
)
def test_too_few_labels(tmp_path: Path, photo_folder: Path, keep: tuple[str, ...], words: str) -> None:
    """A folder of one garment's photos, or none, is refused before any training, and nothing is written."""
    (tmp_path / "photos").mkdir()
    for name in keep:
        shutil.copytree(photo_folder / name, tmp_path / "photos" / name)
    with pytest.raises(BadInputError) as error:
        finetune.finetune([tmp_path / "photos"], tmp_path / "out")
    assert words in str(error.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("train", "kiosk"), "--photos"),
        (("train", "kiosk", "--photos", "nowhere"), "nowhere is no folder"),
        (("train", "kiosk", "--photos", ".", "--resume"), "--resume is not for kiosk"),
        (("train", "cnn-242k", "--photos", "."), "are for kiosk"),
    ],
)
def test_wrong_ways_to_ask(run: Run, arguments: tuple[str, ...], words: str) -> None:
    """Flags that do not go together are refused in one line."""
    done = run(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_photo_and_its_mask_move_together() -> None:
    """Augmentation moves the mask with the photo: a white square on black stays under its mask."""
    photo, mask = np.zeros((224, 224, 3), np.uint8), np.zeros((56, 56), np.uint8)
    photo[64:160, 64:160], mask[16:40, 16:40] = 255, 255
    hits = []
    for seed in range(40):
        varied, cells = photo_augment.augment(photo, mask, np.random.default_rng(seed))
        bright = varied.mean(2).reshape(20, 8, 20, 8).mean((1, 3))
        hits.append(np.corrcoef(bright.ravel(), cells.ravel())[0, 1])
    assert np.median(hits) > 0.9


def test_pieces_of_background_show_no_garment() -> None:
    """Of a photo with a red garment in the middle only pieces without red are taken for background."""
    photo, mask = np.full((224, 224, 3), 128, np.uint8), np.zeros((56, 56), np.uint8)
    photo[72:152, 72:152], mask[18:38, 18:38] = (0, 0, 255), 255
    mask[12:44, 12:44] = 255
    pieces = photo_augment.backgrounds(photo, mask, np.random.default_rng(0), count=5)
    assert pieces
    assert all((piece == 128).all() for piece in pieces)
    assert not photo_augment.backgrounds(photo, np.zeros_like(mask), np.random.default_rng(0))


def test_the_original_of_a_taught_network(tmp_path: Path, photo_folder: Path) -> None:
    """With TensorFlow a bundle of taught labels has the original too. It answers as the IR does, and ``train kiosk``
    says why it does not go on from it."""
    import openvino as ov

    start = bundle.open_bundle(Path("models/kiosk"))
    own = head.read_head(start.verified("fp16"))
    wide = shop_head.widened(own, np.eye(12, dtype=np.float32)[[3]]).in_half()
    with draft.draft(tmp_path / "shop", start) as making:
        making.facts = making.facts._replace(name="shop", labels=(*PHOTO_LABELS[:10], "Gown", *PHOTO_LABELS[10:]))
        ov.save_model(head.with_head(start.verified("fp16"), wide), making.part("fp16"), compress_to_fp16=False)
        making.drop("int8")
        shop_bundle.write_keras(making, start, wide)
    views = np.stack([preprocess.view(read_image(path)) for path in sorted((photo_folder / "Dress").iterdir())[:4]])
    answers = load(tmp_path / "shop", engine="keras")(views)
    assert answers.shape == (4, 13)
    assert answers == pytest.approx(load(tmp_path / "shop")(views), abs=0.01)
    with pytest.raises(BadInputError, match=r"was taught by train shop, .* Give --start kiosk"):
        finetune.photo_network(str(tmp_path / "shop"))
    with pytest.raises(BadInputError, match="edge is no bundle of the photo network"):
        finetune.photo_network("edge")


@pytest.mark.parametrize(
    ("gained", "lost", "fashion", "taken"),
    [(30, 5, 0.92, True), (30, 5, 0.90, False), (8, 5, 0.93, False), (5, 30, 0.93, False)],
)
def test_fine_tuning_is_taken_only_where_it_is_better(gained: int, lost: int, fashion: float, taken: bool) -> None:
    """All of the network is changed only for a difference beyond chance that forgets nothing else; the words say so."""
    before, after = np.zeros(200, np.bool_), np.zeros(200, np.bool_)
    before[: 100 + lost] = after[:100] = after[100 + lost : 100 + lost + gained] = True
    seen = Compared.of(*(Answered(good, good, good, np.zeros_like(good)) for good in (before, after)))
    found = shop_deep.Deeper(seen, 0.925, fashion, verdict(seen, None))
    assert found.taken == taken
    assert ("is kept" in found.words) == (not taken)
