"""Augmentation of whole batches of tensors, wherever they live.

Every random number comes from `uniforms(seed, epoch, samples, ...)`, so a picture's augmentation is a
function of (seed, epoch, sample) alone: not of the batch it is in, the order or the device.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from snaptune.trivial_space import TrivialSpace

Floats = npt.NDArray[np.float64]
Augment = Callable[[Tensor, int, npt.NDArray[np.int64]], Tensor]
"""(uint8 [n, 3, h, w], epoch, sample indices [n]) -> float32 [n, 3, h, w], values 0–255."""

ORDER_STREAM, AUGMENT_STREAM, MIX_STREAM = 0, 1, 2

_LUMA = np.array([0.299, 0.587, 0.114])
_EYE, _GREY = np.eye(3), np.full((3, 3), 1 / 3)
_CROSS = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
_PERMUTATIONS = np.array([[0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])


def generator(seed: int, epoch: int, stream: int, sample: int = 0) -> np.random.Generator:
    """Counter-based (Philox; Salmon et al., 2011): any place is reached without the ones before it."""
    return np.random.Generator(np.random.Philox(key=[seed, epoch], counter=[0, 0, stream, sample]))


def uniforms(seed: int, epoch: int, samples: Sequence[int] | npt.NDArray[np.int64], count: int) -> Floats:
    """Numbers in [0, 1), float64 [samples, count]."""
    rows = [generator(seed, epoch, AUGMENT_STREAM, int(sample)).random(count) for sample in samples]
    return np.stack(rows)


@dataclass(frozen=True)
class Gentle:
    """A slight affine warp and a change of colour; never a flip, so that left stays left.

    Ranges are symmetric around "no change": degrees, log zoom, share of the side, and strengths.
    """

    seed: int
    rotate: float = 15.0
    zoom: float = 0.12
    shift: float = 0.05
    brightness: float = 0.2
    contrast: float = 0.3
    saturation: float = 0.5
    hue: float = 0.05
    permute: float = 0.5

    def __call__(self, pixels: Tensor, epoch: int, samples: npt.NDArray[np.int64]) -> Tensor:
        draws = uniforms(self.seed, epoch, samples, 9)
        warped = _warp(pixels.float(), self._affine(draws))
        return _recolour(warped, self._colour(draws))

    def _affine(self, draws: Floats) -> Floats:
        """[n, 2, 3]: output to input coordinates, both from -1 to 1."""
        turn, zoom, right, down = (2 * draws[:, :4] - 1).T
        angle, scale = np.deg2rad(self.rotate) * turn, np.exp(-self.zoom * zoom)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        rows = [[cos, -sin, 2 * self.shift * right], [sin, cos, 2 * self.shift * down]]
        return np.moveaxis(np.array(rows), -1, 0)

    def _colour(self, draws: Floats) -> Floats:
        """[n, 3, 4]: gains and offset on RGB from 0 to 1."""
        light, contrast, saturation, hue = (2 * draws[:, 4:8] - 1).T
        gain = np.exp(self.contrast * contrast)[:, None, None]
        mix = gain * (_saturated(1 + self.saturation * saturation) @ _hue_turned(2 * np.pi * self.hue * hue))
        offset = (0.5 - 0.5 * gain[:, 0] + self.brightness * light[:, None])[:, :, None]
        return np.concatenate([mix @ _permuted(draws[:, 8], self.permute), offset.repeat(3, 1)], axis=2)


def build_augment(name: str, seed: int, space: TrivialSpace) -> Augment:
    """The augmentation behind the setting `augment`; `space` is what the trivial one draws from."""
    from snaptune.training.trivial import TrivialAugment  # which takes its draws from this module

    if name == "trivial":
        return TrivialAugment(seed, space)
    return Gentle(seed) if name == "gentle" else plain


def shown_augmented(
    augment: Augment, pixels: npt.NDArray[np.uint8], sample: int, epochs: int
) -> list[npt.NDArray[np.uint8]]:
    """What the model gets of one sample, uint8 [h, w, 3], in its first epochs."""
    tensor = torch.tensor(pixels).permute(2, 0, 1)[None]
    made = [augment(tensor, epoch, np.array([sample])) for epoch in range(epochs)]
    return [one[0].round().clamp(0, 255).byte().permute(1, 2, 0).numpy() for one in made]


def plain(pixels: Tensor, epoch: int, samples: npt.NDArray[np.int64]) -> Tensor:
    """No augmentation."""
    return pixels.float()


def _saturated(amount: Floats) -> Floats:
    amount = amount[:, None, None]
    mixed: Floats = amount * _EYE + (1 - amount) * np.broadcast_to(_LUMA, (3, 3))
    return mixed


def _hue_turned(angle: Floats) -> Floats:
    """Rotation about the grey axis (Rodrigues)."""
    cos, sin = np.cos(angle)[:, None, None], np.sin(angle)[:, None, None]
    turned: Floats = cos * _EYE + (1 - cos) * _GREY + sin * _CROSS
    return turned


def _permuted(draw: Floats, chance: float) -> Floats:
    """With probability `chance` one of the five other channel orders, as 0/1 matrices [n, 3, 3]."""
    which = np.minimum(draw / max(chance, 1e-12) * len(_PERMUTATIONS), len(_PERMUTATIONS) - 1).astype(int)
    orders = np.where((draw < chance)[:, None], _PERMUTATIONS[which], np.arange(3))
    return _EYE[orders]


def _warp(pixels: Tensor, affine: Floats) -> Tensor:
    """Bilinear sampling; outside the picture its edge pixels go on."""
    theta = on(pixels, affine)
    height, width = pixels.shape[2:]
    x, y = ((2 * torch.arange(side, device=pixels.device) + 1) / side - 1 for side in (width, height))
    grid = sampling_grid(theta, x, y)
    return F.grid_sample(pixels, grid, mode="bilinear", padding_mode="border", align_corners=False)


def sampling_grid(theta: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """[n, h, w, 2]: where affine maps [n, 2, 3] send the coordinates x [w] and y [h].

    A sum and no matrix product, whose rounding could change with the batch, and which is slower.
    """
    along, across, shift = theta[..., None, None].unbind(2)
    return (along * x + (across * y[:, None] + shift)).movedim(1, -1)


def on(like: Tensor, values: Floats) -> Tensor:
    """The numbers as float32 where `like` is."""
    return torch.from_numpy(values).float().to(like.device, non_blocking=True)


def _recolour(pixels: Tensor, colour: Floats) -> Tensor:
    matrix = on(pixels, colour)
    mixed = torch.einsum("nij,njhw->nihw", matrix[:, :, :3], pixels)
    return (mixed + 255 * matrix[:, :, 3, None, None]).clamp_(0, 255)
