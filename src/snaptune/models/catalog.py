"""Which pretrained models there are, and which can be loaded on this machine without a hub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import timm
import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from snaptune.errors import ModelError, closest
from snaptune.models.lite0 import MODEL as LITE0
from snaptune.models.lite0 import packaged
from snaptune.models.published import published_accuracy

_WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
_SHOWN = (
    *("architecture", "tag", "input_size", "test_input_size", "min_input_size", "fixed_input_size"),
    *("interpolation", "crop_pct", "test_crop_pct", "crop_mode", "mean", "std", "num_classes"),
    *("pool_size", "test_pool_size", "first_conv", "classifier", "license", "hf_hub_id"),
)
_Size = tuple[int, int, int]


@dataclass(frozen=True)
class CatalogEntry:
    """One set of pretrained weights: input as (channels, height, width), where the weights lie.

    `offline` is 'package' (an installed package has them), 'cache' (a hub download is kept on this
    machine) or '' (they must be fetched); `accuracy` is `published_accuracy`.
    """

    name: str
    input_size: _Size
    offline: str
    accuracy: float | None

    def parameters(self) -> int:
        """Parameters with the pretrained head; the model is laid out on the meta device, without memory."""
        return _parameters(self.name.partition(".")[0], pretrained_classes(self.name))


def find_models(pattern: str) -> list[CatalogEntry]:
    """Pretrained timm models whose name, as `architecture.tag`, fits a pattern such as `resnet18*`."""
    names = timm.list_models(pattern, pretrained=True)
    if not names:
        near = closest(pattern.rstrip("*"), timm.list_models())
        raise ModelError(
            f"No pretrained model fits '{pattern}'.{f' Closest: {near}.' if near else ''} "
            "Use * for any characters: snaptune models 'resnet18*'"
        )
    return [_entry(name) for name in names]


def pretrained_config(name: str) -> dict[str, str]:
    """The pretrained configuration of a model as texts, in reading order, without what timm leaves open."""
    config = _config(name)
    return {key: _text(config[key]) for key in _SHOWN if config.get(key) not in (None, "")}


def native_size(name: str) -> int:
    """Side of the square that a model was pretrained on."""
    return int(_config(name)["input_size"][-1])


def pretrained_classes(name: str) -> int:
    """Outputs of a model's pretrained head."""
    return int(_config(name)["num_classes"])


def has_weights_offline(name: str) -> bool:
    """Whether a model's pretrained weights are on this machine."""
    return bool(weights_offline(_config(name)))


def weights_offline(config: Mapping[str, Any]) -> str:
    """'package', 'cache' or '': where the weights of a pretrained configuration lie on this machine."""
    if (config["architecture"], config["tag"]) == (LITE0, "in1k") and packaged():
        return "package"
    return "cache" if _in_hub_cache(config) or _in_torch_cache(config) else ""


def _entry(name: str) -> CatalogEntry:
    config = _config(name)
    return CatalogEntry(name, config["input_size"], weights_offline(config), published_accuracy(config))


def _config(name: str) -> dict[str, Any]:
    try:
        config = timm.get_pretrained_cfg(name) if timm.is_model(name) else None
    except RuntimeError:  # an unknown tag
        config = None
    if config is None:
        near = closest(name, [*timm.list_models(pretrained=True), *timm.list_models()])
        raise ModelError(
            f"timm has no pretrained configuration for '{name}'.{f' Closest: {near}.' if near else ''} "
            f"List them with: snaptune models '{name[:6]}*'"
        )
    known: dict[str, Any] = config.to_dict()  # type: ignore[no-untyped-call]
    return known


def _in_hub_cache(config: Mapping[str, Any]) -> bool:
    repository = config.get("hf_hub_id")
    if not repository:
        return False
    files = [config["hf_hub_filename"]] if config.get("hf_hub_filename") else _WEIGHT_FILES
    try:
        return any(isinstance(try_to_load_from_cache(repository, file), str) for file in files)
    except HFValidationError:
        return False


def _in_torch_cache(config: Mapping[str, Any]) -> bool:
    """timm reads this cache only for weights that are on no hub."""
    url = config.get("url")
    if not url or config.get("hf_hub_id"):
        return False
    return (Path(torch.hub.get_dir()) / "checkpoints" / str(url).rpartition("/")[2]).is_file()


@cache
def _parameters(architecture: str, classes: int) -> int:
    with torch.device("meta"):
        model = timm.create_model(architecture, num_classes=classes)
    return sum(parameter.numel() for parameter in model.parameters())


def _text(value: object) -> str:
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
