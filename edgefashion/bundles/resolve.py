"""MODEL on a command line: a bundle's name, a path, or neither."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from edgefashion.bundles import model_files
from edgefashion.bundles.bundle import INFO, IR_PRECISIONS, PARTS, PRECISIONS, Bundle, open_bundle
from edgefashion.bundles.current import CURRENT, folder_of, keeps_history, place_of
from edgefashion.bundles.places import DEFAULT_MODEL, PHOTO_MODEL, model_dirs
from edgefashion.bundles.swap import restore_interrupted
from edgefashion.errors import BadInputError
from edgefashion.system import text
from edgefashion.system.addresses import shown

FOREIGN: Final = ("onnx", "tflite")
"""Kinds of model files that are made elsewhere."""

_READ: Final = (".keras", ".xml", ".onnx", ".tflite")
"""Suffixes of files that are read."""

_TORCH: Final = "Write it as .onnx with torch.onnx.export"
_SAVED: Final = "Save it as .keras, or export a SavedModel folder"
_PICKLED: Final = "Such a file can run code when loaded. Write the network as .onnx"
_COMPILED: Final = "It is compiled for one device. Give the .onnx, .tflite or IR .xml that it was made of"
_NOT_READ: Final = {
    **dict.fromkeys((".pt", ".pth", ".torchscript", ".safetensors"), _TORCH),
    **dict.fromkeys((".pb", ".pbtxt", ".ckpt"), _SAVED),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), _PICKLED),
    **dict.fromkeys((".blob", ".engine", ".plan", ".trt", ".rknn", ".hef"), _COMPILED),
    **dict.fromkeys((".mlmodel", ".mlpackage", ".caffemodel", ".pdmodel", ".ort"), "Write it as .onnx"),
}
"""Suffixes of models that people bring and that are not read, each with what to do."""


@dataclass(frozen=True)
class Model:
    """What a MODEL argument turned out to be: ``kind`` is bundle, saved_model, keras, onnx, tflite or ir."""

    kind: str
    path: Path
    bundle: Bundle | None = None
    precision: str | None = None
    """What an IR given by its own path is to be run in, fp32, fp16, bf16 or int8; None for the other kinds. A bundle
    says it; of an IR from elsewhere the file's name may, and FP32 is assumed where it does not."""

    @property
    def name(self) -> str:
        if self.bundle is not None:
            return self.bundle.name
        # `models/mine/saved_model` is called "mine": the last folder's name says nothing.
        generic = self.path.stem in {"saved_model", "model"}
        return self.path.absolute().parent.name if generic else self.path.stem


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
    if text.is_url(model):
        raise BadInputError(
            f"{shown(str(model))} is served elsewhere: it can be asked, not read. Give a model of this machine"
        )
    try:
        try:
            return _resolve(Path(model))
        except BadInputError:  # for an instant, where a new bundle is put in the place of an old one?
            return _resolve(Path(model))
    except OSError as error:
        raise BadInputError(f"{model} cannot be read: {error.strerror}. Check the path and its permissions") from error


def _resolve(path: Path) -> Model:
    if len(path.parts) == 1:
        for folder in model_dirs():
            restore_interrupted(folder / path, INFO)
            if is_bundle(folder / path):
                return _bundle(folder / path)
    restore_interrupted(path, INFO)
    if path.is_dir():
        if is_bundle(path):
            return _bundle(path)
        if (path / "saved_model.pb").is_file():
            return Model("saved_model", path, _owner(path)[0])
        raise BadInputError(f"{path} is neither a bundle ({INFO}) nor a SavedModel (saved_model.pb). Give one of them")
    if path.suffix.lower() in {".h5", ".hdf5"}:
        raise BadInputError(
            f"{path}: .h5 files can run code when loaded and are refused. Save it as .keras or SavedModel"
        )
    if path.suffix in _READ:
        if not path.is_file():
            raise BadInputError(f"{path} does not exist. Check the path")
        return _file(path)
    if path.suffix.lower() in _NOT_READ:
        raise BadInputError(f"{path}: {path.suffix} files are not read. {_NOT_READ[path.suffix.lower()]}")
    if path.suffix.lower() in _READ:
        raise BadInputError(f"{path}: rename it to {path.stem}{path.suffix.lower()}, its ending in small letters")
    if path.exists():
        raise BadInputError(
            f"{path} is no model. Give a bundle, a SavedModel folder, a .keras, .onnx or .tflite file or an IR .xml"
        )
    names = ", ".join(folder_of(b.path).name for b in known()) or "none"
    raise BadInputError(f"no model {str(path)!r}: not a path, and no bundle of that name. Known bundles: {names}")


def is_bundle(path: Path) -> bool:
    """True for the folder of a bundle, or of a model that keeps revisions; nothing is read or verified."""
    return (path / INFO).is_file() or keeps_history(path)


def _bundle(path: Path) -> Model:
    place = place_of(path)
    return Model("bundle", place, open_bundle(place))


def is_model(model: str | Path) -> bool:
    """True if ``model`` is meant for one, be it of a kind that :func:`resolve` refuses, or it is a URL; nothing is read
    or verified."""
    if text.is_url(model):
        return True
    path = Path(model)
    by_name = len(path.parts) == 1 and any(is_bundle(folder / path) for folder in model_dirs())
    on_disk = path.is_dir() and (is_bundle(path) or (path / "saved_model.pb").is_file())
    return by_name or on_disk or path.suffix.lower() in {*_READ, *_NOT_READ, ".h5", ".hdf5"}


def known() -> list[Bundle]:
    """Every bundle in ``./models`` and those shipped; an unreadable one is left out."""
    found: dict[str, Bundle] = {}
    # Folder by folder, as resolve() looks: of two bundles of one name the first found counts.
    of_each = ([*folder.glob(f"[!.]*/{INFO}"), *folder.glob(f"[!.]*/{CURRENT}")] for folder in model_dirs())
    for folder in (folder for marks in of_each for folder in sorted({mark.parent for mark in marks})):
        with contextlib.suppress(BadInputError, OSError):
            if is_bundle(folder):
                found.setdefault(folder.name, open_bundle(place_of(folder)))
    return list(found.values())


def _file(path: Path) -> Model:
    owner, part = _owner(path)
    if path.suffix != ".xml":
        return Model(path.suffix[1:], path, owner)
    weights = model_files.weights_of(path)
    if not weights.is_file():
        raise BadInputError(f"{weights} is missing: an IR is an .xml and a .bin of the same name. Convert it again")
    if owner is not None:
        precision = part if part in IR_PRECISIONS else "fp32"
    else:
        precision = path.stem if path.stem in PRECISIONS else "fp32"
    return Model("ir", path, owner, precision)


def _owner(path: Path) -> tuple[Bundle | None, str | None]:
    """The bundle ``path`` lies in and the part of it that it is, once it is checked against the manifest; None and None
    where it lies in no bundle."""
    path = path.absolute()  # "." has neither a name nor a parent
    if not (path.parent / INFO).is_file():
        return None, None
    owner = open_bundle(path.parent)
    part = next((part for part, names in PARTS.items() if names[0] == path.name), None)
    if part is None:
        raise BadInputError(f"{path} is not in its bundle's manifest. Move it out of the bundle to use it as it is")
    owner.verified(part)
    return owner, part
