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


def test_a_model_without_a_map_has_none() -> None:
    model = timm.create_model("test_vit", num_classes=4, img_size=32)
    assert heat_maps(model, torch.zeros(1, 3, 32, 32), torch.tensor([0])) is None
