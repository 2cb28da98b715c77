"""Trivial augmentation: one random operation at a random strength for each picture of a batch.

S. G. Müller, F. Hutter, "TrivialAugment: Tuning-free Yet State-of-the-Art Data Augmentation", ICCV 2021.
Names, strengths and results are those of torchvision's `TrivialAugmentWide` on uint8 tensors. Pictures are
grouped by the kind of their operation, and a kind is done at once, each picture with its own numbers:

- geometry: one nearest-neighbour sampling; what comes from outside the picture is black;
- operations on levels: a table of 256 levels for each picture and channel, then one look-up;
- colour and sharpness: a blend of the picture with its grey or its blurred self.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from snaptune.training.augment import Floats, on, sampling_grid, uniforms
from snaptune.trivial_space import GEOMETRY, TrivialSpace

Names = npt.NDArray[np.str_]


@dataclass(frozen=True)
class TrivialAugment:
    """One operation of `space` a picture, at one of its strengths, all equally likely."""

    seed: int
    space: TrivialSpace

    def __call__(self, pixels: Tensor, epoch: int, samples: npt.NDArray[np.int64]) -> Tensor:
        return apply_operations(pixels, *self.choose(epoch, samples))

    def choose(self, epoch: int, samples: npt.NDArray[np.int64]) -> tuple[Names, Floats]:
        """The name of each sample's operation, and its strength."""
        operations, bins = self.space.operations, self.space.bins
        which, step, sign = uniforms(self.seed, epoch, samples, 3).T
        chosen = (which * len(operations)).astype(int)
        names = np.array([operation.name for operation in operations])
        low, high = np.array([(operation.low, operation.high) for operation in operations])[chosen].T
        signed = np.array([operation.signed for operation in operations])[chosen]
        strengths: Floats = low + (high - low) * np.floor(step * bins) / (bins - 1)
        return names[chosen], np.where(signed & (sign < 0.5), -strengths, strengths)


def apply_operations(pixels: Tensor, names: Names, strengths: Floats) -> Tensor:
    """Picture i after operation `names[i]`: uint8 [n, 3, h, w] -> float32, whole levels from 0 to 255."""
    pixels = pixels.contiguous()
    result = pixels.float()
    for kind, apply in _KINDS:
        rows = np.flatnonzero(np.isin(names, kind))
        if len(rows):
            where = torch.from_numpy(rows).to(pixels.device, non_blocking=True)
            changed = apply(pixels.index_select(0, where), names[rows], strengths[rows])
            result.index_copy_(0, where, changed)
    return result


def _warped(pixels: Tensor, names: Names, strengths: Floats) -> Tensor:
    height, width = pixels.shape[2:]
    theta = on(pixels, _affine(names, strengths, height, width) * [[2 / width], [2 / height]])
    x, y = (torch.arange(side, device=pixels.device) + (0.5 - side / 2) for side in (width, height))
    grid = sampling_grid(theta, x, y)
    return F.grid_sample(pixels.float(), grid, mode="nearest", padding_mode="zeros", align_corners=False)


def _affine(names: Names, strengths: Floats, height: int, width: int) -> Floats:
    """[n, 2, 3]: output to input in pixels from the centre; shears keep the top and left border in place."""
    shear_x, shear_y, right, down, turn = (np.where(names == name, strengths, 0) for name in GEOMETRY)
    cos, sin = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    rows = [
        [cos, shear_x - sin, shear_x * height / 2 - np.trunc(right)],
        [shear_y + sin, cos, shear_y * width / 2 - np.trunc(down)],
    ]
    return np.moveaxis(np.array(rows), -1, 0)


def _recoloured(pixels: Tensor, names: Names, strengths: Floats) -> Tensor:
    image = pixels.float()
    return _blend(image, _grey(image), strengths)


def _sharpened(pixels: Tensor, names: Names, strengths: Floats) -> Tensor:
    """Blends with a blur (centre 5/13, neighbours 1/13) that leaves the border as it is."""
    image = pixels.float()
    if min(pixels.shape[2:]) < 3:
        return image
    levels = pixels.short()
    sums = _three_sums(_three_sums(levels, 2), 3) + 4 * levels[..., 1:-1, 1:-1]
    blurred = image.clone()
    blurred[..., 1:-1, 1:-1] = (sums / 13).round_()
    return _blend(image, blurred, strengths)


