"""Train the shipped photo network and its finder, and make the bundle of them with its IRs.

    python scripts/train_kiosk.py OUT --photos DIR [--photos DIR] --scenes DIR [--more-scenes DIR] [--epochs 8]

A fifth of the senders and of the scenes' groups is held out. What an answer needs to count is chosen on one half of
them and on some of --rooms, with the INT8 network as ``predict`` runs it, and reported on the other half:
``benchmarks/networks/garments.py`` measures all of it. Both networks are kept beside OUT, as OUT.keras and
OUT.finder.keras: run again, the bundle is made of them. It is cut down to what is committed: the photo network's
original and IRs, and the finder's INT8.
"""

from __future__ import annotations

import argparse
import itertools
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgefashion.bundles import bundle, card, draft
from edgefashion.conversion.build import build
from edgefashion.data import photo_folders, scenes, splits
from edgefashion.data.photo_folders import Photo
from edgefashion.evaluation import plots
from edgefashion.evaluation.acceptance import Chosen, choose_rule
from edgefashion.evaluation.calibrate import Answers, answers_to, choose, measured
from edgefashion.evaluation.spoiled import dark, part_hidden
from edgefashion.inference.decision import Rule
from edgefashion.inference.load import load
from edgefashion.inference.rt_info import describe_again
from edgefashion.inference.tensorflow_engine import load_keras
from edgefashion.labels import PHOTO_LABELS
from edgefashion.training import finder_fit, finder_material, finder_scale, held_out, photo_bundle, photo_fit
from edgefashion.training.finetune import IMAGENET, photo_network
from edgefashion.training.options import FinetuneOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras
    from numpy.typing import NDArray

DROPPED = ("saved_model", "fp32", "finder_keras", "finder_fp16")
"""What ``edgefashion convert`` or this script makes anew."""


def trained_or_kept(path: Path, train: Any) -> tuple[keras.Model, list[dict[str, float]]]:
    """A network that was trained before, or else is now."""
    rows = path.with_suffix(".json")
    if not path.exists():
        model, history = train()
        model.save(path)
        rows.write_text(json.dumps(history))
    return load_keras(path), json.loads(rows.read_text())


ROOMS = 190
"""Pictures of rooms that the rule is chosen with, about as many as are held out of other things without a garment: with
thousands of them a fifth fewer garments would count."""


