"""The model bundle: a folder with a network in every form, its facts, and a hash of each file.

The only code that knows a file name under ``models/``. A bundle is written to a temporary folder
beside its place and renamed, so a crash leaves the old bundle or the new one; a file is checked
against the manifest before anything parses it.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from types import MappingProxyType
from typing import Any, Final

from edgefashion.errors import BadInputError, without_password
from edgefashion.inference.remote import address

FORMAT: Final = 1
INFO: Final = "bundle.json"

# What a stage asks for -> the file or folder that holds it, and what travels with it.
PARTS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "saved_model": ("saved_model",),
        "keras": ("model.keras",),
        "onnx": ("model.onnx",),
        "tflite": ("model.tflite",),
        "fp32": ("fp32.xml", "fp32.bin"),
        "fp16": ("fp16.xml", "fp16.bin"),
        "int8": ("int8.xml", "int8.bin"),
        "embedded": ("embedded.xml", "embedded.bin"),
        "reference": ("reference.npz",),
        "history": ("history.csv",),
        "curves": ("curves.png",),
        "report": ("report.json",),
        "card": ("MODEL_CARD.md",),
    }
)
FOREIGN: Final = ("onnx", "tflite")
"""Kinds of model files that are made elsewhere."""

IR_PRECISIONS: Final = ("int8", "fp32", "fp16")
"""The IRs a bundle may hold, the preferred one first."""

DEFAULT_MODEL: Final = "edge"
PHOTO_MODEL: Final = "kiosk"
"""The shipped model for real pictures: ``camera``, ``predict`` and ``evaluate --photos``."""


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, its facts read and its format checked."""

    path: Path
    info: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.info["name"])

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.info["labels"])

    @property
    def accept_threshold(self) -> float:
        """The confidence from which an answer counts; chosen on validation images."""
        return float(self.info["thresholds"]["accept"])

    def has(self, part: str) -> bool:
        """True if the manifest lists ``part`` (``"fp32"``, ``"saved_model"``, ...)."""
        return any(f == name or f.startswith(f"{name}/") for name in PARTS[part] for f in self.info["files"])

    def verified(self, part: str) -> Path:
        """The path of ``part``, every byte of it checked against the manifest.

        Raises :class:`BadInputError` if the bundle has no such part, or if a file of it is
        missing, altered, or not in the manifest at all.
        """
        if not self.has(part):
            raise BadInputError(f"{self.path} has no {part}. {_HOW_TO_MAKE.get(part, 'Train it again')}")
        for name in PARTS[part]:
            self._check(name)
        return self.path / PARTS[part][0]

    def verify_all(self) -> None:
        """Check every file of the manifest; raises :class:`BadInputError` at the first bad one."""
        for name in self.info["files"]:
            self._check(name)

    def _check(self, name: str) -> None:
        listed = {f: h for f, h in self.info["files"].items() if f == name or f.startswith(f"{name}/")}
        target = self.path / name
        if target.is_dir():
            # A link to a folder counts as a file: what lies behind it is in no manifest.
            found = (p for p in target.rglob("*") if p.is_symlink() or not p.is_dir())
            extra = {p.relative_to(self.path).as_posix() for p in found} - set(listed)
            if extra:
                raise BadInputError(f"{self.path / min(extra)} is not in {INFO}'s manifest. Remove it, or {_RESTORE}")
        if not listed:
            raise BadInputError(f"{target} is not in {INFO}'s manifest. Not loaded; {_RESTORE}")
        for file, digest in listed.items():
            path = self.path / file
            if not path.is_file():
                raise BadInputError(f"{path} is missing. Its bundle lists it: {_RESTORE}")
            if sha256(path) != digest:
                raise BadInputError(f"{path} was altered: its SHA-256 is not the bundle's. Not loaded; {_RESTORE}")

    def size_bytes(self, part: str) -> int:
        """Bytes on disk of ``part``."""
        paths = [self.path / name for name in PARTS[part]]
        return sum(f.stat().st_size for p in paths for f in ([p] if p.is_file() else p.rglob("*")) if f.is_file())

    def report(self) -> dict[str, Any]:
        """What training, conversion and quantization measured, by stage."""
        loaded: dict[str, Any] = json.loads(self.verified("report").read_text(encoding="utf-8"))
        return loaded


