"""Convolutions that are slow on processors as they are usually computed, computed in another way."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from timm.layers import Conv2dSame
from timm.layers.conv2d_same import conv2d_same
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

FORWARD = "forward"
"""What is called in a module; in the module itself, and not in its class, it is a function of ours."""


def quicken(model: nn.Module) -> None:
    """Let `convolve` compute the convolutions of `model` that were not given a function of their own."""
    for module in model.modules():
        if is_convolution(module) and FORWARD not in vars(module):
            setattr(module, FORWARD, partial(_convolved, module))


def is_convolution(module: nn.Module) -> bool:
    return type(module) in (nn.Conv2d, Conv2dSame)


def _convolved(convolution: Any, pixels: Tensor) -> Tensor:
    return convolve(convolution, pixels, convolution.weight, convolution.bias)


def convolve(convolution: nn.Conv2d, pixels: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """What `convolution` makes of `pixels` [n, c, h, w], with `weight` and `bias` instead of its own."""
    if isinstance(convolution, Conv2dSame):
        return _same(convolution, pixels, weight, bias)
    slow = _is_slow_to_learn(convolution, pixels, weight)
    found: Tensor = (_SmallMaps.apply if slow else convolution._conv_forward)(pixels, weight, bias)
    return found


def _same(convolution: nn.Conv2d, pixels: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """TensorFlow's padding, with its odd row and column at the end of even sides.

    Instead of a copy of the map with room for them, the kernel gets a row and a column of zeros at its
    beginning, where that will do.
    """
    if _may_be_longer(convolution, pixels, weight):
        longer = F.pad(weight, (1, 0, 1, 0))
        return F.conv2d(pixels, longer, bias, 2, weight.shape[-1] // 2, groups=convolution.groups)
    geometry: Any = (convolution.stride, convolution.padding, convolution.dilation, convolution.groups)
    padded: Tensor = conv2d_same(pixels, weight, bias, *geometry)
    return padded


def _may_be_longer(convolution: nn.Conv2d, pixels: Tensor, weight: Tensor) -> bool:
    """Whether it halves even sides and nothing is learnt: the gradient of a longer kernel is slow."""
    height, width = pixels.shape[-2:]
    side = convolution.kernel_size[0]
    return (
        height % 2 == width % 2 == 0
        and convolution.kernel_size == (side, side)
        and side % 2 == 1
        and convolution.stride == (2, 2)
        and convolution.dilation == (1, 1)
        and not (torch.is_grad_enabled() and (pixels.requires_grad or weight.requires_grad))
    )


def _is_slow_to_learn(convolution: nn.Conv2d, pixels: Tensor, weight: Tensor) -> bool:
    """Whether it is depthwise, over small maps, and its weights learn."""
    side = convolution.kernel_size[0]
    return (
        not torch.compiler.is_compiling()  # first, since the rest cannot be compiled
        and max(pixels.shape[-2:]) <= _largest_slow_map(side)
        and convolution.groups == convolution.in_channels == convolution.out_channels
        and convolution.kernel_size == (side, side)
        and convolution.padding == (side // 2, side // 2)
        and side % 2 == 1
        and convolution.stride == convolution.dilation == (1, 1)
        and convolution.padding_mode == "zeros"
        and pixels.device.type == "cpu"
        and torch.is_grad_enabled()
        and weight.requires_grad
        and not torch.is_autocast_enabled("cpu")
    )


def _largest_slow_map(side: int) -> int:
    """Up to which side of a map oneDNN's gradient of the weights takes longer than ours.

    Where the map is smaller than the kernel it makes a matrix product of each channel. With AVX2, kernels of
    more than 3x3 lose up to twice their side; with other instructions that was not measured.
    """
    measured = torch.backends.cpu.get_cpu_capability() == "AVX2" and side > 3
    return 2 * side if measured else side - 1


class _SmallMaps(torch.autograd.Function):
    """A depthwise convolution that keeps the size, whose weights get their gradient by `_of_weight`."""

    @staticmethod
    def forward(ctx: Any, pixels: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(pixels, weight)
        return F.conv2d(pixels, weight, bias, 1, weight.shape[-1] // 2, groups=len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor | None]:
        pixels, weight = ctx.saved_tensors
        of_pixels, of_bias = None, None
        if ctx.needs_input_grad[0]:  # turned by half a circle, the kernel brings the gradient back
            of_pixels = F.conv2d(
                gradient, weight.flip(2, 3), padding=weight.shape[-1] // 2, groups=len(weight)
            )
        if ctx.needs_input_grad[2]:
            of_bias = gradient.sum((0, 2, 3))
        return of_pixels, _of_weight(pixels, gradient, weight.shape[-1]), of_bias


def _of_weight(pixels: Tensor, gradient: Tensor, side: int) -> Tensor:
    """The gradient of the weights [c, 1, side, side], as the output of a convolution.

    Each picture's map of each channel is a channel of its own, and the gradient there is its kernel.
    """
    count, channels, height, width = pixels.shape
    maps = pixels.permute(2, 3, 0, 1).reshape(1, height, width, count * channels).permute(0, 3, 1, 2)
    kernels = gradient.reshape(count * channels, 1, height, width)
    found = F.conv2d(maps, kernels, padding=side // 2, groups=count * channels)
    return found.view(count, channels, 1, side, side).sum(0)
