"""The finder's training frames, put together by many processes, and its losses in torch."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from edgefashion.inference.finder import KINDS
from edgefashion.training.finder_compose import compose
from edgefashion.training.finder_fit import targets
from edgefashion.training.finder_material import Cut, Material


def material(pack: Path) -> Material:
    """The finder's material, unpacked."""

    def read(data: bytes | None, how: int = cv2.IMREAD_COLOR) -> Any:
        return None if data is None else cv2.imdecode(np.frombuffer(data, np.uint8), how)

    def cut(of: Any) -> Cut:
        picture, shape = read(of.picture), read(of.shape, cv2.IMREAD_GRAYSCALE)
        if shape is not None:  # packed at half the size
            shape = cv2.resize(shape, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        return replace(of, picture=picture, shape=shape)

    packed = pickle.loads((pack / "finder.pkl").read_bytes())  # noqa: S301
    return replace(
        packed,
        scenes=list(map(cut, packed.scenes)),
        photos=list(map(cut, packed.photos)),
        grounds=list(map(read, packed.grounds)),
        groundless=list(map(read, packed.groundless)),
    )


class Frames(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    """Batches without end, each of ``size``. Every worker unpacks the material for itself."""

    def __init__(self, pack: Path, size: int, seed: int) -> None:
        self.pack, self.size, self.seed = pack, size, seed

    def __iter__(self) -> Iterator[list[Tensor]]:
        """RGB pictures, heat, edges, counts, worn, what frames tell."""
        cv2.setNumThreads(1)
        worker = torch.utils.data.get_worker_info()
        rng = np.random.default_rng((self.seed, worker.id if worker else 0))
        of = material(self.pack)
        while True:
            made = [compose(of, rng) for _ in range(self.size)]
            pictures = np.stack([frame.picture[..., ::-1] for frame in made])
            taught = [np.stack(part) for part in zip(*map(targets, made), strict=True)]
            taught[1] = taught[1].astype(np.float16)
            taught[2] = taught[2].astype(np.float16)
            tells = np.stack([frame.tells for frame in made]).astype(np.float32)
            yield [torch.from_numpy(np.ascontiguousarray(part)) for part in (pictures, *taught, tells)]


def frames(pack: Path, size: int, workers: int, seed: int) -> Any:
    """A loader of batches of ``size``. Its workers are started anew, for OpenCV's threads do not outlive a fork."""
    how = {"prefetch_factor": 4, "multiprocessing_context": "spawn"} if workers else {}
    return torch.utils.data.DataLoader(Frames(pack, size, seed), batch_size=None, num_workers=workers, **how)


def finder_losses(
    answer: Tensor, heat: Tensor, edges: Tensor, counts: Tensor, worn: Tensor, tells: Tensor
) -> list[Tensor]:
    """``edgefashion.training.finder_fit``'s three: heat, boxes, worn. ``answer``: (n, 41, 24, 24)."""
    answer = answer.permute(0, 2, 3, 1)
    edges, counts = edges.float(), counts.float()
    chance = answer[..., : len(KINDS)].sigmoid().clamp(1e-4, 1 - 1e-4)
    at_centre = (heat > 0.99).float()
    here = -chance.log() * (1 - chance) ** 2 * at_centre
    elsewhere = -(1 - chance).log() * chance**2 * (1 - heat) ** 4 * (1 - at_centre)
    hot = (here + elsewhere) * tells[:, None, None]
    heat_loss = hot.sum() / at_centre.sum().clamp(1)
    told = answer[..., len(KINDS) + 1 :].clamp(-6, 4).exp().reshape(edges.shape)
    box_loss = (_generalized_iou_loss(told, edges) * counts).sum() / counts.sum().clamp(1)
    crossed = functional.binary_cross_entropy_with_logits(answer[..., len(KINDS)], worn[..., 0], reduction="none")
    return [heat_loss, box_loss, (crossed * worn[..., 1]).sum() / worn[..., 1].sum().clamp(1)]


def _generalized_iou_loss(one: Tensor, other: Tensor) -> Tensor:
    shared, around = torch.minimum(one, other), torch.maximum(one, other)

    def area(of: Tensor) -> Tensor:
        return (of[..., 0] + of[..., 2]) * (of[..., 1] + of[..., 3])

    inter = area(shared)
    union = area(one) + area(other) - inter
    hull = area(around)
    return 1 - (inter / (union + 1e-6) - (hull - union) / (hull + 1e-6))
