"""Train ``edge`` and teachers for it in PyTorch, on a GPU or on all cores of a CPU.

    export PYTHONPATH=.
    python scripts/gpu/fashion.py teach OUT --seed 0 --depth 16 --width 8    # a wide residual network
    python scripts/gpu/fashion.py ask OUT [--also ANSWERS.npy]           # what the teachers of OUT answer, stored once
    python scripts/gpu/fashion.py learn OUT --seed 0 [--set stem=128 ...]
    python scripts/gpu/take_fashion.py models/edge-seed-0 OUT/edge-0.npz       # its bundle; needs the train extra

Needs PyTorch and NumPy, and Fashion-MNIST where ``EDGEFASHION_DATA`` says. The recipe is ``edgefashion train edge``'s:
Muon, a cosine, mixed images, the teachers' answers to the same ones; besides, the weights are averaged over the last
steps. Each run keeps a checkpoint an epoch and goes on from it. A tenth of the training images is held out, as
everywhere; the test images are not looked at.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fashion_networks import Muon, Stack, Wide, shape
from torch import Tensor

from edgefashion.data import fashion_mnist, splits
from edgefashion.training import fashion_augment
from edgefashion.training.zoo.registry import architecture

VIEWS = 25
"""Variants of each image that the teachers answer, as :data:`edgefashion.training.distillation.VIEWS`."""
WARM_UP_EPOCHS = 2
TEACHER_EPOCHS = 60
EDGE = architecture("edge").recipe
CLASSES = 10


def view(images: np.ndarray, number: int) -> np.ndarray:
    """Variant ``number`` of uint8 images (n, 28, 28, 1): that of :func:`edgefashion.training.distillation.view`."""
    targets = np.zeros((len(images), CLASSES), np.float32)
    return fashion_augment.crop_flip_mix(images, targets, np.random.default_rng(number))[0]


class Material:
    """Fashion-MNIST's training images, the held-out tenth apart."""

    def __init__(self, limit: int | None) -> None:
        images, labels = fashion_mnist.load("train")
        fit, held = splits.split(labels, splits.VALIDATION_SPLIT)
        if limit:
            fit, held = fit[:limit], held[:limit]
        images = images.reshape(-1, 28, 28, 1)
        self.images, self.labels = images[fit], labels[fit]
        self.held_images, self.held_labels = images[held], labels[held]

    def one_hot(self, smoothing: float) -> np.ndarray:
        """Targets (n, 10), float32."""
        return np.eye(CLASSES, dtype=np.float32)[self.labels] * (1 - smoothing) + smoothing / CLASSES


class Fit:
    """A run: a network, its optimizer, the average of its weights, and how far it has got."""

    def __init__(self, network: torch.nn.Module, optimizer: Any, given: argparse.Namespace, kept: Path) -> None:
        self.network = network.to(given.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network).eval()
        self.optimizer, self.given, self.kept = optimizer, given, kept
        self.peaks = [group["lr"] for group in optimizer.param_groups]
        self.rows: list[dict[str, float]] = []
        self.steps = 0
        if kept.is_file():
            state = torch.load(kept, map_location=given.device, weights_only=True)
            self.network.load_state_dict(state["network"])
            self.average.load_state_dict(state["average"])
            optimizer.load_state_dict(state["optimizer"])
            self.rows, self.steps = state["rows"], state["steps"]

    def run(self, material: Material, epoch_of: Any) -> None:
        """Train all epochs that are left; ``epoch_of`` gives the images and targets of one."""
        for epoch in range(len(self.rows), self.given.epochs):
            began = time.time()
            loss = self.epoch(*epoch_of(epoch))
            plain, averaged = (self.accuracy(n, material) for n in (self.network, self.average))
            row = {"epoch": epoch + 1, "loss": loss, "val_accuracy": averaged, "val_accuracy_unaveraged": plain}
            self.rows.append({**row, "seconds": round(time.time() - began, 1)})
            print(json.dumps(self.rows[-1]), flush=True)
            state = {"network": self.network.state_dict(), "average": self.average.state_dict()}
            state |= {"optimizer": self.optimizer.state_dict(), "rows": self.rows, "steps": self.steps}
            torch.save(state, self.kept.with_suffix(".new"))
            self.kept.with_suffix(".new").replace(self.kept)

    def epoch(self, images: np.ndarray, targets: np.ndarray) -> float:
        """Learn from uint8 images (n, 28, 28, 1) and targets (n, 10), in this order; the mean loss."""
        given, batch = self.given, self.given.batch
        self.network.train()
        seen, wanted = torch.from_numpy(images).to(given.device), torch.from_numpy(targets).to(given.device)
        total, losses = given.epochs * -(-len(images) // batch), []
        for at in range(0, len(images), batch):
            self._rate(self.steps / total)
            with torch.autocast(given.device, torch.bfloat16):
                logits = self.network(as_input(seen[at : at + batch]))
            loss = -(wanted[at : at + batch] * logits.float().log_softmax(1)).sum(1).mean()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            self.steps += 1
            self._average()
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())

    def _rate(self, done: float) -> None:
        warm = min(WARM_UP_EPOCHS, self.given.epochs / 2) / self.given.epochs
        part = done / warm if done < warm else 0.5 + 0.5 * math.cos(math.pi * (done - warm) / (1 - warm))
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * part

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.given.average, self.steps / (self.steps + 10))
        ours, new = self.average.state_dict(), self.network.state_dict()
        for name, value in ours.items():
            value.lerp_(new[name], 1 - keep) if value.is_floating_point() else value.copy_(new[name])

    @torch.no_grad()
    def accuracy(self, network: torch.nn.Module, material: Material) -> float:
        """Of the held-out images."""
        answers = probabilities(network, material.held_images, self.given.device)
        network.train(network is self.network)
        return float((answers.argmax(1) == material.held_labels).mean())


