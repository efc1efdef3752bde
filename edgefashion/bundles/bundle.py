"""The model bundle: a folder with a network in every form, its facts, and a hash of each file.

The only code that knows a file name under ``models/``. A bundle is written to a temporary folder
beside its place and renamed, so a crash leaves the old bundle or the new one; a file is checked
against the manifest before anything parses it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from types import MappingProxyType
from typing import Any, Final

from edgefashion.bundles.current import KEPT_BESIDE, model_dir_of
from edgefashion.bundles.facts import Facts
from edgefashion.bundles.places import as_argument
from edgefashion.bundles.swap import restore_interrupted
from edgefashion.errors import BadInputError
from edgefashion.system.files import sha256

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
        "finder_keras": ("finder.keras",),
        "finder_fp16": ("finder_fp16.xml", "finder_fp16.bin"),
        "finder_int8": ("finder_int8.xml", "finder_int8.bin"),
        "embedded": ("embedded.xml", "embedded.bin"),
        "reference": ("reference.npz",),
        "history": ("history.csv",),
        "curves": ("curves.png",),
        "reliability": ("reliability.png",),
        "risk_coverage": ("risk_coverage.png",),
        "report": ("report.json",),
        "card": ("MODEL_CARD.md",),
        "taught": ("taught.npz",),
        "pinned": ("pinned.npz",),
    }
)

FINDER_FILES: Final = frozenset(name for part in ("finder_fp16", "finder_int8") for name in PARTS[part])
"""The files of a finder's IRs, which answer no probabilities."""

_LONGEST_NAME_BYTES: Final = 255
"""Of a file in a bundle, its folders included; asked about a longer one, file systems raise an error of their own."""

RT_INFO: Final = "edgefashion"
"""The section of an IR's rt_info that holds our own facts, as JSON."""

PRECISIONS: Final = ("fp32", "fp16", "bf16", "int8")
"""What a network may be asked to compute in. BF16 has no IR of its own: it is a way to run the FP32 one."""

IR_PRECISIONS: Final = ("int8", "fp32", "fp16")
"""The IRs a bundle may hold, the preferred one first."""


class ReplacedError(BadInputError):
    """Another bundle was put in the place of one that is being read."""


@dataclass(frozen=True)
class Bundle:
    """A bundle on disk, its facts read and its format checked."""

    path: Path
    facts: Facts
    files: Mapping[str, str]
    """The manifest: every other file of the bundle, as a path with ``/``, and its SHA-256 in hex."""
    sha256: str = ""
    """Of ``bundle.json``, in hex: it stands for all of the bundle, whose files' hashes are in there."""

    @property
    def name(self) -> str:
        return self.facts.name

    @property
    def labels(self) -> tuple[str, ...]:
        return self.facts.labels

    @property
    def takes_photos(self) -> bool:
        """True for a photo network: RGB pictures as they are, not garments cut out in grey."""
        return self.facts.takes_photos

    @property
    def accept_threshold(self) -> float:
        """The confidence from which an answer counts; chosen on validation images."""
        return float(self.facts.thresholds.accept)

    def test_accuracy(self, form: str) -> float | None:
        """Share of the 10,000 test images that ``form`` (``original``, ``fp32``, ``int8``, ...) names right, 0 to 1;
        None where it was not measured."""
        return self.facts.test_accuracy(form)

    def has(self, part: str) -> bool:
        """True if the manifest lists ``part`` (``"fp32"``, ``"saved_model"``, ...)."""
        return bool(self.files_of(part))

    def verified(self, part: str) -> Path:
        """The path of ``part``, every byte of it checked against the manifest.

        Raises :class:`BadInputError` if the bundle has no such part, or if a file of it is
        missing, altered, or not in the manifest at all.
        """
        if not self.has(part):
            raise BadInputError(f"{self.path} has no {part}. {self.how_to_make(part)}")
        self._check(PARTS[part])
        return self.path / PARTS[part][0]

    def verify_all(self) -> None:
        """Check every file of the manifest; raises :class:`BadInputError` at the first bad one."""
        self._check(self.files)

    def _check(self, names: Iterable[str]) -> None:
        try:
            for name in names:
                self._check_one(name)
        except BadInputError as error:
            if self._is_as_opened():
                raise
            raise ReplacedError(f"{self.path} was replaced while it was read. Run it again") from error

    def _is_as_opened(self) -> bool:
        try:
            return not self.sha256 or sha256(self.path / INFO) == self.sha256
        except OSError:
            return False

    def _check_one(self, name: str) -> None:
        listed = {f: h for f, h in self.files.items() if f == name or f.startswith(f"{name}/")}
        target = self.path / name
        if target.is_dir():
            # A link to a folder counts as a file: what lies behind it is in no manifest.
            found = (p for p in target.rglob("*") if p.is_symlink() or not p.is_dir())
            extra = {p.relative_to(self.path).as_posix() for p in found} - set(listed)
            if extra:
                raise BadInputError(
                    f"{self.path / min(extra)} is not in {INFO}'s manifest. Remove it, or {_restore(self.path)}"
                )
        if not listed:
            raise BadInputError(f"{target} is not in {INFO}'s manifest. Not loaded; {_restore(self.path)}")
        for file, digest in listed.items():
            path = self.path / file
            if not path.is_file():
                raise BadInputError(f"{path} is missing. Its bundle lists it: {_restore(self.path)}")
            if sha256(path) != digest:
                raise BadInputError(
                    f"{path} was altered: its SHA-256 is not the bundle's. Not loaded; {_restore(self.path)}"
                )

    def how_to_make(self, part: str) -> str:
        """The hint of an error: what to do where this bundle has no ``part``."""
        if part not in _MADE_BY:
            return "Train it again"
        photos = " --photos DIR" if part == "int8" and self.takes_photos else ""
        return f"Run: edgefashion convert {as_argument(self.path)}{_MADE_BY[part]}{photos}"

    def size_bytes(self, part: str) -> int:
        """Bytes on disk of ``part``."""
        paths = [self.path / name for name in PARTS[part]]
        return sum(f.stat().st_size for p in paths for f in ([p] if p.is_file() else p.rglob("*")) if f.is_file())

    def sha256_of(self, part: str) -> str:
        """One hash, in hex, for all that the manifest lists of ``part``."""
        named = (f"{f} {h}\n" for f, h in self.files.items() if f in PARTS[part])
        return hashlib.sha256("".join(sorted(named)).encode()).hexdigest()

    def files_of(self, part: str) -> list[str]:
        """What the manifest lists of ``part``, as paths in the bundle."""
        return [f for name in PARTS[part] for f in self.files if f == name or f.startswith(f"{name}/")]

    def ir_files(self) -> list[Path]:
        """What another machine needs to load its IRs: bundle.json, and all of their files that the manifest lists."""
        return [self.path / name for name in (INFO, *self.files) if name == INFO or name.endswith((".xml", ".bin"))]

    def report(self) -> dict[str, Any]:
        """What training, conversion and quantization measured, by stage."""
        return report_of(self.verified("report"), self.path)


