"""Rate of `predict` on a folder against bare decoding and against the bare model, and its peak memory.

In turns, over the same JPEG files: reading, decoding and resizing in as many threads as there are cores; the
bare timm model, `model(x)` on a float batch that is ready, channels last in inference mode; as many pictures
through `TorchClassifier`, from bytes to probabilities; the whole stream. Shares are of the bare model and of
ours. On an accelerator the stream can reach the slower of decoding and model. On the processor they share the
cores, so that no program gets beyond the shared rate 1 / (1 / decoding + 1 / model), shown beside it;
where neither is far slower than the other, 90 % of the slower one is then out of reach, but for a model that
is computed faster than the bare one. Processor seconds a picture tell what waiting cost on a busy machine.

    python -m benchmarks.predict_rate [--model tf_efficientnet_lite0] [--size 128] [--side 640x480]
        [--pictures 1000] [--rounds 5] [--memory 1000 10000] [--device cpu]
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from os import cpu_count, link
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image

from snaptune.export.awkward import scene
from snaptune.inputs.expand import expand
from snaptune.models.build import build_model, preprocess_for
from snaptune.prediction import TorchClassifier
from snaptune.prediction_stream import predict_stream
from snaptune.training.numerics import Numerics
from snaptune.training.processes import best_device

BATCH, CLASSES, DIFFERENT = 32, 19, 200
Took = tuple[float, float]
"""Seconds of wall clock and of processor."""


@contextmanager
def folder_of(pictures: int, width: int, height: int) -> Iterator[Path]:
    """JPEG files of shapes under camera-like noise: 200 different ones, the others are links to them."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as root:
        for number in range(pictures):
            file = Path(root, f"{number:07d}.jpg")
            if number < DIFFERENT:
                noisy = scene(width, height) + rng.normal(0, 12, (height, width, 3))
                Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(file, quality=90)
            else:
                link(Path(root, f"{number % DIFFERENT:07d}.jpg"), file)
        yield Path(root)


def untrained(model: str, size: int, device: torch.device) -> TorchClassifier:
    """Random weights: speed does not depend on them."""
    network = Numerics(device).placed(build_model(model, CLASSES, "none").eval())
    names = tuple(f"class {number}" for number in range(CLASSES))
    return TorchClassifier(network, preprocess_for(model, size), names)


def decode(classifier: TorchClassifier, folder: Path) -> int:
    with ThreadPoolExecutor(cpu_count()) as pool:
        done = pool.map(lambda given: classifier.preprocess.pixels(given.open()), expand([str(folder)]))
        return sum(1 for _ in done)


def bare(classifier: TorchClassifier, pictures: int) -> int:
    """The plain network as a user of timm would run it."""
    size, device = classifier.preprocess.size, classifier.device
    batch = torch.randn(BATCH, 3, size, size, device=device).to(memory_format=torch.channels_last)
    with torch.inference_mode():
        for _ in range(pictures // BATCH):
            classifier.model(batch).cpu()
    return pictures // BATCH * BATCH


def answer(classifier: TorchClassifier, pictures: int) -> int:
    size = classifier.preprocess.size
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH, size, size, 3), dtype=np.uint8)
    for _ in range(pictures // BATCH):
        classifier.probabilities(pixels, BATCH)
    return pictures // BATCH * BATCH


def stream(classifier: TorchClassifier, folder: Path) -> int:
    return sum(1 for _ in predict_stream(classifier, expand([str(folder)]), batch_size=BATCH))


def taken(work: Callable[[], int]) -> Took:
    """Seconds a picture."""
    start, used = time.perf_counter(), time.process_time()
    done = work()
    return (time.perf_counter() - start) / done, (time.process_time() - used) / done


def peak_megabytes(pictures: int, args: argparse.Namespace) -> float:
    """The most memory that a process of its own takes for a folder of this many pictures."""
    words = ["--pictures", str(pictures), "--stream-only", "--model", args.model, "--size", str(args.size)]
    words += ["--side", args.side, "--device", str(args.device)]
    command = [sys.executable, "-m", "benchmarks.predict_rate", *words]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--model", default="tf_efficientnet_lite0")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--side", default="640x480")
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, nargs="*", default=[1000, 10000])
    parser.add_argument("--device", default=best_device())
    parser.add_argument("--stream-only", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    args = arguments()
    width, height = map(int, args.side.split("x"))
    classifier = untrained(args.model, args.size, torch.device(args.device))
    with folder_of(args.pictures, width, height) as folder:
        if args.stream_only:
            stream(classifier, folder)
            print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
            return
        works: tuple[Callable[[], int], ...] = (
            lambda: decode(classifier, folder),
            lambda: bare(classifier, args.pictures),
            lambda: answer(classifier, args.pictures),
            lambda: stream(classifier, folder),
        )
        for work in works:
            work()  # the first one loads files and allocates
        rounds = [[taken(work) for work in works] for _ in range(args.rounds)]
    print(
        f"{args.model} at {args.size}, {args.pictures:,} JPEG files of {args.side}, {args.device}, ", end=""
    )
    print(f"{cpu_count()} cores, {torch.get_num_threads()} threads of torch, {args.rounds} rounds")
    for index, title in enumerate(("decode and resize alone", "bare timm model", "our model", "predict")):
        walls, used = zip(*(measured[index] for measured in rounds), strict=True)
        spread = f"({1 / max(walls):,.0f} to {1 / min(walls):,.0f})"
        rate, cost = 1 / median(walls), 1000 * median(used)
        print(f"  {title:<24}{rate:>8,.0f} a second {spread}, {cost:.2f} ms of processor")
    walls_only = [[wall for wall, _ in measured] for measured in rounds]
    asked, bound = "asked: at least 90 %", "the bound where they share the cores"
    show("slower one, bare model", [max(d, b) / s for d, b, _, s in walls_only], asked)
    show("slower one, our model", [max(d, m) / s for d, _, m, s in walls_only], asked)
    show("shared rate, our model", [(d + m) / s for d, _, m, s in walls_only], bound)
    costs = [[cost for _, cost in measured] for measured in rounds]
    show(
        "processor, bare model", [max(d, b) / s for d, b, _, s in costs], "the slower one, in processor time"
    )
    show("processor time kept", [(d + m) / s for d, _, m, s in costs], "1 less what waiting burnt")
    for pictures in args.memory:
        print(f"  peak memory for {pictures:>9,} pictures: {peak_megabytes(pictures, args):,.0f} MiB")


def show(title: str, shares: list[float], note: str) -> None:
    """Median, lowest and highest over the rounds."""
    print(f"  {title:<24}{median(shares):>8.1%} ({min(shares):.1%} to {max(shares):.1%}); {note}")


if __name__ == "__main__":
    main()
