"""The model card, written from a bundle's facts."""

from __future__ import annotations

from typing import Any, Final

from edgefashion.bundles.draft import Draft


def write_card(making: Draft) -> None:
    """Write the draft's model card from its facts, so that the two never disagree."""
    info = making.info
    rows = [f"| {form} | {100 * m['test_accuracy']:.2f} % |" for form, m in info["metrics"].items()]
    count = "unknown" if info["parameters"] is None else f"{info['parameters']:,}"
    share, seed = info["validation_split"], info["seed"]
    if share is None:
        trained_on = "not known: it came here trained"
    else:
        trained_on = f"Fashion-MNIST (Zalando, MIT), {share:.0%} of its training images held out"
        trained_on += "" if seed is None else f", seed {seed}"
    photos = info.get("photos")
    text = _CARD.format(
        **info,
        count=count,
        origin="our own" if info["source"] == "ours" else f"after {info['source']}",
        trained_on=trained_on + (_PHOTO_DATA if photos else ""),
        accuracy="\n".join(rows),
        agreement=_agreement(info["metrics"].get("int8", {}).get("agreement")),
        joined_labels=", ".join(info["labels"]),
        photo_figures=_photo_figures(photos) if photos else "",
        use=_PHOTO_USE if photos else _USE,
    )
    making.part("card").write_text(text, encoding="utf-8")


def _agreement(measured: dict[str, Any] | None) -> str:
    """INT8 beside the original, in a paragraph; empty where it was not measured."""
    if measured is None:
        return ""
    drops = measured["per_class_drop"]
    worst = max(drops, key=lambda label: drops[label])
    return _AGREEMENT.format(**measured, worst=worst, worst_drop=100 * drops[worst])


def _photo_figures(photos: dict[str, Any]) -> str:
    """What was measured on photos, as tables: a row a set of photos, a row a label, a row a kind."""
    lines = ["", "## On photos of senders it was not trained on", ""]
    lines += ["| photos | right | AUROC, known against Unknown |", "|---|---|---|"]
    for name, measured in photos.items():
        if "accuracy" in measured:
            auroc = measured.get("reject_auroc")
            shown = "-" if auroc is None else f"{auroc:.4f}"
            lines.append(f"| {name.replace('_', ' ')} | {measured['accuracy']:.2%} | {shown} |")
    for name, measured in photos.items():
        for what in ("per_label", "by_colour", "by_background"):
            if table := measured.get(what):
                lines += ["", f"| {name.replace('_', ' ')}, {what.replace('_', ' ')} | right |", "|---|---|"]
                lines += [f"| {key} | {share:.1%} |" for key, share in table.items()]
    return "\n".join([*lines, ""])


_CARD: Final = """\
# Model card: {name}

- **Network**: {architecture}, {count} parameters, {origin}.
- **Answers**: {joined_labels}.
- **Input**: {pixels}. Shape (n, {input_shape[0]}, {input_shape[1]}, {input_shape[2]}).
- **Trained on**: {trained_on}.
- **Accept threshold**: {thresholds[accept]} (chosen on {thresholds[chosen_on]}).

| form | accuracy, 10,000 test images |
|---|---|
{accuracy}
{agreement}{photo_figures}
## What it is good for, and what not

{use}
"""

_AGREEMENT: Final = """\

INT8 against {reference} on {n:,} test images: {top1_agreement:.2%} answered alike; {only_original_right} right
answers lost and {only_converted_right} gained (McNemar's exact test: p = {p_value:.2g}); a probability differs by
{mean_abs_difference:.4f} on average and by {max_abs_difference:.2f} at most; the class that loses most is {worst},
{worst_drop:.1f} points.
"""

_USE: Final = """\
It names one garment shown alone on a plain background, photographed like a catalogue picture. It
was not trained on photographs of people or rooms and is wrong about most of them; it has no class
for anything but the ten, and white garments are missing from its training images. Do not use it
to decide anything about a person."""

_PHOTO_DATA: Final = (
    ", and photos of clothes lying or hanging alone; begun from EfficientNet-Lite0's ImageNet weights "
    "(Google, Apache License 2.0, http://www.apache.org/licenses/LICENSE-2.0; modified by fine-tuning)"
)

_PHOTO_USE: Final = """\
It names one garment, lying or hanging, that fills most of the picture, on any background. Garments
that differ by little are its weak side: a zipped sweatshirt and a jacket, a long top and a short
dress, a shirt and a light coat. It was trained on no picture of a worn garment; what it says of
people is chance. Do not use it to decide anything about a person, and not to price or to accuse."""
