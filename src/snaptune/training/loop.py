"""The training loop, to be read from top to bottom. The only caller of `backward`."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from snaptune.training.augment import Augment
from snaptune.training.batches import PreparedBatches
from snaptune.training.checkpoint import Kept, Learner, Progress, Saver, Scores
from snaptune.training.events import EpochDone, Finished, OnEvent, Saved, Started, StepDone, ignore
from snaptune.training.mixup import Mix, mixed
from snaptune.training.numerics import Numerics
from snaptune.training.optim import cosine, set_rates, torch_one_cycle

READ_EVERY = 10
"""Steps between two looks at loss and accuracy: each look waits for the device."""


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn, and which weights to hand over."""

    epochs: int
    lr: float
    warmup: float
    seed: int
    torch_one_cycle: bool = False
    label_smoothing: float = 0.0
    class_weights: Tensor | None = None
    accumulate: int = 1
    micro_batch: int = 0
    clip: float = 0.0
    freeze_norms: bool = False
    keep_best: bool = False
    patience: int = 0
    seconds: float = 0.0

    def is_over(self, seconds: float) -> bool:
        """Whether the wall-clock budget is spent."""
        return bool(self.seconds) and seconds >= self.seconds

    def waited_enough(self, progress: Progress) -> bool:
        """Whether validation loss has not become lower for too many epochs."""
        return bool(self.patience) and progress.epochs_without_gain >= self.patience

    def ending(self, progress: Progress) -> str:
        """What has ended training, for `Finished`."""
        if self.is_over(progress.seconds):
            return "time"
        return "patience" if self.waited_enough(progress) else "epochs"

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(
            logits.float(), targets, self.class_weights, label_smoothing=self.label_smoothing
        )

    def pieces(self, pixels: Tensor, targets: Tensor) -> Iterator[tuple[Tensor, Tensor, float | Tensor]]:
        """A batch in even parts of at most `micro_batch`, each with its share of the batch's mean loss.

        Norms that learn their statistics need two pictures in each.
        """
        most = len(targets) if self.freeze_norms else len(targets) // 2
        count = min(math.ceil(len(targets) / self.micro_batch), most) if self.micro_batch else 1
        parts = targets.tensor_split(max(1, count))
        for part, wanted in zip(pixels.tensor_split(max(1, count)), parts, strict=True):
            yield part, wanted, self._mass(wanted) / self._mass(targets)

    def _mass(self, targets: Tensor) -> float | Tensor:
        """What the mean loss is divided by: the weights of the labels; of mixed labels, their number."""
        if self.class_weights is None or targets.is_floating_point():
            return float(len(targets))
        return self.class_weights[targets].sum()

    def rates_at(self, step: int, steps_per_epoch: int) -> tuple[float, float | None]:
        """The head's learning rate, and Adam's first beta where it moves, at a step from the very start."""
        steps = self.epochs * steps_per_epoch
        if self.torch_one_cycle:
            share, beta = torch_one_cycle(step, steps)
            return self.lr * share, beta
        return self.lr * cosine(step, steps, self.warmup), None


