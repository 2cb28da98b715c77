"""How fast each exported format answers on this machine."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from snaptune.data.dataset import ImageDataset
from snaptune.export.measure import Speed, measured
from snaptune.export.opened import files_of
from snaptune.export.publish import FALLBACKS, Workshop
from snaptune.run_folder import Run

SECONDS = 2.0
"""How long throughput is measured."""


@dataclass(frozen=True)
class BenchRow:
    """One format: its size and its speed."""

    name: str
    file_bytes: int
    speed: Speed


def bench_run(run: Run, dataset: ImageDataset) -> list[BenchRow]:
    """PyTorch, then each format that can be run here, with each kind of weights that it is written with.

    OpenVINO and LiteRT are there where their extra is installed.

    Each in a process of its own, on 640x480 pictures that are already decoded. Nothing is written into
    the run. The 8-bit weights take their ranges from the data set.
    """
    rows = [BenchRow("PyTorch fp32", run.model_file.stat().st_size, measured(run.path, SECONDS))]
    kinds = FALLBACKS["int8"][::-1]
    with tempfile.TemporaryDirectory() as folder:
        workshop = Workshop.open(run, dataset, Path(folder))
        rows += [_row(f"ONNX {kind}", workshop.draft(kind)) for kind in kinds]
        rows.append(_row("pt2 fp32", workshop.in_format("pt2").draft("fp32")))
        if find_spec("openvino"):
            converted = workshop.in_format("openvino")
            rows += [_row(f"OpenVINO {kind}", converted.draft(kind)) for kind in kinds]
        if find_spec("litert_torch"):
            rows.append(_row("LiteRT fp32", workshop.in_format("litert").draft("fp32")))
    return rows


def bench_table(rows: list[BenchRow]) -> str:
    """The rows for the terminal; latencies are medians."""
    threads = rows[0].speed.latency.threads
    head = f"{'format':<16}{'MB':>7}{'ms, 1 thread':>14}{f'ms, {threads} threads':>16}{'pictures/s':>12}"
    return "\n".join([head, *map(_line, rows)])


def _row(name: str, path: Path) -> BenchRow:
    return BenchRow(name, sum(file.stat().st_size for file in files_of(path)), measured(path, SECONDS))


def _line(row: BenchRow) -> str:
    latency = row.speed.latency
    return (
        f"{row.name:<16}{row.file_bytes / 1e6:>7.1f}{latency.one_thread:>14.1f}{latency.all_threads:>16.1f}"
        f"{row.speed.pictures_per_second:>12.0f}"
    )
