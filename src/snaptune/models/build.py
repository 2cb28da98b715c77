"""A timm model with the data set's classes, pretrained where weights can be had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import timm
import torch
from timm.optim import param_groups_layer_decay
from torch import Tensor, nn

from snaptune.errors import ModelError, RunError, closest
from snaptune.images.preprocess import Preprocess
from snaptune.models.catalog import native_size
from snaptune.models.lite0 import MODEL as LITE0
from snaptune.models.lite0 import packaged, packaged_weights
from snaptune.models.weights import load_backbone, read_weights


def build_model(
    name: str,
    classes: int,
    weights: str,
    say: Callable[[str], None] = lambda text: None,
    *,
    size: int | None = None,
) -> nn.Module:
    """A timm model with `classes` outputs for pictures of `size` pixels, by default its own size.

    `weights` is 'pretrained' (from an installed package where one has them, else timm's hub), 'none'
    (random), or a .safetensors, .pth or .pt file; `say` is told where a file's head has another size.
    Raises `ModelError` where the architecture cannot take that size.
    """
    known_model(name)
    try:
        model = _built(name, classes, weights, say, shape_options(name, size))
        _try_size(model, size)
    except (AssertionError, RuntimeError, ValueError) as error:
        if size is None:
            raise
        raise ModelError(
            f"'{name}' does not take pictures of {size} px: {str(error).splitlines()[0]} Its own size is "
            f"{native_size(name)} px; set it with --image-size."
        ) from error
    return model


def _built(
    name: str, classes: int, weights: str, say: Callable[[str], None], shape: dict[str, Any]
) -> nn.Module:
    if weights == "none":
        return timm.create_model(name, num_classes=classes, **shape)
    if weights != "pretrained":
        state = read_weights(Path(weights))
        model = timm.create_model(name, num_classes=classes, **shape)
        load_backbone(model, state, head=classifier_prefix(model), source=weights, say=say)
        return model
    if name in (LITE0, f"{LITE0}.in1k") and packaged():
        model = timm.create_model(name)
        model.load_state_dict(packaged_weights(model))
        model.reset_classifier(classes)  # type: ignore[operator]
        return model
    return _from_hub(name, classes, shape)


def shape_options(name: str, size: int | None) -> dict[str, Any]:
    """What timm must be told to build an architecture whose layers depend on the size of the pictures.

    Position embeddings and windows do; timm resamples those of pretrained weights.
    """
    config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    any_size = config is None or not config.fixed_input_size
    return {} if size is None or any_size or size == native_size(name) else {"img_size": size}


@torch.no_grad()
def _try_size(model: nn.Module, size: int | None) -> None:
    """Let an error come now and not after an hour of preparing pictures."""
    if size is not None and not takes_any_size(model):
        model.eval()
        model(torch.zeros(1, 3, size, size))
        model.train()


def load_model(name: str, classes: int, state: dict[str, Tensor], source: str, *, size: int) -> nn.Module:
    """The model for pictures of `size` pixels, with all of its weights from a run.

    Names, shapes and kinds are compared with an outline that takes no memory before anything is built, so
    that a stranger's run costs no more than the size of its own file. Raises `RunError` naming `source`.
    """
    known_model(name)
    shape = shape_options(name, size)
    with torch.device("meta"):
        outline = timm.create_model(name, num_classes=classes, **shape).state_dict()
    wrong = sorted(outline.keys() ^ state.keys())
    wrong += [key for key in outline.keys() & state.keys() if not _alike(state[key], outline[key])]
    wrong += [] if wrong else [key for key, value in state.items() if not value.isfinite().all()]
    if wrong:
        raise RunError(
            f"'{source}' does not fit {name} with {classes} classes: {len(wrong)} of {len(outline)} tensors "
            f"are missing, too many, of another shape or not finite (first: {wrong[0]})."
        )
    model = timm.create_model(name, num_classes=classes, **shape)
    model.load_state_dict(state)
    return model


def _alike(given: Tensor, wanted: Tensor) -> bool:
    return given.shape == wanted.shape and given.dtype == wanted.dtype


def known_model(name: str) -> None:
    """Raises `ModelError` with the nearest names where timm has no such architecture or weights' tag."""
    if not timm.is_model(name) or ("." in name and name not in timm.list_models(pretrained=True)):
        near = closest(name, [*timm.list_models(), *timm.list_models(pretrained=True)])
        raise ModelError(
            f"Unknown model '{name}'.{f' Closest: {near}.' if near else ''} "
            f"List them with: snaptune models '{name[:6]}*'"
        )


def preprocess_for(name: str, size: int) -> Preprocess:
    """The recipe for a model: its own normalisation statistics, pictures of `size` pixels."""
    known_model(name)
    config = timm.get_pretrained_cfg(name, allow_unregistered=False)
    if config is None:
        raise ModelError(
            f"timm has no pretrained configuration for '{name}', so its normalisation is unknown."
        )
    return Preprocess(size=size, mean=_three(config.mean), std=_three(config.std))


def parameter_groups(
    model: nn.Module, *, weight_decay: float, layer_decay: float, decay_norms: bool = False
) -> list[dict[str, Any]]:
    """Groups with `lr_scale` 1 at the head and `layer_decay` smaller with each layer below it.

    Norms and biases get no weight decay unless `decay_norms`. Layer-wise decay: ELECTRA (Clark et al.,
    2020); layers as timm groups them.
    """
    groups: list[dict[str, Any]] = param_groups_layer_decay(
        model, weight_decay=weight_decay, layer_decay=layer_decay, min_scale=0.0
    )
    if decay_norms:
        groups = [{**group, "weight_decay": weight_decay} for group in groups]
    return groups


def freeze_slow(groups: list[dict[str, Any]], below: float) -> list[dict[str, Any]]:
    """The groups whose `lr_scale` is at least `below`; from here on the parameters of the others stay.

    These are the lowest layers: with little to learn they cost the most, as their maps are the largest, and
    the gradient does not have to reach them.
    """
    for group in groups:
        if group["lr_scale"] < below:
            for parameter in group["params"]:
                parameter.requires_grad = False
    return [group for group in groups if group["lr_scale"] >= below]


def takes_any_size(model: nn.Module) -> bool:
    """Whether a model takes pictures of any height and width, as convolutional ones do."""
    config: Any = getattr(model, "pretrained_cfg", {})
    return not config.get("fixed_input_size", False)


def freeze_backbone(model: nn.Module) -> None:
    """From here on only the head learns."""
    head = classifier_prefix(model) + "."
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(head)


def classifier_prefix(model: nn.Module) -> str:
    """Name of the head inside the model's state, such as `fc`."""
    config: Any = model.pretrained_cfg
    prefix = config["classifier"]
    return str(prefix[0] if isinstance(prefix, tuple | list) else prefix)


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    red, green, blue = values
    return red, green, blue


def _from_hub(name: str, classes: int, shape: dict[str, Any]) -> nn.Module:
    try:
        return timm.create_model(name, pretrained=True, num_classes=classes, **shape)
    except (OSError, RuntimeError) as error:
        raise ModelError(
            f"The pretrained weights of '{name}' could not be fetched: {str(error).splitlines()[0]} "
            f"Check the network, give a file with --weights, or use {LITE0}, whose weights are installed."
        ) from error


def normalise(pixels: Tensor, preprocess: Preprocess) -> Tensor:
    """uint8 or float [n, 3, h, w] with values 0–255 to the model's input: (x/255 - mean) / std."""
    mean, std = (
        torch.tensor(values).to(pixels.device, non_blocking=True).view(1, 3, 1, 1) * 255
        for values in (preprocess.mean, preprocess.std)
    )
    return (pixels.float() - mean) / std
