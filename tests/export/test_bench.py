from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from snaptune.data.dataset import ImageDataset
from snaptune.errors import ExportError
from snaptune.export.bench import BenchRow, bench_run, bench_table
from snaptune.export.certificate import Latency
from snaptune.export.measure import Speed, measured
from snaptune.run_folder import Run


def expected_rows() -> list[str]:
    kinds = ("fp32", "fp16", "int8")
    rows = ["PyTorch fp32", *(f"ONNX {kind}" for kind in kinds), "pt2 fp32"]
    if find_spec("openvino"):
        rows += [f"OpenVINO {kind}" for kind in kinds]
    return [*rows, "LiteRT fp32"] if find_spec("litert_torch") else rows


def test_every_format_is_timed_and_the_run_left_alone(
    tiny_run: Run, small_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sorted(tiny_run.path.rglob("*"))
    monkeypatch.setattr("snaptune.export.bench.SECONDS", 0.1)
    rows = bench_run(tiny_run, small_dataset)
    assert [row.name for row in rows] == expected_rows()
    for speed in (row.speed for row in rows):
        assert 0 < speed.latency.one_thread < 1000
        assert speed.pictures_per_second > 1
    sizes = [row.file_bytes for row in rows[1:4]]
    assert sizes == sorted(sizes, reverse=True)
    assert sorted(tiny_run.path.rglob("*")) == before


def test_table_lines_up() -> None:
    rows = [
        BenchRow("PyTorch fp32", 44_900_000, Speed(Latency(74.4, 39.5, 2), 26.2)),
        BenchRow("ONNX int8", 11_400_000, Speed(Latency(17.8, 10.0, 2), 110.0)),
    ]
    assert bench_table(rows).splitlines() == [
        "format               MB  ms, 1 thread   ms, 2 threads  pictures/s",
        "PyTorch fp32       44.9          74.4            39.5          26",
        "ONNX int8          11.4          17.8            10.0         110",
    ]


def test_what_cannot_be_timed_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"(?s)model\.onnx' could not be timed: .*cannot be opened"):
        measured(tmp_path / "model.onnx", 0.1)
