"""Where on a picture an answer comes from."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

HeatMaps = npt.NDArray[np.float32]


def heat_maps(model: nn.Module, inputs: Tensor, classes: Tensor) -> HeatMaps | None:
    """How much each place speaks for the class: [n, rows, columns] from 0 to 1, as coarse as the features.

    Grad-CAM (Selvaraju et al., 2017) on the last feature map, or on the tokens that enter the last block of a
    vision transformer: behind it only the class token may count. None for a model that has neither. `inputs`
    are normalised [n, 3, h, w], `classes` int64 [n].
    """
    model.eval()
    with torch.no_grad():
        found = model.forward_features(inputs)  # type: ignore[operator]
    if isinstance(found, Tensor) and found.ndim == 4:
        features = found.detach().requires_grad_()
        logits = model.forward_head(features)  # type: ignore[operator]
        channels_last = getattr(model, "output_fmt", "NCHW") == "NHWC"
        return _weighted(features, _slopes(logits, classes, features), channels_last=channels_last)
    grid = _grid(model)
    return None if grid is None else _of_tokens(model, inputs, classes, grid)


def _grid(model: nn.Module) -> tuple[int, int] | None:
    """Rows and columns of a transformer's patches, where its blocks can be taken apart."""
    blocks, patches = getattr(model, "blocks", None), getattr(model, "patch_embed", None)
    grid = getattr(patches or getattr(model, "stem", None), "grid_size", None)  # a mixer calls it its stem
    return grid if grid and isinstance(blocks, nn.Sequential | nn.ModuleList) else None


def _of_tokens(model: Any, inputs: Tensor, classes: Tensor, grid: tuple[int, int]) -> HeatMaps | None:
    """Class and register tokens, which come first, have no place on the picture."""
    entered: list[Tensor] = []

    def keep(block: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        entered.append(given[0].detach().requires_grad_())
        return entered[0], *given[1:]

    handle = model.blocks[-1].register_forward_pre_hook(keep)
    try:
        logits = model(inputs)
    finally:
        handle.remove()
    [tokens] = entered
    places = grid[0] * grid[1]
    if tokens.ndim != 3 or tokens.shape[1] < places:
        return None
    slopes = _slopes(logits, classes, tokens)
    maps = (x[:, -places:].reshape(len(x), *grid, -1) for x in (tokens, slopes))
    return _weighted(*maps, channels_last=True)


def _slopes(logits: Tensor, classes: Tensor, features: Tensor) -> Tensor:
    [slopes] = torch.autograd.grad(logits.gather(1, classes[:, None]).sum(), features)
    return slopes


def _weighted(features: Tensor, slopes: Tensor, *, channels_last: bool) -> HeatMaps:
    channels, places = (3, (1, 2)) if channels_last else (1, (2, 3))
    weights = slopes.mean(dim=places, keepdim=True)
    maps = torch.relu((weights * features.detach()).sum(dim=channels))
    peaks = maps.amax(dim=(1, 2), keepdim=True)
    scaled: HeatMaps = (maps / peaks.clamp(min=1e-12)).float().cpu().numpy()
    return scaled
