"""Learning rate and moving average as functions of the step: nothing to save but the step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

FINAL_LR = 0.01
"""The last learning rate as a share of the peak."""


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate at a step: linear rise, then a cosine down to `FINAL_LR`."""
    done = (step + 1) / steps
    if done < warmup:
        return done / warmup
    fall = (done - warmup) / (1 - warmup)
    return FINAL_LR + (1 - FINAL_LR) * 0.5 * (1 + math.cos(math.pi * fall))


def build_optimizer(groups: Sequence[dict[str, Any]], *, lr: float, eps: float) -> torch.optim.AdamW:
    """AdamW over groups that carry their own `lr_scale` and `weight_decay`."""
    return torch.optim.AdamW(list(groups), lr=lr, eps=eps)


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """`lr` for the head; each group takes its share."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)


def build_ema(model: nn.Module, decay: float) -> AveragedModel:
    """A moving average of parameters and statistics; a young one follows faster: min(d, (1+n)/(10+n))."""

    def update(averages: Sequence[Tensor], values: Sequence[Tensor], count: Tensor | int) -> None:
        kept = min(decay, (1 + int(count)) / (10 + int(count)))
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value.detach(), 1 - kept)
            else:
                average.copy_(value)

    return AveragedModel(model, multi_avg_fn=update, use_buffers=True)
