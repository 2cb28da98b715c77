"""Measure a few training steps each way, and take the fastest: no fixed choice is right everywhere.

Mixed precision and the memory layout help one network on one processor and slow down the next. The
answer is remembered for this model, size, batch and machine, so that a run with the same seed is the same
tomorrow.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import platform
import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F  # noqa: N812
from torch import nn

from snaptune.config import TrainConfig
from snaptune.errors import ConfigError
from snaptune.run_folder import write_bytes
from snaptune.training.numerics import FLOAT32, Numerics

SECONDS = 5.0
"""Most that all measuring together may take, but for the one step that is running."""
ROUNDS = 8
WORTH = 0.9
"""A way other than the plainest must take at most this share of its time."""
MEASURED_BATCH, MEASURED_SIDE = 8, 128
"""Pictures in a measured step, and the side from which on they are fewer: all ways must have their turn."""
COMPILING = 60.0
"""Seconds that compiling a network takes, from 30 to 90: too many to measure at every start."""
COMPILING_PAYS = 10
"""A run must last this many times longer, so that compiling saves more than it costs."""


@dataclass(frozen=True)
class Timing:
    """Median seconds of a training step done one way; `warm` where the first one does not count."""

    numerics: Numerics
    seconds: float
    warm: bool


@dataclass(frozen=True)
class Choice:
    """`seconds` is what a step took; None where nothing was measured."""

    numerics: Numerics
    why: str
    seconds: float | None


def candidates(device: torch.device, precision: str = "auto", memory_format: str = "auto") -> list[Numerics]:
    """The ways worth trying on a device, the plainest first; what is set is not varied."""
    half = "float16" if device.type == "cuda" and not torch.cuda.is_bf16_supported() else "bfloat16"
    worth_trying = [FLOAT32, half] if computes_half(device) else [FLOAT32]
    precisions = worth_trying if precision == "auto" else [precision]
    layouts = ["channels_last", "channels_first"] if memory_format == "auto" else [memory_format]
    return [Numerics(device, kind, layout == "channels_last") for kind in precisions for layout in layouts]


def computes_half(device: torch.device) -> bool:
    """Whether a device has arithmetic of 16 bits of its own; what cannot be found out is tried.

    A processor without imitates it so slowly that one step may take longer than all the measuring should.
    """
    capabilities = getattr(torch.cpu, "get_capabilities", None)  # not in every torch that will do
    if device.type != "cpu" or capabilities is None:
        return True
    return any(capabilities().get(name) for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16"))


def settled(config: TrainConfig, device: torch.device) -> Numerics:
    """The one way that settings name in which nothing is left to measure."""
    [numerics] = candidates(device, config.precision, config.memory_format)
    return replace(numerics, compile=config.compile == "on")


def measure(
    step: Callable[[Numerics], float], ways: Sequence[Numerics], seconds: float = SECONDS
) -> list[Timing]:
    """Time `step(way)`, which returns its seconds, in turn for all ways until the time is up.

    The first round warms up and counts only where there was time for no other. A way whose turn never came
    is not among the results; the first always is.
    """
    started = time.perf_counter()
    taken: dict[Numerics, list[float]] = {}
    for way in [*ways] * ROUNDS:
        if taken and time.perf_counter() - started >= seconds:
            break
        taken.setdefault(way, []).append(step(way))
    warm = all(len(values) > 1 for values in taken.values())
    return [Timing(way, statistics.median(values[warm:]), warm) for way, values in taken.items()]


def fastest(timings: Sequence[Timing]) -> Numerics:
    """The plainest way, which comes first, unless another is clearly faster."""
    best = min(timings, key=lambda timing: timing.seconds)
    return best.numerics if best.seconds <= WORTH * timings[0].seconds else timings[0].numerics


def measured_batch(size: int) -> int:
    """Pictures of `size` pixels in a measured step; norms that learn need two."""
    return max(2, min(MEASURED_BATCH, round(MEASURED_BATCH * (MEASURED_SIDE / size) ** 2)))


def training_step(model: nn.Module, size: int, classes: int) -> Callable[[Numerics], float]:
    """A function that does one forward and backward pass on random pixels and returns its seconds.

    Of the parameters that learn, and in the mode that the model is in. The gradients are asked for without
    `backward`, and the model that is given is not touched.
    """
    copies: dict[Numerics, nn.Module] = {}
    labels = torch.arange(measured_batch(size)) % classes

    def step(numerics: Numerics) -> float:
        if numerics not in copies:
            copies[numerics] = numerics.placed(copy.deepcopy(model))
        network, device = copies[numerics], numerics.device
        pixels = torch.rand(len(labels), 3, size, size, device=device)
        _synchronise(device)
        started = time.perf_counter()
        with numerics.autocast():
            logits = network(numerics.laid_out(pixels))
        loss = F.cross_entropy(logits.float(), labels.to(device))
        torch.autograd.grad(loss, [p for p in network.parameters() if p.requires_grad], allow_unused=True)
        _synchronise(device)
        return time.perf_counter() - started

    return step


def choose(
    model: nn.Module, name: str, size: int, classes: int, ways: Sequence[Numerics], memory: Path
) -> Choice:
    """The way to compute `model`; `memory` is the folder of remembered answers.

    Only `ways` are considered, the plainest first; where there is one, nothing is measured. What there was no
    time to measure twice is not remembered.
    """
    if len(ways) == 1:
        return Choice(ways[0], "as set", None)
    learning = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    file = memory / f"{_key(name, size, learning, ways)}.json"
    if (before := _recall(file, ways)) is not None:
        return before
    timings = measure(training_step(model, size, classes), ways)
    chosen = fastest(timings)
    listed = ", ".join(f"{_short(t.numerics)} {t.seconds * 1000:.0f} ms" for t in timings)
    seconds = next(timing.seconds for timing in timings if timing.numerics == chosen)
    why = f"measured: {listed} a step of {measured_batch(size)}"
    if len(timings) < len(ways):
        return Choice(chosen, f"{why}; in {SECONDS:g} s there was no time for the other ways", seconds)
    if timings[0].warm:
        _remember(file, {"way": _short(chosen), "seconds": seconds, "measured": listed})
    return Choice(chosen, why, seconds)


def whether_to_compile(setting: str, device: torch.device, seconds: float | None) -> tuple[bool, str]:
    """Whether to compile, and a word on why; `seconds` is what all steps take at least, as far as known.

    Raises `ConfigError` where it is asked for and the compiler behind it is not installed.
    """
    missing = _missing_compiler(device)
    if setting == "on" and missing:
        raise ConfigError(
            f"Compiling for {device.type} needs {missing}, which was not found. Install it, or give "
            "--no-compile."
        )
    if setting != "auto":
        return setting == "on", ""
    if device.type != "cuda" or seconds is None:
        return False, ""
    if missing:
        return False, f"not compiled: {missing} was not found"
    if seconds < COMPILING_PAYS * COMPILING:
        return False, f"not compiled: compiling pays from {COMPILING_PAYS * COMPILING / 60:.0f} minutes on"
    return True, f"compiled: its steps take {seconds / 60:.0f} minutes or more"


def _missing_compiler(device: torch.device) -> str:
    """What `torch.compile` needs on a device and does not find; empty where it has all."""
    if device.type == "cpu":
        known = (os.environ.get("CXX", ""), "g++", "clang++", "cl")
        return "" if any(map(shutil.which, known)) else "a C++ compiler such as g++"
    if device.type in ("cuda", "xpu") and find_spec("triton") is None:
        return "the package triton"
    return ""


def _remember(file: Path, values: dict[str, object]) -> None:
    """A help that may fail, where the cache cannot be written or another process is just writing it."""
    with suppress(OSError):
        write_bytes(file, json.dumps(values).encode())


def _recall(file: Path, ways: Sequence[Numerics]) -> Choice | None:
    try:
        remembered = json.loads(file.read_text(encoding="utf-8"))
        way, seconds = remembered["way"], float(remembered["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    known = (candidate for candidate in ways if _short(candidate) == way)
    return next((Choice(numerics, "as measured here before", seconds) for numerics in known), None)


def _key(name: str, size: int, learning: int, ways: Sequence[Numerics]) -> str:
    """What the answer depends on, as a file name."""
    device = ways[0].device
    hardware = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    allowed = " ".join(map(_short, ways))
    parts = (name, size, learning, hardware, torch.get_num_threads(), torch.__version__, allowed)
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def _processor() -> str:
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def _short(numerics: Numerics) -> str:
    return f"{numerics.precision}/{'channels_last' if numerics.channels_last else 'channels_first'}"


def _synchronise(device: torch.device) -> None:
    if device.type != "cpu":
        torch.accelerator.synchronize(device)
