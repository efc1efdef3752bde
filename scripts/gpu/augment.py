"""``edgefashion.training.photo_augment`` for a batch at once on a GPU: the same variety, drawn by torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from edgefashion.inference.preprocess import PHOTO_PX
from edgefashion.training.photo_augment import MASK_STRIDE

CELLS = PHOTO_PX // MASK_STRIDE
"""Of the mask, along an edge. Variants are drawn at the stored pictures' 224 pixels, as a teacher sees them."""


def uniform(like: Tensor, low: float, high: float, *shape: int) -> Tensor:
    """Random numbers, (len(like), *shape)."""
    return torch.rand(len(like), *shape, device=like.device) * (high - low) + low


def chance(like: Tensor, share: float) -> Tensor:
    """True for so large a share of ``like``, at random."""
    return torch.rand(len(like), device=like.device) < share


def varied(pictures: Tensor, masks: Tensor, close: Tensor, upright: Tensor) -> tuple[Tensor, Tensor]:
    """Random variants of RGB pictures (n, 3, 224, 224) and of their masks (n, 1, 56, 56): float 0 to 255 of the same
    size, and (n, 1, 20, 20) from 0 to 1. Turned, moved, zoomed, stretched, mirrored."""
    zoom = close * torch.exp(uniform(pictures, math.log(0.7), math.log(1.15))) * 1.12
    stretch = torch.exp(uniform(pictures, -0.25, 0.25))
    quarter = torch.randint(1, 4, (len(pictures),), device=pictures.device) * (math.pi / 2)
    small = torch.randn(len(pictures), device=pictures.device) * torch.where(upright, 5.0, 10.0) * (math.pi / 180)
    angle = torch.where(~upright & chance(pictures, 0.1), quarter, small)
    across = zoom * stretch.sqrt() * torch.where(chance(pictures, 0.5), -1.0, 1.0)
    down = zoom / stretch.sqrt()
    cos, sin = angle.cos(), angle.sin()
    back = torch.stack([torch.stack([cos / across, sin / across], 1), torch.stack([-sin / down, cos / down], 1)], 1)
    moved = uniform(pictures, -0.2, 0.2, 2, 1)
    theta = torch.cat([back, -back @ moved], 2)
    grid = functional.affine_grid(theta, [len(pictures), 3, *pictures.shape[2:]], align_corners=False)
    mirrored = round(0.7 * len(pictures))
    parts = [
        functional.grid_sample(pictures[at].float(), grid[at], padding_mode=beyond, align_corners=False)
        for at, beyond in ((slice(0, mirrored), "reflection"), (slice(mirrored, None), "border"))
    ]
    coarse = functional.affine_grid(theta, [len(pictures), 1, 2 * CELLS, 2 * CELLS], align_corners=False)
    cells = functional.avg_pool2d(functional.grid_sample(masks.float() / 255, coarse, align_corners=False), 2)
    return torch.cat(parts), cells


def toned(x: Tensor) -> Tensor:
    """Pictures (n, 3, side, side), 0 to 255, in other light, through another camera, a part of each hidden."""
    n, edge = len(x), x.shape[-1]

    def each(low: float, high: float, *shape: int) -> Tensor:
        return uniform(x, low, high, *(shape or (1, 1, 1)))

    lit = 255 * (x.clamp(0, 255) / 255) ** each(0.65, 1.5) * each(0.9, 1.1, 3, 1, 1)
    lit = (lit - 128) * each(0.75, 1.25) + 128 + each(-20, 20)
    x = torch.where(chance(x, 0.8)[:, None, None, None], lit, x)
    grey = x.mean(1, keepdim=True)
    strength = torch.where(chance(x, 0.12)[:, None, None, None], 0.0, each(0.4, 1.5))
    x = torch.where(chance(x, 0.5)[:, None, None, None], grey + (x - grey) * strength, x)
    ramp = torch.linspace(0, 1, edge, device=x.device)
    slope = each(0.5, 1) * (1 - ramp) + each(0.8, 1.2) * ramp
    slope = torch.where(chance(x, 0.5)[:, None, None, None], slope, slope.transpose(2, 3))
    x = torch.where(chance(x, 0.15)[:, None, None, None], x * slope, x)
    at = chance(x, 0.15).nonzero()[:, 0]
    if len(at):
        x[at] = _blurred(x[at], float(torch.rand(()) * 1.2 + 0.5))
    noise = torch.randn_like(x) * each(2, 15)
    x = torch.where(chance(x, 0.25)[:, None, None, None], x + noise, x).clamp(0, 255)
    at = chance(x, 0.2).nonzero()[:, 0]
    if len(at):
        x[at] = _as_jpeg(x[at])
    return _partly_hidden(x, n, edge).round().clamp(0, 255)


