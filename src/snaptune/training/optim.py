"""Learning rate and moving average as functions of the step: nothing to save but the step."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn

FINAL_LR = 0.01
"""The last learning rate as a share of the peak."""


def cosine(step: int, steps: int, warmup: float) -> float:
    """Share of the peak learning rate at a step: linear rise, then a cosine down to `FINAL_LR`."""
    done = (step + 1) / steps
    if done < warmup:
        return done / warmup
    fall = (done - warmup) / (1 - warmup)
    return FINAL_LR + (1 - FINAL_LR) * 0.5 * (1 + math.cos(math.pi * fall))


ONE_CYCLE_RISE, ONE_CYCLE_START, ONE_CYCLE_END = 0.3, 1 / 25, 1 / 25e4
MOMENTUM = (0.85, 0.95)
"""Adam's first beta at the peak of a one-cycle schedule and at its ends."""


def torch_one_cycle(step: int, steps: int) -> tuple[float, float]:
    """Share of the peak learning rate, and Adam's first beta: `torch.optim.lr_scheduler.OneCycleLR`.

    With its defaults: a cosine up in the first 30 % of the steps, a cosine down in the rest, the momentum
    the other way round (Smith & Topin, 2018).
    """
    peak = ONE_CYCLE_RISE * steps - 1
    if step <= peak:
        return _eased(ONE_CYCLE_START, 1.0, step / peak), _eased(MOMENTUM[1], MOMENTUM[0], step / peak)
    done = (step - peak) / (steps - 1 - peak)
    return _eased(1.0, ONE_CYCLE_END, done), _eased(MOMENTUM[0], MOMENTUM[1], done)


def _eased(start: float, end: float, done: float) -> float:
    """From `start` to `end` along half a cosine."""
    return end + (start - end) / 2 * (1 + math.cos(math.pi * done))


def build_optimizer(groups: Sequence[dict[str, Any]], *, lr: float, eps: float) -> torch.optim.AdamW:
    """AdamW over groups that carry their own `lr_scale` and `weight_decay`."""
    return torch.optim.AdamW(list(groups), lr=lr, eps=eps, fused=True)


def set_rates(optimizer: torch.optim.Optimizer, lr: float, beta: float | None) -> None:
    """`lr` for the head, of which each group takes its share; Adam's first beta where it moves."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get("lr_scale", 1.0)
        if beta is not None:
            group["betas"] = (beta, group["betas"][1])


class MovingAverage(nn.Module):
    """An average of parameters and statistics; a young one follows faster: min(decay, (1+n)/(10+n)).

    `module` is a copy of `model`, which becomes what `model` is at the first update. torch's `AveragedModel`
    asks the device for the count, and waits for it, in every step, and lists all tensors anew.
    """

    n_averaged: Tensor

    def __init__(self, model: nn.Module, decay: float) -> None:
        super().__init__()
        self.module = copy.deepcopy(model)
        self.register_buffer("n_averaged", torch.tensor(0))
        self._decay = decay
        pairs = list(zip(_tensors(self.module), _tensors(model), strict=True))
        smooth = [pair for pair in pairs if pair[0].is_floating_point()]
        self._averages, self._values = [pair[0] for pair in smooth], [pair[1] for pair in smooth]
        self._counts = [pair for pair in pairs if not pair[0].is_floating_point()]

    @torch.no_grad()
    def update(self) -> None:
        """Follow the model a step."""
        count = int(self.n_averaged)  # lies in main memory
        kept = min(self._decay, (1 + count) / (10 + count)) if count else 0.0
        torch._foreach_lerp_(self._averages, self._values, 1 - kept)
        for average, value in self._counts:
            average.copy_(value)
        self.n_averaged += 1


def _tensors(model: nn.Module) -> Iterator[Tensor]:
    return chain(model.parameters(), model.buffers())
