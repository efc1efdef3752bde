"""How much of a photo folder each way of reading photos gets right, and what a camera's frame costs.

    python benchmarks/networks/photos.py ladder DIR     every rung, five folds by sender, as a Markdown table
    python benchmarks/networks/photos.py folds DIR      train the photo network on each fold (two hours and more)
    python benchmarks/networks/photos.py sum-up DIR     the figures of the folds already trained
    python benchmarks/networks/photos.py worst DIR      their surest mistakes, as results/worst.jpg
    python benchmarks/networks/photos.py int8 DIR       what INT8 costs on the held-out senders
    python benchmarks/networks/photos.py none DIR --empty DIR    how often an empty scene is called so, level by level
    python benchmarks/networks/photos.py frame          one 1280x720 frame to its answer, under instruction-set caps

DIR is a photo folder: a sub-folder a label, files named SENDER-anything.jpg. ``ladder`` takes the last
rung from what ``folds`` left in benchmarks/networks/results/photos.json.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from photo_frame import frame
from photo_results import ANSWERS, FOLDS, RESULTS, folds_of, keep, kept_answers
from photo_ways import grabcut, linear_probe, measure, padded, plain_background, seeds_way

from edgefashion.data import images, photo_folders
from edgefashion.evaluation.metrics import auroc
from edgefashion.evaluation.photos import PhotoEvaluation, seen_as
from edgefashion.evaluation.plots import worst_photos
from edgefashion.inference import decision, preprocess
from edgefashion.inference.load import load
from edgefashion.labels import NO_GARMENT, PHOTO_LABELS, UNKNOWN, groups
from edgefashion.training import photo_augment


def folds(folder: Path, numbers: list[int], options: dict[str, int], leave: str | None) -> None:
    """Train on the photos of four folds, answer those of the fifth; each fold's answers are kept, and
    summed up once all are there. ``leave``: a kind that is not trained on either, and answered too."""
    from edgefashion.training import photo_bundle, photo_fit
    from edgefashion.training.options import FinetuneOptions

    found = list(photo_folders.scan(folder).photos)
    fold = folds_of(found)
    for number in numbers:
        away = (fold == number) | np.array([leave is not None and p.kind == leave for p in found])
        trained = photo_fit.train(
            [p for p, out in zip(found, away, strict=True) if not out],
            FinetuneOptions(**options),
            [],
            on_epoch=lambda row: print(row, flush=True),
        )
        at = np.flatnonzero(away)
        views = np.stack([preprocess.view(images.read_image(found[i].path)) for i in at])
        answers = photo_bundle.probabilities(trained.model, views)
        ANSWERS.mkdir(parents=True, exist_ok=True)
        trained.model.save(ANSWERS / f"fold{number}.keras")
        np.savez_compressed(ANSWERS / f"fold{number}.npz", at=at, answers=answers, leave=leave or "")
        own = fold[at] == number
        print(number, summary([found[i] for i in at[own]], fold[at[own]], answers[own]), flush=True)
    sum_up(folder)


def sum_up(folder: Path) -> None:
    """Store the figures of the folds there are."""
    found = list(photo_folders.scan(folder).photos)
    fold = folds_of(found)
    probabilities, there = np.zeros((len(found), len(PHOTO_LABELS)), np.float32), np.zeros(len(found), bool)
    left: dict[str, Any] = {}
    for number, at, answers, leave in kept_answers():
        own = fold[at] == number
        of_kind = np.array([found[i].kind == leave for i in at])
        if leave:
            score = decision.acceptance(answers, PHOTO_LABELS)
            known = own & np.array([found[i].known for i in at])
            left[leave] = {"auroc": auroc(list(score[known]), list(score[of_kind])), "n": int(of_kind.sum())}
        # A kind left out is no trained kind's photo: its answers are measured apart.
        probabilities[at[own & ~of_kind]], there[at[own & ~of_kind]] = answers[own & ~of_kind], True
    at = np.flatnonzero(there)
    some, answers, of_fold = [found[i] for i in at], probabilities[at], fold[at]
    known = np.array([p.known for p in some])
    facts = summary(some, of_fold, answers)
    threshold = decision.accept_threshold(answers[known], PHOTO_LABELS)
    figures = {
        "accept_threshold": threshold,
        "chosen_on": f"{int(known.sum()):,} photos of senders not trained on",
        "held_out_senders": {**facts, **acceptance(some, of_fold, answers), **by_look(some, answers)},
        "kinds_left_out": left,
        "confusion": confusion(some, answers),
    }
    keep({"kiosk": figures})
    print(json.dumps(figures, indent=1))


def acceptance(found: list[photo_folders.Photo], fold: Any, probabilities: Any) -> dict[str, float]:
    """Shares accepted, each fold at the threshold that the other folds' photos give."""
    known, unknown = np.array([p.known for p in found]), np.array([p.label == UNKNOWN for p in found])
    score, accepted = decision.acceptance(probabilities, PHOTO_LABELS), np.zeros(len(found), bool)
    for number in np.unique(fold):
        others = known & (fold != number) if len(np.unique(fold)) > 1 else known
        accepted[fold == number] = score[fold == number] >= decision.accept_threshold(
            probabilities[others], PHOTO_LABELS
        )
    return {"accepted_known": float(accepted[known].mean()), "accepted_unknown": float(accepted[unknown].mean())}


