"""A GPU: ours beside the worked example's loop, timm's parts and bare steps, and how far from its limits.

    python -m benchmarks gpu                    # one command, made for under eight minutes on one H100
    python -m benchmarks gpu --device cpu --pictures 96 --size 32 --model test_resnet.r160_in1k --epochs 2

The second line shows on any machine that the rows run; its figures mean nothing. The pictures are JPEG files
of 512 by 512 pixels, squares of the photographs inside scikit-image and scikit-learn, a class to each
photograph. All start from random weights, so that rates count and accuracies do not: to the same accuracy
in less time is asked by `python -m benchmarks train --device cuda`.

What was measured is kept in `results/gpu.json`. Without a GPU nothing is measured, and the table says so.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.photographs import photographs
from benchmarks.train import RESULTS, Row, run, spread, write_results

FILE = RESULTS / "gpu.json"
SIDE = 512
ROWS = (
    Row("loop", "the worked example's loop, batches of 32", "worked_example"),
    Row("timm-tuned", "timm's parts, tuned, batches of 32", "timm_parts", "", ("--tuned",)),
    Row("ours-32", "**ours**, batches of 32", "ours", "", ("--batch", "32")),
    Row("ours-128", "**ours**, batches of 128", "ours", "", ("--batch", "128")),
    Row("ceiling-32", "ours beside bare steps", "ours", "", ("--batch", "32", "--without", "ceiling")),
    Row("ceiling-128", "the same, of 128", "ours", "", ("--batch", "128", "--without", "ceiling")),
)
BANDWIDTH_LIMIT, PRACTICAL_LIMIT = 16_600, 10_000
"""Pictures a second of resnet18d at 288 that memory traffic allows an H100, and what looks within reach."""


def main() -> None:
    args = _arguments()
    if args.device == "cuda" and not torch.cuda.is_available():
        print("No GPU here: *not measured*.")
        return
    found: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        pictures = written(Path(folder), args.pictures)
        for seed in range(1, args.seeds + 1):
            for row in (row for row in ROWS if not args.rows or row.name in args.rows):
                found.append(run(row, args, pictures, seed, "photographs"))
                if args.device == "cuda":
                    write_results(FILE, args, found)
    print(table(found, args.model, args.size))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", choices=("cpu", "cuda"))
    parser.add_argument("--model", default="resnet18d")
    parser.add_argument("--size", type=int, default=288)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--pictures", type=int, default=8192, help="pictures to train on")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--rows", nargs="+", choices=[row.name for row in ROWS], metavar="ROW")
    parser.set_defaults(weights="")
    return parser.parse_args()


def written(root: Path, count: int) -> Path:
    """`count` squares to train on and an eighth as many to validate, as JPEG files in class folders."""
    draw = np.random.default_rng(0)
    paths = photographs()
    photos = [Image.open(path).convert("RGB") for path in paths]
    for number in range(count + max(count // 8, len(photos))):
        photo, name = photos[number % len(photos)], paths[number % len(photos)].stem
        place = root / ("train" if number < count else "val") / name
        place.mkdir(parents=True, exist_ok=True)
        side = int(draw.integers(min(photo.size) // 2, min(photo.size)))
        left, top = (int(draw.integers(length - side + 1)) for length in photo.size)
        square = photo.resize((SIDE, SIDE), box=(left, top, left + side, top + side))
        square.save(place / f"{number:06d}.jpg", quality=90)
    return root


def table(runs: Sequence[dict[str, Any]], model: str, size: int) -> str:
    """Markdown: rates, the share of bare steps and of the limits, and how long the device did nothing."""
    lines = [
        "| | pictures/s | times the loop's | whole run, s | of bare steps | device idle | memory, MiB |",
        "|---|---|---|---|---|---|---|",
    ]
    loop = [item["pictures_per_second"] for item in runs if item["row"] == "loop"]
    for row in ROWS:
        own = [item for item in runs if item["row"] == row.name]
        if not own:
            continue
        rates = [item["pictures_per_second"] for item in own]
        shares = [item["pictures_per_second"] / item["ceiling"] for item in own if "ceiling" in item]
        idle = [item["idle"] for item in own if item.get("idle") is not None]
        cells = [
            row.title,
            spread(rates),
            spread([rate / other for rate, other in zip(rates, loop, strict=True)], "{:.1f}"),
            spread([item["seconds"] for item in own]),
            spread(shares, "{:.2f}") or "–",
            spread([100 * share for share in idle], "{:.0f} %") or "*not measured*",
            str(round(mean(item["peak_mib"] for item in own))),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    if (model, size) == ("resnet18d", 288):
        best = max(item["pictures_per_second"] for item in runs if item["row"].startswith("ours"))
        lines += [
            "",
            f"The fastest is {best / BANDWIDTH_LIMIT:.0%} of what an H100's memory allows "
            f"({BANDWIDTH_LIMIT:,} pictures/s), {best / PRACTICAL_LIMIT:.0%} of a practical ceiling "
            f"({PRACTICAL_LIMIT:,}).",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
