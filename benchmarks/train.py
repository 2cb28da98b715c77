"""Training side by side: the worked example's loop, other tools, ours, and ours with one technique left out.

    python -m benchmarks train --device cpu                        # all rows, three seeds
    python -m benchmarks train --rows loop fastai ours --seeds 1   # some of them
    python -m benchmarks train --model resnet18d --size 160        # random weights: rates only
    python -m benchmarks train --model resnet18d --weights FILE    # or those of a safetensors file
    python -m benchmarks train --report                            # the table of what has been measured

Every row is a process of its own; seeds are the outer loop, so that rows are interleaved and a slow minute
of the machine meets them all. Pictures, weights and size are the same for all. What was measured is kept in
`results/train-….json` and not measured again; delete the file to start over.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Any

import psutil
import torch

from benchmarks._environments import python_of
from benchmarks._plots import chart
from benchmarks.peers.contract import LITE0, STARTED
from snaptune.data.readers import open_dataset
from snaptune.data.splits import split_by_group

ROOT = Path(__file__).parents[1]
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One line of the table: a script, its environment ("" for ours) and its flags."""

    name: str
    title: str
    script: str
    environment: str = ""
    flags: tuple[str, ...] = ()


def _without(technique: str) -> Row:
    return Row(
        "without-" + technique.replace(" ", "-"),
        f"ours without {technique}",
        "ours",
        "",
        ("--without", technique),
    )


ROWS = (
    Row("loop", "the worked example's loop", "worked_example"),
    Row("loop-0", "the loop without worker processes", "worked_example", "", ("--workers", "0")),
    Row("timm", "timm's parts as in its script", "timm_parts"),
    Row("timm-tuned", "timm's parts, tuned", "timm_parts", "", ("--tuned",)),
    Row("fastai", "fastai", "fastai_learner", "fastai"),
    Row("fastai-tuned", "fastai, tuned", "fastai_learner", "fastai", ("--tuned", "--workers", "1")),
    Row("hf", "Hugging Face Trainer", "hf_trainer", "transformers"),
    Row(
        "hf-tuned", "Hugging Face Trainer, tuned", "hf_trainer", "transformers", ("--tuned", "--workers", "1")
    ),
    Row("ultralytics", "Ultralytics classify", "ultralytics_trainer", "ultralytics"),
    Row("ultralytics-tuned", "Ultralytics, tuned", "ultralytics_trainer", "ultralytics", ("--tuned",)),
    Row("ours", "**ours**", "ours"),
    Row("ours-9", "**ours**, its own 9 epochs", "ours", "", ("--epochs", "9")),
    Row("ours-3", "**ours**, 3 epochs", "ours", "", ("--epochs", "3")),
    Row("ours-cold", "**ours**, the first time on a machine", "ours"),
    Row("ceiling", "ours beside bare steps", "ours", "", ("--without", "ceiling")),
    _without("channels last"),
    _without("frozen lowest layers"),
    _without("folded norms"),
    _without("quick convolutions"),
    _without("prepared pictures"),
    _without("batched augmentation"),
    _without("rare looks at the loss"),
    _without("pretrained norm statistics"),
    _without("moving average"),
    _without("layer-wise rates"),
    _without("label smoothing"),
    _without("gentle augmentation"),
)


def main() -> None:
    args = _arguments()
    start = f"-{Path(args.weights).stem}" if args.weights else ""
    file = RESULTS / f"train-{args.device}-{args.model}-{args.size}{start}.json"
    found: list[dict[str, Any]] = json.loads(file.read_text())["runs"] if file.exists() else []
    done = {(run["row"], run["seed"], run["held_out"]) for run in found}
    rows = [row for row in ROWS if not args.rows or row.name in args.rows]
    with tempfile.TemporaryDirectory() as folder:
        for seed in [] if args.report else range(1, args.seeds + 1):
            for artist in args.hold_out:
                pictures = laid_out(Path(folder), artist)
                for row in rows:
                    if (row.name, seed, artist) not in done:
                        found.append(run(row, args, pictures, seed, artist))
                        write_results(file, args, found)
    print(table(found))
    if found:
        file.with_suffix(".svg").write_text(picture(found), encoding="utf-8")


