"""Where bundles are looked up by their names, and how one is named on a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgefashion.bundles.current import model_dir_of, place_of
from edgefashion.errors import BadInputError
from edgefashion.system.text import quoted

DEFAULT_MODEL: Final = "edge"
"""The shipped model for Fashion-MNIST's images: ``convert``, ``bench`` and ``evaluate``."""

PHOTO_MODEL: Final = "kiosk"
"""The shipped model for real pictures: ``camera``, ``predict``, ``tag``, ``serve`` and ``evaluate --photos``."""


def model_dirs() -> list[Path]:
    """Where a bundle's name is looked up: ``./models``, then the ones shipped with the package."""
    package = Path(__file__).parents[1]
    shipped = package / "models"
    if not shipped.is_dir() and (package.parent / "pyproject.toml").is_file():
        shipped = package.parent / "models"  # an editable install: the checkout's own folder
    return [Path("models"), shipped]


def shipped(name: str) -> str:
    """How to name a bundle that came with edgefashion on a command line: by its path where ``./models`` has one of its
    name."""
    return as_argument(model_dirs()[-1] / name)


def as_argument(bundle: Path) -> str:
    """How to name the bundle at ``bundle`` on a command line, so that this one is found and no other of its name.

    Its name where that is enough, else its path; quoted for a shell where it has to be.
    """
    bundle = _of_model(bundle)
    named = next((found for folder in model_dirs() if (found := folder / bundle.name).is_dir()), None)
    if named is not None and named.absolute() == bundle.absolute() and not bundle.name.startswith("-"):
        return quoted(bundle.name)
    if len(bundle.parts) > 1:
        return quoted(bundle)
    # A path of one word is looked up as a name first, also behind "./".
    return quoted(f"./{bundle}" if named is None else bundle.absolute())


def _of_model(bundle: Path) -> Path:
    """The folder of a model whose revision in force lies at ``bundle``; any other ``bundle`` as it is."""
    model_dir = model_dir_of(bundle)
    try:
        in_force = model_dir is not None and place_of(model_dir).absolute() == bundle.absolute()
    except (BadInputError, OSError):
        return bundle
    return model_dir if in_force and model_dir is not None else bundle
