"""Tables of the photo network `kiosk` on photos."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from doc_parts.results import Results, share, table

CHOSEN_LEVEL: Final = "0.2"
"""The level of "no garment" that ships: ``NONE_LEVEL`` of the package."""


def right(results: Results) -> str:
    """How many photos are named right, and how many are accepted."""
    found = results.json("photos.json")
    held = found["kiosk"]["held_out_senders"]
    folds = ", ".join(share(fold) for fold in held["per_fold"])
    aurocs = ", ".join(f"{fold:.4f}" for fold in held["auroc_per_fold"])
    int8 = found["int8"]
    rows = [
        (f"named right, nothing rejected ({held['n']:,} photos)", share(held["accuracy"])),
        ("the same, fold by fold", folds),
        ("AUROC, known garments against Unknown (shorts, skirts, hats)", f"{held['reject_auroc']:.4f}"),
        ("the same, fold by fold", aurocs),
        *(
            (f"AUROC against a kind of garment never trained on: {kind} ({of['n']} photos)", f"{of['auroc']:.3f}")
            for kind, of in found["kiosk"]["kinds_left_out"].items()
        ),
        ("known garments accepted at the shipped threshold", share(held["accepted_known"])),
        ("Unknown accepted at the shipped threshold", share(held["accepted_unknown"])),
        (f"FP32, on {int8['n']:,} photos of senders neither trained nor calibrated on", share(int8["fp32"], 2)),
        ("INT8, on the same photos", share(int8["int8"], 2)),
    ]
    return table(("`kiosk` on photos of senders that it was not trained on", "result"), rows)


def labels(results: Results) -> str:
    """Each label: how many are right, and what the others are taken for."""
    kiosk = results.json("photos.json")["kiosk"]
    shares, confusion = kiosk["held_out_senders"]["per_label"], kiosk["confusion"]
    rows = []
    for label, answers in sorted(confusion.items(), key=lambda row: -shares[row[0]]):
        own = "T-shirt/top" if label == "T-shirt" else label
        wrong = {answer: count for answer, count in answers.items() if answer != own}
        most = max(wrong, key=lambda answer: wrong[answer])
        rows.append((label, f"{sum(answers.values()):,}", share(shares[label]), f"{most} ({wrong[most]})"))
    return table(("label", "photos", "named right", "most often taken for"), rows)


def empty(results: Results) -> str:
    """Pictures without a garment, level by level."""
    found = results.json("photos.json")["none_level"]
    rows = [
        (
            f"{level}{' (shipped)' if level == CHOSEN_LEVEL else ''}",
            share(of["choose"]),
            share(of["measure"]),
            share(of["garments_lost"]),
        )
        for level, of in found["levels"].items()
    ]
    header = (
        "level",
        f"called empty, of the {found['n_choose']} it is chosen on",
        f"called empty, of {found['n_measure']} others",
        "garments called empty",
    )
    return table(header, rows)


def frame(results: Results) -> str:
    """One frame of 1280x720 to its answer."""
    rows = [
        (cap, f"{of['finding']:.2f} ms", f"{of['one garment']:.2f} ms", f"{of['a person with four']:.2f} ms")
        for cap, of in results.json("photos.json")["frame_p50_ms"].items()
    ]
    return table(("instruction set", "finding alone", "a lone garment", "a person with four"), rows)


def ways(results: Results) -> str:
    """Simpler ways of reading a photo beside the network that ships."""
    found = results.json("photos.json")
    held = found["kiosk"]["held_out_senders"]
    shipped: dict[str, Any] = {
        **held,
        "ms": found["frame_p50_ms"]["uncapped"]["one garment"],
    }
    rows = [
        (
            _WAYS.get(name, name),
            share(of["accuracy"]),
            f"{of['reject_auroc']:.3f}",
            f"{of['ms']:.1f}" if "ms" in of else "-",
        )
        for name, of in {**found["ladder"], "kiosk": shipped}.items()
    ]
    return table(("way of reading a photo", "photos right", "AUROC", "ms a photo"), rows)


_WAYS: Final = {
    "the seeds' way: grey, resize, invert": "grey, resized to 28x28, inverted",
    "padded to a square": "the same, padded to a square first",
    "our search on a plain background": "the garment searched on a plain background, as `edge` is used",
    "GrabCut and Zalando's steps": "the garment cut out by GrabCut, then Zalando's steps",
    "Lite0 frozen, linear probe": "EfficientNet-Lite0 as it comes from ImageNet, one linear layer trained",
    "kiosk": "`kiosk`: EfficientNet-Lite0 fine-tuned (ms: of a 1280x720 frame)",
}
"""The result's names in words that say what was done."""

PARTS: Final[dict[str, Callable[[Results], str]]] = {
    "photos-right": right,
    "photos-labels": labels,
    "photos-empty": empty,
    "photos-frame": frame,
    "photos-ways": ways,
}
