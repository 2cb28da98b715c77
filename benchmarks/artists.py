"""Accuracy on artists the model has never seen: each of the six held out in turn, over several seeds.

    python -m benchmarks.artists                  # six artists, three seeds
    python -m benchmarks.artists --artists fluent3d twemoji noto --seeds 1

Prints a table and adds every run to `benchmarks/results/artists.json`.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, stdev

import torch

from snaptune.config import TrainConfig
from snaptune.data.dataset import ImageDataset
from snaptune.data.readers import open_dataset
from snaptune.data.splits import split_by_group
from snaptune.evaluation.intervals import wilson
from snaptune.training.train import train

RESULTS = Path(__file__).parent / "results" / "artists.json"
ARTISTS = ("blob", "emojione", "fluent3d", "fluentflat", "noto", "twemoji")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artists", nargs="+", choices=ARTISTS, default=ARTISTS)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 1 on")
    args = parser.parse_args()
    dataset = open_dataset("sample:hand-emoji")
    rows = [run(dataset, artist, seed) for seed in range(1, args.seeds + 1) for artist in args.artists]
    print(table(rows))
    machine = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": torch.backends.cpu.get_cpu_capability(),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"machine": machine, "runs": rows}, indent=1) + "\n", encoding="utf-8")


def run(dataset: ImageDataset, artist: str, seed: int) -> dict[str, str | int | float]:
    """One training with the default settings; accuracy of the last epoch on the artist's pictures."""
    split = split_by_group(dataset, (artist,))
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        finished = train(dataset, TrainConfig(seed=seed), folder, split=split, say=lambda text: None)
        seconds = time.perf_counter() - started
        accuracy = float(finished.metadata()["metric_value"])
    n = len(split.indices("validation"))
    print(f"{artist} seed {seed}: {accuracy:.4f} of {n} in {seconds:.0f} s", flush=True)
    return {"artist": artist, "seed": seed, "accuracy": accuracy, "n": n, "seconds": round(seconds, 1)}


def table(rows: Sequence[dict[str, str | int | float]]) -> str:
    """Markdown: an artist a line, the mean last."""
    lines = [
        "| held out | accuracy, mean over seeds | lowest–highest | 95 % interval | n |",
        "|---|---|---|---|---|",
    ]
    for artist in dict.fromkeys(str(row["artist"]) for row in rows):
        found = [float(row["accuracy"]) for row in rows if row["artist"] == artist]
        n = next(int(row["n"]) for row in rows if row["artist"] == artist)
        ends = wilson(mean(found) * n, n)
        lines.append(
            f"| {artist} | {mean(found):.3f} | {min(found):.3f}–{max(found):.3f} | "
            f"{ends.low:.3f}–{ends.high:.3f} | {n} |"
        )
    seeds = dict.fromkeys(int(row["seed"]) for row in rows)
    means = [mean(float(row["accuracy"]) for row in rows if row["seed"] == seed) for seed in seeds]
    spread = f"± {stdev(means):.3f} over {len(means)} seeds" if len(means) > 1 else "one seed"
    lines.append(f"| **mean** | **{mean(means):.3f}** | {spread} | | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
