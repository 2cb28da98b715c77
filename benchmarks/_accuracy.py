"""Accuracy of ours, fastai and the worked example's loop on the same pictures, in the same time or less."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from statistics import mean, median, stdev
from typing import Any

from benchmarks.peers.contract import LITE0
from benchmarks.train import RESULTS, ROWS, reach, run, spread, write_results

NAMES = {"ours-9": "ours", "fastai": "fastai", "loop": "the worked example's loop"}


def arguments(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 1 on")
    parser.add_argument("--rows", nargs="+", choices=NAMES, default=list(NAMES), help="who is measured")
    parser.add_argument("--report", action="store_true", help="measure nothing, print the table")
    return parser


def compare(
    name: str, sets: Mapping[str, Callable[[], Path]], args: argparse.Namespace, *, size: int = 128
) -> None:
    """Let all train on every set, and print the table; each run is kept in `results/NAME.json`.

    A set is a function that lays out `train/CLASS/…` and `val/CLASS/…` and returns their folder. What is in
    the file already is not measured again.
    """
    file = RESULTS / f"{name}.json"
    found: list[dict[str, Any]] = json.loads(file.read_text())["runs"] if file.exists() else []
    done = {(item["row"], item["seed"], item["held_out"]) for item in found}
    same = argparse.Namespace(model=LITE0, size=size, epochs=5, device="cpu", weights="")
    rows = [row for row in ROWS if row.name in args.rows]
    for seed in [] if args.report else range(1, args.seeds + 1):
        for held_out, layout in sets.items():
            pictures = layout()
            n = sum(1 for _ in (pictures / "val").glob("*/*"))
            for row in rows:
                if (row.name, seed, held_out) not in done:
                    found.append({"n": n} | run(row, same, pictures, seed, held_out))
                    write_results(file, same, found)
    print(table(found))


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown: a set a line, a contestant a column, the mean and the seconds last."""
    present = [name for name in NAMES if any(item["row"] == name for item in runs)]
    lines = [
        "| held out | n | " + " | ".join(NAMES[name] for name in present) + " |",
        "|---|---|" + "---|" * len(present),
    ]
    for held_out in dict.fromkeys(item["held_out"] for item in runs):
        of_set = [item for item in runs if item["held_out"] == held_out]
        cells = [_cell([_final(item) for item in of_set if item["row"] == name]) for name in present]
        lines.append(f"| {held_out} | {of_set[0]['n']} | " + " | ".join(cells) + " |")
    means = [_means_by_seed(runs, name) for name in present]
    cells = [
        f"**{mean(values):.3f}**" + (f" ± {stdev(values):.3f}" if len(values) > 1 else "") for values in means
    ]
    lines.append("| **mean**, ± over seeds | | " + " | ".join(cells) + " |")
    faster = [spread(_times_faster(runs, name), "{:.1f}") for name in present]
    lines.append(f"| seconds to its lowest final accuracy, in those of ours | | {' | '.join(faster)} |")
    for machine in dict.fromkeys(item["on"] for item in runs):
        there = [item for item in runs if item["on"] == machine]
        seconds = [[item["seconds"] for item in there if item["row"] == name] for name in present]
        cells = [f"{median(of):.0f} ({min(of):.0f}–{max(of):.0f})" if of else "–" for of in seconds]
        lines.append(f"| seconds a run, median (lowest–highest), {machine} | | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _times_faster(runs: Sequence[dict[str, Any]], name: str) -> list[float]:
    """To the accuracy that `name` ends with, the lowest over its seeds: its seconds as a multiple of ours.

    One number for each set and seed that both were measured with on one machine; 0 where ours never is there.
    """
    if name == "ours-9":
        return []
    place = itemgetter("held_out", "seed", "on")
    ours = {place(item): item for item in runs if item["row"] == "ours-9"}
    theirs = [item for item in runs if item["row"] == name]
    target: dict[str, float] = {}
    for item in theirs:
        target[item["held_out"]] = min(_final(item), target.get(item["held_out"], 1.0))
    both = [(item, ours[place(item)], target[item["held_out"]]) for item in theirs if place(item) in ours]
    return [reach(their, goal) / reach(own, goal) for their, own, goal in both]


def _final(item: dict[str, Any]) -> float:
    return float(item["epochs"][-1]["accuracy"])


def _means_by_seed(runs: Sequence[dict[str, Any]], name: str) -> list[float]:
    """Over the sets, for each seed that has them all."""
    own = [item for item in runs if item["row"] == name]
    sets = {item["held_out"] for item in own}
    by_seed = [[_final(i) for i in own if i["seed"] == seed] for seed in {item["seed"] for item in own}]
    whole = [values for values in by_seed if len(values) == len(sets)]
    return [mean(values) for values in whole or by_seed]


def _cell(finals: Sequence[float]) -> str:
    if len(finals) < 2:
        return "".join(f"{value:.3f}" for value in finals)
    return f"{mean(finals):.3f} ({min(finals):.3f}–{max(finals):.3f})"
