"""``edge`` in PyTorch, layer for layer what ``edgefashion.training.zoo.edge`` makes; its teacher; its optimizer."""

from __future__ import annotations

import inspect
import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefashion.training.zoo import edge

__all__ = ["Muon", "Stack", "Wide", "shape"]


def shape(**settings: int) -> list[tuple[int, int, int]]:
    """The convolutions of ``edge`` with these of its settings, the others as they are by default."""
    defaults = {name: given.default for name, given in inspect.signature(edge.edge).parameters.items()}
    return edge.convolutions(**{**defaults, **settings})


class Stack(nn.Module):
    """Convolutions of (filters, kernel size, stride), padded as TensorFlow pads, batch-normed and cut off at 0, and a
    dense layer. Kernels start near the identity."""

    def __init__(self, convolutions: list[tuple[int, int, int]], classes: int) -> None:
        super().__init__()
        self.layers, self.norms = nn.ModuleList(), nn.ModuleList()
        self.pads: list[tuple[int, ...]] = []
        inputs, side = 1, 28
        for filters, size, stride in convolutions:
            out = -(-side // stride)
            total = max((out - 1) * stride + size - side, 0)
            # Of an odd number the one more stands on the right and below. A layer by itself pads both sides alike.
            alike, pad = (0, (total // 2, total - total // 2) * 2) if total % 2 else (total // 2, (0,) * 4)
            self.pads.append(pad)
            layer = nn.Conv2d(inputs, filters, size, stride, alike, bias=False)
            nn.init.trunc_normal_(layer.weight, std=math.sqrt(2 / (inputs * size * size)))
            if inputs > 1:
                with torch.no_grad():
                    layer.weight.mul_(0.7)
                    for channel in range(min(inputs, filters)):
                        layer.weight[channel, channel, size // 2, size // 2] += 1
            self.layers.append(layer)
            # Keras's momentum 0.9 is PyTorch's 0.1.
            self.norms.append(nn.BatchNorm2d(filters, eps=1e-4, momentum=0.1))
            inputs, side = filters, out
        self.dense = nn.Linear(inputs * side * side, classes)
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of pixels 0 to 1, (n, 1, 28, 28)."""
        for layer, norm, pad in zip(self.layers, self.norms, self.pads, strict=True):
            x = functional.relu(norm(layer(functional.pad(x, pad) if any(pad) else x)))
        x = x.permute(0, 2, 3, 1).flatten(1)  # as Keras flattens: the channels last
        with torch.autocast(x.device.type, enabled=False):
            return self.dense(x.float())

    def as_keras(self) -> dict[str, np.ndarray]:
        """The weights in the order of ``keras.Model.get_weights()``, by their numbers."""
        found: list[Tensor] = []
        for layer, norm in zip(self.layers, self.norms, strict=True):
            found += [layer.weight.permute(2, 3, 1, 0), norm.weight, norm.bias, norm.running_mean, norm.running_var]
        found += [self.dense.weight.T, self.dense.bias]
        return {str(at): value.detach().float().cpu().numpy() for at, value in enumerate(found)}


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)])
        self.past = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs or stride > 1 else None

    def forward(self, x: Tensor) -> Tensor:
        seen = functional.relu(self.norms[0](x))
        past = x if self.past is None else self.past(seen)
        return past + self.second(functional.relu(self.norms[1](self.first(seen))))


class Wide(nn.Module):
    """A wide residual network (Zagoruyko and Komodakis, 2016), ``depth`` 6 n + 4."""

    def __init__(self, depth: int, width: int, classes: int) -> None:
        super().__init__()
        blocks: list[nn.Module] = [nn.Conv2d(1, 16, 3, 1, 1, bias=False)]
        inputs = 16
        for channels, stride in ((16 * width, 1), (32 * width, 2), (64 * width, 2)):
            for number in range((depth - 4) // 6):
                blocks.append(_Block(inputs, channels, stride if number == 0 else 1))
                inputs = channels
        self.blocks = nn.Sequential(*blocks, nn.BatchNorm2d(inputs), nn.ReLU())
        self.dense = nn.Linear(inputs, classes)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out")

    def forward(self, x: Tensor) -> Tensor:
        """Logits of pixels 0 to 1, (n, 1, 28, 28)."""
        pooled = self.blocks(x).float().mean((2, 3))
        with torch.autocast(x.device.type, enabled=False):
            return self.dense(pooled)


class Muon(torch.optim.Optimizer):
    """Muon for the kernels of convolutions, AdamW for the rest: what
    :class:`edgefashion.training.muon.Muon` does in Keras."""

    MOMENTUM, ROUNDS, SCALE = 0.95, 5, 0.2

    def __init__(self, network: nn.Module, rate: float, decay: float) -> None:
        named = list(network.named_parameters())
        kernels = [p for _, p in named if p.ndim == 4]
        decayed = [p for _, p in named if p.ndim == 2]
        plain = [p for _, p in named if p.ndim == 1]
        groups = [
            {"params": kernels, "muon": True, "decay": decay},
            {"params": decayed, "muon": False, "decay": decay},
            {"params": plain, "muon": False, "decay": 0.0},
        ]
        super().__init__(groups, {"lr": rate})

    @torch.no_grad()
    def step(self) -> None:
        """One step of every parameter."""
        for group in self.param_groups:
            for p in group["params"]:
                p.mul_(1 - group["lr"] * group["decay"])
                move = self._muon(p) if group["muon"] else self._adam(p)
                p.sub_(move, alpha=group["lr"])

    def _muon(self, p: nn.Parameter) -> Tensor:
        kept = self.state[p].setdefault("momentum", torch.zeros_like(p))
        kept.mul_(self.MOMENTUM).add_(p.grad)
        step = p.grad.add(kept, alpha=self.MOMENTUM)
        matrix = step.reshape(len(p), -1).T  # (height x width x in, out)
        scale = self.SCALE * math.sqrt(max(matrix.shape))
        return (orthogonal(matrix, self.ROUNDS) * scale).T.reshape(p.shape)

    def _adam(self, p: nn.Parameter) -> Tensor:
        state = self.state[p]
        if not state:
            state |= {"first": torch.zeros_like(p), "second": torch.zeros_like(p), "steps": 0}
        state["steps"] += 1
        state["first"].lerp_(p.grad, 1 - 0.9)
        state["second"].lerp_(p.grad.square(), 1 - 0.999)
        first = state["first"] / (1 - 0.9 ** state["steps"])
        second = state["second"] / (1 - 0.999 ** state["steps"])
        return first / (second.sqrt() + 1e-7)


def orthogonal(matrix: Tensor, rounds: int) -> Tensor:
    """The orthogonal matrix nearest to it, about, by Newton and Schulz's rounds (Jordan and others, "Muon", 2024)."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix).bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(rounds):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if tall else x).float()
