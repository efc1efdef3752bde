"""Train ``dilated-inception`` in PyTorch with its source's settings, on a GPU or on the cores of a CPU.

    export PYTHONPATH=.
    python scripts/gpu/inception.py OUT --optimizer rmsprop --augment --width 0.125 --epochs 15
    python scripts/gpu/take_fashion.py models/NAME OUT/inception-rmsprop-augmented-0.125-0.npz --max-drop 0.005

Needs PyTorch and NumPy, and Fashion-MNIST where ``EDGEFASHION_DATA`` says. What ``edgefashion train dilated-inception``
does in Keras, in less time on a CPU: batches of 128, Keras's optimizers at their default rates, the augmentation
``turn-flip-zoom``, all in one resampling. On a GPU it computes in bfloat16. A checkpoint an epoch is kept, and a run
goes on from it. A fifth of the training images is held out, as the recipe says; the test images are not looked at. On a
CPU set ``MALLOC_MMAP_MAX_=0`` and ``MALLOC_TRIM_THRESHOLD_=100000000000``: a fifth of the time is the kernel's, handing
memory back and forth.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgefashion.data import fashion_mnist, splits
from edgefashion.training.zoo.registry import architecture

RECIPE = architecture("dilated-inception").recipe
BLOCKS = (32, 64, 128, 256)
BRANCHES = ((1, 1), (3, 1), (5, 1), (3, 3))
"""Kernel size and dilation of a block's convolutions."""
DENSE = (256, 128)
DROPPED = 0.3
SLOPE = 0.3
"""Keras's LeakyReLU's."""
TURN, ZOOM = math.radians(45), 0.2


class Dropout(nn.Module):
    """Dropout whose masks on a CPU are drawn as bytes: PyTorch's own draws take a quarter of the training."""

    rng: np.random.Generator

    def forward(self, x: Tensor) -> Tensor:
        """Drop three tenths, and enlarge the rest to match."""
        if not self.training:
            return x
        if x.is_cuda:
            return functional.dropout(x, DROPPED)
        dropped = round(DROPPED * 256)
        drawn = torch.frombuffer(bytearray(self.rng.bytes(x.numel())), dtype=torch.uint8)
        drawn = drawn.as_strided(x.shape, x.stride())  # in memory as x lies, so that neither is copied
        return x * (drawn >= dropped).to(x.dtype).mul_(256 / (256 - dropped))


class Block(nn.Module):
    """Parallel convolutions side by side, one of each dilated."""

    def __init__(self, inputs: int, filters: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(inputs, filters, size, padding="same", dilation=dilation) for size, dilation in BRANCHES
        )

    def forward(self, x: Tensor) -> Tensor:
        """Cut off at 0."""
        return torch.cat([functional.relu(branch(x)) for branch in self.branches], 1)


