"""How time and memory grow with the number of pictures, their side, the classes and the processes.

    python -m benchmarks growth                      # all four, about ten minutes on two cores
    python -m benchmarks growth --of pictures --times 1

Each point is a process of its own that makes a data set of small drawings, prepares it and trains a tiny
network for one epoch; points are measured in turn, `--times` over, and the fastest counts. A slope is that of
a straight line through the logarithms: 1 means ten times the pictures, ten times the seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks._plots import chart
from benchmarks.train import RESULTS, ROOT

NETWORK = "test_resnet.r160_in1k"
POINTS: dict[str, tuple[int, ...]] = {
    "pictures": (1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 64_000),
    "side": (64, 96, 128, 192, 256),
    "classes": (10, 100, 1_000, 10_000),
    "processes": (1, 2),
}
USUAL = {"pictures": 2_000, "side": 32, "classes": 10, "processes": 1}
COUNT_OF_PICTURES = {"pictures": 0, "side": 1_000, "classes": 20_000, "processes": 4_000}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--of", nargs="+", choices=POINTS, default=list(POINTS))
    parser.add_argument(
        "--times", type=int, default=3, help="measurements of a point, of which the fastest counts"
    )
    parser.add_argument("--point", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.point:
        print(json.dumps(measure(**json.loads(args.point))))
        return
    file = RESULTS / "growth.json"
    found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    for axis in args.of:
        found[axis] = series(axis, args.times)
        RESULTS.mkdir(exist_ok=True)
        file.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        lines = {
            name: [(row[axis], row[key]) for row in found[axis]]
            for name, key in (
                ("preparing, s", "prepare"),
                ("an epoch, s", "epoch"),
                ("memory, MiB", "memory"),
            )
        }
        picture = chart(f"Growth with {axis}", lines, axis, "seconds or MiB", logarithmic=True)
        (RESULTS / f"growth-{axis}.svg").write_text(picture, encoding="utf-8")
    print(table(found))


def series(axis: str, times: int) -> list[dict[str, Any]]:
    """The points of an axis, each measured `times` over in turn; of every figure the lowest."""
    rows: list[list[dict[str, Any]]] = [[] for _ in POINTS[axis]]
    for _ in range(times):
        for place, value in enumerate(POINTS[axis]):
            point = USUAL | {"pictures": COUNT_OF_PICTURES[axis]} | {axis: value}
            rows[place].append(_in_a_process(point))
            print(f"{axis} {value:,}: {rows[place][-1]}", flush=True)
    return [
        {axis: value} | {key: min(row[key] for row in taken) for key in taken[0]}
        for value, taken in zip(POINTS[axis], rows, strict=True)
    ]


def _in_a_process(point: dict[str, int]) -> dict[str, Any]:
    """`measure` in a fresh process, or in several that train as one."""
    script = ["-m", "benchmarks.growth", "--point", json.dumps(point)]
    count = point["processes"]
    threads = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count))} if count > 1 else {}
    many = ["-m", "torch.distributed.run", f"--nproc-per-node={count}", "--master-addr=127.0.0.1"]
    command = [sys.executable, *(many if count > 1 else []), *script]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | threads, check=True, stdout=subprocess.PIPE, text=True
    )
    [told] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"')]
    return dict(told)


def measure(pictures: int, side: int, classes: int, processes: int) -> dict[str, float]:
    """Seconds of preparing and of the epoch's steps; the most memory of this process alone, in MiB."""
    from snaptune.config import TrainConfig
    from snaptune.data.prepared import prepare
    from snaptune.data.readers import open_dataset
    from snaptune.data.splits import Split, split_automatically
    from snaptune.models.build import preprocess_for
    from snaptune.training.events import Event, Started, StepDone
    from snaptune.training.train import train

    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ["SNAPTUNE_CACHE"] = str(place / "cache")
        dataset = open_dataset(str(drawn(place / "drawings", pictures, side, classes)))
        split: Split = split_automatically(dataset, 0.1, 1)
        before = _own_memory()
        started = time.perf_counter()
        prepare(dataset, preprocess_for(NETWORK, side), in_memory=0)
        prepared = time.perf_counter() - started
        times: dict[str, float] = {}
        highest = 0

        def observe(event: Event) -> None:
            nonlocal highest
            highest = max(highest, _own_memory())
            if isinstance(event, Started):
                times["begin"] = time.perf_counter()
            if isinstance(event, StepDone):
                times["end"] = time.perf_counter()

        config = TrainConfig(
            model=NETWORK,
            weights="none",
            image_size=side,
            epochs=1,
            batch_size=64,
            precision="float32",
            memory_format="channels_last",
            ema_decay=0.0,
        )
        train(dataset, config, place / "runs", split=split, on_event=observe, say=lambda text: None)
    if not times:  # of several processes only the first one is told
        return {}
    return {
        "prepare": round(prepared, 3),
        "epoch": round(times["end"] - times["begin"], 3),
        "memory": (highest - before) // 2**20,
    }


def drawn(folder: Path, pictures: int, side: int, classes: int) -> Path:
    """A table of small noisy drawings, each another; the first colour tells the class."""
    folder.mkdir()
    draw = np.random.default_rng(0)
    lines = ["file,label"]
    for index in range(pictures):
        pixels = draw.integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST).save(
            folder / f"{index}.png", compress_level=1
        )
        lines.append(f"{index}.png,{index % classes:05d}")
    table = folder / "labels.csv"
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return table


def _own_memory() -> int:
    """Bytes without shared pages: those mapped from the cache, which the system takes back, do not count."""
    memory = psutil.Process().memory_info()
    return int(memory.rss - memory.shared)


def slope(xs: Sequence[float], ys: Sequence[float]) -> float:
    """Of a straight line through the logarithms."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def table(found: dict[str, Any]) -> str:
    """Markdown: an axis after the other, its points and slopes."""
    lines: list[str] = []
    for axis, rows in found.items():
        lines += [f"| {axis} | preparing, s | an epoch, s | memory, MiB |", "|---|---|---|---|"]
        lines += [f"| {row[axis]:,} | {row['prepare']} | {row['epoch']} | {row['memory']} |" for row in rows]
        values = [row[axis] for row in rows]
        slopes = [slope(values, [row[key] for row in rows]) for key in ("prepare", "epoch")]
        grown = rows[-1]["memory"] - rows[0]["memory"]
        lines += [f"| slope | {slopes[0]:.2f} | {slopes[1]:.2f} | {grown:+} MiB |", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
