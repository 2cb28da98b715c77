"""A training step with and without `torch.compile`, and what compiling costs: seconds and milliseconds.

    python -m benchmarks.compile_gain
    python -m benchmarks.compile_gain --models resnet18d --size 224 --batch 32

Each network in the precision and layout that training would choose here; the compiler's own cache is empty.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

import torch
from torch.nn import functional

from snaptune.models.build import build_model
from snaptune.training.numerics import Numerics
from snaptune.training.processes import best_device
from snaptune.training.tune import candidates, choose


def stepper(name: str, size: int, batch: int, numerics: Numerics) -> Callable[[], float]:
    """A function that does one forward and backward pass and returns its seconds."""
    model = numerics.placed(build_model(name, 19, "none")).train()
    network = numerics.compiled(model)
    pixels = numerics.laid_out(torch.rand(batch, 3, size, size, device=numerics.device))
    labels = torch.arange(batch, device=numerics.device) % 19

    def step() -> float:
        started = time.perf_counter()
        with numerics.autocast():
            logits = network(pixels)
        functional.cross_entropy(logits.float(), labels).backward()  # type: ignore[no-untyped-call]
        model.zero_grad()
        if numerics.device.type != "cpu":
            torch.accelerator.synchronize()
        return time.perf_counter() - started

    return step


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", nargs="+", default=["tf_efficientnet_lite0", "resnet18d"])
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=30)
    args = parser.parse_args()
    print("| model | numerics | plain, ms | compiled, ms | gain | compiling, s |\n|---|---|---|---|---|---|")
    for name in args.models:
        with tempfile.TemporaryDirectory() as folder:
            os.environ["TORCHINDUCTOR_CACHE_DIR"] = folder
            model = build_model(name, 19, "none")
            ways = candidates(best_device())
            numerics = choose(model, name, args.size, 19, ways, Path(folder)).numerics
            plain = stepper(name, args.size, args.batch, numerics)
            fast = stepper(name, args.size, args.batch, replace(numerics, compile=True))
            plain(), (first := fast())
            times = [(plain(), fast()) for _ in range(args.steps)]  # in turn, so that both see the same load
        one, two = (median(column) for column in zip(*times, strict=True))
        print(
            f"| {name} | {numerics} | {one * 1000:.0f} | {two * 1000:.0f} | {one / two:.2f} | {first:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