class Inception(nn.Module):
    """Layer for layer what ``edgefashion.training.zoo.published.dilated_inception`` makes."""

    def __init__(self, width: float, classes: int) -> None:
        super().__init__()
        filters = [max(1, round(of * width)) for of in BLOCKS]
        parts: list[nn.Module] = [Block(1, filters[0])]
        for before, wanted in itertools.pairwise(filters):
            reduced = nn.Conv2d(len(BRANCHES) * before, wanted, 1)
            parts += [reduced, nn.ReLU(), Block(wanted, wanted), Dropout()]
        self.convolutions = nn.Sequential(*parts)
        inputs = 28 * 28 * len(BRANCHES) * filters[-1]
        head: list[nn.Module] = []
        for units in DENSE:
            # Keras's momentum 0.99 is PyTorch's 0.01.
            norm = nn.BatchNorm1d(units, eps=1e-3, momentum=0.01)
            head += [nn.Linear(inputs, units), norm, nn.LeakyReLU(SLOPE), Dropout()]
            inputs = units
        self.head = nn.Sequential(*head, nn.Linear(inputs, classes))
        for part in self.modules():
            if isinstance(part, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(part.weight)
                nn.init.zeros_(part.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of pixels 0 to 1, (n, 1, 28, 28)."""
        return self.head(self.convolutions(x).permute(0, 2, 3, 1).flatten(1))  # channels last, as Keras flattens

    def as_keras(self) -> dict[str, np.ndarray]:
        """The weights in the order of ``keras.Model.get_weights()``, by their numbers."""
        found: list[Tensor] = []
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                found += [part.weight.permute(2, 3, 1, 0), part.bias]
            elif isinstance(part, nn.Linear):
                found += [part.weight.T, part.bias]
            elif isinstance(part, nn.BatchNorm1d):
                found += [part.weight, part.bias, part.running_mean, part.running_var]
        return {str(at): value.detach().float().cpu().numpy() for at, value in enumerate(found)}


class RMSprop(torch.optim.Optimizer):
    """Keras's: rho 0.9, and its epsilon under the root, where PyTorch's stands beside it."""

    def __init__(self, network: nn.Module, rate: float) -> None:
        super().__init__(network.parameters(), {"lr": rate})

    @torch.no_grad()
    def step(self) -> None:
        """One step of every parameter."""
        for group in self.param_groups:
            for p in group["params"]:
                mean = self.state[p].setdefault("mean", torch.zeros_like(p))
                mean.mul_(0.9).addcmul_(p.grad, p.grad, value=0.1)
                p.addcdiv_(p.grad, (mean + 1e-7).sqrt_(), value=-group["lr"])


def optimizer_of(name: str, network: nn.Module) -> tuple[torch.optim.Optimizer, float]:
    """Keras's optimizer of this name and its default rate."""
    if name == "rmsprop":
        return RMSprop(network, 1e-3), 1e-3
    if name == "adam":
        return torch.optim.Adam(network.parameters(), 1e-3, eps=1e-7), 1e-3
    return torch.optim.SGD(network.parameters(), 1e-2), 1e-2


def turn_flip_zoom(images: Tensor) -> Tensor:
    """Each of ``images`` (n, 1, height, width) turned by up to 45 degrees, mirrored either way and zoomed by up to a
    fifth, what comes from outside taken from the edge: ``turn-flip-zoom``."""
    drawn = torch.rand(5, len(images), device=images.device)
    angle = (2 * drawn[0] - 1) * TURN
    wide, tall = (torch.sign(drawn[at] - 0.5) * (1 + (2 * drawn[at + 2] - 1) * ZOOM) for at in (1, 2))
    rows = (angle.cos() * wide, -angle.sin() * tall), (angle.sin() * wide, angle.cos() * tall)
    shift = torch.zeros_like(angle)
    theta = torch.stack([torch.stack([*row, shift], 1) for row in rows], 1)
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="border", align_corners=False)


def as_input(images: Tensor) -> Tensor:
    """Uint8 (n, 28, 28) as what the network takes: float32 (n, 1, 28, 28), 0 to 1."""
    return images[:, None].float() / 255


class Run:
    """A training: what it learns from, how far it has got."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given, self.device = given, torch.device(given.device).type
        images, labels = (torch.from_numpy(part.copy()) for part in fashion_mnist.load("train"))
        images = images.reshape(-1, 28, 28)
        fit, held = splits.split(labels.numpy(), RECIPE.validation_split)
        fit, held = fit[: given.limit], held[: given.limit]
        self.images, self.labels = images[fit].to(given.device), labels[fit].long().to(given.device)
        self.held_images, self.held_labels = images[held].to(given.device), labels[held].long().to(given.device)
        torch.manual_seed(given.seed)
        network = Inception(given.width, int(labels.max()) + 1)
        self.network = network.to(given.device, memory_format=torch.channels_last)
        self.optimizer, self.rate = optimizer_of(given.optimizer, self.network)
        self.rows: list[dict[str, float]] = []
        name = f"inception-{given.optimizer}{'-augmented' if given.augment else ''}-{given.width:g}-{given.seed}"
        self.name = f"{name}-of-{given.limit}" if given.limit else name
        self.kept = given.out / f"{self.name}.run"
        if self.kept.is_file():
            state = torch.load(self.kept, map_location=given.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.rows = state["rows"]

    def epoch(self, number: int) -> None:
        """One epoch, its row and its checkpoint."""
        began = time.time()
        torch.manual_seed(self.given.seed * 1000 + number)
        for place, part in enumerate(self.network.modules()):
            if isinstance(part, Dropout):  # the masks of this epoch, gone on from or not
                part.rng = np.random.Generator(np.random.SFC64((self.given.seed, number, place)))
        self.network.train()
        order, losses = torch.randperm(len(self.images)), []
        for at in order.split(RECIPE.batch_size):
            seen = as_input(self.images[at])
            seen = turn_flip_zoom(seen) if self.given.augment else seen
            with torch.autocast(self.device, torch.bfloat16, enabled=self.device == "cuda"):
                logits = self.network(seen.contiguous(memory_format=torch.channels_last))
            loss = functional.cross_entropy(logits.float(), self.labels[at])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        row = {"epoch": number + 1, "loss": float(torch.stack(losses).mean()), "val_accuracy": self.accuracy()}
        self.rows.append({**row, "seconds": round(time.time() - began, 1)})
        print(json.dumps(self.rows[-1]), flush=True)
        state = {"network": self.network.state_dict(), "optimizer": self.optimizer.state_dict(), "rows": self.rows}
        torch.save(state, self.kept.with_suffix(".new"))
        self.kept.with_suffix(".new").replace(self.kept)

    @torch.no_grad()
    def accuracy(self) -> float:
        """Of the held-out images."""
        self.network.eval()
        parts = zip(self.held_images.split(500), self.held_labels.split(500), strict=True)
        return sum(int((self.network(as_input(x)).argmax(1) == y).sum()) for x, y in parts) / len(self.held_labels)

    def save(self) -> None:
        """What ``take_fashion.py`` makes a bundle of."""
        given = self.given
        np.savez(given.out / f"{self.name}.npz", **self.network.as_keras())
        told = {
            "arch": "dilated-inception",
            "seed": given.seed,
            "epochs": len(self.rows),
            "batch_size": RECIPE.batch_size,
            "learning_rate": self.rate,
            "settings": {"width": given.width},
            "optimizer": given.optimizer,
            "augment": "turn-flip-zoom" if given.augment else "none",
            "rows": self.rows,
        }
        (given.out / f"{self.name}.json").write_text(json.dumps(told))


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--optimizer", choices=("sgd", "adam", "rmsprop"), default="rmsprop")
    parser.add_argument("--augment", action="store_true", help="turn-flip-zoom")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--epochs", type=int, default=RECIPE.epochs)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="so many images only, to try it out")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    run = Run(given)
    for number in range(len(run.rows), given.epochs):
        run.epoch(number)
    run.save()


if __name__ == "__main__":
    main()
