"""The default recipe and others' training: the same pictures, the same weights, the same wall-clock.

How many epochs fit into the time is found for each by a run of one epoch and a run of two. What is prepared
and measured at the start counts, in an empty cache each time. The tutorial recipe and the worked example's
loop keep their best epoch by the very pictures that score them, as they prescribe; the others keep the last.

A folder of pictures holds `metadata.csv` with file_name, label and group: `train` or `test`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import torch

from benchmarks.worked_example import train as worked_example
from snaptune.config import TrainConfig
from snaptune.data.splits import Split, split_by_group
from snaptune.data.tables import from_table
from snaptune.evaluation.intervals import wilson
from snaptune.training.train import train

MODEL = "tf_efficientnet_lite0"
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Outcome:
    """Accuracy on the test pictures, and all seconds that it took."""

    accuracy: float
    seconds: float


Contestant = Callable[[int, int], Outcome]
"""(epochs, seed) -> outcome."""


def contestants(pictures: Path, size: int, fastai: Path | None) -> dict[str, Contestant]:
    """Who trains, by name; fastai only where its Python is given."""
    known: dict[str, Contestant] = {
        "snaptune, default recipe": ours(pictures, TrainConfig(image_size=size)),
        "snaptune, tutorial recipe": ours(
            pictures, replace(TrainConfig.recipe("tutorial"), model=MODEL, image_size=size)
        ),
        "worked example's loop": loop(pictures, size),
    }
    return known | ({"fastai": through_fastai(pictures, size, fastai)} if fastai else {})


def ours(pictures: Path, config: TrainConfig) -> Contestant:
    def run(epochs: int, seed: int) -> Outcome:
        dataset = from_table(pictures / "metadata.csv")
        split = split_by_group(dataset, ("test",))
        with tempfile.TemporaryDirectory() as folder:
            os.environ["SNAPTUNE_CACHE"] = folder
            started = time.perf_counter()
            settings = replace(config, epochs=epochs, seed=seed)
            finished = train(dataset, settings, Path(folder) / "runs", split=split, say=lambda text: None)
            seconds = time.perf_counter() - started
            return Outcome(float(finished.metadata()["metric_value"]), seconds)

    return run


def loop(pictures: Path, size: int) -> Contestant:
    def run(epochs: int, seed: int) -> Outcome:
        dataset = from_table(pictures / "metadata.csv")
        found = worked_example(dataset, split_by_group(dataset, ("test",)), epochs, size, seed)
        return Outcome(found["accuracy"], found["seconds"])

    return run


def through_fastai(pictures: Path, size: int, python: Path) -> Contestant:
    def run(epochs: int, seed: int) -> Outcome:
        script = Path(__file__).with_name("fastai_run.py")
        numbers = [f"--epochs={epochs}", f"--size={size}", f"--seed={seed}"]
        command = [str(python), str(script), f"--pictures={pictures}", "--hold-out=test", *numbers]
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if answer.returncode:
            raise SystemExit(f"fastai failed:\n{answer.stderr[-2000:]}")
        found = json.loads(answer.stdout.splitlines()[-1])
        return Outcome(found["accuracy"], found["seconds"])

    return run


def epochs_within(seconds: float, run: Contestant) -> int:
    """How many epochs fit, from what one takes and what two take."""
    one, two = (run(epochs, 0).seconds for epochs in (1, 2))
    each = max(two - one, 0.1 * one)
    return max(1, round(1 + (seconds - one) / each))


def compare(name: str, pictures: Path, size: int, args: argparse.Namespace) -> None:
    """Let all train, print the table and write `results/NAME.json`."""
    rows = []
    split = split_by_group(from_table(pictures / "metadata.csv"), ("test",))
    for who, run in contestants(pictures, size, args.fastai).items():
        epochs = args.epochs or epochs_within(args.seconds, run)
        for seed in range(1, args.seeds + 1):
            outcome = run(epochs, seed)
            rows.append({"who": who, "epochs": epochs, "seed": seed, **vars(outcome)})
            print(f"{who}, {epochs} epochs, seed {seed}: {outcome.accuracy:.4f} in {outcome.seconds:.0f} s")
    machine = {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "processor": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }
    about = {"pixels": size, "train": counted(split, "train"), "test": counted(split, "validation")}
    print("\n" + table(rows, about["test"]))
    RESULTS.mkdir(exist_ok=True)
    written = json.dumps({"machine": machine, **about, "runs": rows}, indent=1) + "\n"
    (args.out or RESULTS / f"{name}.json").write_text(written, encoding="utf-8")


def counted(split: Split, part: str) -> int:
    return len(split.indices(part))


def table(rows: Sequence[dict[str, object]], n: int) -> str:
    """Markdown: a contestant a line; the interval is that of one run of mean accuracy on `n` pictures."""
    lines = [
        "| who | epochs | accuracy | spread over seeds | 95 % interval | seconds |",
        "|---|---|---|---|---|---|",
    ]
    for who in dict.fromkeys(str(row["who"]) for row in rows):
        own = [row for row in rows if row["who"] == who]
        found = [float(str(row["accuracy"])) for row in own]
        seconds = [float(str(row["seconds"])) for row in own]
        spread = f"± {stdev(found):.3f}" if len(found) > 1 else "one seed"
        ends = wilson(mean(found) * n, n)
        spread += f", {min(found):.3f}–{max(found):.3f}"
        lines.append(
            f"| {who} | {own[0]['epochs']} | {mean(found):.3f} | {spread} | "
            f"{ends.low:.3f}–{ends.high:.3f} | {min(seconds):.0f}–{max(seconds):.0f} |"
        )
    return "\n".join(lines)


def arguments(description: str, seconds: float) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=seconds, help=f"wall-clock of a run ({seconds:g})")
    parser.add_argument("--epochs", type=int, default=0, help="epochs for all, in place of a wall-clock")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 1 on")
    parser.add_argument("--fastai", type=Path, metavar="PYTHON", help="a Python that has fastai and timm")
    parser.add_argument("--out", type=Path, metavar="JSON", help="where the runs are written")
    return parser
