"""How fast each exported format answers on this machine."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from snaptune.data.dataset import ImageDataset
from snaptune.export.awkward import scene
from snaptune.export.certificate import Latency
from snaptune.export.latency import exported_latency, median_ms
from snaptune.export.publish import FALLBACKS, Workshop
from snaptune.export.runtime import answer, open_session
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run

SECONDS, BATCH = 2.0, 32


@dataclass(frozen=True)
class BenchRow:
    """One format: its size, the wait for one picture, and pictures a second when many are waiting."""

    name: str
    file_bytes: int
    latency: Latency
    pictures_per_second: float


def bench_run(run: Run, dataset: ImageDataset) -> list[BenchRow]:
    """PyTorch and ONNX Runtime with each kind of weights, on 640x480 pictures that are already decoded.

    Nothing is written into the run. The 8-bit weights take their ranges from the data set.
    """
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop.open(run, dataset, Path(folder))
        rows = [_pytorch_row(workshop.classifier, run.model_file.stat().st_size)]
        return rows + [_onnx_row(kind, workshop.draft(kind)) for kind in FALLBACKS["int8"][::-1]]


def bench_table(rows: list[BenchRow]) -> str:
    """The rows for the terminal; latencies are medians."""
    threads = rows[0].latency.threads
    head = f"{'format':<16}{'MB':>7}{'ms, 1 thread':>14}{f'ms, {threads} threads':>16}{'pictures/s':>12}"
    return "\n".join([head, *map(_line, rows)])


def _line(row: BenchRow) -> str:
    one, several = row.latency.one_thread, row.latency.all_threads
    size = row.file_bytes / 1e6
    return f"{row.name:<16}{size:>7.1f}{one:>14.1f}{several:>16.1f}{row.pictures_per_second:>12.0f}"


def _onnx_row(kind: str, path: Path) -> BenchRow:
    """Throughput with one thread a picture, as many pictures at once as there are cores."""
    session, picture, cores = open_session(path, 1), scene(640, 480), cpu_count() or 1

    def all_cores() -> None:
        list(pool.map(lambda _: answer(session, picture), range(cores)))

    with ThreadPoolExecutor(cores) as pool:
        rate = cores * _calls_per_second(all_cores)
    return BenchRow(f"ONNX {kind}", path.stat().st_size, exported_latency(path), rate)


def _pytorch_row(classifier: TorchClassifier, file_bytes: int) -> BenchRow:
    """The run's own classifier, with Pillow in front; throughput in batches."""
    picture = Image.fromarray(scene(640, 480))

    def answer_batch(size: int) -> None:
        classifier.probabilities(np.stack([classifier.preprocess.pixels(picture) for _ in range(size)]))

    before, threads = torch.get_num_threads(), cpu_count() or 1
    try:
        torch.set_num_threads(1)
        one = median_ms(lambda: answer_batch(1))
        torch.set_num_threads(threads)
        latency = Latency(one, median_ms(lambda: answer_batch(1)), threads)
        rate = BATCH * _calls_per_second(lambda: answer_batch(BATCH))
    finally:
        torch.set_num_threads(before)
    return BenchRow("PyTorch fp32", file_bytes, latency, rate)


def _calls_per_second(run: Callable[[], None]) -> float:
    run()
    start, calls = time.perf_counter(), 0
    while time.perf_counter() - start < SECONDS:
        run()
        calls += 1
    return calls / (time.perf_counter() - start)