def confusion(found: list[photo_folders.Photo], probabilities: Any) -> dict[str, dict[str, int]]:
    """How often each label was answered with each, in its group's name."""
    group_of = {at: name for name, members in groups(PHOTO_LABELS).items() for at in members}
    table: dict[str, Counter[str]] = {}
    for photo, answer in zip(found, decision.best(probabilities, PHOTO_LABELS), strict=True):
        if photo.known:
            table.setdefault(photo.label, Counter())[group_of[int(answer)]] += 1
    return {label: dict(row.most_common()) for label, row in sorted(table.items())}


def by_look(found: list[photo_folders.Photo], probabilities: Any) -> dict[str, dict[str, float]]:
    """Accuracy by the garment's colour and by how bright its background is, both as GrabCut parts them."""
    import cv2

    hits: dict[str, dict[str, list[bool]]] = {"by_colour": {}, "by_background": {}}
    place = {photo.path: i for i, photo in enumerate(found)}
    answers = decision.best(probabilities, PHOTO_LABELS)
    for photo, picture in photo_folders.read([p for p in found if p.known], []):
        shrink = 400 / max(picture.shape[:2])
        small = np.asarray(cv2.resize(picture, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA), np.uint8)
        mask = cv2.resize(photo_augment.garment_mask(small), small.shape[1::-1]) > 127
        hsv = cv2.cvtColor(small, cv2.COLOR_BGR2HSV)
        if mask.mean() < 0.02 or mask.mean() > 0.95:
            continue
        value, saturation = np.median(hsv[mask][:, 2]), np.median(hsv[mask][:, 1])
        grey = "white or pale" if value > 185 else "grey"
        colour = "dark" if value < 80 else grey if saturation < 50 else "coloured"
        around = np.median(hsv[~mask][:, 2])
        background = "dark" if around < 100 else "bright" if around > 190 else "medium"
        at = place[photo.path]
        right = int(answers[at]) in photo_folders.members(photo.label)
        hits["by_colour"].setdefault(colour, []).append(right)
        hits["by_background"].setdefault(background, []).append(right)
    return {what: {look: float(np.mean(of)) for look, of in sorted(looks.items())} for what, looks in hits.items()}


def measured(found: list[photo_folders.Photo], probabilities: Any) -> PhotoEvaluation:
    """What ``probabilities`` (photos, 12) make of the photos, as ``evaluate --photos`` counts."""
    seen = tuple(seen_as(photo, p, PHOTO_LABELS) for photo, p in zip(found, probabilities, strict=True))
    return PhotoEvaluation("kiosk", "fp32", "held-out senders", 0.0, seen, ())


def summary(found: list[photo_folders.Photo], fold: Any, probabilities: Any) -> dict[str, Any]:
    """The figures of out-of-fold ``probabilities`` (photos, 12)."""
    every = measured(found, probabilities)
    of_fold = {
        int(n): measured([p for p, f in zip(found, fold, strict=True) if f == n], probabilities[fold == n])
        for n in np.unique(fold)
    }
    return {
        "n": len(every.known),
        "accuracy": every.accuracy,
        "reject_auroc": every.reject_auroc,
        "folds": list(of_fold),
        "per_fold": [one.accuracy for one in of_fold.values()],
        "auroc_per_fold": [one.reject_auroc for one in of_fold.values()],
        "per_label": every.per_label,
    }


def worst(folder: Path, sheet: Path) -> None:
    """A contact sheet of the surest mistakes on senders not trained on, from the folds' answers."""
    import cv2

    found = list(photo_folders.scan(folder).photos)
    fold, own, answered = folds_of(found), list[photo_folders.Photo](), list[Any]()
    for number, at, answers, _ in kept_answers():
        own += [found[i] for i in at if fold[i] == number]
        answered += list(answers[fold[at] == number])
    cv2.imwrite(str(sheet), worst_photos(measured(own, answered), 96))


