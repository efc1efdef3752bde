"""A model repository that OpenVINO Model Server takes as it is: a JPEG in, an answer out.

    DIR/config.json                 the server's configuration, every model with its folder
    DIR/NAME/1/model.xml, .bin      the network with its preprocessing inside; 2, 3, ... are later exports
    DIR/NAME/1/labels.txt           its labels, one a line, in the order of the probabilities
    DIR/README.md                   how to start the server, what to send, what comes back
    DIR/inferenceservice.yaml       the same for KServe
    DIR/edgefashion.json            says that the folder is ours, and what the files above were when written

A version appears in one rename, so a server that watches the folder never loads half of one.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles import fields, resolve
from edgefashion.conversion.ovms.served_ir import Served, write_ir
from edgefashion.conversion.ovms.texts import inference_services, model_config, new_config, readme
from edgefashion.errors import BadInputError
from edgefashion.system.addresses import has_secret, shown
from edgefashion.system.files import sha256, sync

FORMAT: Final = 1
MARK: Final = "edgefashion.json"
CONFIG: Final = "config.json"
STORAGE: Final = "pvc://models"
"""Where KServe looks for the models' folders by default: a volume claim of that name."""

STALE_S: Final = 3600
"""Age from which a working folder was left by an export that was killed. An export takes seconds."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True)
class Contents:
    """What a repository says of itself before an export."""

    config: dict[str, Any]
    listed: frozenset[str] = frozenset()
    """The models that are in ``config``."""
    models: tuple[Served, ...] = ()
    files: Mapping[str, list[str]] = field(default_factory=dict)
    """SHA-256 of the files beside the models, as they were written."""
    storage: str = STORAGE


@dataclass(frozen=True)
class Version:
    """A version that was added."""

    served: Served
    number: int
    path: Path
    size_bytes: int


@dataclass(frozen=True)
class Export:
    """What :func:`export` did."""

    folder: Path
    versions: tuple[Version, ...]
    kept: tuple[str, ...]
    """Files beside the models that were edited since they were written, and left as they are."""


def export(
    models: Sequence[str | Path], folder: str | Path, *, precision: str | None = None, storage: str | None = None
) -> Export:
    """Write models into a repository that OpenVINO Model Server serves: a JPEG in, an answer out.

    In a repository made before, each model gets a version more, which a running server takes up; the others stay, and
    so do files that were edited. What takes room is written before anything that a server sees.

    Args:
        models: Names of bundles, or paths to bundles or IRs.
        folder: A new folder, an empty one, or a repository made before.
        precision: ``"int8"``, ``"fp32"`` or ``"fp16"``. None: each model's best.
        storage: The URI below which KServe finds the models' folders. None: the one given before, or
            ``pvc://models``.

    Returns:
        The versions that were added, with their sizes in bytes, and the names of the files that were left as they are.

    Raises:
        BadInputError: A folder of something else, one that cannot be written, or a model that cannot be served. Nothing
            has changed then.

    Example:
        >>> from edgefashion import export_ovms
        >>> done = export_ovms(["edge", "kiosk"], "served")
        >>> [(version.served.name, version.number) for version in done.versions]
        [('edge', 1), ('kiosk', 1)]
    """
    folder = Path(folder)
    if has_secret(storage):
        raise BadInputError(
            f"--storage {shown(storage or '')}: an account is no part of a manifest that many may read. "
            "Leave it out, and give KServe the account as a Secret of the cluster"
        )
    before = contents_of(folder)
    _check_names([resolve.resolve(model).name for model in models])  # before any folder is made
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _aside(folder) as work:
            served = [_write_version(model, precision, work / f"model-{n}") for n, model in enumerate(models)]
            if (folder / MARK).is_file():
                return _add(served, work, folder, before, storage)
            made = work / "made"
            for number, each in enumerate(served):
                (made / each.name).mkdir(parents=True)
                (work / f"model-{number}").replace(made / each.name / "1")
            texts, _ = _texts(folder, served, before, storage)
            for name, text in texts.items():
                _write(made / name, text)
            sync(made)
            if folder.exists():
                folder.rmdir()  # an empty one: not every system renames over it
            made.replace(folder)
            return Export(folder, tuple(_version(each, folder / each.name / "1") for each in served), ())
    except OSError as error:
        reason = error.strerror or error
        raise BadInputError(f"{folder} cannot be written: {reason}. Choose another folder, or make room") from error


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if not _NAME.fullmatch(name):
            raise BadInputError(f"a model served cannot be called {name!r}. Rename it: letters, digits, _, . and -")
    shared = {name for name in names if names.count(name) > 1}
    if shared:
        raise BadInputError(f"two models are called {min(shared)}, and a server knows them by name. Export one of them")


@contextlib.contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A temporary folder to work in: on the same disk, under a name that a server does not look at."""
    beside = folder if (folder / MARK).is_file() else folder.parent
    prefix = f".{folder.name}.new-"
    for left in beside.glob(f"{glob.escape(prefix)}*"):
        if time.time() - left.stat().st_mtime > STALE_S:
            shutil.rmtree(left, ignore_errors=True)  # left by an export that was killed
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=beside))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_version(model: str | Path, precision: str | None, to: Path) -> Served:
    to.mkdir()
    served = write_ir(model, precision, to / "model.xml")
    (to / "labels.txt").write_text("\n".join(served.labels) + "\n", encoding="utf-8")
    return served


