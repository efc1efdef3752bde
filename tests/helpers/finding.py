"""Finders for tests: one of squares, trained in a few steps, and a bundle whose finder is sure of two garments in every
picture, an upper one on its left and trousers on its right."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgefashion.bundles import bundle, resolve
from edgefashion.bundles.guard import check
from edgefashion.bundles.places import PHOTO_MODEL
from edgefashion.inference.finder import CELLS_SHAPE, FRAME_SHAPE, KINDS
from edgefashion.system.files import sha256


def bundle_with_finder(folder: Path, *, finder: bool = True, vouch: bool = True) -> Path:
    """The shipped photo network's bundle, copied into ``folder``, with this finder, or with none."""
    made = Path(shutil.copytree(resolve.resolve(PHOTO_MODEL).path, folder / PHOTO_MODEL))
    info = json.loads((made / bundle.INFO).read_text())
    parts = {file for part in ("finder_fp16", "finder_int8", "finder_keras") for file in bundle.PARTS[part]}
    info["files"] = {name: digest for name, digest in info["files"].items() if name not in parts}
    if finder:
        ir, weights = (made / name for name in bundle.PARTS["finder_fp16"])
        _write_ir(ir)
        if vouch:
            check.vouch(ir, finder=True)
        info["files"] |= {file.name: sha256(file) for file in (ir, weights)}
        info["thresholds"]["found"] = 0.5
    (made / bundle.INFO).write_text(json.dumps(info))
    return made


def halves() -> NDArray[np.float32]:
    """What the finder answers, (1, rows, columns, channels)."""
    rows, columns, _ = CELLS_SHAPE
    cells = np.zeros((1, *CELLS_SHAPE), np.float32)
    edges = np.zeros((rows, columns, len(KINDS), 4), np.float32)
    for kind, column, score in (("upper", columns // 4, 0.9), ("lower", 3 * columns // 4, 0.8)):
        cells[0, rows // 2, column, KINDS.index(kind)] = score
        edges[rows // 2, column, KINDS.index(kind)] = columns // 4, rows // 2, columns // 4, rows // 2
    cells[0, ..., len(KINDS) + 1 :] = edges.reshape(rows, columns, -1)
    return cells


def _write_ir(path: Path) -> None:
    import openvino as ov
    from openvino import opset13 as op

    frame = op.parameter([1, *FRAME_SHAPE], np.uint8, name="frame")
    mean = op.reduce_mean(op.convert(frame, "f32"), op.constant([0, 1, 2, 3]), keep_dims=False)
    # A little of the picture, so that nobody takes the answer for a constant.
    answer = op.add(op.constant(halves()), op.multiply(mean, op.constant(np.float32(1e-9))))
    ov.save_model(ov.Model([answer], [frame], "finder"), path, compress_to_fp16=False)


def square(rng: np.random.Generator, size: int = 160) -> NDArray[np.uint8]:
    """A picture, BGR (160, 160, 3), of a red square on a light ground."""
    picture = np.full((size, size, 3), 220, np.uint8)
    edge = int(rng.integers(50, 90))
    x, y = rng.integers(5, size - edge - 5, 2)
    picture[y : y + edge, x : x + edge] = (40, 60, 160)
    return picture


def finder_of_squares() -> Any:
    """A finder, begun from ImageNet's weights, that takes such squares for bags."""
    from edgefashion.inference.tensorflow_engine import tensorflow
    from edgefashion.training import finder_fit
    from edgefashion.training.finder_material import Cut, Material, Placed

    tensorflow("to train").keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    cuts = []
    for _ in range(20):
        picture = square(rng)
        shape = np.asarray((picture[..., 2] == 160) * 255, np.uint8)
        rows, columns = np.flatnonzero(shape.any(1)), np.flatnonzero(shape.any(0))
        box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
        cuts.append(Cut(picture, (Placed(KINDS.index("bag"), box, 0.0),), shape))
    grounds = [rng.integers(100, 255, (60, 80, 3), np.uint8) for _ in range(3)]
    only = Material([], np.zeros(0), cuts, np.full(len(cuts), 1 / len(cuts)), grounds, [])
    return finder_fit.train(only, finder_fit.FinderOptions(steps=60, batch_size=4))[0]