def int8(folder: Path) -> None:
    """What INT8 costs on senders trained neither nor calibrated on: each fold's network in both precisions."""
    import tempfile

    from edgefashion.conversion import convert, quantize

    found = list(photo_folders.scan(folder).photos)
    fold, right = folds_of(found), {"fp32": list[bool](), "int8": list[bool]()}
    for file in sorted(ANSWERS.glob("fold?.keras")):
        number = int(file.stem[-1])
        with tempfile.TemporaryDirectory() as scratch:
            others = Path(scratch) / "others"
            for p, of in zip(found, fold, strict=True):
                if of != number:
                    link = others / p.path.relative_to(folder)
                    link.parent.mkdir(parents=True, exist_ok=True)
                    link.symlink_to(p.path.resolve())
            made = convert.convert(file, Path(scratch) / "fold").bundle
            made, _ = quantize.quantize(made, quantize.QuantizeOptions(0.05, 300), [others])
            for precision, hits in right.items():
                classifier = load(made.path, precision=precision)
                for photo, picture in photo_folders.read(
                    [p for p, f in zip(found, fold, strict=True) if f == number], []
                ):
                    if photo.known:
                        answer = decision.best(classifier(preprocess.view(picture)[None]), PHOTO_LABELS)[0]
                        hits.append(int(answer) in photo_folders.members(photo.label))
        print(number, {name: f"{np.mean(hits):.4f} of {len(hits)}" for name, hits in right.items()}, flush=True)
    keep({"int8": {name: float(np.mean(hits)) for name, hits in right.items()} | {"n": len(right["int8"])}})


def ladder(folder: Path) -> None:
    """Measure every rung and print the table."""
    found = [p for p in photo_folders.scan(folder).photos if p.label != NO_GARMENT]
    edge, fold = load("edge"), folds_of(found)
    ways = {
        "the seeds' way: grey, resize, invert": seeds_way,
        "padded to a square": padded,
        "our search on a plain background": plain_background,
        "GrabCut and Zalando's steps": grabcut,
    }
    rungs: dict[str, Any] = {}
    for name, way in ways.items():
        rungs[name] = measure(found, way, edge)
        print(name, rungs[name], file=sys.stderr, flush=True)
    rungs["Lite0 frozen, linear probe"] = linear_probe(found, fold)
    keep({"ladder": rungs})
    stored = json.loads(RESULTS.read_text(encoding="utf-8"))
    rows = [
        *rungs.items(),
        *([("Lite0 fine-tuned: kiosk", stored["kiosk"]["held_out_senders"])] if "kiosk" in stored else []),
    ]
    print("| way | photos right | AUROC | ms a photo |\n|---|---|---|---|")
    for name, rung in rows:
        ms = f"{rung['ms']:.1f}" if "ms" in rung else "-"
        print(f"| {name} | {rung['accuracy']:.1%} | {rung['reject_auroc']:.3f} | {ms} |")


# --- No garment ------------------------------------------------------------------------------

CHOOSE_PLACES = ("lobby", "sunset")
LEVELS = (0.2, 0.3, 0.4, 0.5, 0.6)


def none_level(folder: Path, empty: Path) -> None:
    """How often the shipped network says that no garment is in view, by the level it says so from: on two
    of the places of ``benchmarks/networks/no_garment.py``, to choose the level, and on the others, to measure it.
    Beside it, of garments photographed by senders not trained on, how many the folds' networks would lose."""
    classifier = load("kiosk")
    at = PHOTO_LABELS.index(NO_GARMENT)
    share: dict[bool, list[float]] = {True: [], False: []}
    for photo, picture in photo_folders.read(photo_folders.scan(empty).photos, []):
        share[photo.sender in CHOOSE_PLACES].append(float(classifier(preprocess.view(picture)[None])[0, at]))
    found, garments = list(photo_folders.scan(folder).photos), []
    for _, seen_at, answers, _ in kept_answers():
        garments += [float(p[at]) for i, p in zip(seen_at, answers, strict=True) if found[i].known]
    rows = {
        str(level): {
            "choose": float(np.mean(np.array(share[True]) > level)),
            "measure": float(np.mean(np.array(share[False]) > level)),
            "garments_lost": float(np.mean(np.array(garments) > level)),
        }
        for level in LEVELS
    }
    keep({"none_level": {"n_choose": len(share[True]), "n_measure": len(share[False]), "levels": rows}})
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("ladder", "folds", "sum-up", "worst", "int8", "none", "frame"))
    parser.add_argument("folder", type=Path, nargs="?", default=Path("photos"))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--fold", type=int, action="append", help="only this fold; may be given again")
    parser.add_argument("--leave", metavar="KIND", help="a kind of photos.csv to keep out of training and answer")
    parser.add_argument("--empty", type=Path, help="a photo folder with pictures of No garment only")
    parser.add_argument("--fashion-images", type=int, default=48)
    given = parser.parse_args()
    if given.what == "ladder":
        ladder(given.folder)
    elif given.what == "folds":
        options = {"epochs": given.epochs, "fashion_images": given.fashion_images}
        folds(given.folder, given.fold or list(range(FOLDS)), options, given.leave)
    elif given.what == "sum-up":
        sum_up(given.folder)
    elif given.what == "worst":
        worst(given.folder, RESULTS.with_name("worst.jpg"))
    elif given.what == "int8":
        int8(given.folder)
    elif given.what == "none":
        none_level(given.folder, given.empty)
    else:
        frame()
