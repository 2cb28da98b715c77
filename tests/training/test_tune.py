from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from snaptune.errors import ConfigError
from snaptune.training.numerics import Numerics
from snaptune.training.tune import Choice, Timing, candidates, choose, fastest, measure, whether_to_compile

CPU = torch.device("cpu")
WAYS = PLAIN, FIRST, HALF, _ = candidates(CPU)


def test_the_plainest_way_stays_unless_another_is_clearly_faster() -> None:
    assert fastest([Timing(PLAIN, 1.0), Timing(FIRST, 0.95)]) == PLAIN
    assert fastest([Timing(PLAIN, 1.0), Timing(FIRST, 0.95), Timing(HALF, 0.5)]) == HALF


def test_the_first_round_warms_up_and_does_not_count() -> None:
    seen: list[Numerics] = []

    def step(way: Numerics) -> float:
        seen.append(way)
        return 100.0 if seen.count(way) == 1 else (1.0 if way == PLAIN else 2.0)

    timings = measure(step, [PLAIN, FIRST], seconds=0.01)
    assert {timing.numerics: timing.seconds for timing in timings} == {PLAIN: 1.0, FIRST: 2.0}


def test_without_time_only_the_plainest_way_is_tried() -> None:
    timings = measure(lambda way: 3.0, [PLAIN, FIRST, HALF], seconds=0.0)
    assert timings == [Timing(PLAIN, 3.0)]


def test_a_first_round_without_a_second_counts() -> None:
    def slow(way: Numerics) -> float:
        time.sleep(0.03)
        return 3.0

    timings = measure(slow, [PLAIN, FIRST, HALF], seconds=0.05)
    assert timings == [Timing(PLAIN, 3.0), Timing(FIRST, 3.0)]


def test_the_answer_is_remembered_and_the_model_left_alone(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    chosen = choose(model, "some", 8, 2, WAYS, tmp_path)
    assert chosen.why.startswith("measured: float32/channels_last ")
    assert chosen.seconds is not None
    assert choose(model, "some", 8, 2, WAYS, tmp_path) == replace(chosen, why="as measured here before")
    assert choose(model, "other", 8, 2, WAYS, tmp_path).why != "as measured here before"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_damaged_memory_is_measured_anew(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    choose(model, "some", 8, 2, WAYS, tmp_path)
    [file] = tmp_path.iterdir()
    file.write_bytes(b"{")
    assert choose(model, "some", 8, 2, WAYS, tmp_path).why.startswith("measured: ")


def test_what_is_set_is_not_measured(tmp_path: Path) -> None:
    ways = candidates(CPU, "bfloat16", "channels_first")
    set_way = Numerics(CPU, "bfloat16", False)
    assert choose(nn.Identity(), "some", 8, 2, ways, tmp_path) == Choice(set_way, "as set", None)
    assert list(tmp_path.iterdir()) == []
    assert {way.precision for way in candidates(CPU, memory_format="channels_last")} == {
        "float32",
        "bfloat16",
    }


CUDA = torch.device("cuda")


@pytest.fixture
def with_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snaptune.training.tune.find_spec", lambda name: object())


@pytest.mark.usefixtures("with_triton")
def test_a_gpu_compiles_for_long_runs_and_the_setting_goes_first() -> None:
    short = "not compiled: compiling pays from 10 minutes on"
    assert whether_to_compile("auto", CUDA, 599) == (False, short)
    assert whether_to_compile("auto", CUDA, 900) == (True, "compiled: its steps take 15 minutes or more")
    assert whether_to_compile("auto", CUDA, None) == (False, "")
    assert whether_to_compile("auto", CPU, 1e6) == (False, "")
    assert whether_to_compile("on", CUDA, 1) == (True, "")
    assert whether_to_compile("off", CUDA, 1e6) == (False, "")


def test_what_compiling_needs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snaptune.training.tune.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    missing = (False, "not compiled: the package triton was not found")
    assert whether_to_compile("auto", CUDA, 1e6) == missing
    assert whether_to_compile("off", CPU, 1.0) == (False, "")
    with pytest.raises(ConfigError) as error:
        whether_to_compile("on", CPU, 1.0)
    assert str(error.value) == (
        "Compiling for cpu needs a C++ compiler such as g++, which was not found. Install it, or give "
        "--no-compile."
    )
