"""Save training at any step, so that resuming it gives the same weights as never having stopped.

A checkpoint is one safetensors file: the tensors of the model, the optimiser, the moving average and the
weights kept so far, with the numbers as JSON in its header. Its name carries the SHA-256 of its content,
so that a damaged file is known before it is used.
"""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from snaptune.errors import RunError, TrainingError
from snaptune.run_folder import write_bytes
from snaptune.training.batches import Batch
from snaptune.training.optim import MovingAverage
from snaptune.training.processes import Processes

KEEP = 2
"""Checkpoints that stay: the newest, and the one before in case the newest is damaged."""


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


@dataclass
class Progress:
    """Where training stands: `step` batches of epoch `epoch` are done; the sums are over those.

    Loss and accuracy are summed on the device and fetched by `read`, which waits for it.
    """

    epoch: int = 0
    step: int = 0
    loss: float = math.nan
    loss_sum: float = 0.0
    correct: int = 0
    seen: int = 0
    lowest_loss: float | None = None
    epochs_without_gain: int = 0
    seconds: float = 0.0
    scaler: dict[str, float] = field(default_factory=dict)
    kept: Kept | None = None
    _unread: list[Tensor] = field(default_factory=list, repr=False)

    @property
    def mean_loss(self) -> float:
        return self.loss_sum / self.step

    @property
    def accuracy(self) -> float:
        return self.correct / self.seen

    def add(self, answered: Sequence[tuple[Tensor, Tensor]], batch: Batch) -> None:
        """One more batch is done: for each piece of it, its share of the loss and its logits."""
        losses, logits = zip(*answered, strict=True)
        loss, correct = sum(losses[1:], losses[0]), (torch.cat(logits).argmax(1) == batch.labels).sum()
        self._unread.append(torch.stack([loss.double() * batch.weight, correct.double()]))
        self.seen += batch.total
        self.step += 1

    def read(self, processes: Processes) -> None:
        """Fetch what has come since the last read; raises `TrainingError` naming the first bad batch."""
        if not self._unread:
            return
        sums = processes.total(torch.stack(self._unread)).cpu()
        losses, correct = (sums[:, 0] / processes.count).tolist(), sums[:, 1].tolist()
        first = self.step - len(losses) + 1
        self._unread.clear()
        for batch, loss in enumerate(losses, first):
            if not math.isfinite(loss):
                raise TrainingError(
                    f"The training loss became {loss} in epoch {self.epoch + 1}, batch {batch}. "
                    "Lower --lr (a tenth is a good try) or look at the pictures: snaptune check DATA"
                )
            self.loss = loss
            self.loss_sum += loss
        self.correct += int(sum(correct))

    def end_epoch(self, validation_loss: float) -> None:
        """Go to the start of the next epoch; remember whether this one brought the lowest validation loss."""
        gained = self.lowest_loss is None or validation_loss < self.lowest_loss
        self.lowest_loss = validation_loss if gained else self.lowest_loss
        self.epochs_without_gain = 0 if gained else self.epochs_without_gain + 1
        self.epoch, self.step, self.loss_sum, self.correct, self.seen = self.epoch + 1, 0, 0.0, 0, 0


@dataclass(frozen=True, eq=False)
class Learner:
    """The three things that change while training."""

    model: nn.Module
    optimizer: torch.optim.Optimizer
    ema: MovingAverage | None

    def restart(self, state: Mapping[str, Tensor]) -> None:
        """Back to before the first step, the model's own state being `state`."""
        self.model.load_state_dict(state)
        self.optimizer.state.clear()
        if self.ema is not None:
            self.ema.module.load_state_dict(state)
            self.ema.n_averaged.zero_()


