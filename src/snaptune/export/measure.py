"""Times one run or exported file in a process of its own: python -m snaptune.export.measure SOURCE.

So no runtime's threads are there while another one is timed.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from os import cpu_count
from pathlib import Path

import numpy as np
from PIL import Image

from snaptune.errors import ExportError
from snaptune.export.awkward import scene
from snaptune.export.certificate import Latency
from snaptune.export.latency import exported_latency, median_ms
from snaptune.export.opened import open_exported

BATCH = 32


@dataclass(frozen=True)
class Speed:
    """The wait for one 640x480 picture, and pictures a second when many are waiting."""

    latency: Latency
    pictures_per_second: float


def measured(source: Path, seconds: float) -> Speed:
    """The speed of a run (through PyTorch) or an exported file; throughput is taken over `seconds`."""
    command = [sys.executable, "-m", "snaptune.export.measure", str(source), str(seconds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise ExportError(f"'{source}' could not be timed: {done.stderr.strip()}")
    values = json.loads(done.stdout.splitlines()[-1])
    return Speed(Latency(**values["latency"]), values["pictures_per_second"])


def exported_speed(path: Path, seconds: float) -> Speed:
    """Throughput with one thread a picture, as many pictures at once as there are cores."""
    latency, picture, cores = exported_latency(path), scene(640, 480), cpu_count() or 1
    opened = [open_exported(path, 1) for _ in range(cores)]

    def all_cores() -> None:
        list(pool.map(lambda one: one.answer(picture), opened))

    with ThreadPoolExecutor(cores) as pool:
        return Speed(latency, cores * _calls_per_second(all_cores, seconds))


def pytorch_speed(run: Path, seconds: float) -> Speed:
    """The run's own classifier, with Pillow in front; throughput in batches."""
    import torch

    from snaptune.prediction import TorchClassifier

    classifier, picture = TorchClassifier.load(run), Image.fromarray(scene(640, 480))

    def answer_batch(size: int) -> None:
        classifier.probabilities(np.stack([classifier.preprocess.pixels(picture) for _ in range(size)]))

    threads = cpu_count() or 1
    torch.set_num_threads(1)
    one = median_ms(lambda: answer_batch(1))
    torch.set_num_threads(threads)
    latency = Latency(one, median_ms(lambda: answer_batch(1)), threads)
    return Speed(latency, BATCH * _calls_per_second(lambda: answer_batch(BATCH), seconds))


def _calls_per_second(run: Callable[[], None], seconds: float) -> float:
    run()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        run()
        calls += 1
    return calls / (time.perf_counter() - start)


if __name__ == "__main__":
    source, seconds = Path(sys.argv[1]), float(sys.argv[2])
    speed = pytorch_speed(source, seconds) if source.is_dir() else exported_speed(source, seconds)
    print(json.dumps(asdict(speed)))
