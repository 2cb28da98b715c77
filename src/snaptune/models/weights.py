"""Weights from a file, read as tensors alone: nothing in the file is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from snaptune.errors import ModelError

PYTORCH_SUFFIXES = (".pth", ".pt")
_WRAPPERS = ("state_dict", "model")


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file, or of a PyTorch file that holds nothing but tensors."""
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if path.suffix in PYTORCH_SUFFIXES:
        return _read_pytorch(path)
    raise ModelError(f"Weights '{path}' must be 'pretrained', 'none' or a .safetensors, .pth or .pt file.")


def load_backbone(
    model: nn.Module, state: dict[str, Tensor], *, head: str, source: str, say: Callable[[str], None]
) -> None:
    """Load every tensor that fits; all but those of the head, whose names start with `head`, must.

    A head of another size stays as it is in the model, and `say` is told.
    """
    own = model.state_dict()
    misfits = [name for name in own if not _fits(state.get(name), own[name])]
    if wrong := [name for name in misfits if not name.startswith(head + ".")]:
        raise ModelError(
            f"Weights '{source}' do not fit: {len(wrong)} of {len(own)} tensors differ (first: {wrong[0]})."
        )
    model.load_state_dict({name: state[name] for name in own if name not in misfits}, strict=False)
    if misfits:
        say(f"Weights '{source}' were taken without the head: {_why(head, misfits[0], state, own)}")


def _why(head: str, name: str, state: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    if name not in state:
        return f"the file has no '{name}'. '{head}' starts from random weights."
    given, wanted = (tensors[name].shape[0] for tensors in (state, own))
    return f"its '{head}' has {given} classes, not {wanted}. '{head}' starts from random weights."


def _fits(given: Tensor | None, wanted: Tensor) -> bool:
    return given is not None and given.shape == wanted.shape and given.layout == wanted.layout


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"Weights '{path}' cannot be read: {error}.") from error


def _read_pytorch(path: Path) -> dict[str, Tensor]:
    try:
        value = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelError(f"Weights '{path}' cannot be read: {error.strerror or error}.") from error
    except Exception as error:  # damaged and hostile files raise nearly anything
        raise ModelError(
            f"Weights '{path}' are damaged, or hold more than tensors; loading that could run code, so "
            "nothing was loaded or run. Save only model.state_dict(), best as .safetensors."
        ) from error
    return _tensors(value, path)


def _tensors(value: Any, path: Path) -> dict[str, Tensor]:
    """A state, perhaps one level down in a checkpoint, without the prefix of data-parallel training."""
    for key in _WRAPPERS:
        if isinstance(value, dict) and isinstance(value.get(key), dict):
            value = value[key]
    tensors = value.items() if isinstance(value, dict) else ()
    state = {str(name).removeprefix("module."): item for name, item in tensors if isinstance(item, Tensor)}
    if not state:
        raise ModelError(f"Weights '{path}' hold no tensors by name. Save model.state_dict().")
    return state
