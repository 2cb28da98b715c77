"""Convolutions computed in another way give what torch's own give, and so do their gradients."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
from timm.layers import Conv2dSame
from torch import Tensor, nn

from snaptune.models import convolving
from snaptune.models.convolving import quicken
from tests.models.test_folding import gradients


def depthwise(side: int, **options: Any) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(6, 6, side, **{"padding": side // 2, "groups": 6} | options).double()


def pictures(side: int, channels: int = 6) -> Tensor:
    made = torch.randn(3, channels, side, side, dtype=torch.float64, generator=torch.manual_seed(1))
    return made.contiguous(memory_format=torch.channels_last)


def outcome(module: nn.Module, pixels: Tensor) -> list[Tensor]:
    """Output, and gradients of the pixels and of all parameters, under uneven weights."""
    pixels = pixels.clone().requires_grad_()
    output = module(pixels)
    weights = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).view_as(output)
    return [output.detach(), *torch.autograd.grad((output * weights).sum(), [pixels, *module.parameters()])]


@pytest.fixture
def taken(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Sides of the maps whose weights got their gradient from us."""
    sides: list[int] = []
    of_weight = convolving._of_weight

    def told(pixels: Tensor, gradient: Tensor, side: int) -> Tensor:
        sides.append(pixels.shape[-1])
        return of_weight(pixels, gradient, side)

    monkeypatch.setattr(convolving, "_of_weight", told)
    return sides


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kernel", "side"), [(3, 1), (3, 2), (5, 2), (5, 4), (7, 5)])
def test_small_maps_learn_what_they_would(kernel: int, side: int, bias: bool, taken: list[int]) -> None:
    plain = depthwise(kernel, bias=bias)
    quick = copy.deepcopy(plain)
    quicken(quick)
    for wanted, found in zip(outcome(plain, pictures(side)), outcome(quick, pictures(side)), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    assert taken == [side]


@pytest.mark.parametrize(("capability", "ours"), [("AVX2", [10, 9, 5, 4, 2]), ("AVX512", [4, 2])])
def test_larger_maps_are_ours_where_that_was_measured(
    capability: str, ours: list[int], taken: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    for kernel, side in ((5, 11), (5, 10), (5, 9), (5, 5), (5, 4), (3, 6), (3, 3), (3, 2)):
        plain = depthwise(kernel)
        quick = copy.deepcopy(plain)
        quicken(quick)
        for wanted, found in zip(outcome(plain, pictures(side)), outcome(quick, pictures(side)), strict=True):
            torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    assert taken == ours


@pytest.mark.parametrize(
    "options",
    [
        {"stride": 2},
        {"dilation": 2, "padding": 4},
        {"padding": 1},
        {"groups": 3},
        {"padding_mode": "circular"},
    ],
    ids=str,
)
def test_other_convolutions_are_left_to_torch(options: dict[str, Any], taken: list[int]) -> None:
    plain = depthwise(5, **options)
    quick = copy.deepcopy(plain)
    quicken(quick)
    for wanted, found in zip(outcome(plain, pictures(4)), outcome(quick, pictures(4)), strict=True):
        assert torch.equal(wanted, found)
    assert taken == []


def test_nothing_is_ours_where_weights_do_not_learn_or_precision_is_mixed(taken: list[int]) -> None:
    quick = depthwise(5).float()
    quicken(quick)
    pixels = pictures(4).float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        quick(pixels).sum().backward()
    quick.weight.requires_grad_(False)
    quick(pixels).sum().backward()
    assert taken == []


@pytest.mark.parametrize(("kernel", "side"), [(3, 8), (5, 8), (7, 12), (3, 7), (2, 8)])
@pytest.mark.parametrize("stride", [1, 2])
def test_padding_of_tensorflow_is_the_same_without_a_copy(kernel: int, side: int, stride: int) -> None:
    torch.manual_seed(0)
    plain: nn.Module = Conv2dSame(6, 8, kernel, stride=stride, groups=2).double()
    quick = copy.deepcopy(plain)
    quicken(quick)
    pixels = pictures(side)
    with torch.no_grad():
        torch.testing.assert_close(quick(pixels), plain(pixels), rtol=1e-12, atol=1e-12)
    for wanted, found in zip(outcome(plain, pixels), outcome(quick, pixels), strict=True):
        torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


def test_no_map_is_copied_for_its_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    quick: nn.Module = Conv2dSame(6, 6, 3, stride=2, groups=6).double()
    quicken(quick)
    copied: list[tuple[int, ...]] = []
    pad = torch.nn.functional.pad

    def told(tensor: Tensor, *rest: Any) -> Tensor:
        copied.append(tuple(tensor.shape))
        return pad(tensor, *rest)

    monkeypatch.setattr("torch.nn.functional.pad", told)
    with torch.no_grad():
        quick(pictures(8))
    assert copied == [(6, 1, 3, 3)]


def test_a_network_without_norms_to_fold_is_quickened_too(taken: list[int]) -> None:
    torch.manual_seed(0)
    plain = timm.create_model("convnext_atto", num_classes=3).double()
    quick = copy.deepcopy(plain)
    keys = list(plain.state_dict())
    quicken(quick)
    wanted, found = (gradients(model, pictures(96, 3)) for model in (plain, quick))
    for key, value in wanted.items():
        assert (found[key] - value).abs().max() <= 1e-9 * value.abs().max(), key
    assert 3 in taken
    assert list(quick.state_dict()) == keys