_RESTORE: Final = "restore the bundle from its source, or run `edgefashion convert` or `train` again"
_HOW_TO_MAKE: Final = {
    "fp32": "Run: edgefashion convert",
    "fp16": "Run: edgefashion convert",
    "int8": "Run: edgefashion convert --int8",
    "embedded": "Run: edgefashion convert --embed 640x480",
}


def open_bundle(path: Path) -> Bundle:
    """Read a bundle's facts. Raises :class:`BadInputError` if they are unreadable or too new."""
    _restore_interrupted_swap(path)
    try:
        info = json.loads((path / INFO).read_text(encoding="utf-8"))
        missing = {"format", "name", "labels", "input_shape", "thresholds", "files"} - set(info)
        if missing:
            raise ValueError(f"no {', '.join(sorted(missing))}")
        if info["format"] > FORMAT:
            raise BadInputError(
                f"{path} was made by a newer edgefashion (format {info['format']}). Upgrade edgefashion"
            )
        _check_facts(info)
    except FileNotFoundError as error:
        raise BadInputError(f"{path} is no bundle: it has no {INFO}. Name a bundle, or train one") from error
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadInputError(f"{path / INFO} cannot be read ({error}); {_RESTORE}") from error
    return Bundle(path, MappingProxyType(info))


def _check_facts(info: Mapping[str, Any]) -> None:
    """Raise ValueError unless what :class:`Bundle` relies on is there and of the right kind."""
    labels, files, thresholds = info["labels"], info["files"], info["thresholds"]
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError("labels is no list of names")
    if not isinstance(thresholds, dict) or not isinstance(thresholds.get("accept"), int | float):
        raise ValueError("thresholds has no number for accept")
    if not isinstance(files, dict):
        raise ValueError("files is no table of names and hashes")
    for name in files:
        # By the rules of Windows, which know the other systems' separator and root too.
        path = PureWindowsPath(name)
        if path.anchor or ".." in path.parts:
            raise ValueError(f"{name} points outside the bundle")


# --- MODEL on a command line -----------------------------------------------------------------


@dataclass(frozen=True)
class Model:
    """What a MODEL argument turned out to be: ``kind`` is bundle, saved_model, keras, onnx, tflite or ir."""

    kind: str
    path: Path
    bundle: Bundle | None = None

    @property
    def name(self) -> str:
        if self.bundle is not None:
            return self.bundle.name
        # `models/mine/saved_model` is called "mine": the last folder's name says nothing.
        generic = self.path.stem in {"saved_model", "model"}
        return self.path.absolute().parent.name if generic else self.path.stem


def model_dirs() -> list[Path]:
    """Where a bundle's name is looked up: ``./models``, then the ones shipped with the package."""
    package = Path(__file__).parents[1]
    shipped = package / "models"
    if not shipped.is_dir() and (package.parent / "pyproject.toml").is_file():
        shipped = package.parent / "models"  # an editable install: the checkout's own folder
    return [Path("models"), shipped]


def is_shipped(path: Path) -> bool:
    """True if ``path``, links followed, lies in a bundle that came with the package itself."""
    real = path.resolve()
    return any((model_dirs()[-1] / name).resolve() in real.parents for name in (DEFAULT_MODEL, PHOTO_MODEL))


def resolve(model: str | Path) -> Model:
    """Find what MODEL names: a bundle's name, or a path to a bundle, SavedModel, .keras, .onnx, .tflite
    or .xml.

    A part of a bundle given by its own path is verified against that bundle's manifest. Raises
    :class:`BadInputError` for anything else, naming what is known.
    """
    if address.is_url(model):
        raise BadInputError(
            f"{without_password(str(model))} is served elsewhere: it can be asked, not read. "
            "Give a model of this machine"
        )
    try:
        return _resolve(Path(model))
    except OSError as error:
        raise BadInputError(f"{model} cannot be read: {error.strerror}. Check the path and its permissions") from error


