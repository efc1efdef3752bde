"""Could a service run with this configuration? Looked at before it is installed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from edgefashion.bundles import places, resolve
from edgefashion.camera.service import systemd_unit
from edgefashion.camera.service.systemd_unit import NAME
from edgefashion.camera.sources.schemes import is_device, is_stream, resolved
from edgefashion.errors import BadInputError
from edgefashion.system.addresses import shown
from edgefashion.system.text import is_url

if TYPE_CHECKING:
    from edgefashion.camera.service.systemd_unit import ServiceOptions


def check_configuration(options: ServiceOptions, root: Path | None = None) -> None:
    """Raise :class:`BadInputError` for a configuration that no service could run with: a window without a screen,
    a folder it may not write to, a model or a source that it would not find.

    ``root``: the system below this folder is meant, and its files.
    """
    systemd_unit.check_screen(options)
    systemd_unit.check_folders(options)
    for key in ("model", "models", "fallback"):
        value = options.values.get(key) or ()
        for model in (value,) if isinstance(value, str) else value:
            _check_model(key, model, options, root)
    _check_source(options, root)


def _check_model(key: str, model: str, options: ServiceOptions, root: Path | None) -> None:
    if is_url(model) or model in (places.DEFAULT_MODEL, places.PHOTO_MODEL, "none"):
        return
    path = _found(key, model, options, root, Path("models") / model)
    if root is None:
        try:
            resolve.resolve(path)
        except BadInputError as error:
            raise BadInputError(f"{options.config}: {key}: {error}") from error


def _check_source(options: ServiceOptions, root: Path | None) -> None:
    source = resolved(str(options.values.get("source", "0")))
    if not is_device(source) and not is_stream(source):
        _found("source", source, options, root)


def _found(key: str, value: str, options: ServiceOptions, root: Path | None, *also: Path) -> Path:
    """The file or folder that ``value`` names for a service, which runs in a folder of its own."""
    home = _state_folder(options.user)
    for path in (Path(value), *also):
        there = home / path  # an absolute path stays what it is
        there = there if root is None else root / there.relative_to("/")
        if there.exists():
            return there
    if Path(value).is_absolute():
        raise BadInputError(f"{options.config}: {key}: {shown(value)} does not exist. Check the path")
    raise BadInputError(
        f"{options.config}: {key}: the service runs in {home}, and there is no {shown(value)} there. Give its full path"
    )


def _state_folder(user: bool) -> Path:
    if user:
        return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / NAME
    return Path("/var/lib") / NAME
