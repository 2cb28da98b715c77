from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from snaptune.training.numerics import Numerics
from snaptune.training.tune import Timing, candidates, choose, fastest, measure

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


def test_every_way_is_tried_once_even_without_time() -> None:
    timings = measure(lambda way: 3.0, [PLAIN, FIRST, HALF], seconds=0.0)
    assert [timing.seconds for timing in timings] == [3.0, 3.0, 3.0]


def test_the_answer_is_remembered_and_the_model_left_alone(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    chosen, why = choose(model, "some", 8, 2, WAYS, tmp_path)
    assert why.startswith("measured: float32/channels_last ")
    assert choose(model, "some", 8, 2, WAYS, tmp_path) == (chosen, "as measured here before")
    assert choose(model, "other", 8, 2, WAYS, tmp_path)[1] != "as measured here before"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_damaged_memory_is_measured_anew(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))
    choose(model, "some", 8, 2, WAYS, tmp_path)
    [file] = tmp_path.iterdir()
    file.write_bytes(b"{")
    assert choose(model, "some", 8, 2, WAYS, tmp_path)[1].startswith("measured: ")


def test_what_is_set_is_not_measured(tmp_path: Path) -> None:
    ways = candidates(CPU, "bfloat16", "channels_first")
    assert choose(nn.Identity(), "some", 8, 2, ways, tmp_path) == (Numerics(CPU, "bfloat16", False), "as set")
    assert list(tmp_path.iterdir()) == []
    assert {way.precision for way in candidates(CPU, memory_format="channels_last")} == {
        "float32",
        "bfloat16",
    }
