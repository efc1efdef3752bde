"""Tables of the photo network `kiosk` with its finder, on held-out pictures: `garments.json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from doc_parts.results import Results, share, table

BEFORE: Final = "before"
NOW: Final = "kiosk int8"


def _at(found: Any, path: str) -> Any:
    for name in path.split("/"):
        found = found[name]
    return found


_LINES: Final = (
    ("photos lying or hanging, strict labels", "photos/strict"),
    ("the same, an arguable label counted as right", "photos/defensible"),
    ("of them accepted", "photos/accepted"),
    ("worn garments of street photos, cut out by their true box", "scenes:box_accuracy"),
    ("whole street photos: garments found (overlap of half)", "scenes:found"),
    ("whole street photos: garments found, named right and accepted", "scenes:accepted_recall"),
    ("whole street photos: accepted names that are right", "scenes:accepted_precision"),
    ("studio photos of worn garments: the main garment", "studio_single/strict"),
    ("two garments side by side: both accepted and right", "pairs_both_accepted"),
    ("a photo held before people or a room: accepted and right", "held_accepted"),
    ("shelves, and goods in a hand: nothing accepted", "empty/grocery"),
    ("bare hands: nothing accepted", "empty/hand"),
    ("rooms, landscapes and rendered hands of other places: nothing accepted", "rooms/all"),
    ("heads of the people in street photos, cut out: nothing accepted", "faces"),
    ("everything accepted, over all of these: right", "accepted_right"),
    ("photos lying or hanging in a quarter of the light, strict labels", "photos_dark/strict"),
    ("the same in full light with the left third hidden", "photos_part_hidden/strict"),
    ("Fashion-MNIST's 10,000 test images", "fashion/arrays"),
    ("the first 1,000 of them as PNG files", "fashion/pngs"),
)
"""What each row is, and where its share is found; after a colon a field of `evaluate --scenes`."""


_TRAINED_ON: Final = "photos/"
"""The network before was trained on all photos, those of this table among them: what it makes of them tells nothing."""


def _share(found: Any, path: str, name: str) -> str:
    if name == BEFORE and path.startswith(_TRAINED_ON):
        return "trained on them"
    if path.partition("/")[0].partition(":")[0] not in found:
        return "not measured"
    scenes, _, field = path.partition(":")
    if field:
        value, ci95 = found[scenes][field], found[scenes].get(f"{field}_ci95")
    else:
        of = _at(found, path)
        value, ci95 = of["share"], of.get("ci95")
    return f"{share(value)} ({100 * ci95[0]:.0f} to {100 * ci95[1]:.0f})" if ci95 else share(value)


def lines(results: Results) -> str:
    """Every line, the network before beside the one that ships, with 95 % intervals."""
    found = results.json("garments.json")
    others = [name for name in found if name not in (BEFORE, NOW)]
    rows = [(text, *(_share(found[name], path, name) for name in (BEFORE, NOW, *others))) for text, path in _LINES]
    rows.append(
        ("mean AP50 over the labels", *(f"{found[name]['scenes']['ap50']:.2f}" for name in (BEFORE, NOW, *others)))
    )
    aurocs = (f"{found[name]['photos']['reject_auroc']:.3f}" for name in (NOW, *others))
    rows.append(("AUROC, known garments against Unknown", "trained on them", *aurocs))
    return table(("on pictures held out", "the network before", "`kiosk`, INT8", *others), rows)


def labels(results: Results) -> str:
    """Each label of the shipped network: lying, worn by its true box, and found in whole street photos."""
    found = results.json("garments.json")[NOW]
    lying, worn = found["photos"]["per_label"], found["scenes"]["per_label"]
    rows = []
    for label, of in worn.items():
        photo = lying.get("T-shirt" if label == "T-shirt/top" else label)
        shown = "-" if photo is None else f"{share(photo['share'], 0)} of {photo['n']}"
        found_right = f"{share(of['accepted_recall'], 0)}"
        rows.append((label, shown, f"{share(of['box_accuracy'], 0)} of {of['n']}", f"{of['ap50']:.2f}", found_right))
    return table(
        ("label", "lying or hanging", "worn, by its true box", "AP50 in street photos", "found, right, accepted"), rows
    )


def folds(results: Results) -> str:
    """The photo network fold by fold: what each fold's network makes of what was held out from it."""
    found = results.json("garment_folds.json")
    alone, taught = found["alone"], found["with a teacher"]
    first = next(iter(alone.values()))
    sets = [name for name, of in first.items() if "strict" in of]
    lying = sets[0]
    rows = []

    def row(said: str, path: str) -> None:
        per_fold, with_teacher = ([_at(fold, path) for fold in recipe.values()] for recipe in (alone, taught))
        n = sum(of["n"] for of in per_fold)
        pooled = sum(of["share"] * of["n"] for of in per_fold) / n
        rows.append((said, f"{n:,}", share(pooled), *(share(of["share"]) for of in (*per_fold, *with_teacher))))

    for name in sets:
        row(f"{name}, strict", f"{name}/strict")
        row(f"{name}, an arguable label counted as right", f"{name}/defensible")
    for label in first[lying]["per_label"]:
        row(f"{lying}: {label}", f"{lying}/per_label/{label}")
    row("empty, called so", "empty, called so")
    aurocs = [fold[lying]["reject_auroc"] for fold in (*alone.values(), *taught.values())]
    mean = f"{sum(aurocs[: len(alone)]) / len(alone):.3f} (mean)"
    rows.append((f"{lying}: AUROC against Unknown", "-", mean, *(f"{auroc:.3f}" for auroc in aurocs)))
    return table(("held out", "garments", "named right", *alone, *(f"{fold}, a teacher" for fold in taught)), rows)