def _three_sums(values: Tensor, dim: int) -> Tensor:
    """Twice, this is a 3x3 convolution with ones: in whole numbers, so exact under any precision setting."""
    length = values.shape[dim] - 2
    return values.narrow(dim, 0, length) + values.narrow(dim, 1, length) + values.narrow(dim, 2, length)


def _relevelled(pixels: Tensor, names: Names, strengths: Floats) -> Tensor:
    """Each table starts as a picture [n, 3, 1, 256] of all the levels."""
    levels = torch.arange(256.0, device=pixels.device)
    tables = levels.repeat(len(pixels), 3, 1, 1)
    for name, change in _TABLES.items():
        rows = np.flatnonzero(names == name)
        if len(rows):
            where = torch.from_numpy(rows).to(pixels.device, non_blocking=True)
            table = change(levels, pixels.index_select(0, where), strengths[rows])
            tables.index_copy_(0, where, table.expand(-1, 3, 1, 256))
    return tables.flatten(2).gather(2, pixels.flatten(2).long()).view(pixels.shape)


def _brightness(levels: Tensor, pixels: Tensor, strengths: Floats) -> Tensor:
    return _blend(levels, torch.zeros_like(levels), strengths)


def _contrast(levels: Tensor, pixels: Tensor, strengths: Floats) -> Tensor:
    """The mean comes from a sum of integers: its rounding cannot change with the batch."""
    mean = _grey(pixels.float()).sum((2, 3), keepdim=True, dtype=torch.int64) / pixels[0, 0].numel()
    return _blend(levels, mean, strengths)


def _posterize(levels: Tensor, pixels: Tensor, strengths: Floats) -> Tensor:
    step = on(pixels, 2 ** (8 - strengths.round()))[:, None, None, None]
    return (levels / step).floor_() * step


def _solarize(levels: Tensor, pixels: Tensor, strengths: Floats) -> Tensor:
    return torch.where(levels >= on(pixels, strengths)[:, None, None, None], 255 - levels, levels)


def _autocontrast(levels: Tensor, pixels: Tensor, strengths: Floats) -> Tensor:
    least, most = (extreme.float() for extreme in (pixels.amin((2, 3), True), pixels.amax((2, 3), True)))
    stretched = ((levels - least) * (255 / (most - least))).clamp_(0, 255).floor_()
    return torch.where(most > least, stretched, levels)


def _equalize(levels: Tensor, pixels: Tensor, strengths: Floats) -> Tensor:
    index = pixels.flatten(2).long()
    ones = torch.ones((), dtype=torch.int64, device=pixels.device).expand_as(index)
    counts = torch.zeros(*index.shape[:2], 256, dtype=torch.int64, device=pixels.device)
    counts.scatter_add_(2, index, ones)
    last = counts.gather(2, index.amax(2, keepdim=True))
    step = (index.shape[2] - last) // 255
    below = counts.cumsum(2) - counts
    table = ((below + step // 2) // step.clamp(min=1)).clamp_(0, 255)
    return torch.where(step > 0, table.float(), levels)[:, :, None]


def _blend(image: Tensor, other: Tensor, strengths: Floats) -> Tensor:
    """At strength 0 the picture, at -1 the other one; fractions of a level are dropped."""
    own, others = (on(image, share)[:, None, None, None] for share in (1 + strengths, -strengths))
    return (own * image).add_(others * other).clamp_(0, 255).floor_()


def _grey(image: Tensor) -> Tensor:
    """float32 [n, 1, h, w], whole levels."""
    red, green, blue = image.unbind(1)
    return (0.2989 * red + 0.587 * green + 0.114 * blue).floor_()[:, None]


_Kind = Callable[[Tensor, Names, Floats], Tensor]
_Table = Callable[[Tensor, Tensor, Floats], Tensor]
_TABLES: dict[str, _Table] = {
    "Brightness": _brightness,
    "Contrast": _contrast,
    "Posterize": _posterize,
    "Solarize": _solarize,
    "AutoContrast": _autocontrast,
    "Equalize": _equalize,
}
_KINDS: tuple[tuple[tuple[str, ...], _Kind], ...] = (
    (GEOMETRY, _warped),
    (tuple(_TABLES), _relevelled),
    (("Color",), _recoloured),
    (("Sharpness",), _sharpened),
)
