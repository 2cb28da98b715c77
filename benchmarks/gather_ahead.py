"""Prepared pictures gathered in threads two batches ahead, against gathering each when it is wanted.

    python -m benchmarks gather_ahead [--side 128] [--rounds 8]

Both in turn, on one core's worth of arithmetic a batch in place of a network. Processor time a batch is what
gathering costs in all; waiting is what the network would wait for it.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator

import numpy as np
import torch

from snaptune.training.batches import Batch, Indices, PreparedBatches

PICTURES, BATCH = 1024, 16


class Direct(PreparedBatches):
    """Without threads."""

    def _batches(self, order: Indices, start: int = 0) -> Iterator[Batch]:
        for place in range(start, len(order), self.batch_size):
            samples = order[place : place + self.batch_size]
            pixels, labels = self._gathered(samples), torch.from_numpy(self.labels[samples])
            yield Batch(pixels.permute(0, 3, 1, 2), labels, samples, len(samples), 1.0)


def epoch(batches: PreparedBatches, work: torch.Tensor) -> tuple[float, float]:
    """Milliseconds a batch: of processor time, and of waiting."""
    spent, waited = time.process_time(), 0.0
    coming = batches.shuffled(1, 0)
    while True:
        asked = time.perf_counter()
        batch = next(coming, None)
        waited += time.perf_counter() - asked
        if batch is None:
            return 1000 * (time.process_time() - spent) / len(batches), 1000 * waited / len(batches)
        work @ work


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=8)
    args = parser.parse_args()
    torch.set_num_threads(1)
    pixels = np.random.default_rng(0).integers(0, 256, (PICTURES, args.side, args.side, 3), dtype=np.uint8)
    order, work = np.arange(PICTURES), torch.rand(700, 700)
    kinds = {"two ahead in threads": PreparedBatches, "when wanted": Direct}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in kinds}
    for _ in range(args.rounds + 1):  # the first warms up
        for name, kind in kinds.items():
            found[name].append(epoch(kind(pixels, order % 2, order, BATCH, torch.device("cpu")), work))
    print("| gathered | processor time, ms a batch | waiting, ms a batch |\n|---|---|---|")
    for name, rows in found.items():
        shown = [
            f"{np.median(column):.2f} ({column.min():.2f}-{column.max():.2f})"
            for column in np.array(rows[1:]).T
        ]
        print(f"| {name} | {' | '.join(shown)} |")


if __name__ == "__main__":
    main()
