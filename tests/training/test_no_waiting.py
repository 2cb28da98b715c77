"""No step waits for the device: the loop looks at loss and accuracy every `READ_EVERY` steps alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from snaptune.images.preprocess import Preprocess
from snaptune.models.build import normalise
from snaptune.training import loop
from snaptune.training.augment import Augment, Gentle, plain
from snaptune.training.batches import PreparedBatches
from snaptune.training.checkpoint import Learner, Progress, Saver
from snaptune.training.loop import Plan, fit
from snaptune.training.mixup import CutMix, Mix, Mixup
from snaptune.training.numerics import Numerics
from snaptune.training.optim import MovingAverage
from snaptune.training.trivial import TrivialAugment
from snaptune.trivial_space import TUTORIAL

META = torch.device("meta")
"""A device that computes shapes alone: to ask it for a value is an error, whichever way it is asked."""
NORMALISE = partial(normalise, preprocess=Preprocess(16, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)))
STEPS = 12


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes copies to or from the device that the processor waits for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.seen: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if func is torch.ops.aten._to_copy.default and not kwargs.get("non_blocking"):
            devices = {args[0].device, torch.device(kwargs.get("device") or args[0].device)}
            if len(devices) == 2:
                self.seen.append(f"{args[0].dtype} {tuple(args[0].shape)}")
        return result


def one_epoch(
    tmp_path: Path, *, augment: Augment = plain, mix: Mix | None = None, ema: float = 0.9, clip: float = 1.0
) -> tuple[int, list[str]]:
    """Steps of an epoch on the device up to the first look at it, which fails, and the waits until then."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (STEPS * 4, 16, 16, 3), dtype=np.uint8)
    batches = PreparedBatches(pixels, np.arange(len(pixels)) % 2, np.arange(len(pixels)), 4, META)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(784, 2)).to(META)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)  # our fused one has no kernel for shapes alone
    progress = Progress()
    with Waits() as waits, pytest.raises(NotImplementedError, match="Cannot copy out of meta tensor"):
        fit(
            Learner(model, optimizer, MovingAverage(model, ema) if ema else None),
            batches,
            batches,
            Plan(epochs=1, lr=0.01, warmup=0.1, seed=1, clip=clip, label_smoothing=0.1),
            augment=augment,
            normalise=NORMALISE,
            numerics=Numerics(torch.device("cpu")),
            saver=Saver(tmp_path, every=1e9),
            mix=mix,
            progress=progress,
        )
    return progress.step, waits.seen


@pytest.mark.parametrize(
    "augment", [plain, Gentle(1), TrivialAugment(1, TUTORIAL)], ids=["none", "gentle", "trivial"]
)
@pytest.mark.parametrize("mix", [None, Mixup(1, 2), CutMix(1, 2)], ids=["none", "mixup", "cutmix"])
def test_no_step_waits_for_the_device(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, augment: Augment, mix: Mix | None
) -> None:
    monkeypatch.setattr(loop, "READ_EVERY", 1000)
    assert one_epoch(tmp_path, augment=augment, mix=mix) == (STEPS, [])


def test_a_look_every_few_steps_does_wait(tmp_path: Path) -> None:
    assert one_epoch(tmp_path)[0] == loop.READ_EVERY < STEPS


def asks(how: Callable[[Tensor], object]) -> Augment:
    def augment(pixels: Tensor, epoch: int, samples: Any) -> Tensor:
        how(pixels)
        return pixels.float()

    return augment


@pytest.mark.parametrize(
    "how",
    [
        lambda p: p[0, 0, 0, 0].item(),
        lambda p: bool((p > 3).any()),
        lambda p: p.cpu(),
        lambda p: p.tolist(),
        lambda p: torch.ones(3).to(p.device),
    ],
    ids=["item", "bool", "cpu", "tolist", "blocking copy"],
)
def test_a_step_that_waits_would_be_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: Callable[[Tensor], object]
) -> None:
    """The test above can fail."""
    monkeypatch.setattr(loop, "READ_EVERY", 1000)
    with pytest.raises((AssertionError, RuntimeError)):
        assert one_epoch(tmp_path, augment=asks(how)) == (STEPS, [])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA tells by itself who waits for it")
def test_no_step_waits_for_a_cuda_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processor's twin of this test stands above; here torch itself watches, from the second step on."""
    monkeypatch.setattr(loop, "READ_EVERY", 1000)
    device = torch.device("cuda")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (STEPS * 4, 16, 16, 3), dtype=np.uint8)
    batches = PreparedBatches(pixels, np.arange(len(pixels)) % 2, np.arange(len(pixels)), 4, device)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(784, 2)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)  # our fused one has no kernel for shapes alone

    def watched(pixels: Tensor, epoch: int, samples: Any) -> Tensor:
        last = progress.step == STEPS - 1
        torch.cuda.set_sync_debug_mode("error" if progress.step > 0 and not last else "default")
        return Gentle(1)(pixels, epoch, samples)

    progress = Progress()
    try:
        fit(
            Learner(model, optimizer, MovingAverage(model, 0.9)),
            batches,
            replace(batches, samples=np.arange(4)),
            Plan(epochs=1, lr=0.01, warmup=0.1, seed=1),
            augment=watched,
            normalise=NORMALISE,
            numerics=Numerics(device),
            saver=Saver(tmp_path, every=1e9),
            progress=progress,
        )
    finally:
        torch.cuda.set_sync_debug_mode("default")
