"""``train shop --deep``: what the bundle of a network says that was fine-tuned on a shop's photos."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgefashion.bundles import bundle, revisions
from edgefashion.bundles.bundle import Bundle
from edgefashion.bundles.current import REVISIONS
from edgefashion.cli import taught
from edgefashion.conversion import quantize
from edgefashion.data import fashion_mnist, photo_folders
from edgefashion.data.photo_folders import Photo
from edgefashion.data.senders import hashed
from edgefashion.errors import BadInputError
from edgefashion.inference.load import load
from edgefashion.inference.openvino_engine import read_ir
from edgefashion.inference.tensorflow_engine import tensorflow
from edgefashion.packs.gate import try_pinned
from edgefashion.training import shop_bundle, shop_deep
from edgefashion.training.shop_bundle import HELD_OUT

pytestmark = [pytest.mark.long, pytest.mark.usefixtures("plain_graphs")]


@dataclass(frozen=True)
class Made:
    """A run of the command, and the run after it."""

    deep: Bundle
    head: Bundle
    told: dict[str, Any]
    again: dict[str, Any]
    for_int8: set[str]
    """Senders of the photos that INT8 was calibrated on and gated with."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, photo_folder: Path, plain_graphs: None) -> Made:
    """Two labels, twelve photos each by four senders: fine-tuned for a step and taken, as if that were better."""
    shop, out = tmp_path_factory.mktemp("shop"), tmp_path_factory.mktemp("models") / "shop"
    for theirs, own in {"Dress": "School dress", "Trouser": "Work trousers"}.items():
        (shop / own).mkdir()
        for path in sorted((photo_folder / theirs).iterdir())[::2]:
            shutil.copy(path, shop / own)
    read, fashion, seen = photo_folders.read, fashion_mnist.load, set[str]()

    def noted(photos: Any, skipped: list[str]) -> Any:
        seen.update(photo.sender for photo in photos)
        return read(photos, skipped)

    def one_step(*given: Any, fine_tune: Any = shop_deep.fine_tune, **more: Any) -> None:
        plainly = tensorflow("to fine-tune").config.run_functions_eagerly
        plainly(True)  # a graph takes as long to make as eight steps
        fine_tune(*given, **more, steps=1)
        plainly(False)

    def few(part: str) -> Any:
        images, labels = fashion(part)
        return (images[:40], labels[:40]) if part == "test" else (images, labels)

    def command(**flags: Any) -> dict[str, Any]:
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            taught.teach(out, {"photos": [shop], "json": True, "epochs": 5, **flags})
        return dict(json.loads(printed.getvalue()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(shop_deep, "fine_tune", one_step)
        patch.setattr(shop_deep, "MEASURED", 20)
        patch.setattr(shop_deep.Deeper, "taken", True)
        patch.setattr(photo_folders, "read", noted)
        patch.setattr(fashion_mnist, "load", few)
        patch.setattr(quantize, "quantize", partial(quantize.quantize, calibration=6))
        told = command(deep=True)
        assert told["deep"]["taken"], told["deep"]["words"]
        deep = out / REVISIONS / told["deep"]["revision"]
        revisions.switch(out, deep.name)
        patch.setattr(shop_bundle, "installed", lambda _: False)  # the original again is of no use here
        return Made(bundle.open_bundle(deep), bundle.open_bundle(out), told, command(), seen)


def test_what_it_states_is_its_own(made: Made) -> None:
    """Its pinned answers are its own FP16 IR's and pass the gate of an installation, its figures are of the held-out
    photos, its rule is its start's, and its IRs say the same."""
    deep = made.deep
    deep.verify_all()
    held = (deep.facts.photos or {})[HELD_OUT]
    assert try_pinned(deep, load(deep.path)).pictures == held.n == made.told["deep"]["after"]["n"] > 0
    assert try_pinned(deep, load(deep.path, precision="fp16")).mean_difference < 1e-4
    answers = [np.load(of.verified("pinned"))["probabilities"] for of in (deep, made.head)]
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    start, rule = bundle.open_bundle(Path("models/kiosk")).facts.thresholds, deep.facts.thresholds
    assert dict(start.floors or {}).items() <= dict(rule.floors or {}).items()
    assert (rule.chosen_on or "").startswith(f"{start.chosen_on}; kept from the start")
    for part in ("fp32", "fp16", "int8"):
        stated = read_ir(deep.verified(part)).get_rt_info([bundle.RT_INFO, "thresholds"])
        assert json.loads(stated.astype(str)) == rule.as_json()
    assert set(json.loads(deep.verified("report").read_text(encoding="utf-8"))) == {"deep", "convert", "int8"}
    assert not deep.has("history")


def test_what_proves_it_has_not_made_it(made: Made) -> None:
    """INT8 is calibrated on, and gated with, photos that the network has learned from; the rest compares it."""
    assert set(map(hashed, made.for_int8)) == set(made.deep.facts.others["taught"]["learned_from"])
    assert len(made.for_int8) == 3


def test_the_next_teaching_does_not_take_its_last_layer_for_the_starts(made: Made) -> None:
    """A fine-tuned network has features of its own, and says so: the next teaching is compared with the start, tells
    that nothing says which of the two is better, and leaves it in force."""
    told = made.deep.facts.others["taught"]
    assert told["fine_tuned"] is True
    assert "start_sha256" not in told
    assert (made.again["compared_with"], made.again["in_force"]) == ("kiosk", False)
    assert any("stays in force: it is another network" in note for note in made.again["notes"])


@pytest.mark.parametrize(
    ("learned_from", "held", "says"),
    [("ab", "", "looks the same"), ("aa", "c", "by one sender"), ("", "c", "no photo shows a garment")],
)
def test_what_could_not_be_proved_is_not_begun(learned_from: str, held: str, says: str) -> None:
    """Without a photo that proves it, or photos of two senders for INT8, it is refused before the work."""
    photos = [[Photo(Path(f"{name}.jpg"), "Coat", name) for name in names] for names in (learned_from, held)]
    with pytest.raises(BadInputError, match=says):
        shop_deep.check_photos(*photos)
