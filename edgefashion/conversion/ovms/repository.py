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
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from edgefashion.bundles import resolve
from edgefashion.conversion.ovms.served_ir import Served, write_ir
from edgefashion.conversion.ovms.standing import CONFIG, FORMAT, MARK, Standing, standing
from edgefashion.conversion.ovms.texts import inference_services, model_config, readme
from edgefashion.errors import BadInputError
from edgefashion.system.files import sha256, sync

STALE_S: Final = 3600
"""Age from which a folder in which an export worked is nobody's any more; one takes seconds."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


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
    models: Sequence[str | Path], folder: Path, *, precision: str | None = None, storage: str | None = None
) -> Export:
    """Write ``models`` into the repository ``folder``, which may be a new one, an empty one, or one made before.

    In one made before each model gets a version more, which a running server takes up; the others stay, and so do
    files that were edited. ``precision`` is int8, fp32 or fp16; without it each model's best. ``storage`` is the URI
    below which KServe finds the models' folders; without it the one given before, or ``pvc://models``. Raises
    :class:`BadInputError` for a folder of something else, one that cannot be written, or a model that cannot be
    served, and then nothing has changed: what takes
    room is written before anything that a server sees.
    """
    before = standing(folder)
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
    """A folder to work in on the same disk, out of a server's sight, gone afterwards."""
    beside = folder if (folder / MARK).is_file() else folder.parent
    prefix = f".{folder.name}.new-"
    for left in beside.glob(f"{glob.escape(prefix)}*"):
        if time.time() - left.stat().st_mtime > STALE_S:
            shutil.rmtree(left, ignore_errors=True)  # of an export that was killed
    work = Path(tempfile.mkdtemp(prefix=prefix, dir=beside))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _write_version(model: str | Path, precision: str | None, to: Path) -> Served:
    to.mkdir()
    try:
        served = write_ir(model, precision, to / "model.xml")
    except RuntimeError as error:
        # What OpenVINO makes of a disk without room.
        raise OSError(None, f"OpenVINO could not write the model ({error})") from error
    (to / "labels.txt").write_text("\n".join(served.labels) + "\n", encoding="utf-8")
    return served


def _add(served: Sequence[Served], work: Path, folder: Path, before: Standing, storage: str | None) -> Export:
    """Add the versions in ``work`` to a repository: all that takes room comes before anything a server sees."""
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
    """Make ``made`` the newest version below ``model``; as its first one it brings the folder with it."""
    if made.name == "1" and not model.exists():
        try:
            made.parent.rename(model)
            return model / made.name
        except OSError:
            if not model.exists():
                raise
            # Another export was quicker.
    while True:
        target = model / str(_newest(model) + 1)
        try:
            made.rename(target)
        except OSError:
            if not target.exists():
                raise
            continue  # another export was quicker
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
    folder: Path, served: Sequence[Served], before: Standing, storage: str | None
) -> tuple[dict[str, str], tuple[str, ...]]:
    """What is to lie beside the models once ``served`` are there, in the order in which it is to appear, and the
    names of what was edited since, and stays as it is."""
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
    # What is there and what will be: killed between the two, the file is still known for ours.
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
