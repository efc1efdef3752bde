"""What ``scripts/gpu/pack.py`` packed, on the device: batches of the photo network's training, as
``edgefashion.training.photo_batches`` makes them."""

from __future__ import annotations

import lzma
import pickle
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from augment import chance, seen, toned, varied
from torch import Tensor
from torch.nn import functional

from edgefashion.data.drawn import STORED_PX
from edgefashion.inference.preprocess import FASHION_PX, FASHION_SHARE, PHOTO_PX
from edgefashion.labels import NO_GARMENT
from edgefashion.training.photo_batches import SMOOTHING, smoothing_prior
from edgefashion.training.photo_material import NEW_GROUND, SOURCES, target_of

FASHION_WHOLE_PX = round(FASHION_PX / FASHION_SHARE)


def unpacked(many: list[bytes | None], size: int, *, grey: bool = False) -> Tensor:
    """Pictures as RGB uint8 (n, 3, size, size), or masks (n, 1, size, size), 0 where there is none."""
    out = np.zeros((len(many), size, size, 1 if grey else 3), np.uint8)

    def one(at: int) -> None:
        data = many[at]
        if data is not None:
            read = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
            if read.shape[0] != size:
                read = cv2.resize(read, (size, size), interpolation=cv2.INTER_AREA)
            out[at] = read[..., None] if grey else read[..., ::-1]

    with ThreadPoolExecutor() as pool:
        list(pool.map(one, range(len(many))))
    return torch.from_numpy(np.ascontiguousarray(out.transpose(0, 3, 1, 2)))


@dataclass
class Batch:
    """What a step learns from."""

    large: Tensor
    """(n, 3, 224, 224), 0 to 255, as a teacher sees it."""
    small: Tensor
    """(n, 3, 160, 160), as the photo network does."""
    targets: Tensor
    masks: Tensor
    mask_known: Tensor
    kinds: Tensor
    fashion: Tensor
    fashion_labels: Tensor


class Material:
    """Everything of all folds; a run draws from those that its own fold does not hold out."""

    def __init__(self, folder: Path, device: str) -> None:
        files = sorted(folder.glob("naming-*.pkl"))
        packs = [pickle.loads(path.read_bytes()) for path in files]  # noqa: S301
        items = [item for pack in packs for item in pack["items"]]
        self.fold = np.array(
            [int(path.stem[-1]) for path, pack in zip(files, packs, strict=True) for _ in pack["items"]]
        )
        self.items = items
        self.device = device
        self.pictures = unpacked([i["picture"] for i in items], STORED_PX).to(device)
        self.masks = unpacked([i["mask"] for i in items], 56, grey=True).to(device)
        self.grounds_of = unpacked([i["ground"] for i in items], STORED_PX, grey=True).to(device)
        self.has_mask = torch.tensor([i["mask"] is not None for i in items], device=device)
        self.has_ground = torch.tensor([i["ground"] is not None for i in items], device=device)
        self.targets = torch.tensor(np.stack([i["target"] for i in items]), device=device)
        self.close = torch.tensor([float(i["close"]) for i in items], device=device)
        self.worn = torch.tensor([i["source"] in ("scene", "worn") for i in items], device=device)
        self.is_cut = torch.tensor([i["source"] == "cut" for i in items], device=device)
        self.kinds = sorted({i["kind"] for i in items if i["kind"]})
        number = {kind: at for at, kind in enumerate(self.kinds)}
        self.kind = torch.tensor([number.get(i["kind"], -1) for i in items], device=device)
        walls = pickle.loads((folder / "walls.pkl").read_bytes())  # noqa: S301
        banks: list[bytes] = []
        self.bank: dict[tuple[str, int], np.ndarray] = {}
        for name in ("empty", "background", "streets", "spoiled"):
            for path, pack in zip(files, packs, strict=True):
                self.bank[name, int(path.stem[-1])] = np.arange(len(banks), len(banks) + len(pack[name]))
                banks += pack[name]
        self.walls = np.arange(len(banks), len(banks) + len(walls))
        self.grounds = unpacked([*banks, *walls], STORED_PX).to(device)
        raw = lzma.decompress((folder / "fashion.xz").read_bytes())
        images = np.frombuffer(raw, np.uint8).reshape(-1, 1, 28, 28)
        grown = 255 - torch.from_numpy(images.copy()).to(device).float()
        self.fashion = torch.cat(
            [functional.interpolate(p, (FASHION_WHOLE_PX,) * 2, mode="bicubic").round().clamp(0, 255).to(torch.uint8)
             for p in grown.split(4096)]
        )  # fmt: skip
        labels = np.load(folder / "fashion-labels.npy")
        self.fashion_labels = torch.from_numpy(labels.astype(np.int64)).to(device)
        self.prior = torch.tensor(smoothing_prior(), device=device)
        self.nothing = torch.tensor(target_of(NO_GARMENT), device=device)


