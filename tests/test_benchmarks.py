"""The benchmarks still fit the package: their rows run, and what they replace inside it is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks._accuracy import table
from benchmarks.peers.ours import SETTINGS, patched
from benchmarks.train import ROWS
from snaptune.config import TrainConfig

ROOT = Path(__file__).parents[1]
TINY = ("--pictures", "40", "--size", "32", "--model", "test_resnet.r160_in1k", "--epochs", "2")
LEFT_OUT = [row.flags[1] for row in ROWS if row.flags[:1] == ("--without",)]


@pytest.mark.parametrize("technique", LEFT_OUT)
def test_every_technique_can_be_left_out(technique: str) -> None:
    with patched(technique):
        TrainConfig(**SETTINGS.get(technique, {}))


def gpu(*arguments: str) -> str:
    command = [sys.executable, "-m", "benchmarks", "gpu", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def test_the_rows_for_a_gpu_run_on_the_processor() -> None:
    told = gpu("--device", "cpu", "--rows", "loop", "ours-32", "ceiling-32", *TINY)
    rows = [line.split("|")[1:-1] for line in told.splitlines() if line.startswith("| ")]
    loop, ours, ceiling = ([cell.strip() for cell in row] for row in rows[1:])
    assert loop[2] == "1.0 (1.0–1.0)"
    assert float(ours[1].split()[0]) > 0
    assert re.fullmatch(r"\d\.\d\d \(.*\)", ceiling[4])
    assert {row[5] for row in (loop, ours, ceiling)} == {"*not measured*"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which would be measured")
def test_without_a_gpu_nothing_is_measured_and_the_table_says_so() -> None:
    assert gpu() == "No GPU here: *not measured*.\n"


def measured(row: str, on: str, *epochs: tuple[float, float]) -> dict[str, Any]:
    scored = [{"seconds": seconds, "accuracy": accuracy} for seconds, accuracy in epochs]
    known = {"n": 50, "held_out": "noto", "seed": 1, "seconds": epochs[-1][0]}
    return {**known, "row": row, "on": on, "epochs": scored}


def test_times_to_an_accuracy_are_compared_on_one_machine_only() -> None:
    runs = [
        measured("ours-9", "here", (5, 0.7), (8, 0.8), (10, 0.9)),
        measured("loop", "here", (10, 0.5), (20, 0.8)),
        measured("loop", "there", (1, 0.5), (2, 0.75)),
        measured("fastai", "here", (10, 0.5), (20, 0.95)),
    ]
    line = next(line for line in table(runs).splitlines() if "in those of ours" in line)
    assert line.split("|")[3:] == ["  ", " never ", " 2.5 (2.5–2.5) ", ""]