def fit(
    learner: Learner,
    train: PreparedBatches,
    validation: PreparedBatches,
    plan: Plan,
    *,
    augment: Augment,
    normalise: Callable[[Tensor], Tensor],
    numerics: Numerics,
    saver: Saver,
    mix: Mix | None = None,
    progress: Progress | None = None,
    on_event: OnEvent = ignore,
) -> Kept | None:
    """Train, validate after each epoch, and return the weights to keep; None where `saver` was told to stop.

    What is validated and kept is the moving average where there is one. With `progress` from a checkpoint the
    result is the same as without the break. Raises `TrainingError` where the loss is no longer a number.
    """
    model, optimizer = learner.model, learner.optimizer
    progress, processes = progress or Progress(), train.processes
    plain = processes.joined(model)
    fast = numerics.compiled(plain)
    started = time.perf_counter() - progress.seconds
    scaler = numerics.scaler(progress.scaler)
    on_event(Started(plan.epochs, len(train), len(train.samples), len(validation.samples)))

    for epoch in range(progress.epoch, plan.epochs):
        epoch_started = time.perf_counter()
        set_training(model, plan.freeze_norms)
        for batch in train.shuffled(plan.seed, epoch, skip=progress.step):
            at = epoch * len(train) + progress.step
            lr, beta = plan.rates_at(at, len(train))
            torch.manual_seed(plan.seed + at * processes.count + processes.rank)  # for dropout
            pixels, targets = augment(batch.pixels, epoch, batch.samples), batch.labels
            if mix is not None:
                pixels, targets = mixed(mix, pixels, batch, epoch, progress.step, processes)
            forward = fast if batch.total == train.batch_size else plain
            answered = []
            for part, wanted, share in plan.pieces(pixels, targets):
                with numerics.autocast():
                    logits = forward(numerics.laid_out(normalise(part)))
                loss = plan.loss(logits, wanted) * share
                scaler.scale(loss * (batch.weight / plan.accumulate)).backward()  # type: ignore[no-untyped-call]
                answered.append((loss.detach(), logits.detach()))
            progress.add(answered, batch)

            ends = progress.step == len(train)
            complete = ends or progress.step % plan.accumulate == 0
            if complete:
                if plan.clip:
                    scaler.unscale_(optimizer)
                    nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
                set_rates(optimizer, lr, beta)
                scaler.step(optimizer)
                scaler.update()
                optimizer.zero_grad(set_to_none=True)
                if learner.ema is not None:
                    learner.ema.update()
            look = ends or progress.step % READ_EVERY == 0
            if look:
                progress.read(processes)
                on_event(
                    StepDone(epoch, progress.step, progress.loss, progress.mean_loss, progress.accuracy, lr)
                )
            progress.seconds = time.perf_counter() - started
            agreed = look or processes.count == 1  # several must look together
            if complete and agreed and processes.any(saver.due, numerics.device):
                progress.read(processes)
                progress.scaler = scaler.state_dict()
                if processes.leads:
                    on_event(Saved(epoch, progress.step, saver.save(learner, progress).name))
                if processes.any(saver.stopping, numerics.device):
                    return None
            if agreed and processes.any(plan.is_over(progress.seconds), numerics.device):
                break

        progress.read(processes)
        answering = model if learner.ema is None else learner.ema.module
        scores = score(answering, validation, normalise, numerics)
        lr, _ = plan.rates_at(epoch * len(train) + progress.step - 1, len(train))
        gained = progress.lowest_loss is None or scores.loss < progress.lowest_loss
        if gained or not plan.keep_best:
            progress.kept = Kept(_copied(answering), epoch, progress.mean_loss, scores, lr)
        assert progress.kept is not None  # noqa: S101  the first epoch always gains
        seconds = time.perf_counter() - epoch_started
        outcome = (progress.mean_loss, progress.accuracy, scores.loss, scores.accuracy)
        on_event(EpochDone(epoch, *outcome, lr, seconds, kept=progress.kept.epoch == epoch))
        progress.end_epoch(scores.loss)
        if processes.any(plan.is_over(progress.seconds), numerics.device):
            break
        if plan.waited_enough(progress):
            break

    kept = progress.kept
    seconds = time.perf_counter() - started
    on_event(Finished(plan.ending(progress), progress.epoch, kept.epoch if kept else -1, seconds))
    return kept


def set_training(model: nn.Module, freeze_norms: bool) -> None:
    """Training mode, but where asked batch norms go on using the statistics they came with.

    With small batches of a new kind of picture the pretrained statistics beat noisy new ones.
    """
    model.train()
    for module in model.modules():
        if freeze_norms and isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()


@torch.no_grad()
def score(
    model: nn.Module, batches: PreparedBatches, normalise: Callable[[Tensor], Tensor], numerics: Numerics
) -> Scores:
    """Cross-entropy and accuracy in evaluation mode, every sample once."""
    model.eval()
    total = torch.zeros(2, dtype=torch.float64, device=numerics.device)
    for batch in batches.in_order():
        with numerics.autocast():
            logits = model(numerics.laid_out(normalise(batch.pixels)))
        loss = F.cross_entropy(logits.float(), batch.labels, reduction="sum")
        total += torch.stack([loss, (logits.argmax(1) == batch.labels).sum()]).double()
    total = batches.processes.total(total)
    n = len(batches.samples)
    return Scores(float(total[0]) / n, float(total[1]) / n, n)


def _copied(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
