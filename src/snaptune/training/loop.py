"""The training loop, to be read from top to bottom. The only caller of `backward`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from snaptune.errors import TrainingError
from snaptune.training.augment import Augment
from snaptune.training.batches import Batch, PreparedBatches
from snaptune.training.events import EpochDone, Finished, OnEvent, Started, StepDone, ignore
from snaptune.training.optim import one_cycle, set_learning_rate

READ_EVERY = 10
"""Steps between two looks at loss and accuracy: each look waits for the device."""


@dataclass(frozen=True)
class Scores:
    """Mean cross-entropy and share of right answers over `n` samples."""

    loss: float
    accuracy: float
    n: int


@dataclass(frozen=True)
class Kept:
    """The weights that training hands over, and where they come from."""

    state: dict[str, Tensor]
    epoch: int
    train_loss: float
    scores: Scores
    lr: float


def fit(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    train: PreparedBatches,
    validation: PreparedBatches,
    *,
    epochs: int,
    lr: float,
    warmup: float,
    label_smoothing: float,
    seed: int,
    augment: Augment,
    normalise: Callable[[Tensor], Tensor],
    ema: AveragedModel | None,
    freeze_norms: bool,
    keep_best: bool,
    on_event: OnEvent = ignore,
) -> Kept:
    """Train for `epochs`, validate after each, and return the weights to keep.

    What is validated and kept is the moving average where there is one. Raises `TrainingError` where
    the loss is no longer a number.
    """
    steps = len(train) * epochs
    kept: Kept | None = None
    started = time.perf_counter()
    on_event(Started(epochs, len(train), len(train.samples), len(validation.samples)))

    for epoch in range(epochs):
        epoch_started = time.perf_counter()
        meter = Meter()
        set_training(model, freeze_norms)
        for step, batch in enumerate(train.shuffled(seed, epoch)):
            rate = lr * one_cycle(epoch * len(train) + step, steps, warmup)
            set_learning_rate(optimizer, rate)
            logits = model(normalise(augment(batch.pixels, epoch, batch.samples)))
            loss = F.cross_entropy(logits, batch.labels, label_smoothing=label_smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if ema is not None:
                ema.update_parameters(model)
            meter.add(loss.detach(), logits.detach(), batch)
            if step % READ_EVERY == READ_EVERY - 1 or step == len(train) - 1:
                meter.read(epoch, step)
                on_event(StepDone(epoch, step, meter.loss, meter.mean_loss, meter.accuracy, rate))

        answering = model if ema is None else ema.module
        scores = score(answering, validation, normalise)
        better = kept is None or not keep_best or scores.loss < kept.scores.loss
        if better:
            kept = Kept(_copied(answering), epoch, meter.mean_loss, scores, rate)
        seconds = time.perf_counter() - epoch_started
        on_event(
            EpochDone(
                epoch, meter.mean_loss, meter.accuracy, scores.loss, scores.accuracy, rate, seconds, better
            )
        )

    assert kept is not None  # noqa: S101  there is at least one epoch
    on_event(Finished(epochs, kept.epoch, time.perf_counter() - started))
    return kept


def set_training(model: nn.Module, freeze_norms: bool) -> None:
    """Training mode, but where asked batch norms go on using the statistics they came with.

    With small batches of a new kind of picture the pretrained statistics beat noisy new ones.
    """
    model.train()
    for module in model.modules():
        if freeze_norms and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


class Meter:
    """Loss and accuracy of an epoch, summed on the device and read now and then."""

    def __init__(self) -> None:
        self.loss = self.mean_loss = self.accuracy = math.nan
        self._unread: list[Tensor] = []
        self._sum, self._correct, self._seen, self._batches = 0.0, 0, 0, 0

    def add(self, loss: Tensor, logits: Tensor, batch: Batch) -> None:
        correct = (logits.argmax(1) == batch.labels).sum()
        self._unread.append(torch.stack([loss.double(), correct.double()]))
        self._seen += len(batch.samples)

    def read(self, epoch: int, step: int) -> None:
        """Fetch what has come since the last read; raises `TrainingError` naming the first bad step."""
        losses, correct = torch.stack(self._unread).cpu().T.tolist()
        for offset, loss in enumerate(losses):
            if not math.isfinite(loss):
                where = step - len(losses) + 1 + offset
                raise TrainingError(
                    f"The training loss became {loss} in epoch {epoch + 1}, batch {where + 1}. "
                    "Lower --lr (a tenth is a good try) or check the pictures with: snaptune check DATA"
                )
        self._unread.clear()
        self._sum += sum(losses)
        self._correct += int(sum(correct))
        self._batches += len(losses)
        self.loss, self.mean_loss = losses[-1], self._sum / self._batches
        self.accuracy = self._correct / self._seen


@torch.no_grad()
def score(model: nn.Module, batches: PreparedBatches, normalise: Callable[[Tensor], Tensor]) -> Scores:
    """Cross-entropy and accuracy in evaluation mode, every sample once."""
    model.eval()
    total = torch.zeros(2, dtype=torch.float64)
    for batch in batches.in_order():
        logits = model(normalise(batch.pixels)).float()
        loss = F.cross_entropy(logits, batch.labels, reduction="sum")
        total += torch.stack([loss, (logits.argmax(1) == batch.labels).sum()]).double().cpu()
    n = len(batches.samples)
    return Scores(float(total[0]) / n, float(total[1]) / n, n)


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
