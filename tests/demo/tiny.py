"""A tiny real classifier for the demo's tests: timm's test_resnet in PyTorch, exported as any run is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import timm
import torch
from torch import nn

from snaptune.export.onnx import export_onnx
from snaptune.images.load import load_image
from snaptune.images.preprocess import Preprocess
from snaptune.prediction import TorchClassifier

RECIPE = Preprocess(size=96, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
SPREAD = 2.5


class Spread(nn.Module):
    """Logits of a network with random weights, spread out so that a wrong pixel shows."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.net = timm.create_model("test_resnet", num_classes=classes)
        self.shift = nn.Parameter(torch.zeros(classes))
        self.scale = nn.Parameter(torch.ones(classes))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = (self.net(pixels) - self.shift) * self.scale
        return logits


@dataclass(frozen=True)
class Tiny:
    """The classifier in both shapes."""

    classifier: TorchClassifier
    onnx: Path

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.classifier.class_names

    def probabilities(self, picture: bytes) -> tuple[float, ...]:
        """PyTorch's answer for an encoded picture."""
        pixels = RECIPE.pixels(load_image(picture, "picture"))
        return tuple(self.classifier.probabilities(pixels[None])[0].tolist())


def make_tiny(class_names: tuple[str, ...], pictures: list[bytes], folder: Path) -> Tiny:
    """Build the classifier, give each class its share of `pictures`, and export it into `folder`."""
    model = Spread(len(class_names)).eval()
    plain = TorchClassifier(model, RECIPE, class_names)
    with torch.no_grad():
        squares = [RECIPE.pixels(load_image(picture, "picture")) for picture in pictures]
        logits = torch.cat([torch.from_numpy(plain.logits(square[None])) for square in squares])
        std, mean = torch.std_mean(logits, 0)
        model.shift.data, model.scale.data = mean, SPREAD / std
    classifier = TorchClassifier(model, RECIPE, class_names)  # another: the first keeps the model as it was
    return Tiny(classifier, export_onnx(classifier, folder / "tiny.onnx", model_name="test_resnet"))
