"""The finder in OpenVINO: an IR compiled for one frame at once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from edgefashion.errors import BadInputError
from edgefashion.inference.device import CPU, Device
from edgefashion.inference.finder import CHANNELS, FINDER_PX
from edgefashion.inference.openvino_engine import compile_config, read_ir
from edgefashion.inference.openvino_import import openvino

if TYPE_CHECKING:
    from numpy.typing import NDArray


class OpenVinoFinder:
    """A finder's IR: RGB uint8 (1, 192, 192, 3) to float32 (1, 24, 24, 41)."""

    def __init__(self, path: Path, precision: str, threads: int, device: Device = CPU) -> None:
        model = read_ir(path)
        shape = tuple(int(n) for n in model.output(0).get_partial_shape().to_shape()[1:])
        if shape[-1:] != (CHANNELS,):
            raise BadInputError(f"{path} is no finder. Restore the bundle it lies in")
        if (made_for := tuple(int(n) for n in model.input(0).shape)[1:]) != (FINDER_PX, FINDER_PX, 3):
            raise BadInputError(
                f"{path} is a finder for pictures of {made_for[0]} pixels, and this version's has {FINDER_PX}. Train "
                "it anew: edgefashion train kiosk --scenes DIR"
            )
        config = compile_config(precision, "latency", threads, one_image=threads == 1)
        compiled = device.compile(openvino().Core(), model, config)
        import openvino as ov

        self._request = compiled.create_infer_request()
        self._input = np.zeros((1, FINDER_PX, FINDER_PX, 3), np.uint8)
        self._request.set_input_tensor(ov.Tensor(self._input, shared_memory=True))

    def __call__(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self._input[...] = images
        self._request.infer(share_outputs=True)
        return np.array(self._request.get_output_tensor(0).data)  # not bound once: AUTO may change between devices
