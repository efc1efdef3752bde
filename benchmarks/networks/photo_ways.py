"""The ways of reading a photo that ``photos.py ladder`` measures, from the simplest on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from photo_results import FOLDS

from edgefashion.data import photo_folders
from edgefashion.evaluation.metrics import auroc
from edgefashion.inference import preprocess
from edgefashion.inference.classifier import Classifier
from edgefashion.labels import UNKNOWN
from edgefashion.training import photo_augment
from edgefashion.training.zoo import efficientnet_lite0


def seeds_way(picture: Any) -> Any:
    """Grey, resize to 28x28, invert."""
    import cv2

    return 255 - cv2.resize(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), (28, 28), interpolation=cv2.INTER_AREA)


def padded(picture: Any) -> Any:
    """The same, padded to a square first."""
    import cv2

    height, width = picture.shape[:2]
    side = max(height, width)
    rows, columns = side - height, side - width
    square = cv2.copyMakeBorder(
        picture, rows // 2, rows - rows // 2, columns // 2, columns - columns // 2, cv2.BORDER_REPLICATE
    )
    return seeds_way(square)


def grabcut(picture: Any) -> Any:
    """GrabCut, the garment cut out on white or, where it is bright, on black, then Zalando's steps."""
    import cv2

    mask = cv2.resize(photo_augment.garment_mask(picture), (picture.shape[1], picture.shape[0])) > 127
    if not mask.any():
        return padded(picture)
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    background = 255 if grey[mask].mean() < 200 else 0
    grey[~mask] = background
    y, x = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    crop = grey[y[0] : y[-1] + 1, x[0] : x[-1] + 1]
    return preprocess._normalise(crop, float(background))[..., 0]


def plain_background(picture: Any) -> Any:
    """Our own search on a plain background (``preprocess.find``), whole picture where it finds nothing."""
    found = preprocess.find(picture)
    return padded(picture) if found is None else found.pixels[..., 0]


def measure(found: list[photo_folders.Photo], see: Callable[[Any], Any], edge: Classifier) -> dict[str, Any]:
    """A 28x28 way of reading photos, with the Fashion-MNIST network."""
    right, known, unknown, spent = [], [], [], 0.0
    for photo, picture in photo_folders.read(found, []):
        began = time.perf_counter()
        answer = edge(np.ascontiguousarray(see(picture))[None, ..., None])[0]
        spent += time.perf_counter() - began
        if photo.label == UNKNOWN:
            unknown.append(float(answer.max()))
        else:
            known.append(float(answer.max()))
            right.append(int(answer.argmax()) in photo_folders.members(photo.label))
    ms = 1000 * spent / max(1, len(known) + len(unknown))
    return {"accuracy": float(np.mean(right)), "reject_auroc": auroc(known, unknown), "ms": ms}


def linear_probe(found: list[photo_folders.Photo], fold: Any) -> dict[str, Any]:
    """EfficientNet-Lite0 as ImageNet left it, and a linear layer fitted on the other folds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    from edgefashion.inference.tensorflow_engine import tensorflow
    from edgefashion.training.zoo.photo import kiosk

    tensorflow("for the probe")
    import keras

    model = kiosk(to_train=True)
    efficientnet_lite0.load_imagenet(model)
    pool = keras.Model(model.inputs, model.get_layer("pool").output)
    views = np.stack([preprocess.view(picture) for _, picture in photo_folders.read(found, [])])
    features = np.concatenate([np.asarray(pool(views[i : i + 64])) for i in range(0, len(views), 64)])
    features = StandardScaler().fit_transform(features)
    labels = np.array([p.label for p in found])
    right, score = np.zeros(len(found), bool), np.zeros(len(found))
    for number in range(FOLDS):
        rest, held = fold != number, fold == number
        fitted = LogisticRegression(C=0.003, max_iter=300).fit(features[rest], labels[rest])
        p = fitted.predict_proba(features[held])
        reject = list(fitted.classes_).index(UNKNOWN)
        score[held] = 1 - p[:, reject]
        p[:, reject] = 0
        right[held] = fitted.classes_[p.argmax(1)] == labels[held]
    known = labels != UNKNOWN
    return {
        "accuracy": float(right[known].mean()),
        "reject_auroc": auroc(list(score[known]), list(score[~known])),
        "per_fold": [float(right[known & (fold == n)].mean()) for n in range(FOLDS)],
    }
