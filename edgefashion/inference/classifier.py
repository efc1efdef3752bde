"""A loaded network, in whichever engine: uint8 images in, probabilities out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import numpy as np

from edgefashion.bundles.facts import takes_photos
from edgefashion.errors import BadInputError
from edgefashion.inference import finite, preprocess
from edgefashion.inference.decision import Rule
from edgefashion.inference.preprocess import PHOTO_PX

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgefashion.inference.finder import Finder


BATCH: Final = 64
"""From so many images a call a batched network pays. Larger batches are cut into parts of so many."""

ENGINES: Final = ("openvino", "tensorflow", "keras", "keras-predict")

PIXELS: Final = "uint8 intensity 0 to 255, NHWC, garment bright on a background of 0; scaled inside the graph"
"""The pixel contract of a Fashion-MNIST network, in one sentence."""

PHOTO_PIXELS: Final = "uint8 RGB 0 to 255, NHWC, the photo as it is resized to the input; scaled inside the graph"
"""The pixel contract of a photo network. Fashion-MNIST's images it gets negated and enlarged."""

Done = Callable[["NDArray[np.float32]", "NDArray[np.float32] | None"], None]
"""Takes probabilities (n, classes) and a photo network's masks (n, h/8, w/8)."""

Failed = Callable[[BaseException], None]
"""Takes the error that was raised in another thread."""


class Runner(Protocol):
    """One engine with one network loaded. Batches arrive as uint8 (n, height, width, channels)."""

    @property
    def input_shape(self) -> tuple[int, ...]: ...

    @property
    def settings(self) -> dict[str, Any]: ...

    @property
    def runtime_precision(self) -> str: ...

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]: ...


