from __future__ import annotations

import pytest

from snaptune.data.dataset import ImageDataset
from snaptune.export.bench import BenchRow, bench_run, bench_table
from snaptune.export.certificate import Latency
from snaptune.run_folder import Run


def test_every_format_is_timed_and_the_run_left_alone(
    tiny_run: Run, small_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(tiny_run.path.rglob("*"))
    monkeypatch.setattr("snaptune.export.bench.SECONDS", 0.1)
    rows = bench_run(tiny_run, small_dataset)
    assert [row.name for row in rows] == ["PyTorch fp32", "ONNX fp32", "ONNX fp16", "ONNX int8"]
    assert all(0 < row.latency.one_thread < 1000 and row.pictures_per_second > 1 for row in rows)
    sizes = [row.file_bytes for row in rows[1:]]
    assert sizes == sorted(sizes, reverse=True)
    assert sorted(tiny_run.path.rglob("*")) == before


def test_table_lines_up() -> None:
    rows = [
        BenchRow("PyTorch fp32", 44_900_000, Latency(74.4, 39.5, 2), 26.2),
        BenchRow("ONNX int8", 11_400_000, Latency(17.8, 10.0, 2), 110.0),
    ]
    assert bench_table(rows).splitlines() == [
        "format               MB  ms, 1 thread   ms, 2 threads  pictures/s",
        "PyTorch fp32       44.9          74.4            39.5          26",
        "ONNX int8          11.4          17.8            10.0         110",
    ]