def _resolve(path: Path) -> Model:
    if len(path.parts) == 1:
        for folder in model_dirs():
            _restore_interrupted_swap(folder / path)
            if (folder / path / INFO).is_file():
                return Model("bundle", folder / path, open_bundle(folder / path))
    _restore_interrupted_swap(path)
    if path.is_dir():
        if (path / INFO).is_file():
            return Model("bundle", path, open_bundle(path))
        if (path / "saved_model.pb").is_file():
            return Model("saved_model", path, _verified_owner(path))
        raise BadInputError(f"{path} is neither a bundle ({INFO}) nor a SavedModel (saved_model.pb). Give one of them")
    if path.suffix in {".h5", ".hdf5"}:
        raise BadInputError(
            f"{path}: .h5 files can run code when loaded and are refused. Save it as .keras or SavedModel"
        )
    if path.suffix in {".keras", ".xml", ".onnx", ".tflite"}:
        if not path.is_file():
            raise BadInputError(f"{path} does not exist. Check the path")
        return _file(path)
    if path.exists():
        raise BadInputError(
            f"{path} is no model. Give a bundle, a SavedModel folder, a .keras, .onnx or .tflite file or an IR .xml"
        )
    names = ", ".join(b.path.name for b in known()) or "none"
    raise BadInputError(f"no model {str(path)!r}: not a path, and no bundle of that name. Known bundles: {names}")


def is_model(model: str | Path) -> bool:
    """True if :func:`resolve` would take ``model`` for a model, or it is a URL; nothing is read or verified."""
    if address.is_url(model):
        return True
    path = Path(model)
    by_name = len(path.parts) == 1 and any((folder / path / INFO).is_file() for folder in model_dirs())
    on_disk = path.is_dir() and any((path / name).is_file() for name in (INFO, "saved_model.pb"))
    return by_name or on_disk or path.suffix in {".keras", ".xml", ".onnx", ".tflite", ".h5", ".hdf5"}


def known() -> list[Bundle]:
    """Every bundle in ``./models`` and those shipped; an unreadable one is left out."""
    found: dict[str, Bundle] = {}
    # Folder by folder, as resolve() looks: of two bundles of one name the first found counts.
    for info in (info for folder in model_dirs() for info in sorted(folder.glob(f"[!.]*/{INFO}"))):
        with contextlib.suppress(BadInputError):
            found.setdefault(info.parent.name, open_bundle(info.parent))
    return list(found.values())


def _file(path: Path) -> Model:
    owner = _verified_owner(path)
    if path.suffix != ".xml":
        return Model(path.suffix[1:], path, owner)
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise BadInputError(f"{weights} is missing: an IR is an .xml and a .bin of the same name. Convert it again")
    return Model("ir", path, owner)


def _verified_owner(path: Path) -> Bundle | None:
    """The bundle ``path`` lies in, if any, once ``path`` is checked against its manifest."""
    path = path.absolute()  # "." has neither a name nor a parent
    if not (path.parent / INFO).is_file():
        return None
    owner = open_bundle(path.parent)
    part = next((part for part, names in PARTS.items() if names[0] == path.name), None)
    if part is None:
        raise BadInputError(f"{path} is not in its bundle's manifest. Move it out of the bundle to use it as it is")
    owner.verified(part)
    return owner


# --- Writing ---------------------------------------------------------------------------------


