from __future__ import annotations

import pytest
import timm
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from snaptune.errors import ModelError
from snaptune.models.catalog import native_size
from snaptune.models.summary import summarize, summarize_named


def counted(model: nn.Module, size: int) -> tuple[int, int]:
    """Multiply-accumulates of one real forward and backward pass, as torch counts them.

    Attention is computed as plain products: torch 2.14 does not count its fused form on the processor.
    """
    with FlopCounterMode(display=False) as forward, sdpa_kernel(SDPBackend.MATH):
        answer = model(torch.zeros(1, 3, size, size))
    with FlopCounterMode(display=False) as gradients:
        torch.autograd.grad(answer.sum(), [p for p in model.parameters() if p.requires_grad])
    return forward.get_total_flops() // 2, gradients.get_total_flops() // 2


def test_resnet18d_costs_what_the_specification_says() -> None:
    summary = summarize_named("resnet18d", 256, 19)
    total, first = summary.total, summary.layers[0]
    assert total.parameters == total.trainable == 11_205_491
    assert round(total.size_bytes / 1e6, 1) == 44.9
    assert (round(total.forward_flops / 1e9, 1), round(total.backward_flops / 1e9, 1)) == (2.7, 5.3)
    assert (total.in_size, total.out_size) == ((1, 3, 256, 256), (1, 19))
    assert (first.name, first.kind, first.parameters) == ("conv1.0", "Conv2d", 864)
    assert round(first.forward_flops / 1e6, 1) == round(first.backward_flops / 1e6, 1) == 14.2
    assert first.out_size == (1, 32, 128, 128)
    assert len(summary.convolutions()) == 22


@pytest.mark.parametrize(
    ("name", "megabytes", "flops"), [("resnet50d", 95, 5.7e9), ("mobilenetv3_small_050", 2.4, 30e6)]
)
def test_the_models_it_is_compared_with(name: str, megabytes: float, flops: float) -> None:
    total = summarize_named(name, 256, 19).total
    assert total.size_bytes / 1e6 == pytest.approx(megabytes, rel=0.01)
    assert total.forward_flops == pytest.approx(flops, rel=0.01)


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
def test_rows_sum_to_the_model_and_to_what_torch_counts(name: str) -> None:
    model = timm.create_model(name, num_classes=3).eval()
    size = native_size(name)
    summary = summarize_named(name, size, 3)
    for key in ("parameters", "trainable", "size_bytes", "forward_flops", "backward_flops"):
        assert sum(getattr(row, key) for row in summary.layers) == getattr(summary.total, key)
    assert summary.total.parameters == sum(p.numel() for p in model.parameters())
    forward, gradients = counted(model, size)
    assert summary.total.forward_flops == forward
    if name == "test_resnet":  # torch counts grouped convolutions twice
        assert summary.total.backward_flops == gradients


def test_attention_products_belong_to_the_attention() -> None:
    attention = next(row for row in summarize_named("test_vit", 160, 3).layers if row.kind == "Attention")
    tokens, width = 101, 64
    assert attention.forward_flops == 2 * tokens * tokens * width
    assert attention.parameters == 0


def test_frozen_layers_need_no_gradient() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.Conv2d(4, 5, 1))
    model[0].requires_grad_(False)
    frozen, first, second = summarize(model, (1, 3, 8, 8)).layers
    assert (frozen.trainable, frozen.backward_flops) == (0, 0)
    assert first.backward_flops == first.forward_flops
    assert second.backward_flops == 2 * second.forward_flops


def test_weights_used_without_a_call_are_counted() -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Conv2d(3, 4, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return nn.functional.conv2d(x, self.inner.weight)

    with torch.device("meta"):
        summary = summarize(Odd(), (1, 3, 8, 8))
    assert summary.total.parameters == 112
    assert [(row.name, row.forward_flops) for row in summary.layers] == [("", 3888), ("inner", 0)]


def test_weights_that_two_layers_share_are_counted_once() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1))
    model[1].weight = model[0].weight
    summary = summarize(model, (1, 3, 8, 8))
    assert summary.total.parameters == sum(row.parameters for row in summary.layers) == 9 + 3 + 3


def test_a_size_the_model_cannot_take_names_its_own() -> None:
    with pytest.raises(ModelError) as error:
        summarize_named("efficientformer_l1", 256, 3)
    assert str(error.value).startswith("'efficientformer_l1' does not take pictures of 256x256: ")
    assert str(error.value).endswith("Its own size is 224: --size 224")


def test_a_model_of_one_size_is_summed_up_at_another() -> None:
    at_own, larger = (summarize_named("test_vit", size, 3).total for size in (160, 320))
    assert larger.parameters > at_own.parameters  # of the position embedding
    assert larger.forward_flops > 3 * at_own.forward_flops
