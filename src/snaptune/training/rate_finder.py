"""Which learning rate to try: let it grow while a copy learns, and see where the loss falls fastest.

The range test of L. N. Smith, "Cyclical Learning Rates for Training Neural Networks" (2017,
arXiv 1506.01186).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count, islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from snaptune.data.prepared import Progress as Bar
from snaptune.training.augment import Augment
from snaptune.training.batches import Batch, PreparedBatches
from snaptune.training.checkpoint import Learner
from snaptune.training.loop import Plan, set_training
from snaptune.training.mixup import Mix
from snaptune.training.numerics import Numerics
from snaptune.training.optim import set_rates

LOWEST, HIGHEST, STEPS = 1e-6, 1.0, 100
WINDOW = 11
"""Losses that are averaged, and over which a slope is taken; 11 of 100 steps are two thirds of a decade."""
EXPLODED = 4.0
"""The sweep ends where the mean of the last losses is this many times its lowest."""


@dataclass(frozen=True)
class RateSweep:
    """The loss at each learning rate of the head, which grows from step to step."""

    rates: tuple[float, ...]
    losses: tuple[float, ...]

    @property
    def smooth(self) -> tuple[float, ...]:
        """At each rate the mean of the losses around it, over a window that is cut off at the ends."""
        half, values = WINDOW // 2, np.asarray(self.losses)
        places = range(len(values))
        return tuple(float(values[max(0, at - half) : at + half + 1].mean()) for at in places)

    @property
    def suggested(self) -> float | None:
        """Where the loss falls fastest before its lowest, to two digits; None where it never fell."""
        smooth = np.asarray(self.smooth)
        lowest = int(smooth.argmin()) if len(smooth) else 0
        if lowest < 2:
            return None
        slopes = _slopes(np.log10(self.rates), smooth)[: lowest + 1]
        return float(f"{self.rates[int(slopes.argmin())]:.1e}")


def sweep_rates(
    learner: Learner,
    train: PreparedBatches,
    plan: Plan,
    *,
    augment: Augment,
    normalise: Callable[[Tensor], Tensor],
    numerics: Numerics,
    mix: Mix | None = None,
    steps: int = STEPS,
    progress: Bar = lambda items, total, title: items,
) -> RateSweep:
    """Update a copy of `learner` at rates from `LOWEST` to `HIGHEST`, in even steps of their logarithm.

    Each update is one of `fit`, its rate aside. Ends early where the loss explodes or is no number. The
    gradients are asked for without `backward`, whose only caller is `fit`.
    """
    model, optimizer = copy.deepcopy((learner.model, learner.optimizer))
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    scaler = numerics.scaler({})
    set_training(model, plan.freeze_norms)
    batches = _endless(train, plan.seed)
    rates: list[float] = []
    losses: list[float] = []
    for step in progress(range(steps), steps, "Learning rates"):
        rate = LOWEST * (HIGHEST / LOWEST) ** (step / max(1, steps - 1))
        torch.manual_seed(plan.seed + step)
        mean_loss = 0.0
        for epoch, at, batch in islice(batches, plan.accumulate):
            pixels, targets = augment(batch.pixels, epoch, batch.samples), batch.labels
            if mix is not None:
                pixels, targets = mix(pixels, targets, epoch, at)
            for part, wanted, share in plan.pieces(pixels, targets):
                with numerics.autocast():
                    logits = model(numerics.laid_out(normalise(part)))
                loss = plan.loss(logits, wanted) * share / plan.accumulate
                _add_gradients(scaler.scale(loss), parameters)
                mean_loss += float(loss.detach())
        if not math.isfinite(mean_loss):
            break
        rates.append(rate)
        losses.append(mean_loss)
        if _exploded(losses):
            break
        if plan.clip:
            scaler.unscale_(optimizer)
            nn.utils.clip_grad_norm_(parameters, plan.clip)
        set_rates(optimizer, rate, None)
        scaler.step(optimizer)
        scaler.update()
        optimizer.zero_grad(set_to_none=True)
    return RateSweep(tuple(rates), tuple(losses))


def _endless(train: PreparedBatches, seed: int) -> Iterator[tuple[int, int, Batch]]:
    for epoch in count():
        for at, batch in enumerate(train.shuffled(seed, epoch)):
            yield epoch, at, batch


def _add_gradients(loss: Tensor, parameters: list[nn.Parameter]) -> None:
    gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        if gradient is not None:
            parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


def _exploded(losses: list[float]) -> bool:
    means = [sum(losses[max(0, end - 5) : end]) / min(end, 5) for end in range(1, len(losses) + 1)]
    return means[-1] > EXPLODED * min(means)


def _slopes(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """At each place the slope of the line through the points of the window around it."""
    half = WINDOW // 2
    windows = [slice(max(0, at - half), at + half + 1) for at in range(len(x))]
    return np.array([np.polyfit(x[window], y[window], 1)[0] for window in windows])