def report_of(path: Path, bundle: Path) -> dict[str, Any]:
    """What the report at ``path`` says, by stage. Raises :class:`BadInputError`, which names ``bundle``, for a file
    that is none."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(told, dict) or not all(isinstance(stage, dict) for stage in told.values()):
            raise ValueError("it is no table of what each stage measured")
    except (OSError, ValueError, RecursionError) as error:
        raise BadInputError(f"{bundle / path.name} cannot be read ({error}); {_restore(bundle)}") from error
    return told


_MADE_BY: Final = {
    "fp32": "",
    "fp16": "",
    "int8": " --int8",
    "embedded": " --embed 640x480",
}
"""Part of a bundle -> what makes it: the flags of ``edgefashion convert``."""


def _restore(path: Path) -> str:
    return f"restore the bundle from its source, or run `edgefashion convert {as_argument(path)}` or `train` again"


def open_bundle(path: Path) -> Bundle:
    """Read a bundle's facts. Raises :class:`BadInputError` if they are unreadable or too new."""
    try:
        raw = _info_of(path)
        info = json.loads(raw.decode("utf-8"))
        if missing := {"format", "files"} - set(info):
            raise ValueError(f"no {', '.join(sorted(missing))}")
        if info["format"] > FORMAT:
            raise BadInputError(
                f"{path} was made by a newer edgefashion (format {info['format']}). Upgrade edgefashion"
            )
        facts, model_dir = Facts.from_json(info), model_dir_of(path)
        if model_dir is not None:  # the revisions of a model are all called like it
            facts = facts._replace(name=model_dir.absolute().name)
        return Bundle(path, facts, manifest_of(info["files"]), hashlib.sha256(raw).hexdigest())
    except FileNotFoundError as error:
        raise BadInputError(f"{path} is no bundle: it has no {INFO}. Name a bundle, or train one") from error
    except (OSError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise BadInputError(f"{path / INFO} cannot be read ({error}); {_restore(path)}") from error


def _info_of(path: Path) -> bytes:
    restore_interrupted(path, INFO)
    try:
        return (path / INFO).read_bytes()
    except FileNotFoundError:  # for an instant, where a new bundle is put in the place of an old one?
        restore_interrupted(path, INFO)
        return (path / INFO).read_bytes()


def manifest_of(files: Any) -> Mapping[str, str]:
    """``files`` of bundle.json. Raises ValueError unless it is a table of paths inside the bundle."""
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        raise ValueError("files is no table of names and hashes")
    for name in files:
        # By the rules of Windows, which know the other systems' separator and root too.
        path = PureWindowsPath(name)
        if path.anchor or ".." in path.parts:
            raise ValueError(f"{name} points outside the bundle")
        # Else a bundle could name another one, inside it, as the one in force.
        if path.parts and path.parts[0].rstrip(". ").casefold() in KEPT_BESIDE:
            raise ValueError(f"{name} is what a model's revisions are kept in, and no file of a bundle")
        if len(os.fsencode(name)) > _LONGEST_NAME_BYTES:
            raise ValueError("files has a name that no file can have")
    return MappingProxyType(files)
