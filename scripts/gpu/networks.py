"""The photo network, its teacher and the finder in PyTorch, layer for layer what ``edgefashion.training.zoo`` makes.

Weights come and go as Keras has them, by layer: ``edgefashion`` folds the scales away and makes the bundle.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefashion.inference.finder import KINDS
from edgefashion.training.zoo import efficientnet_lite0

STAGES = {
    # repeats, kernel, stride, expansion, channels
    "lite0": efficientnet_lite0.STAGES,
    "lite2": ((1, 3, 1, 1, 16), (3, 3, 2, 6, 24), (3, 5, 2, 6, 48), (4, 3, 2, 6, 88), (4, 5, 1, 6, 120),
              (5, 5, 2, 6, 208), (1, 3, 1, 6, 352)),
}  # fmt: skip
LAYOUTS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}
"""How feature maps lie in memory; ``LAYOUT`` in the environment chooses: which is faster depends on the GPU."""
STEM, HEAD = efficientnet_lite0.STEM, efficientnet_lite0.HEAD

Layers = dict[str, list[np.ndarray]]
"""A network's weights as Keras has them."""


class Convolution(nn.Module):
    """A convolution padded as TensorFlow pads, its kernel multiplied by a scale per output channel where ``scaled``."""

    def __init__(self, inputs: int, outputs: int | None, kernel: int, stride: int = 1, *, scaled: bool = False) -> None:
        super().__init__()
        self.groups = 1 if outputs else inputs
        self.kernel = nn.Parameter(torch.empty(outputs or inputs, inputs // self.groups, kernel, kernel))
        nn.init.xavier_uniform_(self.kernel)
        self.scale = nn.Parameter(torch.ones(outputs or inputs)) if scaled else None
        self.bias = nn.Parameter(torch.zeros(outputs or inputs))
        self.stride = stride
        before = (kernel - stride) // 2
        self.pad = (before, kernel - stride - before) * 2

    def forward(self, x: Tensor) -> Tensor:
        """Of pictures (n, channels, h, w), h and w multiples of the stride."""
        kernel = self.kernel if self.scale is None else self.kernel * self.scale[:, None, None, None]
        if self.stride > 1:
            return functional.conv2d(functional.pad(x, self.pad), kernel, self.bias, self.stride, groups=self.groups)
        return functional.conv2d(x, kernel, self.bias, padding=self.pad[0], groups=self.groups)


class Enlarging(nn.Module):
    """A transposed convolution of stride 2, its ``kernel`` 2 or 4."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(channels, channels, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """Of pictures (n, channels, h, w): (n, channels, 2 h, 2 w)."""
        return functional.conv_transpose2d(x, self.kernel, self.bias, 2, padding=(self.kernel.shape[-1] - 2) // 2)


class Dense(nn.Module):
    """A dense layer."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.empty(inputs, outputs))
        nn.init.xavier_uniform_(self.kernel)
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Of features (n, inputs)."""
        return x @ self.kernel + self.bias


class Network(nn.Module):
    """A backbone with what is put upon it; its layers are in ``parts`` by the names Keras gives them."""

    def __init__(self, size: str, *, head: bool) -> None:
        super().__init__()
        self.parts = nn.ModuleDict()
        self.layout = LAYOUTS[os.environ.get("LAYOUT", "channels_last")]
        self.parts["stem"] = Convolution(3, STEM, 3, 2, scaled=True)
        self.blocks: list[tuple[str, int, bool]] = []
        inputs, number = STEM, 0
        self.channels: dict[int, int] = {}
        at = 2
        for repeats, kernel, first, expansion, channels in STAGES[size]:
            if first == 2:
                self.channels[at] = inputs
                at *= 2
            for repeat in range(repeats):
                stride, name = first if repeat == 0 else 1, f"block{number}"
                if expansion > 1:
                    self.parts[f"{name}_expand"] = Convolution(inputs, inputs * expansion, 1, scaled=True)
                self.parts[f"{name}_depthwise"] = Convolution(inputs * expansion, None, kernel, stride, scaled=True)
                self.parts[f"{name}_project"] = Convolution(inputs * expansion, channels, 1, scaled=True)
                self.blocks.append((name, stride, stride == 1 and inputs == channels))
                inputs, number = channels, number + 1
        self.channels[at] = inputs
        if head:
            self.parts["head"] = Convolution(inputs, HEAD, 1, scaled=True)
        self.backbone = frozenset(self.parts)

    def features(self, pixels: Tensor) -> dict[int, Tensor]:
        """The last feature map at each stride, of pixels 0 to 255, (n, 3, h, w)."""
        parts = self.parts
        pixels = pixels.contiguous(memory_format=self.layout)
        x = functional.relu6(parts["stem"](pixels / 128 - 127 / 128))
        taps, at = {}, 2
        for name, stride, added in self.blocks:
            if stride == 2:
                taps[at] = x
                at *= 2
            y = functional.relu6(parts[f"{name}_expand"](x)) if f"{name}_expand" in parts else x
            y = functional.relu6(parts[f"{name}_depthwise"](y))
            y = parts[f"{name}_project"](y)
            x = x + y if added else y
        taps[at] = functional.relu6(parts["head"](x)) if "head" in parts else x
        return taps

    def load(self, layers: Layers) -> None:
        """Take Keras's weights of the layers that are in both."""
        for name, part in self.parts.items():
            if name in layers:
                for parameter, value in zip(_parameters(part), layers[name], strict=True):
                    parameter.data.copy_(torch.from_numpy(_to_torch(part, value)))

    def as_keras(self, weights: dict[str, Tensor] | None = None) -> Layers:
        """The weights, or these averaged ones by parameter name, as Keras has them."""
        named = dict(self.named_parameters()) if weights is None else weights
        found: Layers = {}
        for name, part in self.parts.items():
            own = ("kernel", "scale", "bias") if _scaled(part) else ("kernel", "bias")
            found[name] = [_to_keras(part, named[f"parts.{name}.{key}"].detach().float().cpu().numpy()) for key in own]
        return found

    def groups(self, rate: float, head_rate: float) -> list[dict[str, Any]]:
        """What an optimizer takes: backbone and heads apart, and what is not decayed apart from what is."""
        made = []
        for of_backbone, own_rate, decay in ((True, rate, 0.02), (False, rate * head_rate, 0.01)):
            own = [(n, p) for n, p in self.named_parameters() if (n.split(".")[1] in self.backbone) == of_backbone]
            for decayed in (True, False):
                some = [p for n, p in own if n.endswith("kernel") == decayed]
                made.append({"params": some, "lr": own_rate, "peak": own_rate, "weight_decay": decay if decayed else 0})
        return made


class Naming(Network):
    """The photo network, or its teacher on a larger backbone."""

    def __init__(self, size: str, labels: int, kinds: int) -> None:
        super().__init__(size, head=True)
        self.parts["logits"] = Dense(HEAD, labels)
        self.parts["kinds"] = Dense(HEAD, kinds)
        self.parts["mask_deep"] = Convolution(self.channels[16], 24, 1)
        self.parts["mask_up"] = Enlarging(24, 4)
        self.parts["mask_fine"] = Convolution(self.channels[8], 24, 1)
        self.parts["mask_logits"] = Convolution(24, 1, 3)
        taps = torch.tensor([1.0, 3, 3, 1]) / 4
        self.parts["mask_up"].kernel.data = torch.eye(24)[..., None, None] * torch.outer(taps, taps)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Logits of labels and kinds, and the mask's (n, 1, h/8, w/8)."""
        found, parts = self.features(pixels), self.parts
        pooled = functional.dropout(found[32].float().mean((2, 3)), 0.2, self.training)
        with torch.autocast(pixels.device.type, enabled=False):
            answer = {"logits": parts["logits"](pooled), "kinds": parts["kinds"](pooled)}
        mask = functional.relu6(parts["mask_up"](parts["mask_deep"](found[16])) + parts["mask_fine"](found[8]))
        return {**answer, "mask": parts["mask_logits"](mask).float()}


class Finder(Network):
    """The finder, trained: logits and logarithms."""

    def __init__(self, size: str = "lite0", channels: int = 64) -> None:
        super().__init__(size, head=False)
        for stride in (32, 16, 8):
            self.parts[f"fuse{stride}"] = Convolution(self.channels[stride], channels, 1)
        for stride in (16, 8):
            self.parts[f"enlarge{stride}"] = Enlarging(channels, 2)
        for number in range(3):
            self.parts[f"look{number}_depthwise"] = Convolution(channels, None, 5)
            self.parts[f"look{number}"] = Convolution(channels, channels, 1)
        self.parts["wide"] = Convolution(channels, 2 * channels, 1)
        for name, count in (("heat", len(KINDS)), ("worn", 1), ("edge", 4 * len(KINDS))):
            self.parts[f"{name}_logits"] = Convolution(2 * channels, count, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """(n, 8 + 1 + 32, h/8, w/8): heat, worn, edges."""
        found, parts = self.features(pixels), self.parts
        fused = parts["fuse32"](found[32])
        for stride in (16, 8):
            fused = functional.relu6(parts[f"fuse{stride}"](found[stride]) + parts[f"enlarge{stride}"](fused))
        for number in range(3):
            deeper = parts[f"look{number}"](parts[f"look{number}_depthwise"](fused))
            fused = functional.relu6(fused + deeper)
        wide = functional.relu6(parts["wide"](fused))
        return torch.cat([parts[f"{name}_logits"](wide).float() for name in ("heat", "worn", "edge")], 1)


def _scaled(part: Any) -> bool:
    return isinstance(part, Convolution) and part.scale is not None


def _parameters(part: Any) -> list[nn.Parameter]:
    return [part.kernel, part.scale, part.bias] if _scaled(part) else [part.kernel, part.bias]


def _to_torch(part: Any, value: np.ndarray) -> np.ndarray:
    if value.ndim < 4:
        return np.ascontiguousarray(value, np.float32)
    # Keras: (h, w, in, out), depthwise (h, w, channels, 1), transposed (h, w, out, in).
    depthwise = isinstance(part, Convolution) and part.groups > 1
    return np.ascontiguousarray(value.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1)), np.float32)


def _to_keras(part: Any, value: np.ndarray) -> np.ndarray:
    if value.ndim < 4:
        return value
    depthwise = isinstance(part, Convolution) and part.groups > 1
    return np.ascontiguousarray(value.transpose((2, 3, 0, 1) if depthwise else (2, 3, 1, 0)))
