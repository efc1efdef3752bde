"""``edgefashion tag`` as a function: an inventory to a table, with its page for review."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.errors import BadInputError
from edgefashion.inference.classifier import Classifier
from edgefashion.inference.load import load
from edgefashion.system.addresses import shown
from edgefashion.system.text import is_url
from edgefashion.tagging import run
from edgefashion.tagging.collecting import CollectOptions, check_network
from edgefashion.tagging.review import check_page, write_review
from edgefashion.tagging.run import Progress, Summary, TagOptions

ENGINES: Final = ("local", "ray")


def tag(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    model: str | Path | Classifier = PHOTO_MODEL,
    review: str | Path | None = None,
    workers: int | None = None,
    engine: str = "local",
    ray_address: str | None = None,
    single: bool = False,
    device: str | None = None,
    collect: CollectOptions | None = None,
    on_progress: Progress | None = None,
) -> Summary:
    """Name the garments in every picture of an inventory: one row a picture in a table.

    Run it again to go on: a picture that has its row is passed over. A picture that cannot be read gets a row that
    says why.

    Args:
        paths: Pictures, folders of them, globs, or URLs that fsspec opens (``"s3://shop/new"``).
        out: The table to write: ``.parquet``, ``.csv`` or ``.jsonl``.
        model: A MODEL, or a classifier, best loaded with the purpose ``"throughput"``.
        review: A page of thumbnails to write, the least certain first; a name ending in ``.html``.
        workers: Processes that decode. None: one a core.
        engine: ``"local"``, or ``"ray"`` for several machines.
        ray_address: A Ray cluster to join, with the engine ``"ray"``.
        single: Take each picture for one garment, and look for no others.
        device: What OpenVINO runs on, as :func:`edgefashion.load` takes it; not for a classifier or ``"ray"``.
        collect: Keep pictures of the garments the network is not sure of in a folder, to be looked through and taught.
        on_progress: Called with the pictures that have their row, how many there are (None while they are counted), and
            the pictures a second of this run.

    Returns:
        What the run did: ``pictures`` and ``errors`` are counts, ``seconds`` and the stages' ``..._s`` are seconds,
        ``rate`` is pictures a second.

    Raises:
        BadInputError: A path that leads to nothing, an option or a model that cannot be used, or an output that cannot
            be written.
        MissingError: A package that the table, a URL or Ray needs is not installed.

    Example:
        >>> from pathlib import Path
        >>> from edgefashion import tag
        >>> summary = tag(["photos/"], "tags.csv")
        >>> summary.pictures, summary.errors
        (4, 0)
        >>> Path("tags.csv").read_text(encoding="utf-8").splitlines()[0].split(",")[:3]
        ['path', 'label', 'confidence']
    """
    if engine not in ENGINES:
        raise BadInputError(f"no engine named {engine!r}. Known: {', '.join(ENGINES)}")
    if ray_address is not None and engine != "ray":
        raise BadInputError("--ray-address is for --engine ray. Add it, or leave the address out")
    if engine == "ray" and isinstance(model, str) and is_url(model):
        raise BadInputError(f"{shown(model)}: --engine ray runs the model itself. Name one of this machine")
    if device is not None and (engine == "ray" or isinstance(model, Classifier)):
        who = "Ray's workers run" if engine == "ray" else "a classifier runs"
        where = "on the CPUs that Ray counts" if engine == "ray" else "where it was loaded"
        raise BadInputError(f"{who} {where}. Leave --device out")
    places, out = [str(path) for path in paths], Path(out)
    if review is not None:
        check_page(Path(review), out)
    # Ray's actors load the model themselves, each for its own threads.
    purpose = "throughput" if engine == "local" else "latency"
    classifier = model if isinstance(model, Classifier) else load(model, purpose=purpose, device=device)
    if collect is not None:
        check_network(classifier, single=single, engine=engine)
    options = TagOptions(workers=workers, on_progress=on_progress, single=single, collect=collect)
    if engine == "ray":
        from edgefashion.tagging.ray_engine import tag_on_ray

        summary = tag_on_ray(classifier, places, out, options, ray_address)
    else:
        summary = run.tag(classifier, places, out, options)
    if review is not None:
        write_review(out, Path(review), given=places)
    return summary
