"""Batch norms with fixed statistics, computed inside the convolution before them."""

from __future__ import annotations

import copy
from collections import Counter
from functools import partial
from typing import Any

import torch
from timm.layers import BatchNormAct2d
from torch import Tensor, nn

from snaptune.models.convolving import FORWARD, convolve, is_convolution, quicken

TOLERANCE = 1e-3
"""Largest difference of the outputs, as a share of the largest of them, that is put down to rounding."""


def fold_norms(model: nn.Module, example: Tensor) -> int:
    """Scale the weights of convolutions by the norms behind them instead of scaling their outputs.

    A norm that keeps its statistics is a line through each channel, so its scale and offset can be part of
    the convolution: the same function of the same parameters, which all go on learning, without two passes
    over the largest tensors of a step. `example` is a batch [n, 3, h, w]; with it the model is run in
    evaluation mode to see what follows what, and to compare the outputs. Where they differ nothing is folded.
    Returns the number of norms folded; state and parameters of the model stay as they are.
    """
    training = {module: module.training for module in model.modules()}
    model.eval()
    with torch.no_grad():
        pairs = _adjacent(model, example)
        before = model(example)
        for convolution, norm in pairs:
            setattr(convolution, FORWARD, partial(_scaled, convolution, norm))
            setattr(norm, FORWARD, partial(_behind, norm))
        equal = _alike(before, model(example))
    if not equal:
        for convolution, norm in pairs:
            delattr(convolution, FORWARD)
            delattr(norm, FORWARD)
    for module, mode in training.items():
        module.training = mode
    return len(pairs) if equal else 0


@torch.no_grad()
def merge_norms(model: nn.Module, example: Tensor) -> nn.Module:
    """A model that answers alike, with norms multiplied into the weights for good; only for inference.

    Everything is as for `fold_norms`, but `model` stays as it is. Comes back itself, where it is in training
    mode, has no such norms, or the outputs differ.
    """
    if model.training or not any(map(_is_norm, model.modules())):
        return model
    merged = copy.deepcopy(model)
    for convolution, norm in _adjacent(merged, example):
        weight, offset = _merged(convolution, norm)
        convolution.weight = nn.Parameter(weight, requires_grad=False)
        convolution.bias = nn.Parameter(offset, requires_grad=False)
        setattr(norm, FORWARD, partial(_behind, norm))
    quicken(merged)
    return merged if _alike(model(example), merged(example)) else model


def _alike(wanted: Tensor, found: Tensor) -> bool:
    return bool((wanted - found).abs().max() <= TOLERANCE * wanted.abs().max())


def _is_norm(module: nn.Module) -> bool:
    """Whether it is a line through each channel, perhaps with an activation behind it."""
    known = type(module) in (nn.BatchNorm2d, BatchNormAct2d)
    return known and bool(module.affine and module.track_running_stats)


def _adjacent(model: nn.Module, example: Tensor) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """Convolutions whose output is what a norm gets; none that is used twice."""
    made: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # keeps the tensors, so that no number is given twice
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    calls: Counter[nn.Module] = Counter()

    def after(module: Any, inputs: Any, output: Tensor) -> None:
        calls[module] += 1
        made[id(output)] = (module, output)

    def before(module: Any, inputs: tuple[Tensor, ...]) -> None:
        calls[module] += 1
        if id(inputs[0]) in made:
            pairs.append((made[id(inputs[0])][0], module))

    hooks = [module.register_forward_hook(after) for module in model.modules() if is_convolution(module)]
    hooks += [module.register_forward_pre_hook(before) for module in model.modules() if _is_norm(module)]
    try:
        model(example)
    finally:
        for hook in hooks:
            hook.remove()
    return [pair for pair in pairs if calls[pair[0]] == calls[pair[1]] == 1]


def _merged(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and offset of a convolution that computes both."""
    assert norm.running_mean is not None  # noqa: S101  what tracks statistics has them
    assert norm.running_var is not None  # noqa: S101
    scale = norm.weight * torch.rsqrt(norm.running_var + norm.eps)
    weight = convolution.weight * scale[:, None, None, None]
    offset = norm.bias - norm.running_mean * scale
    if convolution.bias is not None:
        offset = offset + convolution.bias * scale
    return weight, offset


def _scaled(convolution: nn.Conv2d, norm: nn.BatchNorm2d, pixels: Tensor) -> Tensor:
    """The convolution and then the norm, in one."""
    return convolve(convolution, pixels, *_merged(convolution, norm))


def _behind(norm: nn.BatchNorm2d, pixels: Tensor) -> Tensor:
    """What is left of the norm: timm's do the activation, too."""
    if isinstance(norm, BatchNormAct2d):
        pixels = norm.act(norm.drop(pixels))
    return pixels