def as_input(images: Tensor) -> Tensor:
    """Uint8 (n, 28, 28, 1) as what the networks take: float32 (n, 1, 28, 28), 0 to 1."""
    return images.permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def probabilities(network: torch.nn.Module, images: np.ndarray, device: str) -> np.ndarray:
    """What a network answers to uint8 (n, 28, 28, 1): float32 (n, 10)."""
    network.eval()
    answers = []
    for part in torch.from_numpy(images).split(1000):
        with torch.autocast(device, torch.bfloat16):
            answers.append(network(as_input(part.to(device))).float().softmax(1).cpu())
    return torch.cat(answers).numpy()


def teach(given: argparse.Namespace) -> None:
    """Train a teacher on the labels. Odd seeds see images partly hidden, even ones images mixed: so they differ."""
    material = Material(given.limit)
    torch.manual_seed(given.seed)
    network = Wide(given.depth, given.width, CLASSES)
    rate, decay = given.rate or 0.1, 5e-4
    optimizer = torch.optim.SGD(network.parameters(), rate, 0.9, weight_decay=decay, nesterov=True)
    targets = material.one_hot(0.1 if given.seed % 2 else 0.0)
    varied = fashion_augment.crop_flip_erase if given.seed % 2 else fashion_augment.crop_flip_mix

    def epoch_of(number: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng((given.seed, number))
        order = rng.permutation(len(material.images))
        return varied(material.images[order], targets[order], rng)

    fit = Fit(network, optimizer, given, given.out / f"teacher-{given.seed}.run")
    fit.run(material, epoch_of)
    told = {"depth": given.depth, "width": given.width, "state": fit.average.state_dict(), "rows": fit.rows}
    torch.save(told, given.out / f"teacher-{given.seed}.pt")


def ask(given: argparse.Namespace) -> None:
    """Store the mean of the answers of every teacher in OUT, to each image as it is and mirrored, and of those
    ``--also`` given: float16 (views, n, 10)."""
    material = Material(given.limit)
    summed = np.zeros((VIEWS, len(material.images), CLASSES), np.float32)
    teachers = [
        torch.load(path, map_location=given.device, weights_only=True) for path in given.out.glob("teacher-*.pt")
    ]
    for told in teachers:
        network = Wide(told["depth"], told["width"], CLASSES).to(given.device, memory_format=torch.channels_last)
        network.load_state_dict(told["state"])
        for number in range(VIEWS):
            seen = view(material.images, number)
            sides = (seen, np.ascontiguousarray(seen[:, :, ::-1]))
            summed[number] += sum(probabilities(network, side, given.device) for side in sides) / len(sides)
    for path in given.also:
        summed += np.load(path)[:, : len(material.images)]
    if not (count := len(teachers) + len(given.also)):
        raise SystemExit(f"no teacher in {given.out}. Run teach first, or give --also")
    np.save(given.out / "answers.npy", (summed / count).astype(np.float16))
    print(f"{count} teachers, {len(material.images):,} images, {VIEWS} variants of each")


def learn(given: argparse.Namespace) -> None:
    """Train ``edge`` on the teachers' answers."""
    material = Material(given.limit)
    answers = np.load(given.out / "answers.npy", mmap_mode="r")
    torch.manual_seed(given.seed)
    settings = {name: int(value) for name, _, value in (one.partition("=") for one in given.set)}
    network = Stack(shape(**settings), CLASSES)
    optimizer = Muon(network, given.rate or EDGE.learning_rate, decay=EDGE.weight_decay)

    def epoch_of(number: int) -> tuple[np.ndarray, np.ndarray]:
        order = np.random.default_rng((given.seed, number)).permutation(len(material.images))
        which = number % VIEWS
        return view(material.images, which)[order], np.asarray(answers[which], np.float32)[order]

    fit = Fit(network, optimizer, given, given.out / f"edge-{given.seed}.run")
    fit.run(material, epoch_of)
    np.savez_compressed(given.out / f"edge-{given.seed}.npz", **fit.average.as_keras())
    told = {
        "seed": given.seed,
        "epochs": given.epochs,
        "batch_size": given.batch,
        "learning_rate": max(fit.peaks),
        "settings": settings,
        "rows": fit.rows,
    }
    (given.out / f"edge-{given.seed}.json").write_text(json.dumps(told))


def main() -> None:
    """Do what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("teach", "ask", "learn"))
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, help=f"default: {TEACHER_EPOCHS} to teach, {EDGE.epochs} to learn")
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--rate", type=float, help="the optimizer's highest rate")
    parser.add_argument("--average", type=float, default=0.999, help="what the average keeps of itself a step")
    parser.add_argument("--depth", type=int, default=16)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--set", action="append", default=[], help="edge's settings, as NAME=VALUE")
    parser.add_argument("--also", type=Path, action="append", default=[], help="more answers, (views, n, 10)")
    parser.add_argument("--limit", type=int, help="so many images only, to try it out")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    given.epochs = given.epochs or (EDGE.epochs if given.what == "learn" else TEACHER_EPOCHS)
    given.out.mkdir(parents=True, exist_ok=True)
    {"teach": teach, "ask": ask, "learn": learn}[given.what](given)


if __name__ == "__main__":
    main()
