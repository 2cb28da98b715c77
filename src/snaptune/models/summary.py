"""What a model costs, layer by layer, found on the meta device: nothing is computed and no memory is used."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from snaptune.errors import ModelError
from snaptune.models.build import known_model, shape_options
from snaptune.models.catalog import native_size

_Shape = tuple[int, ...]
_ADDED = ("parameters", "trainable", "size_bytes", "forward_flops", "backward_flops")


@dataclass(frozen=True)
class Layer:
    """What one module holds and does itself, without the modules inside it; the rows sum to the model.

    `size_bytes` counts parameters and buffers. FLOPs count a multiply-accumulate once, in convolutions
    and matrix products (linear layers, attention); norms, activations and pooling count as 0. The backward
    pass costs one forward pass for the gradient of the weights and one for that of the input; the first
    layer's input is the picture, which needs none.
    """

    name: str
    kind: str
    parameters: int
    trainable: int
    size_bytes: int
    forward_flops: int
    backward_flops: int
    in_size: _Shape
    out_size: _Shape

    @property
    def is_convolution(self) -> bool:
        return self.kind.startswith("Conv")


@dataclass(frozen=True)
class Summary:
    """A model's layers in the order in which they run, and the whole of it as one row.

    The layer without a name is the model itself, where it holds tensors of its own (a class token).
    """

    layers: tuple[Layer, ...]
    total: Layer

    def convolutions(self) -> tuple[Layer, ...]:
        return tuple(layer for layer in self.layers if layer.is_convolution)


@dataclass(eq=False)
class _Seen:
    """What the hooks note about one module while the model runs."""

    in_size: _Shape = ()
    out_size: _Shape = ()
    flops: int = 0
    inside: int = 0
    started: int = 0
    wants_gradient: bool = False


def summarize_named(name: str, size: int, classes: int) -> Summary:
    """The summary of a timm model by name; raises `ModelError` where it cannot take this input size."""
    known_model(name)
    try:
        with torch.device("meta"):
            model = timm.create_model(name, num_classes=classes, **shape_options(name, size))
        return summarize(model, (1, 3, size, size))
    except (AssertionError, RuntimeError) as error:
        native = native_size(name)
        raise ModelError(
            f"'{name}' does not take pictures of {size}x{size}: {str(error).splitlines()[0]} "
            f"Its own size is {native}: --size {native}"
        ) from error


def summarize(model: nn.Module, input_size: _Shape) -> Summary:
    """Run a model that lies on the meta device once, with hooks that note sizes and operations."""
    name_of = {module: name for name, module in model.named_modules()}
    seen = {module: _Seen() for module in name_of}
    order = dict.fromkeys([*_run(model, input_size, seen), *name_of])  # those used without a call come last
    owned = _owned_tensors(model)
    rows = {module: _layer(name_of[module], module, seen[module], owned[module]) for module in order}
    sums: dict[str, Any] = {key: sum(getattr(row, key) for row in rows.values()) for key in _ADDED}
    kept = tuple(row for module, row in rows.items() if _tells(row, module))
    return Summary(kept, replace(rows[model], **sums))


def _run(model: nn.Module, input_size: _Shape, seen: dict[nn.Module, _Seen]) -> list[nn.Module]:
    """Fill in `seen`; returns the modules in the order in which they first ran, the model first."""
    counter = FlopCounterMode(display=False)
    handles: list[Any] = []
    ran: dict[nn.Module, None] = {}
    running: list[nn.Module] = []

    def enter(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        note = seen[module]
        note.in_size = note.in_size or _shape(inputs)
        note.wants_gradient |= _wants_gradient(inputs)
        ran.setdefault(module)
        note.started = counter.get_total_flops()
        running.append(module)

    def leave(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        note = seen[module]
        spent = counter.get_total_flops() - note.started
        note.flops += spent
        note.out_size = _shape(output)
        running.pop()
        if running:
            seen[running[-1]].inside += spent

    for module in seen:
        handles += [module.register_forward_pre_hook(enter), module.register_forward_hook(leave)]
    try:
        with counter:
            model.eval()(torch.empty(input_size, device="meta"))
    finally:
        for handle in handles:
            handle.remove()
    return list(ran)


def _shape(value: Any) -> _Shape:
    """Size of the first tensor in what a module takes or gives."""
    if isinstance(value, Tensor):
        return tuple(value.shape)
    if isinstance(value, tuple | list):
        return next((shape for item in value if (shape := _shape(item))), ())
    return ()


def _wants_gradient(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.requires_grad
    return isinstance(value, tuple | list) and any(map(_wants_gradient, value))


def _owned_tensors(model: nn.Module) -> dict[nn.Module, list[Tensor]]:
    """Each module's own parameters and buffers; a tensor that several share counts for the first."""
    taken: set[int] = set()
    owned: dict[nn.Module, list[Tensor]] = {}
    for module in model.modules():
        tensors = [*module.parameters(recurse=False), *module.buffers(recurse=False)]
        owned[module] = [tensor for tensor in tensors if id(tensor) not in taken]
        taken.update(map(id, tensors))
    return owned


def _layer(name: str, module: nn.Module, note: _Seen, tensors: list[Tensor]) -> Layer:
    parameters = [tensor for tensor in tensors if isinstance(tensor, nn.Parameter)]
    trainable = sum(parameter.numel() for parameter in parameters if parameter.requires_grad)
    flops = (note.flops - note.inside) // 2  # torch counts a multiply-accumulate as two
    return Layer(
        name=name,
        kind=type(module).__name__,
        parameters=sum(parameter.numel() for parameter in parameters),
        trainable=trainable,
        size_bytes=sum(tensor.numel() * tensor.element_size() for tensor in tensors),
        forward_flops=flops,
        backward_flops=flops * _gradients(note.wants_gradient, bool(parameters), bool(trainable)),
        in_size=note.in_size,
        out_size=note.out_size,
    )


def _gradients(of_input: bool, has_weights: bool, trainable: bool) -> int:
    """How many gradients a product needs; one of two inputs, as in attention, needs both or none."""
    return of_input + trainable if has_weights else 2 * of_input


def _tells(row: Layer, module: nn.Module) -> bool:
    """Whether a row says something that the rows of the modules inside it do not."""
    ran_leaf = row.in_size and next(module.children(), None) is None
    return bool(row.parameters or row.forward_flops or ran_leaf)
