"""Train the photo network, each fold with a teacher of its own, and the finder, on a GPU, of what ``pack.py`` packed.

    PYTHONPATH=. python scripts/gpu/fit.py naming PACK OUT --folds 0 1 2 3 4
    PYTHONPATH=. python scripts/gpu/fit.py finder PACK OUT --seconds 480

Needs PyTorch, NumPy and OpenCV only. ``edgefashion``'s recipe (its losses, its mixture, its variety), longer, in
larger batches, and with a teacher: EfficientNet-Lite2 at 224 pixels learns first, then the photo network learns what
the teacher answers to the very same variant of each picture (Beyer and others, "Knowledge distillation: a good
teacher is patient and consistent", 2022). Writes OUT/naming-K.npz and OUT/finder.npz, Keras's weights by layer, which
``scripts/gpu/take.py`` turns into networks.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import pickle
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from material import Batch, Drawing, Material, views
from networks import Finder, Layers, Naming, Network
from torch import Tensor
from torch.nn import functional

from edgefashion.data.drawn import STORED_PX
from edgefashion.labels import GROUPS, PHOTO_LABELS
from edgefashion.training import finder_fit
from edgefashion.training.photo_fit import FASHION_WEIGHT, HEAD_RATE, KIND_WEIGHT, MASK_WEIGHT
from edgefashion.training.photo_material import TARGETS

GARMENTS, NONE, FASHION = 144, 24, 64
"""Pictures of a batch."""

TAUGHT = 0.7
"""What the teacher's answer counts beside the label."""

TEACHING = 0.4
"""The teacher's share of the time beside the pupil's."""

EMA = 0.998

LADDER = {
    "lying photos alone": ("cut", "scene", "worn"),
    "and cut out": ("scene", "worn"),
    "and garments of street scenes": ("worn",),
    "and worn in the studio": (),
}
"""Each rung by the sources that are not used."""


class Steps:
    """A run's optimizer, its rate warmed up and annealed, and the average of the weights."""

    def __init__(self, network: Network, rate: float, head_rate: float, ema: float = EMA) -> None:
        self.network, self.ema = network, ema
        groups = network.groups(rate, head_rate)
        self.optimizer = torch.optim.AdamW(groups, fused=next(network.parameters()).is_cuda, eps=1e-7)
        self.average = [p.detach().clone() for p in network.parameters()]
        self.done = 0

    def step(self, loss: Tensor, progress: float, clip: float | None = None) -> None:
        """Learn from a loss, ``progress`` from 0 to 1 through the run."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if clip:
            torch.nn.utils.clip_grad_norm_(self.network.parameters(), clip)
        warm = 0.1
        part = progress / warm if progress < warm else 0.5 + 0.5 * math.cos(math.pi * (progress - warm) / (1 - warm))
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * max(0.005, part)
        self.optimizer.step()
        self.done += 1
        keep = min(self.ema, self.done / (self.done + 10))
        torch._foreach_lerp_(self.average, [p.detach() for p in self.network.parameters()], 1 - keep)

    def averaged(self) -> Layers:
        """The averaged weights as Keras has them."""
        names = [name for name, _ in self.network.named_parameters()]
        return self.network.as_keras(dict(zip(names, self.average, strict=True)))


def membership(device: str) -> Tensor:
    """(labels, targets): which labels a target is the sum of."""
    found = np.zeros((len(PHOTO_LABELS), len(TARGETS)), np.float32)
    for group, at in enumerate(TARGETS.values()):
        found[list(at), group] = 1
    return torch.from_numpy(found).to(device)


class Clock:
    """How far a run has got: by its steps or, where that is how long it may take, by its seconds."""

    def __init__(self, steps: int | None, seconds: float) -> None:
        self.steps, self.seconds, self.began = steps, seconds, time.time()

    def progress(self, done: int) -> float:
        """From 0 to 1."""
        return done / self.steps if self.steps else (time.time() - self.began) / self.seconds

    def __str__(self) -> str:
        """How long it has run."""
        return f"{time.time() - self.began:.0f} s"


class Rows:
    """Running means of a run's losses, printed and kept as the history that a bundle shows."""

    def __init__(self, said: str, names: tuple[str, ...], clock: Clock, device: str) -> None:
        self.said, self.names, self.clock = said, names, clock
        self.mean, self.steps, self.kept = torch.zeros(len(names), device=device), 0, []

    def add(self, losses: list[Tensor]) -> None:
        """A step's losses."""
        self.mean = 0.99 * self.mean + 0.01 * torch.stack(losses).detach()
        self.steps += 1
        if self.steps == 100 or self.steps % 500 == 0:
            self.row()

    def row(self) -> None:
        """Print and keep where the run stands."""
        shown = (self.mean / (1 - 0.99**self.steps)).tolist()
        passed = time.time() - self.clock.began - sum(row["seconds"] for row in self.kept)
        row = {"step": float(self.steps), **dict(zip(self.names, shown, strict=True)), "seconds": round(passed, 1)}
        self.kept.append(row)
        print(self.said, *(f"{name} {value:.4g}" for name, value in row.items()), flush=True)