def with_rule(made: bundle.Bundle, parts: held_out.Parts, rooms: Sequence[Photo] = ()) -> bundle.Bundle:
    """The bundle with the rule that is chosen on one half of what is held out, and on some of the ``rooms``, which no
    training has seen; the other half stays to measure on."""
    photos = parts.held_photos
    in_first = splits.halves([p.sender for p in photos])
    groups = splits.halves([scene.group for scene in parts.held_scenes])
    network = load(made.path)

    def answered(*, half: bool) -> Answers:
        chosen = [photo for photo, at in zip(photos, in_first, strict=True) if at == half]
        marked = [scene for scene, at in zip(parts.held_scenes, groups, strict=True) if at == half]
        some = rooms[:: max(1, len(rooms) // ROOMS)][:ROOMS] if half else ()
        return answers_to(network, [*chosen, *some], marked)

    answers = answered(half=True)
    told, found = choose(answers, PHOTO_LABELS)
    on_others = measured(answered(half=False), Rule.of(told), PHOTO_LABELS)
    print(json.dumps(on_others))
    print(json.dumps({name: chosen.as_json() for name, chosen in found.items()}, indent=1))
    with draft.draft(made.path, made) as making:
        making.facts = making.facts._replace(thresholds=told._replace(found=made.facts.thresholds.found))
        plots.draw_held_out(making, *answers.part(~answers.worn), found["held or lying"])
        chosen_on = {name: chosen.as_json() for name, chosen in found.items()}
        making.add_report("acceptance", {"chosen_on": chosen_on, "measured_on_the_other_half": on_others})
        for part in DROPPED:
            making.drop(part)
        describe_again(making)
        card.write_card(making)
    return bundle.open_bundle(made.path)


def figure_sets(held: list[Photo], first: Path, start: str) -> dict[str, NDArray[np.bool_]]:
    """Which of the held-out garments are measured together, by what the card calls them. ``first``: the first photo
    folder, whose photos the network to start from had learned from, those held out here too."""
    of_first = np.array([first in photo.path.parents for photo in held])
    worn = np.array([photo.worn for photo in held])
    of_scene = np.array([photo.sender.startswith("scene ") for photo in held])
    known = np.array([photo.known for photo in held])
    seen = "" if start == IMAGENET else f" (the network it began from, {start}, had learned from them)"
    return {
        f"photos, lying or hanging{seen}": known & of_first,
        "studio pictures, lying or hanging": known & ~of_first & ~worn,
        "studio pictures, worn": known & ~of_first & worn & ~of_scene,
        "street photos, worn, by their true box": known & of_scene,
    }


class Training:
    """What is learned from, and the two networks that are trained or were kept."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self.options = FinetuneOptions(
            epochs=given.epochs,
            learning_rate=given.learning_rate,
            fashion_images=given.fashion_images,
            finder_steps=given.finder_steps,
        )
        self.parts = held_out.part_in_fold(given.photos, given.scenes, given.fold)
        self.more = [self.parts.apart(scenes.scan_scenes(folder).scenes) for folder in given.more_scenes]
        self.start = None if given.start == IMAGENET else photo_network(given.start)

    def naming(self) -> tuple[keras.Model, list[dict[str, float]]]:
        """The photo network, and the rows of its training."""
        return trained_or_kept(self.given.out.with_suffix(".keras"), self._train_naming)

    def finding(self) -> tuple[keras.Model, list[dict[str, float]]]:
        """The finder, and the rows of its training."""
        return trained_or_kept(self.given.out.with_suffix(".finder.keras"), self._train_finding)

    def _train_naming(self) -> tuple[keras.Model, list[dict[str, float]]]:
        done = photo_fit.train(
            self.parts.fit_photos,
            self.options,
            self.parts.skipped,
            marked=[*self.parts.fit_scenes, *itertools.chain(*self.more)],
            start=self.start,
            on_epoch=lambda row: print(row, flush=True),
        )
        return done.model, done.history

    def _train_finding(self) -> tuple[keras.Model, list[dict[str, float]]]:
        parts = self.parts
        material = finder_material.gather(parts.fit_scenes, parts.fit_photos, parts.skipped, self.more)
        how = finder_fit.FinderOptions(steps=self.options.finder_steps, seed=self.options.seed)
        model, rows = finder_fit.train(
            material, how, self.start, lambda step, steps, row: print(step, steps, row, flush=True)
        )
        return model, rows

    def bundle(self) -> bundle.Bundle:
        """Both networks with what was measured of them, not yet converted."""
        given, parts = self.given, self.parts
        (naming, history), (finding, finder_history) = self.naming(), self.finding()
        print(finder_scale.balance(finding, parts.held_photos, parts.held_scenes))
        chosen, figures = self._measured(naming)
        return photo_bundle.write_bundle(
            given.out,
            photo_fit.Trained(naming, history, len(parts.fit_photos)),
            self.options,
            accept=chosen.thresholds("held-out pictures"),
            photo_figures=figures,
            report={
                **({"note": given.note} if given.note else {}),
                "start": given.start,
                "photos": dict(parts.labels),
                "scenes": len(parts.fit_scenes),
                "more_scenes": sum(map(len, self.more)),
                "fold": given.fold,
            },
            finder=photo_bundle.TrainedFinder(finding, finder_history),
            data=tuple(given.data) or None,
        )

    def _measured(self, naming: keras.Model) -> tuple[Chosen, dict[str, Any]]:
        """What an answer needs to count, and the photo network's figures on each set of held-out garments."""
        held, views = self.parts.held_views()
        answers, truths = photo_bundle.probabilities(naming, views), [(photo.label, *photo.also) for photo in held]
        sets = figure_sets(held, self.given.photos[0], self.given.start)
        figures = {name: photo_bundle.figures_of(held, answers, which) for name, which in sets.items()}
        lying = next(iter(sets))
        for name, spoil in (("in a quarter of the light", dark), ("with the left third hidden", part_hidden)):
            spoiled = photo_bundle.probabilities(naming, np.stack([spoil(view) for view in views]))
            figures[f"{lying}, {name}"] = photo_bundle.figures_of(held, spoiled, sets[lying])
        return choose_rule(answers, truths), figures


def main() -> None:
    """Train, then write the bundle and its IRs."""
    given = arguments()
    training = Training(given)
    if given.only:
        (training.naming if given.only == "naming" else training.finding)()
        return
    made = training.bundle()
    done = build(made.path, made.path, int8=True, photos=given.photos, scenes=given.scenes, on_stage=print)
    print(*done.conversion.parity, done.quantization, *done.finder, sep="\n")
    rooms = photo_folders.scan(given.rooms).photos if given.rooms else ()
    print(with_rule(done.bundle, training.parts, rooms).path)


def arguments() -> argparse.Namespace:
    """The command line's."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--scenes", type=Path, action="append", required=True)
    parser.add_argument("--more-scenes", type=Path, action="append", default=[], help="scenes that mark_worn.py marked")
    parser.add_argument("--fold", type=int, choices=range(splits.FOLDS), default=0, help="the fifth that is held out")
    parser.add_argument("--only", choices=("naming", "finder"), help="train this network and stop")
    parser.add_argument("--start", default=IMAGENET, help="a photo network's bundle, or imagenet")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    parser.add_argument("--fashion-images", type=int, default=32)
    parser.add_argument("--finder-steps", type=int, default=FinetuneOptions().finder_steps)
    parser.add_argument("--data", action="append", default=[], help="a set of pictures and its licence, for the card")
    parser.add_argument("--rooms", type=Path, help="pictures of No garment that no training has seen, for the rule")
    parser.add_argument("--note", help="how the kept networks came about, where it was not by this script alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