def picture(runs: Sequence[dict[str, Any]]) -> str:
    """Accuracy against seconds since the start of the process, for the first seed; SVG."""
    first = {item["row"]: item for item in reversed(runs)}
    lines = {
        row.title.replace("*", ""): [(e["seconds"], e["accuracy"]) for e in first[row.name]["epochs"]]
        for row in ROWS
        if row.name in first and "--without" not in row.flags and row.name != "ours-cold"
    }
    held_out = next(iter(first.values()))["held_out"]
    return chart(f"Accuracy on {held_out}'s pictures, seed 1", lines, "seconds", "accuracy")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    parser.add_argument("--model", default=LITE0)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--weights", default="", help="a safetensors file that all start from")
    parser.add_argument("--seeds", type=int, default=3, help="how many seeds, from 1 on")
    parser.add_argument("--hold-out", nargs="+", default=["noto"], help="artists that are validated on")
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], metavar="ROW")
    parser.add_argument("--report", action="store_true", help="measure nothing, print the table")
    return parser.parse_args()


def laid_out(folder: Path, artist: str) -> Path:
    """The sample's pictures as `train/CLASS/…` and `val/CLASS/…`, the artist's in the latter."""
    pictures = folder / artist
    if pictures.exists():
        return pictures
    dataset = open_dataset("sample:hand-emoji")
    split = split_by_group(dataset, (artist,))
    for part, name in (("train", "train"), ("validation", "val")):
        for class_name in dataset.class_names:  # some artists have not drawn every class
            (pictures / name / class_name).mkdir(parents=True)
        for index in split.indices(part):
            place = pictures / name / dataset.class_names[dataset.labels[index]]
            (place / Path(str(dataset.ids[index])).name).write_bytes(dataset.source.read(int(index)))
    return pictures


def run(row: Row, args: argparse.Namespace, pictures: Path, seed: int, artist: str) -> dict[str, Any]:
    """One row in a process of its own: what it tells, its seconds from start to end, its peak memory."""
    python = python_of(row.environment) if row.environment else Path(sys.executable)
    settings = ["--pictures", pictures, "--model", args.model, "--size", args.size, "--epochs", args.epochs]
    command = [python, "-m", f"benchmarks.peers.{row.script}", *settings, "--seed", seed]
    command += ["--device", args.device, "--weights", args.weights, *row.flags]
    with tempfile.TemporaryDirectory() as empty:
        started = time.time()
        environment = os.environ | {STARTED: repr(started), "PYTHONWARNINGS": "ignore"}
        if row.name == "ours-cold":
            environment["SNAPTUNE_CACHE"] = empty
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                list(map(str, command)), cwd=ROOT, env=environment, stdout=output, text=True
            )
            peak, busy = _watched(process, args.device)
            seconds = time.time() - started
            output.seek(0)
            lines = output.read().strip().splitlines()
    if process.returncode:
        raise SystemExit(f"'{row.name}' ended with {process.returncode}: {' '.join(map(str, command))}")
    told: dict[str, Any] = json.loads(lines[-1])
    last = told["epochs"][-1]["accuracy"]
    print(f"seed {seed} {artist} {row.name}: {last:.3f} in {seconds:.0f} s", flush=True)
    about = {"row": row.name, "seed": seed, "held_out": artist, "on": machine(args.device)}
    if busy:
        about["idle"] = _idle(busy, [(started + begin, started + end) for begin, end in told["trained"]])
    return about | {"seconds": round(seconds, 1), "peak_mib": peak} | told


def _watched(process: subprocess.Popen[str], device: str) -> tuple[int, list[tuple[float, float]]]:
    """Wait for the end: the most that the process and its workers held, in MiB, and how busy a GPU was.

    Pages that several processes share count once (proportional set size). Of a GPU (time, share of the last
    moments in which a kernel ran), as its driver tells.
    """
    peak, busy = 0, []
    while process.poll() is None:
        try:
            parent = psutil.Process(process.pid)
            family = [parent, *parent.children(recursive=True)]
            peak = max(peak, sum(member.memory_full_info().pss for member in family))
        except psutil.Error:  # one of them has just ended
            pass
        if device == "cuda":
            asked = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
            told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()[0]
            busy.append((time.time(), int(told) / 100))
        time.sleep(0.2 if device == "cuda" else 1)
    return peak // 2**20, busy


