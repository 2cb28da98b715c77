"""Fine-tune an image classifier, know how good it really is, and put it in a browser.

Public names are loaded on first use, so that importing snaptune loads no torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snaptune.answers import Prediction
    from snaptune.classifier import Classifier
    from snaptune.config import TrainConfig
    from snaptune.data.dataset import ImageDataset
    from snaptune.data.folders import from_folder
    from snaptune.data.health import check
    from snaptune.data.hub import from_hub
    from snaptune.data.readers import from_sample, open_dataset
    from snaptune.data.reading import Columns
    from snaptune.data.shards import from_shards
    from snaptune.data.tables import from_table
    from snaptune.errors import SnaptuneError
    from snaptune.export.runtime import OnnxClassifier
    from snaptune.images.preprocess import Preprocess
    from snaptune.run_folder import Run
    from snaptune.scoring import compare, evaluate
    from snaptune.training.bars import TrainingBars
    from snaptune.training.job import Interrupted
    from snaptune.training.train import find_lr, resume_training, train

_HOME = {
    "Classifier": "classifier",
    "Columns": "data.reading",
    "ImageDataset": "data.dataset",
    "Interrupted": "training.job",
    "OnnxClassifier": "export.runtime",
    "Prediction": "answers",
    "Preprocess": "images.preprocess",
    "Run": "run_folder",
    "SnaptuneError": "errors",
    "TrainConfig": "config",
    "TrainingBars": "training.bars",
    "audit": "label_audit",
    "check": "data.health",
    "compare": "scoring",
    "evaluate": "scoring",
    "find_lr": "training.train",
    "from_folder": "data.folders",
    "from_hub": "data.hub",
    "from_sample": "data.readers",
    "from_shards": "data.shards",
    "from_table": "data.tables",
    "open_dataset": "data.readers",
    "resume_training": "training.train",
    "train": "training.train",
}

__all__ = [
    "Classifier",
    "Columns",
    "ImageDataset",
    "Interrupted",
    "OnnxClassifier",
    "Prediction",
    "Preprocess",
    "Run",
    "SnaptuneError",
    "TrainConfig",
    "TrainingBars",
    "audit",
    "check",
    "compare",
    "evaluate",
    "find_lr",
    "from_folder",
    "from_hub",
    "from_sample",
    "from_shards",
    "from_table",
    "open_dataset",
    "resume_training",
    "train",
]


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'snaptune' has no attribute '{name}'")
    return getattr(import_module(f"snaptune.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