def ladder(results: Results) -> str:
    """What each source of pictures, and the teacher, is worth to the photo network."""
    found = results.json("garments_ladder.json")
    sets = ("photos, lying or hanging", "studio, lying", "studio, worn", "street, worn", "no garment")
    rows = [(rung, f"{of['steps']:,}", *(f"{of[name]:.1f} %" for name in sets)) for rung, of in found.items()]
    return table(("learned from", "steps", *sets), rows)


def shop(results: Results) -> str:
    """Teaching a shop's labels, by how many photos teach each."""
    found = results.json("shop.json")
    names = {
        "new right": "new labels, named right (nothing rejected)",
        "new named right": "the same, and told",
        "old right, before": "the other labels, right, before",
        "old right": "the other labels, right, after",
        "old named right, before": "the other labels, told and right, before",
        "old named right": "the other labels, told and right, after",
        "unknown not named, before": "Unknown, not named, before",
        "unknown not named": "Unknown, not named, after",
        "pinned renamed": "pictures that travel in `kiosk`, given a new name that may be right",
        "pinned done right, before": "pictures that travel in `kiosk`, done right, before (the renamed left out)",
        "pinned done right": "pictures that travel in `kiosk`, done right, after (the renamed left out)",
    }
    taught = [f"{row['mean']['taught a label']:.1f}" for row in found["rows"]]
    rows = [("photos that there were to teach a label, in the mean", *taught)]
    rows += [(told, *(f"{100 * row['mean'][name]:.1f} %" for row in found["rows"])) for name, told in names.items()]
    counts = [f"{row['photos a label']} photos a label" for row in found["rows"]]
    return table((f"{', '.join(found['labels'])}", *counts), rows)


def shop_time(results: Results) -> str:
    """How long a teaching takes."""
    found = results.json("shop.json")
    seconds, view_ms = found["time"]["learning_s"] + found["time"]["comparing_s"], found["view_ms"]
    photos = found["time"]["photos"]
    rows = [
        (f"features of {photos} photos, four views each, once", f"{photos * 4 * view_ms / 1000:.0f} s"),
        (f"all trainings on {photos} photos, and the comparison", f"{seconds:.0f} s"),
    ]
    return table(("step", "time"), rows)


PARTS: Final[dict[str, Callable[[Results], str]]] = {
    "garments-lines": lines,
    "garments-labels": labels,
    "garments-folds": folds,
    "garments-ladder": ladder,
    "shop": shop,
    "shop-time": shop_time,
}
