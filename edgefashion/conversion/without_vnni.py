"""INT8 as a CPU without VNNI computes it: in a process of its own, capped at AVX2.

Such a CPU (Intel Core before the eleventh generation, most of all) adds two products of 8 bits in 16. Where weights and
inputs are large and of one sign the sum is cut off, and the answer is another than with VNNI, or in FP32. A bundle
travels: INT8 has to hold on the kiosk, not only where it is made.

Run as a module it is that process.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from edgefashion.errors import EdgeFashionError, MissingError
from edgefashion.inference.classifier import Classifier, Runner
from edgefashion.system import machine
from edgefashion.system.processes import Child, Parent

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CAP: Final = {"ONEDNN_MAX_CPU_ISA": "AVX2"}
_LIMIT_S: Final = 3600.0
"""For all pictures of a gate. The photo network's 2,000 take half a minute, the zoo's largest network ten."""


def differs() -> bool:
    """False on a CPU that has no VNNI itself, and True where that cannot be told."""
    return not machine.isa_is_whole() or any("vnni" in name or "amx" in name for name in machine.isa())


def capped(classifier: Classifier, xml: Path) -> Classifier:
    """``classifier``, answering as the same IR ``xml`` does on a CPU without VNNI: a process for each call.

    Its calls raise :class:`MissingError` where that process fails.
    """
    return replace(classifier, run=_Capped(classifier.run, xml))


def found(xml: Path, pictures: Sequence[NDArray[np.uint8]]) -> NDArray[np.float32]:
    """What the finder's IR ``xml`` answers to each of ``pictures``, uint8 (h, w, 3), on such a CPU: (n, rows, columns,
    channels). Raises :class:`MissingError` where its process fails."""
    return _asked(xml, np.stack(pictures), finder=True)


@dataclass(frozen=True)
class _Capped:
    """A :class:`Runner` whose answers come from a process that is capped."""

    usual: Runner
    xml: Path

    @property
    def input_shape(self) -> tuple[int, ...]:
        return self.usual.input_shape

    @property
    def settings(self) -> dict[str, Any]:
        return self.usual.settings

    @property
    def runtime_precision(self) -> str:
        return self.usual.runtime_precision

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return _asked(self.xml, images, finder=False)


def _asked(xml: Path, images: NDArray[np.uint8], *, finder: bool) -> NDArray[np.float32]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        given, answers = Path(folder) / "images.npy", Path(folder) / "answers.npy"
        np.save(given, images)
        child = Child(__name__, environment=dict(_CAP), keep_stderr=True)
        try:
            child.send({"xml": str(xml), "images": str(given), "answers": str(answers), "finder": finder})
            said = child.receive(_LIMIT_S).get("error")
        except TimeoutError:
            child.kill()
            said = f"no answer within {_LIMIT_S:.0f} s"
        except EOFError:
            said = child.last_words or "it ended early"
        finally:
            child.close()
        if said:
            raise MissingError(
                f"INT8 cannot be tried as on a CPU without VNNI: {said}. Close other programs and try again"
            )
        answered: NDArray[np.float32] = np.load(answers)
        return answered


def main() -> None:
    """Answer the images that the parent names."""
    parent = Parent()
    told = parent.receive()
    from edgefashion.inference import load
    from edgefashion.inference.openvino_finder import OpenVinoFinder

    images, xml = np.load(told["images"], mmap_mode="r"), Path(told["xml"])
    try:
        if told["finder"]:
            run = OpenVinoFinder(xml, "fp32", 1)
            answers = np.stack([run(np.asarray(image)[None])[0] for image in images])
        else:
            answers = load.load(xml, precision="int8")(np.asarray(images))
        np.save(told["answers"], answers)
        parent.send({})
    except (EdgeFashionError, OSError, MemoryError) as error:
        parent.send({"error": str(error) or type(error).__name__})


if __name__ == "__main__":
    main()