NAMED_LOSSES = ("loss", "teacher_loss", "mask_loss", "kind_loss", "fashion_loss")


def name(
    network: Naming,
    drawing: Drawing,
    clock: Clock,
    rate: float,
    *,
    teacher: Naming | None = None,
    large: bool = False,
    said: str = "",
) -> tuple[Layers, list[dict[str, float]]]:
    """Train a network that names; ``large``: at 224 pixels. Returns its averaged weights and a row every 500 steps."""
    device = drawing.of.device
    run, groups = Steps(network, rate, HEAD_RATE), membership(device)
    rows = Rows(said, NAMED_LOSSES, clock, device)
    hard = 1.0 if teacher is None else 1 - TAUGHT
    network.train()
    while (progress := clock.progress(run.done)) < 1:
        batch = drawing.batch(GARMENTS, NONE, FASHION)
        with torch.autocast(device, torch.bfloat16):
            answer = network(batch.large if large else batch.small)
            small = network(batch.fashion)["logits"]
            taught = None
            if teacher is not None:
                with torch.no_grad():
                    taught = teacher(batch.large)["logits"].float().softmax(1)
        label, alike, covered, finer, fashion = losses = losses_of(answer, small, taught, batch, groups)
        total = hard * label + (1 - hard) * alike
        total = total + MASK_WEIGHT * covered + KIND_WEIGHT * finer + FASHION_WEIGHT * fashion
        run.step(total, progress, clip=5.0)
        rows.add(losses)
    rows.row()
    return run.averaged(), rows.kept


def losses_of(
    answer: dict[str, Tensor], small: Tensor, taught: Tensor | None, batch: Batch, groups: Tensor
) -> list[Tensor]:
    """The losses of the labels, of the teacher's answers, of masks, of kinds and of Fashion-MNIST."""
    log = answer["logits"].log_softmax(1)
    label = -(batch.targets * (log.exp() @ groups + 1e-8).log()).sum(1).mean()
    alike = label if taught is None else -(taught * log).sum(1).mean()
    masks = functional.interpolate(batch.masks, answer["mask"].shape[2:], mode="bilinear")
    covered = functional.binary_cross_entropy_with_logits(answer["mask"], masks, reduction="none")
    covered = (covered.mean((1, 2, 3)) * batch.mask_known).mean()
    finer = functional.cross_entropy(answer["kinds"], batch.kinds.clamp(0), reduction="none")
    finer = (finer * (batch.kinds >= 0)).mean()
    return [label, alike, covered, finer, functional.cross_entropy(small, batch.fashion_labels)]


def judged(network: Naming, held: list[Any], seen: Tensor, device: str, *, large: bool = False) -> dict[str, float]:
    """How often, in percent, the network is right on each set of the held-out views, nothing rejected, and of the
    first set on each label. Of a street scene's garments every label that is as right counts."""
    network.eval()
    with torch.no_grad(), torch.autocast(device, torch.bfloat16):
        parts = (p.to(device).float() for p in seen.split(256))
        if large:
            parts = (functional.interpolate(p, (STORED_PX, STORED_PX), mode="bicubic").clamp(0, 255) for p in parts)
        logits = torch.cat([network(p)["logits"].float().cpu() for p in parts])
    of_targets = (logits.softmax(1) @ membership("cpu")).numpy()
    names = list(TARGETS)
    # A group is named, not its members.
    groups = [at for at, one in enumerate(names) if one not in GROUPS["Footwear"]]
    best = [names[groups[at]] for at in of_targets[:, groups].argmax(1)]
    rows: dict[str, list[bool]] = {}
    for said, (which, label, also) in zip(best, held, strict=True):
        right = said in {_plain(one) for one in (label, *(also if which == "street, worn" else ()))}
        rows.setdefault(which, []).append(right)
        if which == held[0][0]:
            rows.setdefault(f"{which}: {label}", []).append(right)
    return {which: round(100 * float(np.mean(right)), 1) for which, right in sorted(rows.items())}


def _plain(label: str) -> str:
    return "Footwear" if label in GROUPS["Footwear"] else "T-shirt/top" if label == "T-shirt" else label


def start(network: Network, pack: Path, size: str) -> None:
    """Begin from the ImageNet weights, with the heads that Keras draws."""
    starts = pickle.loads((pack / "starts.pkl").read_bytes())  # noqa: S301
    network.load({key: [np.asarray(v, np.float32) for v in value] for key, value in starts[size].items()})


