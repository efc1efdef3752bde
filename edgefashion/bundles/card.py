"""The model card, written from a bundle's facts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from edgefashion.bundles.draft import Draft
from edgefashion.bundles.facts import AGREEMENT, Facts, PhotoFigures, Thresholds


def write_card(making: Draft) -> None:
    """Write the draft's model card from its facts, so that the two never disagree."""
    facts = making.facts
    rows = ["| form | accuracy, 10,000 test images |", "|---|---|"] if facts.metrics else []
    rows += [
        f"| {form} | {'-' if of.test_accuracy is None else f'{100 * of.test_accuracy:.2f} %'} |"
        for form, of in facts.metrics.items()
    ]
    int8 = facts.metrics.get("int8")
    text = _CARD.format(
        name=facts.name,
        architecture=facts.architecture,
        count="unknown" if facts.parameters is None else f"{facts.parameters:,}",
        origin="our own" if facts.source == "ours" else f"after {facts.source}",
        joined_labels=", ".join(facts.labels),
        pixels=facts.pixels,
        shape=", ".join(str(edge) for edge in facts.input_shape),
        trained_on=_trained_on(facts) + (_photo_data(facts) if facts.photos else ""),
        taught=_TAUGHT if making.part("taught").is_file() else "",
        accepted=_accepted(facts.thresholds),
        accuracy="".join(f"\n{row}" for row in rows),
        agreement=_agreement(int8.agreement if int8 else None),
        photo_figures=_photo_figures(facts.photos) if facts.photos else "",
        use=_SCENE_USE if facts.finds else _PHOTO_USE if facts.photos else _USE,
    )
    making.part("card").write_text(text, encoding="utf-8")


def _trained_on(facts: Facts) -> str:
    """What is known of the network's training, as a phrase."""
    if facts.taught is not None:
        how = "whole network fine-tuned on them" if facts.taught.get("fine_tuned") else "last layer alone"
        told = f"photos of a shop's own, {facts.taught.get('photos', 'some')} of them ({how}); it began from"
        return f"{told} {facts.taught.get('start', 'another')}, which had learned from Fashion-MNIST (Zalando, MIT)"
    if facts.validation_split is None:
        return "not known: it came here trained"
    seed = "" if facts.seed is None else f", seed {facts.seed}"
    return f"Fashion-MNIST (Zalando, MIT), {facts.validation_split:.0%} of its training images held out{seed}"


def _photo_data(facts: Facts) -> str:
    """The photo network's other pictures, as a phrase or a list."""
    if facts.data is None:
        return _PHOTO_DATA
    return (
        _BEGUN
        + ", and on four fifths, by sender and group, of:"
        + "".join(f"\n  - {phrase};" for phrase in facts.data).rstrip(";")
    )


def _accepted(thresholds: Thresholds) -> str:
    """From where an answer counts, as a phrase."""
    floors = _floors("of its own name an answer needs besides", thresholds.floors)
    floors += _floors("where somebody wears the garment", thresholds.worn_floors)
    kinds = (
        f"; the kind of shoe is told from {thresholds.kind_floor:g} of the shoes' share"
        if (thresholds.kind_floor is not None)
        else ""
    )
    return f"{thresholds.accept} (chosen on {thresholds.chosen_on}){floors}{kinds}"


def _floors(what: str, floors: Mapping[str, float] | None) -> str:
    of_names = ", ".join(f"{name} {floor:g}" for name, floor in (floors or {}).items())
    return f"; {what}: {of_names}" if of_names else ""


def _agreement(measured: Mapping[str, Any] | None) -> str:
    """INT8 beside the original, in a paragraph; empty where it, or a part of it, was not measured."""
    drops = (measured or {}).get("per_class_drop")
    if measured is None or not drops or any(measured.get(name) is None for name in AGREEMENT):
        return ""
    worst = max(drops, key=lambda label: drops[label])
    return _AGREEMENT.format(**measured, worst=worst, worst_drop=100 * drops[worst])


def _photo_figures(photos: Mapping[str, PhotoFigures]) -> str:
    """What was measured on photos, as tables: a row a set of photos, a row a label, a row a kind."""
    lines = ["", "## On photos of senders it was not trained on", ""]
    lines += ["| photos | right | AUROC, known against Unknown |", "|---|---|---|"]
    for name, of in photos.items():
        if of.accuracy is not None:
            auroc = "-" if of.reject_auroc is None else f"{of.reject_auroc:.4f}"
            lines.append(f"| {name.replace('_', ' ')} | {of.accuracy:.2%} | {auroc} |")
    for name, of in photos.items():
        tables = {"per label": of.per_label, "by colour": of.by_colour, "by background": of.by_background}
        for what, table in tables.items():
            if table:
                lines += ["", f"| {name.replace('_', ' ')}, {what} | right |", "|---|---|"]
                lines += [f"| {key} | {share:.1%} |" for key, share in table.items()]
    return "\n".join([*lines, ""])


_CARD: Final = """\
# Model card: {name}

- **Network**: {architecture}, {count} parameters, {origin}.
- **Answers**: {joined_labels}.
- **Input**: {pixels}. Shape (n, {shape}).
- **Trained on**: {trained_on}.{taught}
- **Accept threshold**: {accepted}.
{accuracy}
{agreement}{photo_figures}
## What it is good for, and what not

{use}
"""

_TAUGHT: Final = """
- **taught.npz**: what the network makes of some of these pictures and of some held out, 1,280 numbers each with its
  label, so that `train shop` keeps what it knew. It holds no picture."""

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

_BEGUN: Final = (
    "; begun from EfficientNet-Lite0's ImageNet weights "
    "(Google, Apache License 2.0, http://www.apache.org/licenses/LICENSE-2.0; modified by fine-tuning)"
)

_PHOTO_DATA: Final = f", and photos of clothes lying or hanging alone{_BEGUN}"

_SCENE_USE: Final = """\
It names garments that lie, hang, are held up or worn; its finder tells where in a picture they are. Garments that
differ by little are its weak side: a zipped sweatshirt and a jacket, a long top and a short dress, a shirt and a light
coat, what is worn below an open coat, and whatever is far away, dark or half hidden. It was made to name garments. The
people in the photos it learned from were photographed by others. Do not use it to judge, count, recognise or follow
people, and not to price or to accuse."""

_PHOTO_USE: Final = """\
It names one garment, lying or hanging, that fills most of the picture, on any background. Garments
that differ by little are its weak side: a zipped sweatshirt and a jacket, a long top and a short
dress, a shirt and a light coat. It was trained on no picture of a worn garment; what it says of
people is chance. Do not use it to decide anything about a person, and not to price or to accuse."""
