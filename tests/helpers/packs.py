"""Small real bundles with pinned pictures, and packs of them."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np

from edgefashion.bundles import bundle, draft, pack, resolve, revisions
from edgefashion.data import fashion_mnist
from edgefashion.inference.load import load
from edgefashion.inference.pinned import pinned_of
from edgefashion.inference.predict import see
from edgefashion.labels import LABELS

PICTURES = 12


def pinned(seed: int = 0) -> dict[str, np.ndarray]:
    """Some of Fashion-MNIST's test images as JPEGs, large and dark on white, with what ``edge`` says of them."""
    images, labels = fashion_mnist.load("test")
    network = load("edge", precision="fp32")
    jpegs: list[bytes] = []
    names: list[str] = []
    answers: list[np.ndarray] = []
    for image, label in zip(images[seed : seed + 4 * PICTURES], labels[seed : seed + 4 * PICTURES], strict=True):
        large = 255 - cv2.resize(image.reshape(28, 28), (224, 224), interpolation=cv2.INTER_CUBIC)
        jpeg = cv2.imencode(".jpg", cv2.copyMakeBorder(large, 20, 20, 20, 20, cv2.BORDER_CONSTANT, value=255))[1]
        seen = see(network, read_back(jpeg))
        if seen is not None and len(jpegs) < PICTURES:
            jpegs.append(jpeg.tobytes())
            names.append(LABELS[label])
            answers.append(seen[1])
    return pinned_of(jpegs, names, np.stack(answers))


def read_back(jpeg: np.ndarray) -> np.ndarray:
    """The picture of a JPEG file's bytes."""
    picture = cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
    assert picture is not None
    return np.asarray(picture)


def edge(path: Path, seed: int = 0, arrays: dict[str, np.ndarray] | None = None) -> bundle.Bundle:
    """The shipped ``edge`` with its INT8 network alone and pictures pinned to it; ``seed`` makes it another bundle."""
    base = resolve.resolve("edge").bundle
    assert base is not None
    with draft.draft(path) as making:
        making.facts = base.facts._replace(seed=seed, name=path.name)
        for name in ("int8.xml", "int8.bin"):
            shutil.copyfile(base.path / name, making.path / name)
        if arrays is not None:
            np.savez(making.part("pinned"), **arrays)  # type: ignore[arg-type]
    return bundle.open_bundle(path)


def packed(of: bundle.Bundle, model: str = "shop", out: Path | None = None) -> Path:
    """A pack of a bundle, as the model ``model``."""
    out = out or Path(f"{model}-{of.facts.seed}.edgepack")
    pack.write(of, model, revisions.history(of.path)[0], out)
    return out
