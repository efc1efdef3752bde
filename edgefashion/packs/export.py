"""``edgefashion models export`` as a function: a revision as one file that other machines install."""

from __future__ import annotations

from pathlib import Path

from edgefashion.bundles import pack, revisions
from edgefashion.bundles.bundle import open_bundle
from edgefashion.bundles.current import current_id
from edgefashion.errors import BadInputError


def export(model: str | Path, out: Path | None = None, *, revision: str | None = None) -> Path:
    """Write a revision of a model as a pack, for :func:`edgefashion.install_pack` on other machines.

    Args:
        model: A bundle's name, or its path.
        out: The pack, or a folder for it. None: the current folder, under the model's name and the revision's.
        revision: Which one, by the beginning of its name. None: the one in force.

    Returns:
        The pack's path.

    Raises:
        BadInputError: No such model or revision, a file of it missing or altered, or a place that cannot be written.

    Example:
        >>> from edgefashion import export_pack
        >>> export_pack("edge").name[:9]
        'edge-0001'
    """
    folder = revisions.folder(model)
    found = revisions.find(folder, revision or current_id(folder))
    name = folder.absolute().name
    place = Path() if out is None else out
    if place.is_dir():
        place = place / pack.default_name(name, found)
    elif place.suffix != pack.SUFFIX:
        raise BadInputError(f"{place} is no folder and does not end in {pack.SUFFIX}. Give one or the other")
    pack.write(open_bundle(found.path), name, found, place)
    return place