@dataclass
class Draft:
    """A bundle being made: fill ``path`` with files and ``info`` with facts."""

    path: Path
    info: dict[str, Any]

    def part(self, name: str) -> Path:
        """Where ``name`` (``"fp32"``, ``"history"``, ...) is to be written."""
        return self.path / PARTS[name][0]

    def drop(self, part: str) -> None:
        """Remove ``part``, if it is there."""
        for name in PARTS[part]:
            target = self.path / name
            if target.is_dir():
                shutil.rmtree(target)
            else:
                target.unlink(missing_ok=True)

    def drop_embedded(self) -> None:
        """Remove the IR with embedded preprocessing and what was measured of it: the IR it was made of has
        changed."""
        self.drop("embedded")
        path = self.part("report")
        report = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if report.pop("embed", None):
            path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")

    def add_report(self, stage: str, facts: Mapping[str, Any]) -> None:
        """Put ``facts`` under ``stage`` in the bundle's report."""
        path = self.part("report")
        report = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        report[stage] = dict(facts)
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def check_target(target: Path) -> None:
    """Raise :class:`BadInputError` if ``target`` is something a bundle must not replace."""
    if target.name in {"", ".."}:
        raise BadInputError(f"{target} cannot be replaced from inside. Change to the folder above and give its name")
    try:
        if target.exists() and not (target / INFO).is_file() and (target.is_file() or any(target.iterdir())):
            raise BadInputError(f"{target} exists and is no bundle. Choose another --out")
    except OSError as error:
        raise BadInputError(f"{target} cannot be written: {error.strerror}. Choose another --out") from error


@contextlib.contextmanager
def draft(target: Path, base: Bundle | None = None) -> Iterator[Draft]:
    """Make the bundle ``target``, starting from a verified copy of ``base`` if given.

    On leaving the block the manifest is written and the folder takes its place; if the block
    raises, nothing of it remains and an older bundle at ``target`` is untouched. Raises
    :class:`BadInputError` if ``target`` cannot be written or is a folder of something else.
    """
    check_target(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.new-", dir=target.parent))
    except OSError as error:
        raise BadInputError(f"{target} cannot be written: {error.strerror}. Choose another --out") from error
    try:
        work.chmod(0o755)  # mkdtemp's 0700 is for secrets
        info: dict[str, Any] = {}
        if base is not None:
            base.verify_all()
            for name in base.info["files"]:
                copy = work / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(base.path / name, copy)
            info = json.loads(json.dumps(dict(base.info)))
        making = Draft(work, info)
        yield making
        files = sorted(p.relative_to(work).as_posix() for p in work.rglob("*") if p.is_file() and p != work / INFO)
        info = {"format": FORMAT, **making.info, "files": {f: sha256(work / f) for f in files}}
        (work / INFO).write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")
        sync(work)
        _swap(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


def _swap(new: Path, target: Path) -> None:
    """Put ``new`` at ``target``. Two renames: a crash between them is undone by the next open."""
    previous = _previous(target)
    if target.exists():
        shutil.rmtree(previous, ignore_errors=True)
        target.replace(previous)
    new.replace(target)
    shutil.rmtree(previous, ignore_errors=True)


def _restore_interrupted_swap(target: Path) -> None:
    previous = _previous(target) if target.name else target
    if not target.exists() and (previous / INFO).is_file():
        with contextlib.suppress(OSError):
            previous.replace(target)


def sync(folder: Path) -> None:
    """Flush a folder's files to the disk, so that the rename never outruns the bytes."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb+") as file:
                os.fsync(file.fileno())


def sha256(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_sha256(source: Path) -> str:
    """SHA-256, in hex, of all the files that a network is read from: an IR's two, one file, or all of a folder."""
    if source.is_dir():
        files = {file.relative_to(source).as_posix(): file for file in sorted(source.rglob("*")) if file.is_file()}
    else:
        together = [source, source.with_suffix(".bin")] if source.suffix == ".xml" else [source]
        files = {file.suffix: file for file in together if file.is_file()}
    known = hashlib.sha256()
    for name, file in files.items():
        known.update(f"{sha256(file)} {name}\n".encode("utf-8", "surrogateescape"))
    return known.hexdigest()


def checkpoints_dir(target: Path) -> Path:
    """Where a training run that will become ``target`` keeps its checkpoints."""
    return target.with_name(f".{target.name}.training")


# --- The model card --------------------------------------------------------------------------


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
