"""The network made ready to learn: what of it learns, how fast, and what is computed in one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from snaptune.config import TrainConfig
from snaptune.models.build import build_model, freeze_backbone, freeze_slow, parameter_groups
from snaptune.models.convolving import quicken
from snaptune.models.folding import fold_norms
from snaptune.training.checkpoint import Learner
from snaptune.training.loop import set_training
from snaptune.training.numerics import Numerics
from snaptune.training.optim import MovingAverage, build_optimizer
from snaptune.training.say import Say

Groups = list[dict[str, Any]]


def initial_model(config: TrainConfig, classes: int, say: Say) -> nn.Module:
    torch.manual_seed(config.seed)
    return build_model(config.model, classes, config.weights, say, size=config.image_size)


def fitted_out(model: nn.Module, config: TrainConfig) -> Groups:
    """Freeze what stays, fold fixed norms and quicken convolutions, in place; the groups of what learns.

    The numerics are measured after this, on the network as it will be trained.
    """
    if config.freeze == "backbone":
        freeze_backbone(model)
    if keeps_statistics(config):
        fold_norms(model, _example(config.image_size))
    quicken(model)
    groups = parameter_groups(
        model,
        weight_decay=config.weight_decay,
        layer_decay=config.layer_decay,
        decay_norms=config.decay_norms,
    )
    if config.weights != "none":
        groups = freeze_slow(groups, config.freeze_below)
    set_training(model, keeps_statistics(config))
    return groups


def build_learner(model: nn.Module, groups: Groups, config: TrainConfig, numerics: Numerics) -> Learner:
    """The model where and as it is computed, its optimiser and its moving average."""
    model = numerics.placed(model)
    optimizer = build_optimizer(groups, lr=config.lr, eps=config.adam_eps)
    ema = MovingAverage(model, config.ema_decay) if config.ema_decay else None
    return Learner(model, optimizer, ema)


def keeps_statistics(config: TrainConfig) -> bool:
    """Whether batch norms go on using the statistics they came with."""
    return config.norm_statistics == "pretrained" and config.weights != "none"


def _example(size: int) -> Tensor:
    """Two pictures of numbers that are all different, without touching the random state."""
    return torch.linspace(-1, 1, 2 * 3 * size * size).view(2, 3, size, size)
