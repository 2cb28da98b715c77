"""ImageNet accuracies that an installed package publishes, for the very weights that timm loads."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from torchvision import models


def published_accuracy(config: Mapping[str, Any]) -> float | None:
    """Top-1 share on ImageNet's validation part of a pretrained configuration's weights; None if unknown.

    torchvision tells it for its own weights, measured at its own test size; weights are known by their file's
    name, which ends in a digest of their content. timm's package holds no accuracies.
    """
    return _by_file().get(str(config.get("url")).rpartition("/")[2])


@cache
def _by_file() -> dict[str, float]:
    names = models.list_models(module=models)
    every = [weights for name in names for weights in models.get_model_weights(name)]
    return {
        weights.url.rpartition("/")[2]: weights.meta["_metrics"]["ImageNet-1K"]["acc@1"] / 100
        for weights in every
        if "ImageNet-1K" in weights.meta.get("_metrics", {})
    }