@runtime_checkable
class MaskRunner(Protocol):
    """A Runner that also tells where in a photo the garment is."""

    def look(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities (n, classes) and masks (n, rows, columns)."""
        ...


@runtime_checkable
class StartRunner(Protocol):
    """A Runner that may answer batches in threads of its own."""

    def starts(self, images: NDArray[np.uint8], done: Done, failed: Failed) -> bool:
        """Begin a batch; False, and nothing done, where there is no queue to begin it in."""
        ...

    def wait(self) -> None:
        """Wait for every batch begun. Raises what inferring one raised."""
        ...


@dataclass(frozen=True)
class Classifier:
    """A loaded network. Call it with images; read from it what is running. Make one with :func:`edgefashion.load`.

    Raises:
        BadInputError: When it is called: images of another dtype or shape than its own; and as
            :class:`~edgefashion.inference.finite.NoNumbersError`, where the network answers with NaN.

    Example:
        >>> import numpy as np
        >>> from edgefashion import load
        >>> classifier = load("kiosk")
        >>> classifier.input_shape, len(classifier.labels)
        ((160, 160, 3), 12)
        >>> probabilities, mask = classifier.look(np.zeros((160, 160, 3), np.uint8))  # RGB, 0 to 255
        >>> probabilities.shape, mask.shape
        ((12,), (20, 20))
    """

    name: str
    labels: tuple[str, ...]
    engine: str
    precision: str
    """What was asked for: fp32, fp16, bf16 or int8."""
    rule: Rule
    """By what its answers count (all of them where the model brings no threshold)."""
    source: Path | None
    """What it was read from; None for a model that another machine serves."""
    run: Runner = field(repr=False)
    finder: Finder | None = field(default=None, repr=False)
    """What finds the garments of a picture; None where a picture is taken for one garment."""

    @property
    def accept_threshold(self) -> float:
        """The rule's threshold, 0 to 1; an answer may need more than that to count (see ``rule``)."""
        return self.rule.threshold

    @property
    def takes_photos(self) -> bool:
        """True for a photo network: RGB pictures as they are, not garments cut out in grey."""
        return takes_photos(self.run.input_shape)

    @property
    def runtime_precision(self) -> str:
        """What the convolutions and dense layers really run in, as the runtime reports it."""
        return self.run.runtime_precision

    @property
    def settings(self) -> dict[str, Any]:
        """The runtime settings in force (threads, streams, hints)."""
        return self.run.settings

    @property
    def input_shape(self) -> tuple[int, ...]:
        """(height, width, channels) of one image."""
        return self.run.input_shape

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Classify uint8 images, (n, h, w, c), (n, h, w) or one (h, w): probabilities (n, classes).

        Pixels are intensities 0 to 255, the garment bright on 0; a photo network's are RGB, and it
        takes Fashion-MNIST's (n, 28, 28, 1) too. Raises :class:`BadInputError` for another dtype
        or shape.
        """
        if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
            got = getattr(images, "dtype", type(images).__name__)
            raise BadInputError(f"images must be a uint8 array of intensities 0 to 255, not {got}. Do not scale them")
        return self._asked(self._as_batch(images))

    def look(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """A photo network's whole answer for one uint8 (h, w, 3): probabilities (classes,) and
        the mask (h/8, w/8), the probability that a cell shows the garment.

        Raises :class:`BadInputError` for a network that has no mask.
        """
        probabilities, masks = self._looked(self._as_batch(image))
        return probabilities[0], masks[0]

    def look_at_all(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """A photo network's answers for uint8 (n, h, w, 3): probabilities (n, classes), and the masks (n, h/8, w/8) or,
        run by an engine that gives none, None."""
        batch = self._as_batch(images)
        return self._looked(batch) if isinstance(self.run, MaskRunner) else (self._asked(batch), None)

    def start(self, images: NDArray[np.uint8], done: Done, failed: Failed) -> None:
        """Hand over uint8 images (n, h, w, c), 64 at most, and go on; ``done`` is called with their answers.

        Of a network loaded for throughput it is called from another thread, and this only waits while all streams
        are at work; what ``done`` raises there is given to ``failed``, and a mask is None where the network has none.
        Of another it is called before this returns, which raises what it raises. Raises :class:`BadInputError` for
        more images, and for a photo network without a mask that is not loaded for throughput.
        """
        images = self._as_batch(images)
        if len(images) > BATCH:
            raise BadInputError(f"{len(images)} images are more than a batch. Start {BATCH} at a time")

        def take(probabilities: NDArray[np.float32], masks: NDArray[np.float32] | None) -> None:
            finite.check(self.name, probabilities, masks)
            done(probabilities, masks)

        if isinstance(self.run, StartRunner) and self.run.starts(images, take, failed):
            return
        if not self.takes_photos:
            done(self._asked(images), None)
            return
        done(*self._looked(images))

    def _looked(self, images: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        if not isinstance(self.run, MaskRunner) or not self.takes_photos:
            raise BadInputError(f"{self.name} run by {self.engine} gives no mask. Use a photo network's IR")
        probabilities, masks = self.run.look(images)
        finite.check(self.name, probabilities, masks)
        return probabilities, masks

    def _asked(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        probabilities = self.run(images)
        finite.check(self.name, probabilities)
        return probabilities

    def wait(self) -> None:
        """Wait until everything started is done. Raises what inferring it raised."""
        if isinstance(self.run, StartRunner):
            self.run.wait()

    def _as_batch(self, images: NDArray[np.uint8]) -> NDArray[np.uint8]:
        shape = self.run.input_shape
        if images.shape[1:] == shape:
            return images
        if self.takes_photos:
            if images.shape == shape:
                return images[None]
            fashion = (preprocess.SIDE_PX, preprocess.SIDE_PX)
            if images.shape[1:] in (fashion, (*fashion, 1)) or images.shape == (*fashion, 1):
                return preprocess.as_photos(images.reshape(-1, *fashion, 1))
        grey = shape[:-1] if shape[-1] == 1 else None
        if images.shape in (shape, grey) or images.shape[1:] == grey:
            return images.reshape(-1, *shape)
        wanted = ", ".join(str(n) for n in shape)
        raise BadInputError(f"images must have shape (n, {wanted}), not {images.shape}")


def image_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """(height, width, channels) of a network that may take (28, 28) or a flat 784 instead."""
    if len(shape) == 3:
        # A fully convolutional network has no size of its own; photos come in one.
        return shape if None not in shape else (PHOTO_PX, PHOTO_PX, shape[-1])
    side = math.isqrt(math.prod(shape))
    if side * side != math.prod(shape):
        raise BadInputError(f"a network that takes {shape} does not take square grey images")
    return (side, side, 1)
