"""Which revision of a model is in force: the file ``current`` in the model's folder names it.

A model's folder may be a bundle and nothing else, as ``train`` and ``convert`` write it. Once a second revision is put
in force it keeps a history::

    models/shop/current                   the name of the revision in force, one line
    models/shop/bundle.json, ...          the first one, where it always was; ``current`` calls it "."
    models/shop/revisions/0002-ab12cd34/  a whole bundle
    models/shop/revisions/0002-ab12cd34.json  where it comes from
    models/shop/previous                  which were in force before, one on each line, the latest last

What changes revisions is in :mod:`edgefashion.bundles.revisions`. Every start reads this file, so nothing else is here.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from edgefashion.errors import BadInputError

CURRENT: Final = "current"
PREVIOUS: Final = "previous"
REVISIONS: Final = "revisions"
KEPT_BESIDE: Final = frozenset({CURRENT, PREVIOUS, REVISIONS, "probation.json"})
"""What a model's folder holds beside its bundle: no file of a bundle may be called so, or lie in a folder so called."""
PLAIN: Final = "."
"""What the bundle in the model's own folder is called."""

_ID: Final = re.compile(r"[0-9]{4,9}-[0-9a-f]{8}")
_LONGEST: Final = 100


def is_id(text: str) -> bool:
    """True if a revision may be called so: no path, and a name on every system."""
    return text == PLAIN or _ID.fullmatch(text) is not None


def keeps_history(model_dir: Path) -> bool:
    """True if one of several revisions is in force in this folder."""
    return (model_dir / CURRENT).is_file() and (model_dir / REVISIONS).is_dir()


def has_revisions(model_dir: Path) -> bool:
    """True if there is a revision beside the bundle in the folder itself, in force or not."""
    return keeps_history(model_dir) or any((model_dir / REVISIONS).glob("*.json"))


def current_id(model_dir: Path) -> str:
    """The revision in force; :data:`PLAIN` without a history. Raises :class:`BadInputError` for a file that names
    none."""
    if not keeps_history(model_dir):
        return PLAIN
    with (model_dir / CURRENT).open("rb") as file:
        said = file.read(_LONGEST).decode("utf-8", "replace").strip()
    if not is_id(said):
        raise BadInputError(
            f"{model_dir / CURRENT} names no revision. Put one in force again: edgefashion models rollback "
            f"{model_dir.name} --to REVISION"
        )
    return said


def place_of(model_dir: Path, revision: str | None = None) -> Path:
    """Where the bundle of a revision lies, by default of the one in force; the folder itself without a history."""
    revision = current_id(model_dir) if revision is None else revision
    return model_dir if revision == PLAIN else model_dir / REVISIONS / revision


def model_dir_of(bundle_dir: Path) -> Path | None:
    """The folder of the model that the bundle at ``bundle_dir`` is a revision of; None where it has no history."""
    whole = bundle_dir.absolute()
    if whole.parent.name == REVISIONS and is_id(whole.name):
        # As the caller writes it: a relative path stays one.
        return bundle_dir.parent.parent if len(bundle_dir.parts) > 2 else whole.parent.parent
    return bundle_dir if keeps_history(bundle_dir) else None


def folder_of(bundle_dir: Path) -> Path:
    """The folder whose name is the model's: a bundle's own, or that of the model it is a revision of."""
    return model_dir_of(bundle_dir) or bundle_dir
