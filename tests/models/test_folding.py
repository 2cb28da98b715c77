from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from snaptune.models.folding import fold_norms, merge_norms
from snaptune.training.loop import set_training


def lively(model: nn.Module) -> nn.Module:
    """Norms as after a long training, in double precision, so that no rounding hides a difference."""
    torch.manual_seed(0)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            state = module.state_dict()  # the very tensors
            nn.init.normal_(state["running_mean"], 0, 0.1)
            nn.init.uniform_(state["running_var"], 0.5, 1.5)
            nn.init.uniform_(state["weight"], 0.5, 1.5)
            nn.init.normal_(state["bias"], 0, 0.1)
    return model.double()


def gradients(model: nn.Module, pixels: Tensor) -> dict[str, Tensor]:
    model.zero_grad()
    model(pixels).square().mean().backward()
    return {name: value.grad for name, value in model.named_parameters() if value.grad is not None}


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "mobilenetv3_small_050", "repvgg_a0"])
def test_outputs_and_gradients_stay_the_same(name: str) -> None:
    plain = lively(timm.create_model(name, num_classes=3))
    folded = copy.deepcopy(plain)
    pixels = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    assert fold_norms(folded, pixels) >= 20
    for model in (plain, folded):
        set_training(model, freeze_norms=True)
        for module in model.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
    wanted, found = gradients(plain, pixels), gradients(folded, pixels)
    assert wanted.keys() == found.keys()
    for key, value in wanted.items():
        assert (found[key] - value).abs().max() <= 1e-9 * value.abs().max(), key
    torch.testing.assert_close(folded(pixels), plain(pixels))


def test_state_and_copies_are_those_of_the_plain_model() -> None:
    model = timm.create_model("test_resnet", num_classes=3)
    keys = list(model.state_dict())
    fold_norms(model, torch.randn(2, 3, 64, 64))
    assert list(model.state_dict()) == keys
    twin: nn.Module = copy.deepcopy(model)
    with torch.no_grad():
        next(iter(twin.parameters())).fill_(0)
    pixels = torch.randn(2, 3, 64, 64)
    assert not torch.equal(twin.eval()(pixels), model.eval()(pixels))


def test_training_modes_are_left_as_they_were() -> None:
    model = timm.create_model("test_resnet", num_classes=3).train()
    set_training(model, freeze_norms=True)
    modes = [module.training for module in model.modules()]
    fold_norms(model, torch.randn(2, 3, 64, 64))
    assert [module.training for module in model.modules()] == modes


class Forked(nn.Module):
    """The convolution's output is used beside the norm, too."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        nn.init.constant_(self.norm.weight, 3.0)

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.convolution(pixels)
        both: Tensor = found + self.norm(found)
        return both


def test_what_cannot_be_folded_is_left() -> None:
    model, pixels = Forked(), torch.randn(2, 3, 8, 8)
    wanted = model.eval()(pixels)
    assert fold_norms(model, pixels) == 0
    assert torch.equal(model.eval()(pixels), wanted)
    shared = nn.Conv2d(3, 3, 3, padding=1)
    twice = nn.Sequential(shared, nn.BatchNorm2d(3), shared, nn.BatchNorm2d(3))
    assert fold_norms(twice, pixels) == 0
    assert merge_norms(model, pixels) is model


@pytest.mark.parametrize(
    ("name", "left"),
    [("tf_efficientnet_lite0", 0), ("mobilenetv3_small_050", 0), ("resnet18d", 0), ("repvgg_a0", 17)],
)
def test_merged_for_inference_the_answers_stay_and_norms_behind_convolutions_are_gone(
    name: str, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A RepVGG has a norm of its input in each block that keeps its shape, too."""
    plain = lively(timm.create_model(name, num_classes=3)).eval()
    state = {key: value.clone() for key, value in plain.state_dict().items()}
    pixels = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    merged, computed, batch_norm = merge_norms(plain, pixels), [], torch.nn.functional.batch_norm

    def counted(*args: Any, **options: Any) -> Tensor:
        computed.append(1)
        return batch_norm(*args, **options)

    with torch.no_grad():
        wanted = plain(pixels)
        monkeypatch.setattr(torch.nn.functional, "batch_norm", counted)
        torch.testing.assert_close(merged(pixels), wanted)
    assert len(computed) == left
    assert all(torch.equal(value, state[key]) for key, value in plain.state_dict().items())


def test_what_is_not_the_same_function_is_not_merged() -> None:
    """In training mode a norm uses the statistics of its batch."""
    pixels = torch.randn(2, 3, 8, 8)
    training = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).train()
    assert merge_norms(training, pixels) is training
    without = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()).eval()
    assert merge_norms(without, pixels) is without
