"""The network for formats that cannot resize as Pillow does: they take a picture that is prepared already."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from snaptune.models.build import normalise
from snaptune.prediction import TorchClassifier


class Prepared(nn.Module):
    """What `Preprocess.pixels` gives, uint8 [size, size, 3], to calibrated probabilities [classes]."""

    def __init__(self, classifier: TorchClassifier) -> None:
        super().__init__()
        self.network = copy.deepcopy(classifier.model).to(memory_format=torch.contiguous_format)
        self.preprocess = classifier.preprocess
        self.temperature = classifier.calibration.temperature

    def forward(self, image: Tensor) -> Tensor:
        logits = self.network(normalise(image.permute(2, 0, 1).unsqueeze(0), self.preprocess))
        return torch.softmax(logits / self.temperature, dim=1).squeeze(0)
