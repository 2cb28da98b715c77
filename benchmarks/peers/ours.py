"""snaptune's default recipe, or with one technique left out.

`--without ceiling` leaves nothing out but runs, after each epoch, bare training steps on random pixels that
are on the device already: the same network, batch, precision and layout. Their rate is the ceiling of that
minute. `ceiling` is that of a step like ours, with the same layers frozen and norms folded; `plain_ceiling`
that of timm's network as it comes, all of it learning.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from benchmarks.peers.contract import LITE0, Clock, Task, task
from snaptune.config import TrainConfig
from snaptune.data.cache_folder import cache_folder
from snaptune.data.readers import open_dataset
from snaptune.models import convolving
from snaptune.models.build import build_model, freeze_slow, parameter_groups
from snaptune.models.convolving import quicken
from snaptune.models.folding import fold_norms
from snaptune.training import loop, network
from snaptune.training import train as training
from snaptune.training.augment import Augment, build_augment
from snaptune.training.events import EpochDone, Event, Started, StepDone
from snaptune.training.numerics import Numerics
from snaptune.training.tune import candidates, choose

SETTINGS: dict[str, dict[str, Any]] = {
    "prepared pictures": {"stream": True},
    "channels last": {"memory_format": "channels_first"},
    "pretrained norm statistics": {"norm_statistics": "learned"},
    "moving average": {"ema_decay": 0.0},
    "layer-wise rates": {"layer_decay": 1.0},
    "label smoothing": {"label_smoothing": 0.0},
    "gentle augmentation": {"augment": "trivial"},
    "frozen lowest layers": {"freeze_below": 0.0},
}
BURST, WARM = 12, 4


class Observer:
    """Tells the clock when epochs begin and end; runs the ceilings' steps in between."""

    def __init__(self, clock: Clock, ceilings: Sequence[Ceiling]) -> None:
        self.clock, self.ceilings = clock, ceilings
        self.steps = self.pictures = 0

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self.steps, self.pictures = event.steps_per_epoch, event.train_samples
            self.clock.begin()
        if isinstance(event, StepDone) and event.step == self.steps:
            self.clock.end(self.pictures)
        if isinstance(event, EpochDone):
            self.clock.scored(event.validation_accuracy)
            for ceiling in self.ceilings:
                ceiling.burst()
            self.clock.begin()


class Ceiling:
    """Bare training steps of the same network on pixels that are there already."""

    def __init__(self, given: Task, config: TrainConfig, *, like_ours: bool) -> None:
        device = torch.device(given.device)
        self.numerics = Numerics(device, config.precision, config.memory_format == "channels_last")
        model = build_model(given.model, len(given.classes), "none", lambda text: None)
        self.model = self.numerics.placed(model)
        shape = (config.batch_size, 3, given.size, given.size)
        self.pixels = self.numerics.laid_out(torch.randn(shape, device=device))
        pretrained = weights_of(given) != "none"  # nothing is frozen of random ones
        if like_ours and pretrained:
            fold_norms(self.model, self.pixels)
            quicken(self.model)
            groups = parameter_groups(
                self.model, weight_decay=config.weight_decay, layer_decay=config.layer_decay
            )
            freeze_slow(groups, config.freeze_below)
        loop.set_training(self.model, freeze_norms=like_ours and pretrained)
        learning = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.AdamW(learning, lr=1e-6, fused=True)
        self.labels = torch.arange(config.batch_size, device=device) % len(given.classes)
        self.rates: list[float] = []

    def burst(self) -> None:
        self._steps(WARM)  # memory and caches held something else
        started = time.perf_counter()
        self._steps(BURST)
        self.rates.append(BURST * len(self.labels) / (time.perf_counter() - started))

    def _steps(self, count: int) -> None:
        for _ in range(count):
            with self.numerics.autocast():
                logits = self.model(self.pixels)
            nn.functional.cross_entropy(logits.float(), self.labels).backward()  # type: ignore[no-untyped-call]
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)
        if self.labels.device.type != "cpu":
            torch.accelerator.synchronize()


def weights_of(given: Task) -> str:
    """The setting `weights` for what every contestant starts from."""
    return given.weights or ("pretrained" if given.model == LITE0 else "none")


def one_by_one(config: TrainConfig) -> Augment:
    """The same augmentation, a picture at a time."""
    augment = build_augment(config.augment, config.seed, config.trivial_space)

    def each(pixels: Tensor, epoch: int, samples: npt.NDArray[np.int64]) -> Tensor:
        return torch.cat([augment(pixels[i : i + 1], epoch, samples[i : i + 1]) for i in range(len(pixels))])

    return each


def _no(*_: object) -> bool:
    """An answer that, unlike a mock's, does not keep what it was asked: tensors, in each step."""
    return False


def patched(without: str) -> Any:
    """What has to be replaced inside the package to leave a technique out."""
    if without == "folded norms":
        return mock.patch.object(network, "fold_norms", return_value=0)
    if without == "quick convolutions":
        both = ExitStack()
        for question in ("_is_slow_to_learn", "_may_be_longer"):
            both.enter_context(mock.patch.object(convolving, question, _no))
        return both
    if without == "rare looks at the loss":
        return mock.patch.object(loop, "READ_EVERY", 1)
    return mock.patch.dict({}, {})


def as_chosen_here(config: TrainConfig, given: Task) -> TrainConfig:
    """The settings with the precision and layout that training would measure and choose."""
    classes = len(given.classes)
    model = network.initial_model(config, classes, lambda text: None)
    network.fitted_out(model, config)
    ways = candidates(torch.device(given.device))
    chosen = choose(model, config.model, config.image_size, classes, ways, cache_folder() / "speed").numerics
    layout = "channels_last" if chosen.channels_last else "channels_first"
    return replace(config, precision=chosen.precision, memory_format=layout)


def main() -> None:
    given = task()
    clock = Clock(given.device)
    config = TrainConfig(
        model=given.model,
        weights=weights_of(given),
        image_size=given.size,
        epochs=given.epochs,
        seed=given.seed,
        **SETTINGS.get(given.without, {}),
    )
    if given.batch:
        config = replace(config, batch_size=given.batch)
    dataset = open_dataset(str(given.pictures))
    ceilings: dict[str, Ceiling] = {}
    if given.without == "ceiling":
        config = as_chosen_here(config, given)
        for name, like_ours in (("ceiling", True), ("plain_ceiling", False)):
            ceilings[name] = Ceiling(given, config, like_ours=like_ours)
    observer = Observer(clock, list(ceilings.values()))
    augment = one_by_one(config) if given.without == "batched augmentation" else None
    with tempfile.TemporaryDirectory() as folder, patched(given.without):
        training.train(dataset, config, folder, augment=augment, on_event=observer, say=lambda text: None)
    clock.report(**{name: round(median(ceiling.rates), 2) for name, ceiling in ceilings.items()})


if __name__ == "__main__":
    main()
