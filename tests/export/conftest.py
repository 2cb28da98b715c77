"""Small real classifiers and pictures for the export."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

from snaptune.data.readers import from_sample
from snaptune.export.onnx import export_onnx
from snaptune.export.parity import NamedPicture, pictures_of
from snaptune.images.preprocess import Pixels, Preprocess
from snaptune.prediction import Classifier

CLASSES = ("call", "dislike", "fist", "four", "like")
SIZES = {"1x1": (1, 1), "17x33": (17, 33), "1000x40": (1000, 40), "30x900": (30, 900), "517x389": (517, 389)}


def confident_classifier(name: str, size: int, pictures: list[NamedPicture]) -> Classifier:
    """A model with random weights whose head is scaled until its answers are far from uniform.

    A random head gives nearly the same probabilities for every picture and would hide any error.
    """
    torch.manual_seed(0)
    model = timm.create_model(name, num_classes=len(CLASSES)).eval()
    classifier = Classifier(model, Preprocess(size, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)), CLASSES)
    logits = classifier.logits(prepared(classifier, pictures))
    head: nn.Linear = model.get_classifier()  # type: ignore[operator]
    with torch.no_grad():
        scale = 1.5 / logits.std(axis=0).mean()
        head.bias.sub_(torch.from_numpy(logits.mean(axis=0)))
        head.weight.mul_(scale)
        head.bias.mul_(scale)
    return classifier


def prepared(classifier: Classifier, pictures: list[NamedPicture]) -> Pixels:
    return np.stack([classifier.preprocess.pixels(picture.open()) for picture in pictures])


def noise(name: str) -> NamedPicture:
    """Noise that has structure too: the worst case for a resize."""
    width, height = SIZES[name]
    generator = np.random.default_rng(width * height)
    pixels = generator.integers(0, 256, (height, width, 3), dtype=np.uint8)
    pixels[: height // 2, :, 0] //= 3
    return NamedPicture(name, lambda: Image.fromarray(pixels))


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    """Threads that wait for one another are slow where tests share their cores."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def pictures() -> list[NamedPicture]:
    """20 real pictures, and noise of awkward sizes."""
    sample = from_sample("hand-emoji")
    return pictures_of(sample, np.arange(0, len(sample), 40)) + [noise(name) for name in SIZES]


@pytest.fixture(scope="session")
def classifier(pictures: list[NamedPicture]) -> Classifier:
    return confident_classifier("test_resnet", 128, pictures)


@pytest.fixture(scope="session")
def exported(classifier: Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_onnx(classifier, tmp_path_factory.mktemp("export") / "model.onnx", model_name="test_resnet")
