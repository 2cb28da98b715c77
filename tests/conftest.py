"""Small real things that many tests share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import snaptune
from snaptune.config import TrainConfig
from snaptune.data.dataset import ImageDataset
from snaptune.data.readers import from_folder, from_sample
from snaptune.run_folder import Run
from snaptune.training.train import train

TINY = TrainConfig(
    model="test_resnet",
    weights="none",
    image_size=32,
    epochs=2,
    batch_size=8,
    threads=1,
    precision="float32",
    memory_format="channels_last",
)
SAMPLE = Path(snaptune.__file__).parent / "data" / "hand_emoji"
CLASSES = ("fist", "ok", "palm")


@pytest.fixture(scope="session")
def hands() -> ImageDataset:
    return from_sample("hand-emoji")


@pytest.fixture(scope="session")
def picture_folder(tmp_path_factory: pytest.TempPathFactory, hands: ImageDataset) -> Path:
    """Three classes of eight real pictures, one folder a class."""
    root = tmp_path_factory.mktemp("pictures")
    for name in CLASSES:
        chosen = [str(file) for file in hands.ids if str(file).startswith(f"{name}/")][::4][:8]
        (root / name).mkdir()
        for file in chosen:
            shutil.copy(SAMPLE / file, root / file)
    return root


@pytest.fixture(scope="session")
def small_dataset(picture_folder: Path) -> ImageDataset:
    return from_folder(picture_folder)


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, small_dataset: ImageDataset) -> Run:
    """A finished run of a tiny network from random weights: for mechanics, never for opinions."""
    return train(small_dataset, TINY, tmp_path_factory.mktemp("runs"), say=lambda text: None)
