from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from snaptune.errors import ConfigError
from snaptune.training.numerics import Numerics
from snaptune.training.tune import (
    Choice,
    Timing,
    candidates,
    choose,
    fastest,
    measure,
    measured_batch,
    training_step,
    whether_to_compile,
)

CPU = torch.device("cpu")
WAYS = PLAIN, FIRST, HALF, _ = [
    Numerics(CPU, precision, last) for precision in ("float32", "bfloat16") for last in (True, False)
]


def test_the_plainest_way_stays_unless_another_is_clearly_faster() -> None:
    assert fastest([Timing(PLAIN, 1.0, True), Timing(FIRST, 0.95, True)]) == PLAIN
    assert fastest([Timing(PLAIN, 1.0, True), Timing(FIRST, 0.95, True), Timing(HALF, 0.5, True)]) == HALF


def test_the_first_round_warms_up_and_does_not_count() -> None:
    seen: list[Numerics] = []

    def step(way: Numerics) -> float:
        seen.append(way)
        return 100.0 if seen.count(way) == 1 else (1.0 if way == PLAIN else 2.0)

    timings = measure(step, [PLAIN, FIRST], seconds=0.01)
    assert {timing.numerics: timing.seconds for timing in timings} == {PLAIN: 1.0, FIRST: 2.0}


def test_without_time_only_the_plainest_way_is_tried() -> None:
    timings = measure(lambda way: 3.0, [PLAIN, FIRST, HALF], seconds=0.0)
    assert timings == [Timing(PLAIN, 3.0, False)]


def test_a_first_round_without_a_second_counts() -> None:
    def slow(way: Numerics) -> float:
        time.sleep(0.03)
        return 3.0

    timings = measure(slow, [PLAIN, FIRST, HALF], seconds=0.05)
    assert timings == [Timing(PLAIN, 3.0, False), Timing(FIRST, 3.0, False)]


def test_the_answer_is_remembered_and_the_model_left_alone(tmp_path: Path) -> None:
    model = small_network()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    chosen = choose(model, "some", 8, 2, WAYS, tmp_path)
    assert chosen.why.startswith("measured: float32/channels_last ")
    assert chosen.seconds is not None
    assert choose(model, "some", 8, 2, WAYS, tmp_path) == replace(chosen, why="as measured here before")
    assert choose(model, "other", 8, 2, WAYS, tmp_path).why != "as measured here before"
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())


def small_network() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4 * 36, 2))


def test_another_share_of_what_learns_is_measured_anew(tmp_path: Path) -> None:
    """Frozen layers need no gradients, so that another way may be the fastest."""
    model = small_network()
    choose(model, "some", 8, 2, WAYS, tmp_path)
    model[0].requires_grad_(False)
    assert choose(model, "some", 8, 2, WAYS, tmp_path).why.startswith("measured: ")
    assert choose(model, "some", 8, 2, WAYS, tmp_path).why == "as measured here before"


def test_measuring_is_done_in_the_mode_of_training_and_changes_no_mode() -> None:
    """A norm with fixed statistics, in the copy that is measured as in the model itself."""
    model = small_network()
    model[1].eval()
    seen: list[bool] = []
    model[1].register_forward_hook(lambda norm, given, result: seen.append(norm.training))
    before = [module.training for module in model.modules()]
    training_step(model, 8, 2)(PLAIN)
    assert seen == [False]
    assert [module.training for module in model.modules()] == before


def test_large_pictures_are_measured_in_smaller_batches() -> None:
    assert [measured_batch(size) for size in (32, 128, 160, 224, 288, 512)] == [8, 8, 5, 3, 2, 2]


@pytest.mark.parametrize("ways", [1, 4], ids=["one way", "all, once"])
def test_what_was_not_measured_warm_is_not_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ways: int
) -> None:
    cold = [Timing(way, 1.0, warm=False) for way in WAYS[:ways]]
    monkeypatch.setattr("snaptune.training.tune.measure", lambda step, ways: cold)
    choice = choose(small_network(), "some", 8, 2, WAYS, tmp_path)
    assert list(tmp_path.iterdir()) == []
    ending = "; in 5 s there was no time for the other ways"
    assert choice.why.endswith(ending) == (ways < len(WAYS))
    assert choice.numerics == PLAIN


def test_a_cache_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    memory = tmp_path / "file" / "speed"  # no folder can be made below a file
    assert choose(small_network(), "some", 8, 2, WAYS, memory).why.startswith("measured: ")


def test_all_measuring_ends_after_its_time() -> None:
    """But for the one step that is running: four ways of a tenth of a second in half a second."""

    def slow(way: Numerics) -> float:
        time.sleep(0.1)
        return 0.1

    started = time.perf_counter()
    timings = measure(slow, WAYS, seconds=0.5)
    assert len(timings) == len(WAYS)
    assert time.perf_counter() - started < 5 * 0.5  # a machine may be busy


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


@pytest.mark.parametrize(
    ("capabilities", "tried"),
    [
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, ["float32"]),
        ({"avx2": True, "avx512_bf16": True, "amx_bf16": False}, ["float32", "bfloat16"]),
        ({"neon": True, "bf16": True}, ["float32", "bfloat16"]),
        (None, ["float32", "bfloat16"]),
    ],
    ids=["imitated", "avx512", "arm", "unknown"],
)
def test_a_processor_that_only_imitates_16_bits_is_not_asked_to(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool] | None, tried: list[str]
) -> None:
    asked = None if capabilities is None else lambda: capabilities
    monkeypatch.setattr(torch.cpu, "get_capabilities", asked, raising=False)
    assert [way.precision for way in candidates(CPU, memory_format="channels_last")] == tried
    assert candidates(CPU, "bfloat16", "channels_last") == [HALF]  # what is set is done


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
