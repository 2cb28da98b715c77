"""Every family of timm that users fine-tune exports, and answers as PyTorch does."""

from __future__ import annotations

from pathlib import Path

import pytest

from snaptune.export.onnx import export_onnx
from snaptune.export.parity import certify
from snaptune.export.pictures import NamedPicture

from .conftest import confident_classifier

SIZES = {
    "test_resnet": 64,
    "test_vit": 96,
    "swin_s3_tiny_224": 96,
    "test_efficientnet": 64,
    "resnet18d": 64,
    "mobilenetv3_small_050": 64,
    "mobilenetv4_conv_small_035": 64,
    "tf_efficientnet_lite0": 64,
    "edgenext_xx_small": 64,
    "vit_tiny_patch16_224": 224,
    "convnextv2_atto": 64,
    "repvgg_a0": 64,
    "fastvit_t8": 64,
    "efficientformerv2_s0": 224,
    "mobileone_s0": 64,
}
"""Side of the square in pixels: small, also where the model was made for another one."""


@pytest.mark.parametrize("name", SIZES)
def test_exported_backbone_answers_as_pytorch_does(
    name: str, pictures: list[NamedPicture], tmp_path: Path
) -> None:
    real = pictures[:20]
    classifier = confident_classifier(name, SIZES[name], real)
    path = export_onnx(classifier, tmp_path / "model.onnx", model_name=name)
    certificate = certify(classifier, path, real)
    certificate.check()