def _add(served: Sequence[Served], work: Path, folder: Path, before: Contents, storage: str | None) -> Export:
    """Add the versions in ``work`` to a repository. All that takes room is written before anything a server sees."""
    texts, kept = _texts(folder, served, before, storage)
    for name, text in texts.items():
        _write(work / name, text)
    made = [work / f"model-{number}" for number in range(len(served))]
    for number, each in enumerate(served):
        sync(made[number])
        if not (folder / each.name).exists():
            first = work / f"first-{number}" / "1"
            first.parent.mkdir()
            made[number] = made[number].replace(first)
    versions = [
        _version(each, _publish(version, folder / each.name)) for each, version in zip(served, made, strict=True)
    ]
    for name in texts:
        (work / name).replace(folder / name)
    return Export(folder, tuple(versions), kept)


def _publish(made: Path, model: Path) -> Path:
    """Make ``made`` the newest version in the folder ``model``, which the first version creates."""
    if made.name == "1" and not model.exists():
        try:
            made.parent.rename(model)
            return model / made.name
        except OSError:
            if not model.exists():
                raise
            # Another export has made the folder in the meantime.
    while True:
        target = model / str(_newest(model) + 1)
        try:
            made.rename(target)
        except OSError:
            if not target.exists():
                raise
            continue  # another export has taken the number
        return target


def _version(served: Served, path: Path) -> Version:
    size = sum(file.stat().st_size for file in path.iterdir())
    return Version(served, int(path.name), path, size)


def _newest(model: Path) -> int:
    """The number of a model's newest version; 0 without any."""
    return max(
        (int(path.name) for path in (model.iterdir() if model.exists() else ()) if re.fullmatch("[0-9]+", path.name)),
        default=0,
    )


def _texts(
    folder: Path, served: Sequence[Served], before: Contents, storage: str | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """The files beside the models, once ``served`` are there, in the order in which they are to appear; and the names
    of those that were edited since they were written, and stay as they are."""
    storage = storage or before.storage
    added = {each.name for each in served}
    models = {e.name: e for e in (*before.models, *served) if e.name in added or (folder / e.name).is_dir()}
    newest = {name: _newest(folder / name) + (name in added) for name in models}
    texts = {
        "README.md": readme(tuple(models.values()), newest, folder),
        "inferenceservice.yaml": inference_services(tuple(models.values()), storage),
    }
    found = {name: sha256(folder / name) for name in texts if (folder / name).exists()}
    kept = tuple(name for name, digest in found.items() if digest not in before.files.get(name, ()))
    # The hash of the file that is there and of the one that replaces it: an export that is killed between the two
    # leaves a file that is known as unedited either way.
    files = {
        name: before.files.get(name, [])
        if name in kept
        else [*filter(None, [found.get(name)]), hashlib.sha256(text.encode()).hexdigest()]
        for name, text in texts.items()
    }
    facts = {"format": FORMAT, "storage": storage, "models": {n: asdict(m) for n, m in models.items()}, "files": files}
    made = {MARK: json.dumps(facts, indent=2) + "\n"}
    if missing := [each.name for each in served if each.name not in before.listed]:
        entries = [*before.config["model_config_list"], *map(model_config, missing)]
        made = {CONFIG: json.dumps({**before.config, "model_config_list": entries}, indent=2) + "\n", **made}
    return made | {name: text for name, text in texts.items() if name not in kept}, kept


def _write(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def contents_of(folder: Path) -> Contents:
    """What the repository ``folder`` says of itself.

    Raises :class:`BadInputError` unless it does not exist, is empty, or is a repository of ours.
    """
    if folder.name in {"", ".."}:
        raise BadInputError(f"{folder} cannot be made from inside. Change to the folder above and give its name")
    try:
        if not (folder / MARK).is_file():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise BadInputError(f"{folder} exists and is no repository of ours (no {MARK} in it). Give another")
            return Contents(new_config())
    except OSError as error:
        raise BadInputError(f"{folder} cannot be read: {error.strerror}. Give another folder") from error
    mark, config = _read(folder / MARK, "format"), _read(folder / CONFIG, "model_config_list")
    if mark["format"] != FORMAT:
        raise BadInputError(f"{folder} was made by a newer edgefashion. Upgrade edgefashion, or give another folder")
    try:
        files = fields.table("files", mark["files"])
        return Contents(
            config=config,
            listed=frozenset(fields.given_text(entry["config"], "name") for entry in _listed(config)),
            models=tuple(_known(facts) for facts in fields.table("models", mark["models"]).values()),
            files={name: list(fields.given_list(files, name, str, "hashes")) for name in files},
            storage=fields.given_text(mark, "storage"),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadInputError(
            f"{folder / MARK} or {CONFIG} is not as it was made. Mend it, or give another folder"
        ) from error


def _listed(config: dict[str, Any]) -> tuple[Any, ...]:
    """The models of a server's configuration, of which there may be none."""
    return fields.given_list(config, "model_config_list", dict, "tables") if config["model_config_list"] != [] else ()


def _known(told: Any) -> Served:
    """A model that a repository tells of. Raises ValueError and KeyError for one that is none."""
    served = Served.from_json(told)
    if not _NAME.fullmatch(served.name):
        raise ValueError(f"{served.name!r} is no model's name")
    return served


def _read(path: Path, key: str) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(facts, dict) or key not in facts:
            raise ValueError(f"no {key}")
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path} cannot be read ({error}). Mend it, or give another folder") from error
    return facts