class Saver:
    """Writes checkpoints into `folder` every `every` seconds, or at once when `stop()` was called."""

    def __init__(self, folder: Path, every: float) -> None:
        self.stopping = False
        self._folder, self._every = folder, every
        self._last = time.monotonic()

    def stop(self) -> None:
        """Ask for a checkpoint after the present step, and for an end there. Safe in a signal handler."""
        self.stopping = True

    @property
    def due(self) -> bool:
        return self.stopping or time.monotonic() - self._last >= self._every

    def save(self, learner: Learner, progress: Progress) -> Path:
        """Write a checkpoint all or nothing, then remove all but the newest `KEEP`."""
        data = _encoded(learner, progress)
        name = f"{progress.epoch:05d}-{progress.step:07d}-{hashlib.sha256(data).hexdigest()[:16]}.safetensors"
        path = self._folder / name
        for half in self._folder.glob("*.partial"):  # left by a process that was killed
            half.unlink()
        write_bytes(path, data)
        for old in checkpoints(self._folder)[KEEP:]:
            old.unlink()
        self._last = time.monotonic()
        return path

    def clear(self) -> None:
        """Remove every checkpoint: the run is finished."""
        shutil.rmtree(self._folder, ignore_errors=True)


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, newest first; half-written files are not among them."""
    return sorted(folder.glob("*.safetensors"), reverse=True)


def resume(folder: Path, learner: Learner) -> tuple[Progress, list[str]]:
    """Put the newest undamaged checkpoint into `learner`; also returns what is wrong with newer ones.

    Raises `RunError` where no checkpoint can be used.
    """
    refused: list[str] = []
    for path in checkpoints(folder):
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest()[:16] == path.stem.rpartition("-")[2]:
            return _restore(path, learner), refused
        refused.append(f"'{path.name}' is damaged: its content does not match the SHA-256 in its name")
    found = f" {'; '.join(refused)}." if refused else ""
    raise RunError(f"No usable checkpoint in '{folder}'.{found} Start the training again.")


def _encoded(learner: Learner, progress: Progress) -> bytes:
    tensors = dict(_named("model", learner.model.state_dict()))
    tensors.update(_optimizer_tensors(learner.optimizer))
    if learner.ema is not None:
        tensors.update(_named("ema", learner.ema.state_dict()))
    if progress.kept is not None:
        tensors.update(_named("kept", progress.kept.state))
    own = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    return save(own, metadata={"snaptune": json.dumps(_numbers(progress))})


def _numbers(progress: Progress) -> dict[str, Any]:
    """All of `progress` but its tensors."""
    numbers = {item.name: getattr(progress, item.name) for item in fields(progress) if item.name != "_unread"}
    if progress.kept is not None:
        kept = {item.name: getattr(progress.kept, item.name) for item in fields(Kept) if item.name != "state"}
        numbers["kept"] = {**kept, "scores": asdict(progress.kept.scores)}
    return numbers


def _named(prefix: str, state: Mapping[str, Any]) -> Iterator[tuple[str, Tensor]]:
    for name, value in state.items():
        yield f"{prefix}/{name}", value


def _optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    state = optimizer.state_dict()["state"]
    return {
        f"optimizer/{index}/{name}": value for index, slots in state.items() for name, value in slots.items()
    }


def _restore(path: Path, learner: Learner) -> Progress:
    try:
        with safe_open(path, framework="pt") as file:
            numbers = json.loads(file.metadata()["snaptune"])
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        learner.model.load_state_dict(_below("model", tensors))
        _restore_optimizer(learner.optimizer, _below("optimizer", tensors))
        if learner.ema is not None:
            learner.ema.load_state_dict(_below("ema", tensors))
        return Progress(**{**numbers, "kept": _kept(numbers["kept"], _below("kept", tensors))})
    except (SafetensorError, LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise RunError(f"'{path}' is not a checkpoint of this run: {error}") from error


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = prefix + "/"
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, slot = name.split("/")
        like = parameters[int(index)]
        # the fused step goes through memory, whatever the strides: averages must lie as their parameter does
        laid_out = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
        slots.setdefault(int(index), {})[slot] = laid_out
    optimizer.load_state_dict({**optimizer.state_dict(), "state": slots})


def _kept(numbers: Mapping[str, Any] | None, state: dict[str, Tensor]) -> Kept | None:
    if numbers is None:
        return None
    return Kept(**{**numbers, "scores": Scores(**numbers["scores"]), "state": state})
