"""The speed of every exported format: python -m benchmarks.export_speed [MODEL] [SIZE].

A run of random weights is enough to measure speed; by default resnet18d at 288 pixels. Nothing else
should run on the machine. The table is that of `snaptune bench`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from snaptune.config import TrainConfig
from snaptune.data.readers import from_sample
from snaptune.export.bench import bench_run, bench_table
from snaptune.training.train import train


def main(model: str = "resnet18d", size: str = "288") -> None:
    sample = from_sample("hand-emoji")
    dataset = sample.subset(np.arange(0, len(sample), 4))
    settings = TrainConfig(model=model, weights="none", image_size=int(size), epochs=1, batch_size=8)
    with TemporaryDirectory() as folder:
        run = train(dataset, settings, Path(folder), say=lambda text: None)
        table = bench_table(bench_run(run, dataset))
    print(f"{model} at {size} pixels, one 640x480 picture, recipe included\n{table}")


if __name__ == "__main__":
    main(*sys.argv[1:])
