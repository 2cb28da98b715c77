"""Fine-tune an image classifier, know how good it really is, and put it in a browser.

Public names are loaded on first use, so that importing snaptune loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snaptune.config import TrainConfig
    from snaptune.data.dataset import ImageDataset
    from snaptune.data.readers import from_folder, from_sample, open_dataset
    from snaptune.errors import SnaptuneError
    from snaptune.images.preprocess import Preprocess
    from snaptune.prediction import Classifier, Prediction
    from snaptune.run_folder import Run
    from snaptune.scoring import compare, evaluate
    from snaptune.training.train import train

_HOME = {
    "Classifier": "prediction",
    "ImageDataset": "data.dataset",
    "Prediction": "prediction",
    "Preprocess": "images.preprocess",
    "Run": "run_folder",
    "SnaptuneError": "errors",
    "TrainConfig": "config",
    "compare": "scoring",
    "evaluate": "scoring",
    "from_folder": "data.readers",
    "from_sample": "data.readers",
    "open_dataset": "data.readers",
    "train": "training.train",
}

__all__ = [
    "Classifier",
    "ImageDataset",
    "Prediction",
    "Preprocess",
    "Run",
    "SnaptuneError",
    "TrainConfig",
    "compare",
    "evaluate",
    "from_folder",
    "from_sample",
    "open_dataset",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'snaptune' has no attribute '{name}'")
    return getattr(import_module(f"snaptune.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
