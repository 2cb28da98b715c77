"""Small real classifiers and pictures for the export."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from snaptune.data.readers import from_sample
from snaptune.evaluation.calibration import Calibration
from snaptune.export.awkward import awkward_pictures
from snaptune.export.onnx import export_onnx
from snaptune.export.pictures import NamedPicture, pictures_of
from snaptune.images.preprocess import Pixels, Preprocess
from snaptune.models.build import build_model
from snaptune.prediction import TorchClassifier

CLASSES = ("call", "dislike", "fist", "four", "like")


def confident_classifier(name: str, size: int, pictures: list[NamedPicture]) -> TorchClassifier:
    """A model with random weights whose head is scaled until its answers are far from uniform.

    A random head gives nearly the same probabilities for every picture and would hide any error. Batch
    norms take their statistics from the pictures: without, values explode in some random networks, and
    PyTorch itself answers differently in 64 bits.
    """
    torch.manual_seed(0)
    model = build_model(name, len(CLASSES), "none", size=size).eval()
    classifier = TorchClassifier(
        model, Preprocess(size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), CLASSES
    )
    pixels = prepared(classifier, pictures[:20])
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
            module.momentum = 1.0
    model.train()
    classifier.logits(pixels)
    model.eval()
    logits = classifier.logits(pixels)
    found = model.get_classifier()  # type: ignore[operator]
    heads: tuple[nn.Linear, ...] = found if isinstance(found, tuple) else (found,)  # some average two
    scale = float(1.5 / logits.std(axis=0).mean())
    with torch.no_grad():
        for head in heads:
            head.bias.sub_(torch.from_numpy(logits.mean(axis=0)))
            head.weight.mul_(scale)
            head.bias.mul_(scale)
    return classifier


def prepared(classifier: TorchClassifier, pictures: list[NamedPicture]) -> Pixels:
    return np.stack([classifier.preprocess.pixels(picture.open()) for picture in pictures])


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Threads that wait for one another are slow where tests share their cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pictures() -> list[NamedPicture]:
    """20 real pictures and the awkward ones."""
    sample = from_sample("hand-emoji")
    return pictures_of(sample, np.arange(0, len(sample), 40)) + awkward_pictures()


@pytest.fixture(scope="session")
def classifier(pictures: list[NamedPicture]) -> TorchClassifier:
    classifier = confident_classifier("test_resnet", 128, pictures)
    return replace(classifier, calibration=Calibration(temperature=0.8, threshold=0.4))


@pytest.fixture(scope="session")
def exported(classifier: TorchClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(classifier, tmp_path_factory.mktemp("export") / "model.onnx", model_name="test_resnet")
