"""Accuracy on artists never seen before: ours, fastai and the worked example's loop in the same time.

    python -m benchmarks artists                  # six artists, three seeds, about an hour on two cores
    python -m benchmarks artists --artists fluent3d twemoji noto --seeds 1
    python -m benchmarks artists --report         # the table of what has been measured

Each artist is held out in turn. Ours takes its own nine epochs; the others get five, which take as long or
longer (the seconds are in the table). The last epoch counts for all: the one of lowest validation loss would
be chosen on the very pictures that are scored.
What was measured is kept in `results/artists.json`; delete the file to start over.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from benchmarks.peers.contract import LITE0
from benchmarks.train import RESULTS, ROWS, laid_out, run, write_results
from snaptune.data.readers import open_dataset
from snaptune.data.splits import split_by_group

FILE = RESULTS / "artists.json"
ARTISTS = ("blob", "emojione", "fluent3d", "fluentflat", "noto", "twemoji")
NAMES = {"ours-9": "ours", "fastai": "fastai", "loop": "the worked example's loop"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--artists", nargs="+", choices=ARTISTS, default=ARTISTS)
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 1 on")
    parser.add_argument("--report", action="store_true", help="measure nothing, print the table")
    args = parser.parse_args()
    found: list[dict[str, Any]] = json.loads(FILE.read_text())["runs"] if FILE.exists() else []
    if not args.report:
        measure(found, args.artists, args.seeds)
    print(table(found))


def measure(found: list[dict[str, Any]], artists: Sequence[str], seeds: int) -> None:
    """Add to `found` what is not among it, writing the file after every run."""
    done = {(item["row"], item["seed"], item["held_out"]) for item in found}
    same = argparse.Namespace(model=LITE0, size=128, epochs=5, device="cpu")
    rows = [row for row in ROWS if row.name in NAMES]
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(1, seeds + 1):
            for artist in artists:
                for row in rows:
                    if (row.name, seed, artist) not in done:
                        found.append(run(row, same, laid_out(Path(folder), artist), seed, artist))
                        write_results(FILE, same, found)


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown: an artist a line, a contestant a column, the mean and what lies between them last."""
    present = [name for name in NAMES if any(item["row"] == name for item in runs)]
    lines = [
        "| held out | n | " + " | ".join(NAMES[name] for name in present) + " |",
        "|---|---|" + "---|" * len(present),
    ]
    for artist in dict.fromkeys(item["held_out"] for item in runs):
        own = [_finals(runs, name, artist) for name in present]
        lines.append(f"| {artist} | {_pictures(artist)} | " + " | ".join(map(_cell, own)) + " |")
    means = [_means_by_seed(runs, name) for name in present]
    cells = [
        f"**{mean(values):.3f}**" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "") for values in means
    ]
    lines.append("| **mean**, ± over seeds | | " + " | ".join(cells) + " |")
    seconds = [[item["seconds"] for item in runs if item["row"] == name] for name in present]
    spans = [f"{median(values):.0f} ({min(values):.0f}–{max(values):.0f})" for values in seconds]
    lines.append("| seconds a run, median (lowest–highest) | | " + " | ".join(spans) + " |")
    return "\n".join(lines)


def _pictures(artist: str) -> int:
    return len(split_by_group(open_dataset("sample:hand-emoji"), (artist,)).indices("validation"))


def _finals(runs: Sequence[dict[str, Any]], name: str, artist: str) -> list[float]:
    return [
        item["epochs"][-1]["accuracy"] for item in runs if (item["row"], item["held_out"]) == (name, artist)
    ]


def _means_by_seed(runs: Sequence[dict[str, Any]], name: str) -> list[float]:
    """Over the artists, for each seed."""
    own = [item for item in runs if item["row"] == name]
    seeds = dict.fromkeys(item["seed"] for item in own)
    return [mean(item["epochs"][-1]["accuracy"] for item in own if item["seed"] == seed) for seed in seeds]


def _cell(finals: Sequence[float]) -> str:
    return f"{mean(finals):.3f} ({min(finals):.3f}–{max(finals):.3f})" if finals else ""


if __name__ == "__main__":
    main()
