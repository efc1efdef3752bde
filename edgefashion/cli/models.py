"""`edgefashion models`: parse, call one function of :mod:`edgefashion.packs` or of the revisions, print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from edgefashion.bundles.probation import MINUTES, MOST_MINUTES
from edgefashion.cli.common import JsonOption, new_table, print_table
from edgefashion.errors import printable

if TYPE_CHECKING:
    from edgefashion.bundles.revisions import Revision
    from edgefashion.packs.compare import Difference
    from edgefashion.packs.install import Installed

models_app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="The models here and their revisions: look, install, go back, pass on.",
)

_VERDICT_CHARS = 40
_PROBATION = "  on probation for {} of a running camera"

ModelArgument = Annotated[str, typer.Argument(metavar="MODEL", help="A bundle's name, or its path.")]
KeepOption = Annotated[int, typer.Option(min=1, max=1000, help="How many revisions stay, beside the first one.")]


@models_app.command("list")
def list_models(json_: JsonOption = False) -> None:
    """List every known model: the revision in force, its accuracy, its age, its probation.

    Example: edgefashion models list
    """
    from edgefashion.packs.listing import models

    found = models()
    if json_:
        _print_json({"models": [each.as_json() for each in found]})
        return
    table = new_table("model", "revision", "hash", ">of", ">labels", ">accuracy", ">days old", "probation")
    for each in found:
        accuracy = "-" if each.accuracy is None else f"{each.accuracy:.1%}"
        numbers = (str(each.revisions), str(each.labels), accuracy, f"{each.age_days:.0f}")
        table.add_row(printable(each.model), each.revision, each.sha256[:12], *numbers, each.probation or "-")
    print_table(table)


@models_app.command("show")
def show(model: ModelArgument, json_: JsonOption = False) -> None:
    """Show a model's history: every revision, where it comes from, which one is in force.

    Example: edgefashion models show kiosk
    """
    from edgefashion.bundles import probation, revisions

    folder = revisions.folder(model)
    known, last = revisions.history(folder), probation.last(folder)
    if json_:
        told = {"model": folder.absolute().name, "path": str(folder), "revisions": [each.as_json() for each in known]}
        _print_json({**told, "probation": last.as_json() if last else None})
        return
    table = new_table("", "revision", "hash", "when", "who", "why", "verdict")
    for each in known:
        row = (each.id, each.sha256[:12], each.origin.when[:16].replace("T", " "), each.origin.who, _why(each))
        table.add_row(
            "*" if each.current else "", *map(printable, row), printable(_in_short(each.origin.verdict or ""))
        )
    print_table(table)
    if last:
        print(printable(f"probation of {last.revision}: {last.state}{f'; {last.why}' if last.why else ''}"))


@models_app.command("diff")
def diff(
    model: ModelArgument,
    old: Annotated[
        str | None, typer.Argument(help="A revision. Default: the one to go back to.", show_default=False)
    ] = None,
    new: Annotated[str | None, typer.Argument(help="Another. Default: the one in force.", show_default=False)] = None,
    json_: JsonOption = False,
) -> None:
    """Show what is other in one revision than in another: labels, thresholds, accuracy, data, sizes.

    Example: edgefashion models diff shop
    """
    from edgefashion.packs.compare import compare

    found = compare(model, old, new)
    if json_:
        _print_json(found.as_json())
    else:
        _print_difference(found)


@models_app.command("install")
def install(
    pack: Annotated[
        Path, typer.Argument(metavar="PACK", help="What `models export` wrote, or a bundle's folder or name.")
    ],
    name: Annotated[
        str | None, typer.Option(help="The model it becomes a revision of. Default: its own name.", show_default=False)
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option(
            help="A public key or an authority's certificate (PEM) that must have signed it. Default: "
            "require_signature of edgefashion.toml.",
            show_default=False,
        ),
    ] = None,
    require_signature: Annotated[
        bool, typer.Option("--require-signature", help="Refuse where there is no key to check the signature with.")
    ] = False,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Install a pack without pinned pictures, which cannot be tried.")
    ] = False,
    keep: KeepOption = 5,
    probation: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=MOST_MINUTES,
            metavar="MINUTES",
            help=f"How long a running camera compares it with the one before; 0: not at all. Default: {MINUTES}.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", help="An edgefashion.toml. Default: the one found here.", show_default=False),
    ] = None,
    json_: JsonOption = False,
) -> None:
    """Install a pack: signature, guard, its pinned pictures, and only then the switch. Exit code 1: it failed them.

    Example: edgefashion models install shop-0002-ab12cd34.edgepack --key shop.pub
    """
    from edgefashion.camera import settings, settings_file
    from edgefashion.packs.install import install as install_pack

    kept = settings.merge(settings_file.load(config), {})
    done = install_pack(
        pack,
        name=name,
        key=key or kept.require_signature,
        require_signature=require_signature,
        anyway=anyway,
        keep=keep,
        probation_minutes=kept.probation if probation is None else probation,
    )
    if done.signed and done.signed_by is None:
        print("The pack is signed, and nobody has checked by whom: give --key FILE", file=sys.stderr)
    if json_:
        _print_json(done.as_json())
    else:
        _print_installed(done)


@models_app.command("rollback")
def rollback(
    model: ModelArgument,
    to: Annotated[
        str | None,
        typer.Option(metavar="REVISION", help="Default: the one that was in force before.", show_default=False),
    ] = None,
    why: Annotated[str, typer.Option(help="What the history is to say.")] = "",
    json_: JsonOption = False,
) -> None:
    """Put an earlier revision in force again; what runs takes it up within seconds.

    Example: edgefashion models rollback shop
    """
    from edgefashion.bundles import probation, revisions

    folder = revisions.folder(model)
    was, now = revisions.rollback(folder, why, to)
    if json_:
        _print_json({"model": model, "previous": was.id, "revision": now.id, "sha256": now.sha256})
    else:
        print(printable(f"{model}: {now.id} ({now.sha256[:12]}) is in force; {was.id} is kept"))
        on = probation.running(folder)
        if on is not None and on.revision == now.id:
            print(_PROBATION.format(_minutes(on.seconds)))


@models_app.command("export")
def export(
    model: ModelArgument,
    out: Annotated[
        Path | None,
        typer.Option(help="The pack (.edgepack), or a folder for it. Default: here.", show_default=False),
    ] = None,
    revision: Annotated[str | None, typer.Option(help="Default: the one in force.", show_default=False)] = None,
    json_: JsonOption = False,
) -> None:
    """Write a revision as a pack: one file that other machines install.

    Example: edgefashion models export kiosk
    """
    from edgefashion.packs.export import export as export_pack

    written = export_pack(model, out, revision=revision)
    size_bytes = written.stat().st_size
    if json_:
        _print_json({"model": model, "pack": str(written), "size_bytes": size_bytes})
    else:
        print(printable(f"{written}: {size_bytes / 1e6:.1f} MB"))


@models_app.command("prune")
def prune(model: ModelArgument, keep: KeepOption = 5, json_: JsonOption = False) -> None:
    """Remove old revisions; the one in force and the one to go back to stay.

    Example: edgefashion models prune shop --keep 3
    """
    from edgefashion.bundles import revisions

    gone = [each.id for each in revisions.prune(revisions.folder(model), keep)]
    if json_:
        _print_json({"model": model, "removed": gone})
    else:
        print(printable(f"{model}: {', '.join(gone)} removed" if gone else f"{model}: nothing to remove"))


@models_app.command("sign")
def sign(
    pack: Annotated[Path, typer.Argument(metavar="PACK", help="What `models export` wrote.")],
    key: Annotated[Path, typer.Option(help="The private key (PEM; curve P-256, P-384 or P-521).")],
    certificate: Annotated[
        Path | None, typer.Option(help="The key's certificate (PEM), with an authority.", show_default=False)
    ] = None,
    chain: Annotated[
        list[Path] | None,
        typer.Option(help="A certificate between it and the authority's; repeatable.", show_default=False),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="The signed pack. Default: PACK itself.", show_default=False)] = None,
    json_: JsonOption = False,
) -> None:
    """Sign a pack in the OpenSSF Model Signing format.

    Example: edgefashion models sign shop-0002-ab12cd34.edgepack --key key.pem
    """
    from edgefashion.packs import signature

    signed = signature.sign(pack, key, certificate=certificate, chain=chain or (), out=out)
    if json_:
        _print_json({"pack": str(signed), "signed": True})
    else:
        print(printable(f"{signed}: signed"))


# --- Printing --------------------------------------------------------------------------------


def _print_json(told: dict[str, Any]) -> None:
    print(json.dumps(told, indent=2))


def _in_short(verdict: str) -> str:
    """Its first sentence, as far as a table has room; ``--json`` tells all of it."""
    first = verdict.partition(". ")[0].partition(": ")[0]
    return first if len(first) <= _VERDICT_CHARS else f"{first[: _VERDICT_CHARS - 3].rstrip()}..."


def _why(of: Revision) -> str:
    return f"{of.origin.why}; taken back: {of.origin.taken_back}" if of.origin.taken_back else of.origin.why


def _print_installed(done: Installed) -> None:
    now = done.revision
    if done.was_there:
        print(printable(f"{done.model}: {now.id} ({now.sha256[:12]}) was here already, and is in force"))
    else:
        print(printable(f"{done.model}: {now.id} ({now.sha256[:12]}) is in force"))
    if done.tried:
        tried = done.tried
        print(f"  its {tried.pictures} pinned pictures: {tried.accuracy:.1%} right, {tried.agreement:.1%} as its maker")
    if done.signed_by:
        print(f"  signed, checked with the key {done.signed_by[:12]}")
    if done.probation_s:
        print(_PROBATION.format(_minutes(done.probation_s)))
    if done.previous and done.previous != now.id:
        print(printable(f"  back to {done.previous}: edgefashion models rollback {done.model}"))
    if done.removed:
        print(f"  removed: {', '.join(done.removed)}")


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:g} minute{'s' * (seconds != 60)}"


def _print_difference(found: Difference) -> None:
    print(printable(f"{found.model}: {found.old} -> {found.new}"))
    for what, labels in (("labels added", found.labels_added), ("labels removed", found.labels_removed)):
        if labels:
            print(printable(f"{what}: {', '.join(labels)}"))
    told = {name: pair for name, pair in found.thresholds.items() if any(isinstance(value, str) for value in pair)}
    table = new_table("", f">{found.old}", f">{found.new}")
    table.add_row("accuracy", *map(_share, found.accuracy))
    for label, pair in found.per_label.items():
        table.add_row(printable(f"  {label}"), *map(_share, pair))
    for name, pair in found.thresholds.items():
        if name not in told:
            table.add_row(printable(name), *(_short(value) for value in pair))
    table.add_row("data", *(_short(value)[:12] for value in found.data_sha256))
    table.add_row("size, MB", *(f"{value / 1e6:.1f}" for value in found.size_bytes))
    for part, pair in found.parts.items():
        table.add_row(f"  {part}", *("-" if value is None else f"{value / 1e6:.1f}" for value in pair))
    print_table(table)
    for name, pair in told.items():  # a sentence is too long for a column
        for revision, value in zip((found.old, found.new), pair, strict=True):
            print(printable(f"{name.replace('_', ' ')}, {revision}: {_short(value)}"))
    if not found.same_pictures and None not in found.measured_on:
        old, new = found.measured_on
        print(printable(f"accuracy: before of {old}; after of {new}. These are other pictures: do not compare the two"))


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.1%}"


def _short(value: Any) -> str:
    return "-" if value is None else printable(value)
