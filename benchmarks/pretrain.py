"""Weights to start from, for models whose own cannot be had offline: trained on Fashion-MNIST.

    python -m benchmarks pretrain resnet18d fashion_mnist.safetensors
    python -m benchmarks train --model resnet18d --weights fashion_mnist.safetensors

20,000 pictures of the Debian package `dataset-fashion-mnist` at 64 pixels, two epochs from random weights.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.fashion_mnist import export
from snaptune.config import TrainConfig
from snaptune.data.readers import open_dataset
from snaptune.training.train import train

TRAIN, VALIDATE = 2000, 100
"""Pictures of a class."""


def main() -> None:
    model, file = sys.argv[1], Path(sys.argv[2])
    config = TrainConfig(
        model=model, weights="none", image_size=64, epochs=2, batch_size=32, layer_decay=1.0, lr=2e-3
    )
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder, "fashion-mnist")
        export(pictures, "train", "train", TRAIN)
        export(pictures, "val", "t10k", VALIDATE)
        run = train(open_dataset(str(pictures)), config, Path(folder, "runs"))
        shutil.copyfile(run.model_file, file)


if __name__ == "__main__":
    main()