def save(path: Path, layers: Layers, rows: list[dict[str, float]]) -> None:
    """Keras's weights, by layer and place, and beside them the history."""
    np.savez_compressed(path, **{f"{n}|{i}": v for n, own in layers.items() for i, v in enumerate(own)})
    path.with_suffix(".json").write_text(json.dumps(rows))


def fit_naming(given: argparse.Namespace) -> None:
    """Train the folds, and the ladder on fold 0."""
    of = Material(given.pack, given.device)
    held, seen = views(given.pack)
    figures: dict[str, Any] = {}
    print(
        "material", {s: sum(i["source"] == s for i in of.items) for s in ("lying", "cut", "scene", "worn")}, flush=True
    )

    def fresh(size: str) -> Naming:
        torch.manual_seed(given.seed)
        made = Naming(size, len(PHOTO_LABELS), len(of.kinds))
        start(made, given.pack, size)
        return made.to(given.device, memory_format=made.layout)

    def of_average(network: Naming, layers: Layers) -> Naming:
        kept = copy.deepcopy(network)
        kept.load(layers)
        return kept.to(given.device, memory_format=kept.layout).eval()

    def told(said: str, network: Naming, layers: Layers, *, large: bool = False) -> None:
        figures[said] = judged(of_average(network, layers), held, seen, given.device, large=large)
        print(said, json.dumps(figures[said]), flush=True)
        (given.out / f"{'ladder' if given.ladder else 'naming'}.json").write_text(json.dumps(figures, indent=1))

    for fold in given.folds:
        drawing = Drawing(of, fold)
        teacher = fresh("lite2")
        clock = Clock(given.teacher_steps, given.seconds * TEACHING / (1 + TEACHING))
        layers, _ = name(teacher, drawing, clock, given.rate, large=True, said=f"teacher {fold}")
        teacher = of_average(teacher, layers)
        pupil = fresh("lite0")
        clock = Clock(given.steps, given.seconds / (1 + TEACHING))
        kept, rows = name(pupil, drawing, clock, given.rate, teacher=teacher, said=f"pupil {fold}")
        # An epoch is as many pictures of garments as there are.
        epochs = [{"epoch": row.pop("step") * GARMENTS / int((of.fold != fold).sum()), **row} for row in rows]
        save(given.out / f"naming-{fold}.npz", kept, epochs)
        if fold == 0:
            told("teacher", teacher, layers, large=True)
            told("pupil", pupil, kept)
    for said, without in LADDER.items() if given.ladder else ():
        rung = fresh("lite0")
        clock = Clock(given.steps, given.seconds / len(LADDER))
        told(said, rung, name(rung, Drawing(of, 0, without), clock, given.rate, said=said)[0])


def fit_finder(given: argparse.Namespace) -> None:
    """Train the finder for ``--steps``, or for ``--seconds``."""
    from frames import finder_losses, frames

    network = Finder()
    start(network, given.pack, "finder")
    network = network.to(given.device, memory_format=network.layout).train()
    coming = iter(frames(given.pack, given.batch, given.workers, given.seed))
    next(coming)
    run, clock = Steps(network, given.rate, finder_fit.HEAD_RATE), Clock(given.steps, given.seconds)
    rows = Rows("finder", ("heat_loss", "box_loss", "worn_loss"), clock, given.device)
    while (progress := clock.progress(run.done)) < 1:
        batch = [part.to(given.device, non_blocking=True) for part in next(coming)]
        with torch.autocast(given.device, torch.bfloat16):
            answer = network(batch[0].permute(0, 3, 1, 2).float())
        heat, box, worn = losses = finder_losses(answer, *batch[1:])
        run.step(heat + finder_fit.BOX_WEIGHT * box + finder_fit.WORN_WEIGHT * worn, progress, clip=10.0)
        rows.add(losses)
        if run.done % 2000 == 0:
            save(given.out / "finder.npz", run.averaged(), rows.kept)
    rows.row()
    save(given.out / "finder.npz", run.averaged(), rows.kept)


def main() -> None:
    """Train what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("naming", "finder"))
    parser.add_argument("pack", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folds", type=int, nargs="*", default=[])
    parser.add_argument("--seconds", type=float, default=480, help="how long each network's training may take")
    parser.add_argument("--steps", type=int, help="how many steps it takes, instead")
    parser.add_argument("--teacher-steps", type=int, help="how many the teacher takes")
    parser.add_argument("--ladder", action="store_true", help="photo networks with fewer sources, on fold 0")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--workers", type=int, default=14)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.backends.cudnn.benchmark = True
    if given.what == "naming":
        fit_naming(given)
    else:
        fit_finder(given)


if __name__ == "__main__":
    main()
