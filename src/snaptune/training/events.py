"""What the training loop tells its observers. Events are values: an observer cannot steer with them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Started:
    epochs: int
    steps_per_epoch: int
    train_samples: int
    validation_samples: int


@dataclass(frozen=True)
class StepDone:
    """`step` batches are done; `loss` is of the last one, `mean_loss` and `accuracy` of the epoch so far."""

    epoch: int
    step: int
    loss: float
    mean_loss: float
    accuracy: float
    lr: float


@dataclass(frozen=True)
class EpochDone:
    epoch: int
    train_loss: float
    train_accuracy: float
    validation_loss: float
    validation_accuracy: float
    lr: float
    seconds: float
    kept: bool


@dataclass(frozen=True)
class Saved:
    """A checkpoint was written after `step` batches of the epoch."""

    epoch: int
    step: int
    checkpoint: str


@dataclass(frozen=True)
class OutOfMemory:
    """From the last checkpoint, or the start, `micro_batch` pictures are computed at once."""

    micro_batch: int


@dataclass(frozen=True)
class Finished:
    """`ending` says what ended training: "epochs", "patience" or "time"."""

    ending: str
    epochs: int
    kept_epoch: int
    seconds: float


Event = Started | StepDone | EpochDone | Saved | OutOfMemory | Finished
OnEvent = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An observer that does nothing."""
