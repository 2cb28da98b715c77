"""What building the cache during the first epoch would bring: preparing, then an epoch; or both at once.

Both at once is an epoch over streamed pictures, two batches decoded ahead: the most that could be saved.
Such a build would also have to write, and to decode everything beforehand to find what cannot be read and
what shows one picture. The three are done in turn, several times.

python -m benchmarks first_epoch [DATA] [model] [size] [workers] [repetitions]
"""

from __future__ import annotations

import sys
import time
from os import cpu_count

import numpy as np
import torch

from snaptune.data.dataset import ImageDataset
from snaptune.data.prepared import Rows, prepare
from snaptune.data.readers import open_dataset
from snaptune.data.streamed import Streamed
from snaptune.models.build import build_model, normalise, preprocess_for
from snaptune.training.augment import Gentle
from snaptune.training.batches import PreparedBatches
from snaptune.training.processes import best_device

BATCH = 16


def epoch(rows: Rows, dataset: ImageDataset, model: str, size: int) -> float:
    """Seconds of forward and backward passes over all pictures, augmented; nothing is learnt."""
    device, recipe, augment = best_device(), preprocess_for(model, size), Gentle(1)
    network = build_model(model, len(dataset.class_names), "none", size=size).to(device)
    network.to(memory_format=torch.channels_last).train()
    weights = list(network.parameters())
    batches = PreparedBatches(rows, dataset.labels, np.arange(len(dataset)), BATCH, device)
    started = time.perf_counter()
    for batch in batches.shuffled(1, 0):
        pixels = normalise(augment(batch.pixels, 0, batch.samples), recipe)
        logits = network(pixels.contiguous(memory_format=torch.channels_last))
        torch.autograd.grad(torch.nn.functional.cross_entropy(logits, batch.labels), weights)
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
    return time.perf_counter() - started


def once(dataset: ImageDataset, model: str, size: int, workers: int) -> tuple[float, float, float]:
    """Seconds to prepare, of an epoch on what was prepared, and of one that decodes meanwhile."""
    recipe = preprocess_for(model, size)
    started = time.perf_counter()
    prepared = prepare(dataset, recipe, in_memory=2**62).pixels
    preparing = time.perf_counter() - started
    streamed = Streamed(dataset, recipe, workers)
    streamed[np.arange(workers)]  # workers have started
    return preparing, epoch(prepared, dataset, model, size), epoch(streamed, dataset, model, size)


def main() -> None:
    usual = ("sample:hand-emoji", "tf_efficientnet_lite0", "128", "0", "3")
    texts = [*sys.argv[1:], *usual[len(sys.argv) - 1 :]]
    dataset, model = open_dataset(texts[0]), texts[1]
    size, workers, repetitions = (int(text) for text in texts[2:])
    runs = [once(dataset, model, size, workers) for _ in range(repetitions)]
    preparing, learning, both = (float(np.median(times)) for times in zip(*runs, strict=True))
    decoders = f"{workers} processes" if workers else "threads"
    print(
        f"{dataset.name}: {len(dataset):,} to {size} px, {model} on {best_device()}, {cpu_count()} cores, "
        f"decoded in {decoders}, median of {repetitions}\n"
        f"  preparing {preparing:.1f} s, then an epoch {learning:.1f} s: {preparing + learning:.1f} s\n"
        f"  an epoch that decodes meanwhile {both:.1f} s\n"
        f"  the most that building during the first epoch could save: {preparing + learning - both:+.1f} s"
    )


if __name__ == "__main__":
    main()
