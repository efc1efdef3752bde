"""A pack: one ZIP file that holds a bundle, ``pack.json`` and perhaps a signature, to be installed on other machines.

A pack comes from outside. Nothing in it is believed before it is checked: only what its bundle's manifest lists is
unpacked, under names that are plain on every system, no more bytes than are told, each file against its hash.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import re
import shutil
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

from edgefashion.bundles.bundle import FORMAT as BUNDLE_FORMAT
from edgefashion.bundles.bundle import INFO, Bundle, manifest_of
from edgefashion.bundles.current import PLAIN
from edgefashion.bundles.revisions import Origin, Revision, origin_of
from edgefashion.errors import BadInputError
from edgefashion.system.files import check_output, written_aside
from edgefashion.version import __version__

FORMAT: Final = 1
SUFFIX: Final = ".edgepack"
FACTS: Final = "pack.json"
SIGNATURE: Final = "model.sig"

MOST_FILES: Final = 2000
MOST_BYTES: Final = 4 * 2**30
"""Of everything in a pack, unpacked. Our largest has 24 MB."""
_MOST_JSON_BYTES: Final = 4 * 2**20
_CHUNK_BYTES: Final = 2**20
_SPARE_BYTES: Final = 8 * 2**20
"""Left free on the disk besides."""

_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. +-]{0,99}")
_DEVICES: Final = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_MODEL_NAME: Final = re.compile(r"\w[\w. +-]{0,63}")
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""A ZIP file's earliest time: the same revision gives the same bytes each time."""

_DAMAGED: Final = (OSError, EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError, LookupError)
"""What reading a damaged ZIP file raises, besides its own error."""

_AGAIN: Final = "Copy it again from where it was exported"


@dataclass(frozen=True)
class Pack:
    """What a pack says of itself."""

    model: str
    """The model's name where it was exported."""
    revision: str
    sha256: str
    """Of the bundle's ``bundle.json``, in hex."""
    origin: Origin
    signed: bool
    """Whether it has a signature; checked or not."""


def check_model_name(name: str) -> str:
    """``name``, as the name of a model's folder on any system. Raises :class:`BadInputError` for another."""
    if not _MODEL_NAME.fullmatch(name) or name != name.rstrip(". ") or _DEVICES.fullmatch(name):
        raise BadInputError(f"{name!r} is no name for a model on every system. Give letters, digits, - and _")
    return name


# --- Writing ---------------------------------------------------------------------------------


def default_name(model: str, revision: Revision) -> str:
    """What the pack of a revision is called: ``shop-0002-ab12cd34.edgepack``."""
    called = f"0001-{revision.sha256[:8]}" if revision.id == PLAIN else revision.id
    return f"{model}-{called}{SUFFIX}"


def write(of: Bundle, model: str, revision: Revision, out: Path) -> None:
    """Write the bundle ``of``, which is ``revision`` of ``model``, as the pack ``out``.

    Raises :class:`BadInputError` for a bundle with a file missing or altered, and where ``out`` cannot be written.
    """
    check_model_name(model)
    check_output(out, (SUFFIX,), "packs")
    of.verify_all()
    called = default_name(model, revision).removeprefix(f"{model}-").removesuffix(SUFFIX)
    facts = {
        "format": FORMAT,
        "edgefashion": __version__,
        "model": model,
        "revision": called,
        "sha256": of.sha256,
        # Not who made it, nor who took it back: that is nobody's business who is handed the pack.
        "origin": asdict(replace(revision.origin, who="", taken_back=None)),
    }
    with written_aside(out) as aside:
        with zipfile.ZipFile(aside, "x", zipfile.ZIP_DEFLATED) as file:
            file.writestr(_entry(FACTS), json.dumps(facts, indent=2) + "\n")
            for name in (INFO, *of.files):
                _add(file, name, of.path / name)
        _flush(aside)