class Drawing:
    """Batches of what ``fold`` does not hold out; ``without``: sources that are not used."""

    def __init__(self, of: Material, fold: int, without: tuple[str, ...] = ()) -> None:
        self.of = of
        fits = of.fold != fold
        there = [name for name in SOURCES if name not in without]
        weights = np.zeros(len(of.items))
        for name in there:
            at = [i for i, item in enumerate(of.items) if fits[i] and item["source"] == name]
            labels = Counter(of.items[i]["label"] for i in at)
            senders = Counter(of.items[i]["sender"] for i in at)
            own = np.array([labels[of.items[i]["label"]] ** -0.5 * senders[of.items[i]["sender"]] ** -0.3 for i in at])
            weights[at] = SOURCES[name] * own / own.sum()
        self.weights = torch.tensor(weights / weights.sum(), device=of.device)

        def bank(name: str) -> Tensor:
            own = [indices for (which, number), indices in of.bank.items() if which == name and number != fold]
            return torch.tensor(np.concatenate(own).astype(np.int64), device=of.device)

        self.bank = {name: bank(name) for name in ("empty", "background", "streets", "spoiled")}
        self.bank["walls"] = torch.tensor(of.walls, device=of.device)
        self.some = {name: len(indices) > 0 for name, indices in self.bank.items()}

    def grounds(self, like: Tensor, shares: dict[str, float]) -> Tensor:
        """Positions of random pictures without a garment, as many as ``like``, of banks in these shares."""
        names = [name for name in shares if self.some[name]]
        which = torch.multinomial(torch.tensor([shares[n] for n in names]), len(like), replacement=True).to(like.device)
        found = torch.zeros(len(like), dtype=torch.int64, device=like.device)
        for at, name in enumerate(names):
            own = self.bank[name][torch.randint(len(self.bank[name]), (len(like),), device=like.device)]
            found = torch.where(which == at, own, found)
        return found

    def batch(self, garments: int, none: int, fashion: int) -> Batch:
        """A random batch."""
        of = self.of
        at = torch.multinomial(self.weights, garments, replacement=True)
        pictures = self._before_grounds(at)
        spoiled = round(none * 0.15)
        empties = self.grounds(at[: none - spoiled], {"walls": 0.1, "empty": 0.5, "background": 0.25})
        order = torch.randperm(garments + len(empties), device=of.device)
        pictures = torch.cat([pictures, of.grounds[empties].float()])[order]
        blank = torch.zeros(len(empties), dtype=torch.bool, device=of.device)
        masks = torch.cat([of.masks[at], of.masks.new_zeros(len(empties), 1, 56, 56)])[order]
        close = torch.cat([of.close[at], torch.ones(len(empties), device=of.device)])[order]
        large, cells = varied(pictures, masks, close, torch.cat([of.worn[at], blank])[order])
        large = toned(large)
        bank = self.bank["spoiled"]
        extra = of.grounds[bank[torch.randint(len(bank), (spoiled,), device=of.device)]].float()
        large = torch.cat([large, extra])
        nothing = self.of.nothing.expand(len(empties), -1)
        targets = torch.cat([torch.cat([of.targets[at], nothing])[order], of.nothing.expand(spoiled, -1)])
        targets = (1 - SMOOTHING) * targets + SMOOTHING * of.prior
        known = torch.cat([of.has_mask[at], ~blank])[order].float()
        kinds = torch.cat([of.kind[at], of.kind.new_full((len(empties),), -1)])[order]
        some = torch.randint(len(of.fashion), (fashion,), device=of.device)
        return Batch(
            large,
            seen(large),
            targets,
            torch.cat([cells, cells.new_zeros(spoiled, *cells.shape[1:])]),
            torch.cat([known, known.new_ones(spoiled)]),
            torch.cat([kinds, kinds.new_full((spoiled,), -1)]),
            self._fashion(some),
            of.fashion_labels[some],
        )

    def _before_grounds(self, at: Tensor) -> Tensor:
        of = self.of
        pictures = of.pictures[at].float()
        other = (of.has_ground[at] & chance(at, NEW_GROUND)).nonzero()[:, 0]
        if not len(other):
            return pictures
        which = self.grounds(other, {"empty": 0.32, "background": 0.48, "walls": 0.2})
        if self.some["streets"]:  # held before people
            streets = self.grounds(other, {"streets": 1.0})
            which = torch.where(of.is_cut[at[other]] & chance(other, 0.24), streets, which)
        white = of.grounds_of[at[other]].float() / 255
        pictures[other] = pictures[other] * (1 - white) + of.grounds[which].float() * white
        return pictures

    def _fashion(self, some: Tensor) -> Tensor:
        images = self.of.fashion[some]
        left, top = (int(v) for v in torch.randint(0, FASHION_WHOLE_PX - FASHION_PX + 1, (2,)))
        part = images[:, :, top : top + FASHION_PX, left : left + FASHION_PX].float()
        return torch.where(chance(some, 0.5)[:, None, None, None], part.flip(3), part).expand(-1, 3, -1, -1)


def views(folder: Path) -> tuple[list[Any], Tensor]:
    """Fold 0's held-out garments and what the photo network sees of them, uint8 (n, 3, 160, 160)."""
    pack = pickle.loads((folder / "views.pkl").read_bytes())  # noqa: S301
    # They were packed as the network sees them, red first.
    return pack["held"], unpacked(pack["views"], PHOTO_PX).flip(1)
