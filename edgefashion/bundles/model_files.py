"""The files that a network is read from. An IR has two: the .xml that describes it, and the .bin of the same name with
its weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from edgefashion.system.files import sha256
from edgefashion.system.text import openvino_reason


def weights_of(xml: Path) -> Path:
    """Where the weights of the IR ``xml`` lie."""
    return xml.with_suffix(".bin")


def files_of(model: Path) -> list[Path]:
    """The files that belong together: both of an IR, whose .xml is given; of another file that file alone."""
    return [model, weights_of(model)] if model.suffix == ".xml" else [model]


def save_ir(ir: Any, xml: Path, *, halved: bool = False) -> None:
    """Write an ``openvino.Model`` as ``xml`` and its weights; ``halved``: with weights of 16 bits. Every IR is written
    here.

    Raises OSError where that fails, of a full disk for one: OpenVINO raises a RuntimeError, which does not say of what.
    """
    import openvino as ov

    try:
        ov.save_model(ir, xml, compress_to_fp16=halved)
    except RuntimeError as error:
        raise OSError(None, f"OpenVINO could not write it ({openvino_reason(error)})", str(xml)) from error


def size_bytes(xml: Path) -> int:
    """Bytes on disk of the IR ``xml``, weights included."""
    return sum(file.stat().st_size for file in files_of(xml))


def sha256_of(model: Path) -> str:
    """SHA-256, in hex, of all the files that a network is read from: an IR's two, one file, or all of a folder."""
    if model.is_dir():
        files = {file.relative_to(model).as_posix(): file for file in sorted(model.rglob("*")) if file.is_file()}
    else:
        files = {file.suffix: file for file in files_of(model) if file.is_file()}
    known = hashlib.sha256()
    for name, file in files.items():
        known.update(f"{sha256(file)} {name}\n".encode("utf-8", "surrogateescape"))
    return known.hexdigest()