def with_signature(pack: Path, signature: Path, out: Path) -> None:
    """Write ``pack`` with this signature, in the place of one that it has, as ``out``, which may be the same file."""
    with written_aside(out) as aside:
        with zipfile.ZipFile(pack) as old, zipfile.ZipFile(aside, "x", zipfile.ZIP_DEFLATED) as new:
            for info in old.infolist():
                if info.filename != SIGNATURE:
                    with old.open(info) as source, new.open(_entry(info.filename), "w", force_zip64=True) as target:
                        shutil.copyfileobj(source, target, _CHUNK_BYTES)
            new.writestr(_entry(SIGNATURE), signature.read_bytes())
        _flush(aside)


def _add(file: zipfile.ZipFile, name: str, path: Path) -> None:
    with path.open("rb") as source, file.open(_entry(name), "w", force_zip64=True) as target:
        shutil.copyfileobj(source, target, _CHUNK_BYTES)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, (stat.S_IFREG | 0o644) << 16
    entry.create_system = 3  # on Windows too: the same bytes everywhere
    return entry


def _flush(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


# --- Reading ---------------------------------------------------------------------------------


def unpack(pack: Path, into: Path) -> Pack:
    """Unpack into the new folder ``into``: the bundle's files, ``pack.json``, and ``model.sig`` where it is signed.

    Every file is checked against the bundle's manifest; the signature is not. Raises :class:`BadInputError`, one line,
    for whatever is no whole pack, OSError where the disk fails. What was unpacked by then is left there.
    """
    with _opened(pack) as file:
        entries = _entries(pack, file)
        facts = _facts(pack, file, entries)
        hashes = _hashes(pack, file, entries, facts)
        _check_room(pack, into, sum(entry.file_size for entry in entries.values()))
        into.mkdir(parents=True)
        for name, entry in entries.items():
            _unpack_one(pack, file, entry, into / name, hashes.get(name))
    return facts


def peek(pack: Path) -> Pack:
    """What a pack says of itself; nothing is unpacked. Raises :class:`BadInputError` for what is no pack."""
    with _opened(pack) as file:
        return _facts(pack, file, _entries(pack, file))


@contextlib.contextmanager
def _opened(pack: Path) -> Iterator[zipfile.ZipFile]:
    """The ZIP file; whatever its library finds wrong is one line."""
    if not pack.is_file():
        what = "is a folder without a bundle" if pack.is_dir() else "does not exist"
        raise BadInputError(f"{pack} {what}. Give what `edgefashion models export` has written")
    try:
        with zipfile.ZipFile(pack) as file:
            yield file
    except (*_DAMAGED, zipfile.BadZipFile, zlib.error, struct.error) as error:
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # a place in the file that cannot be
            raise
        with pack.open("rb") as raw:
            begun = raw.read(4) == b"PK\x03\x04"
        if begun:
            raise BadInputError(f"{pack} is cut off or damaged. {_AGAIN}") from error
        raise BadInputError(f"{pack} is no pack. Give what `edgefashion models export` has written") from error


def _entries(pack: Path, file: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    """The files in it by name, none of them odd. Raises :class:`BadInputError`."""
    found: dict[str, zipfile.ZipInfo] = {}
    seen: set[str] = set()
    for entry in file.infolist():
        name = entry.filename
        if len(found) == MOST_FILES:
            raise BadInputError(f"{pack} has more than {MOST_FILES:,} files: no bundle has so many. Not unpacked")
        if not is_plain(name):
            raise BadInputError(f"{pack} has a file named {name[:100]!r}: no bundle has such a one. Not unpacked")
        if name.casefold() in seen:  # one folder on Windows, and only one of them would be checked
            raise BadInputError(f"{pack} has {name} twice. Not unpacked")
        if entry.flag_bits & 1 or entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise BadInputError(f"{pack}: {name} is packed in a way that packs are not. {_AGAIN}")
        seen.add(name.casefold())
        found[name] = entry
    if (total := sum(entry.file_size for entry in found.values())) > MOST_BYTES:
        raise BadInputError(f"{pack} has {total:,} bytes when unpacked, more than {MOST_BYTES:,}. Not unpacked")
    return found


def is_plain(name: str) -> bool:
    """True for a path with ``/`` that means the same file, inside the folder, on every system."""
    parts = name.split("/")
    return len(name) <= 240 and all(
        _PLAIN_NAME.fullmatch(part) and part == part.rstrip(". ") and not _DEVICES.fullmatch(part) for part in parts
    )


def _facts(pack: Path, file: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo]) -> Pack:
    if FACTS not in entries or INFO not in entries:
        raise BadInputError(f"{pack} is a ZIP file and no pack. Give what `edgefashion models export` has written")
    told = _json(pack, file, entries[FACTS])
    try:
        _check_format(pack, told, FORMAT)
        return Pack(
            model=check_model_name(str(told["model"])),
            revision=str(told["revision"])[:100],
            sha256=str(told["sha256"]),
            origin=origin_of(told.get("origin")),
            signed=SIGNATURE in entries,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise BadInputError(f"{pack}: its {FACTS} cannot be read ({error}). {_AGAIN}") from error


def _hashes(
    pack: Path, file: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], facts: Pack
) -> Mapping[str, str]:
    """By name, what each file's SHA-256 has to be; the pack's own two, which no manifest lists, have none."""
    told = _json(pack, file, entries[INFO])
    _check_format(pack, told, BUNDLE_FORMAT)
    try:
        hashes = manifest_of(told.get("files"))
    except ValueError as error:
        raise BadInputError(f"{pack}: its {INFO} cannot be read ({error}). {_AGAIN}") from error
    lacking, beside = set(hashes) - set(entries), set(entries) - set(hashes) - {INFO, FACTS, SIGNATURE}
    if lacking or {INFO, FACTS, SIGNATURE} & set(hashes):
        raise BadInputError(f"{pack} lacks {min(lacking or {INFO})}, which its bundle lists. {_AGAIN}")
    if beside:
        raise BadInputError(f"{pack} has {min(beside)}, which its bundle does not list. Not unpacked")
    return {**hashes, INFO: facts.sha256}


def _check_format(pack: Path, told: Mapping[str, Any], known: int) -> None:
    number = told.get("format")
    if not isinstance(number, int) or isinstance(number, bool):
        raise BadInputError(f"{pack} does not tell its format. {_AGAIN}")
    if number > known:
        raise BadInputError(f"{pack} was made by a newer edgefashion (format {number}). Upgrade edgefashion")


def _json(pack: Path, file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> dict[str, Any]:
    if entry.file_size > _MOST_JSON_BYTES:
        raise BadInputError(f"{pack}: {entry.filename} has {entry.file_size:,} bytes, too many. Not unpacked")
    try:
        told = json.loads(file.read(entry).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{pack}: {entry.filename} is no JSON. {_AGAIN}") from error
    if not isinstance(told, dict):
        raise BadInputError(f"{pack}: {entry.filename} is no table. {_AGAIN}")
    return told


def _check_room(pack: Path, into: Path, needed_bytes: int) -> None:
    there = next(folder for folder in into.absolute().parents if folder.is_dir())
    free_bytes = shutil.disk_usage(there).free
    if free_bytes < needed_bytes + _SPARE_BYTES:
        raise BadInputError(
            f"{pack} takes {needed_bytes / 1e6:,.0f} MB, and {there} has room for {free_bytes / 1e6:,.0f} MB. Make room"
        )


def _unpack_one(pack: Path, file: zipfile.ZipFile, entry: zipfile.ZipInfo, to: Path, expected: str | None) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    known = hashlib.sha256()
    with to.open("xb") as target:
        for chunk in _chunks(file, entry):
            known.update(chunk)
            target.write(chunk)
        target.flush()
        os.fsync(target.fileno())
    if expected is not None and known.hexdigest() != expected:
        raise BadInputError(f"{pack}: {entry.filename} was altered: its SHA-256 is not the one told. {_AGAIN}")


def _chunks(file: zipfile.ZipFile, entry: zipfile.ZipInfo) -> Iterator[bytes]:
    with file.open(entry) as source:
        while chunk := source.read(_CHUNK_BYTES):
            yield chunk