def seen(x: Tensor) -> Tensor:
    """What the photo network sees of pictures (n, 3, 224, 224): (n, 3, 160, 160)."""
    return functional.interpolate(x, (PHOTO_PX, PHOTO_PX), mode="bilinear", antialias=True).round().clamp(0, 255)


def _blurred(x: Tensor, sigma: float) -> Tensor:
    taps = torch.exp(-(torch.arange(-4, 5, device=x.device) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).expand(3, 1, 1, 9)
    x = functional.conv2d(functional.pad(x, (4, 4, 0, 0), mode="reflect"), taps, groups=3)
    return functional.conv2d(functional.pad(x, (0, 0, 4, 4), mode="reflect"), taps.transpose(2, 3), groups=3)


_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip


def _as_jpeg(x: Tensor) -> Tensor:
    """What JPEG leaves of pictures, (n, 3, h, w), h and w multiples of 16: its table for luma on all three channels,
    colour at half the size."""
    n, _, height, width = x.shape
    to = torch.tensor([[0.299, 0.587, 0.114], [-0.169, -0.331, 0.5], [0.5, -0.419, -0.081]], device=x.device)
    quality = uniform(x, 30, 80, 1, 1, 1)
    table = torch.tensor(_LUMA, device=x.device, dtype=torch.float32)
    table = (table * torch.where(quality < 50, 50 / quality, 2 - quality / 50)).clamp(1)
    k = torch.arange(8, device=x.device, dtype=torch.float32)
    dct = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) / 2
    dct[0] /= math.sqrt(2)

    def coded(plane: Tensor) -> Tensor:
        h, w = plane.shape[1:]
        blocks = plane.reshape(n, h // 8, 8, w // 8, 8).permute(0, 1, 3, 2, 4).reshape(n, -1, 8, 8)
        kept = ((dct @ blocks @ dct.T) / table).round() * table
        return (dct.T @ kept @ dct).reshape(n, h // 8, w // 8, 8, 8).permute(0, 1, 3, 2, 4).reshape(n, h, w)

    parted = torch.einsum("ij,njhw->nihw", to, x)
    luma = coded(parted[:, 0] - 128) + 128
    small = functional.avg_pool2d(parted[:, 1:], 2)
    colour = torch.stack([coded(small[:, 0]), coded(small[:, 1])], 1)
    colour = functional.interpolate(colour, (height, width), mode="bilinear")
    return torch.einsum("ij,njhw->nihw", torch.linalg.inv(to), torch.cat([luma[:, None], colour], 1)).clamp(0, 255)


def _partly_hidden(x: Tensor, n: int, edge: int) -> Tensor:
    """Random erasing (Zhong and others, 2017), of 30 % of the pictures."""
    area, ratio = uniform(x, 0.02, 0.15) * edge * edge, torch.exp(uniform(x, -0.8, 0.8))
    sizes = torch.stack([(area * ratio).sqrt(), (area / ratio).sqrt()], 1).clamp(max=edge - 1)
    first = torch.rand(n, 2, device=x.device) * (edge - sizes)
    line = torch.arange(edge, device=x.device)
    rows, columns = ((line >= first[:, i, None]) & (line < first[:, i, None] + sizes[:, i, None]) for i in (0, 1))
    hidden = (rows[:, None, :, None] & columns[:, None, None, :]) & chance(x, 0.3)[:, None, None, None]
    plain = torch.randint(0, 256, (n, 3, 1, 1), device=x.device).float()
    grain = torch.randint(0, 256, x.shape, device=x.device).float()
    over = torch.where(chance(x, 0.5)[:, None, None, None], plain.expand_as(x), grain)
    return torch.where(hidden, over, x)