def _idle(busy: Sequence[tuple[float, float]], trained: Sequence[tuple[float, float]]) -> float | None:
    """A GPU's idle share while epochs but the first one trained; None where they were too short to see."""
    seen = [share for moment, share in busy for begin, end in trained[1:] if begin < moment <= end]
    return 1 - mean(seen) if seen else None


def machine(device: str) -> str:
    """What a run was measured on, in a few words."""
    on = torch.cuda.get_device_name() if device == "cuda" else torch.backends.cpu.get_cpu_capability()
    return f"{platform.machine()} {on}, {os.cpu_count()} cores, torch {torch.__version__}"


def write_results(file: Path, args: argparse.Namespace, runs: Sequence[dict[str, Any]]) -> None:
    about = {"epochs": args.epochs, "model": args.model, "size": args.size}
    RESULTS.mkdir(exist_ok=True)
    file.write_text(json.dumps(about | {"runs": runs}, indent=1) + "\n", encoding="utf-8")


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown; times are medians with the lowest and highest, ratios are taken within a seed and artist.

    The target is what the worked example's loop ends with on an artist, the lowest over the seeds.
    """
    targets: dict[str, float] = {}
    for item in runs:
        if item["row"] == "loop":
            known = targets.get(item["held_out"], 1.0)
            targets[item["held_out"]] = min(known, item["epochs"][-1]["accuracy"])
    loops = {(item["seed"], item["held_out"]): item for item in runs if item["row"] == "loop"}
    lines = [
        "| | n | final accuracy | whole run, s | to the loop's accuracy, s | times faster "
        "| pictures/s | memory, MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in ROWS:
        own = [item for item in runs if item["row"] == row.name]
        if not own:
            continue
        finals = [item["epochs"][-1]["accuracy"] for item in own]
        reached = [reach(item, targets.get(item["held_out"])) for item in own]
        ratios = [
            reach(loops[key], targets[key[1]]) / seconds
            for item, seconds in zip(own, reached, strict=True)
            if (key := (item["seed"], item["held_out"])) in loops
        ]
        cells = [
            row.title,
            str(len(own)),
            f"{mean(finals):.3f} ({min(finals):.3f}–{max(finals):.3f})",
            spread([item["seconds"] for item in own]),
            spread(reached),
            spread(ratios, "{:.1f}"),
            spread([item["pictures_per_second"] for item in own]),
            str(round(median(item["peak_mib"] for item in own))),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    for field, title in (
        ("ceiling", "bare steps like ours"),
        ("plain_ceiling", "bare steps of the whole network"),
    ):
        shares = [item["pictures_per_second"] / item[field] for item in runs if field in item]
        if shares:
            lines += [
                "",
                f"Rate of ours as a share of {title}: {spread(shares, '{:.2f}')}, n = {len(shares)}.",
            ]
    lines += [
        "",
        "Measured on: "
        + "; ".join(f"{name} (n = {n})" for name, n in Counter(i["on"] for i in runs).items()),
    ]
    lines += ["", "Targets: " + ", ".join(f"{name} {value:.3f}" for name, value in targets.items())]
    return "\n".join(lines)


def reach(item: dict[str, Any], target: float | None) -> float:
    """Seconds from the start of the process until an epoch was scored at the target; infinite for never."""
    if target is None:
        return float("inf")
    return next((e["seconds"] for e in item["epochs"] if e["accuracy"] >= target), float("inf"))


def spread(values: Sequence[float], form: str = "{:.0f}") -> str:
    """Median (lowest–highest); where something was never reached, how often."""
    never = sum(value == float("inf") or value == 0 for value in values)
    if never == len(values):
        return "never" if values else ""
    finite = [value for value in values if 0 < value < float("inf")]
    text = f"{form.format(median(finite))} ({form.format(min(finite))}–{form.format(max(finite))})"
    return f"{text}, {never} of {len(values)} never" if never else text


if __name__ == "__main__":
    main()
