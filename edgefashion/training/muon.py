"""Muon for convolutions. Imported only by training: it needs Keras at once."""

from __future__ import annotations

import math
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable("edgefashion")
class Muon(keras.optimizers.Muon):  # type: ignore[misc]
    """Keras's Muon (Jordan et al., 2024), which orthogonalizes each step of a matrix, made to take the
    kernels of convolutions as matrices too: (height x width x in, out). Biases, batch norm and the answering dense
    layer go by AdamW.
    """

    def _should_use_adamw(self, variable: Any) -> bool:
        return len(variable.shape) != 4

    def _muon_update_step(self, gradient: Any, variable: Any, lr: Any, m: Any) -> None:
        self.assign_add(m, ops.add(gradient, m * (self.momentum - 1)))
        outputs = variable.shape[-1]
        inputs = math.prod(variable.shape[:-1])
        step = ops.reshape(ops.add(gradient, self.momentum * m), (inputs, outputs))
        step = self.zeropower_via_newtonschulz5(step, self.ns_steps)
        # Scaled as Moonlight does (Liu et al., 2025): one learning rate serves AdamW and Muon.
        step = step * lr * math.sqrt(max(inputs, outputs)) * self.rms_rate
        self.assign_sub(variable, ops.reshape(step, variable.shape))
