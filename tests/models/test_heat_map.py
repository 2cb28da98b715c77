from typing import Any

import numpy as np
import pytest
import timm
import torch

from snaptune.models.heat_map import heat_maps


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_convnext"])
def test_a_heat_map_is_the_features_weighted_by_the_head(name: str) -> None:
    """With global average pooling and a linear head Grad-CAM is the class activation map (Zhou, 2016)."""
    torch.manual_seed(0)
    model: Any = timm.create_model(name, num_classes=4).eval()
    inputs, classes = torch.randn(2, 3, 96, 96), torch.tensor([1, 3])
    found = heat_maps(model, inputs, classes)
    assert found is not None
    assert found.shape[0] == 2
    assert found.min() >= 0
    assert found.max() <= 1
    if name == "test_convnext":
        return  # a norm stands between pooling and head
    with torch.no_grad():
        features = model.forward_features(inputs)
        expected = torch.relu(torch.einsum("nchw,nc->nhw", features, model.get_classifier().weight[classes]))
    expected = expected / expected.amax(dim=(1, 2), keepdim=True).clamp(min=1e-12)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-4)


def test_the_class_matters() -> None:
    torch.manual_seed(0)
    model = timm.create_model("test_resnet", num_classes=4).eval()
    inputs = torch.randn(1, 3, 160, 160)
    one, other = (heat_maps(model, inputs, torch.tensor([label])) for label in (0, 1))
    assert one is not None
    assert other is not None
    assert np.abs(one - other).max() > 0.1


@pytest.mark.parametrize(
    ("name", "size", "settings"),
    [
        *((name, 160, {}) for name in ("test_vit", "test_vit2", "test_vit3", "test_vit4", "test_vit_relpos")),
        *((name, 160, {}) for name in ("test_mambaout", "test_byobnet", "test_coatnet", "test_nfnet")),
        ("deit_tiny_distilled_patch16_224", 224, {"depth": 2}),
        ("mixer_s32_224", 224, {}),
        ("swin_tiny_patch4_window7_224", 224, {"depths": (1, 1), "embed_dim": 16, "num_heads": (1, 2)}),
    ],
)
def test_every_family_has_a_map_for_its_class(name: str, size: int, settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model: Any = timm.create_model(name, num_classes=4, **settings)
    if name.startswith("mixer"):
        torch.nn.init.normal_(model.get_classifier().weight)  # a new mixer's are all zero
    inputs = torch.randn(2, 3, size, size)
    found = [heat_maps(model, inputs, torch.tensor([label, label])) for label in range(4)]
    maps = np.stack([one for one in found if one is not None])
    assert maps.shape[:2] == (4, 2)
    assert maps.shape[2] == maps.shape[3] > 1
    assert (maps.min(), maps.max()) == (0, 1)
    assert np.ptp(maps, axis=0).max() > 0.1


def test_a_transformers_map_is_grad_cam_of_the_tokens_that_enter_its_last_block() -> None:
    torch.manual_seed(0)
    model: Any = timm.create_model("test_vit", num_classes=4).eval()
    inputs = torch.randn(1, 3, 160, 160)
    with torch.no_grad():
        tokens = model.blocks[:-1](model.norm_pre(model._pos_embed(model.patch_embed(inputs))))
    tokens.requires_grad_()
    logits = model.forward_head(model.norm(model.blocks[-1](tokens)))
    [slopes] = torch.autograd.grad(logits[0, 2], tokens)
    weights = slopes[:, 1:].mean(dim=1)
    expected = torch.relu((tokens[0, 1:].detach() * weights).sum(dim=1)).reshape(10, 10)
    found = heat_maps(model, inputs, torch.tensor([2]))
    assert found is not None
    np.testing.assert_allclose(found[0], (expected / expected.max()).numpy(), atol=1e-5)


def test_a_transformers_map_lies_as_the_picture_does() -> None:
    """Without positions, a picture moved by one patch to the right has its map moved by one column."""
    torch.manual_seed(0)
    model: Any = timm.create_model("test_vit", num_classes=4).eval()
    torch.nn.init.zeros_(model.pos_embed)
    inputs = torch.randn(1, 3, 160, 160)
    still, moved = (
        heat_maps(model, picture, torch.tensor([1])) for picture in (inputs, inputs.roll(16, dims=3))
    )
    assert still is not None
    assert moved is not None
    np.testing.assert_allclose(moved, np.roll(still, 1, axis=2), atol=1e-3)


def test_a_model_without_a_map_has_none() -> None:
    """Its last stage works on fewer tokens than there are patches."""
    model = timm.create_model("levit_128s", num_classes=4)
    assert heat_maps(model, torch.zeros(1, 3, 224, 224), torch.tensor([0])) is None
