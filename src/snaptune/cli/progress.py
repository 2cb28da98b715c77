"""Progress bars for the terminal and the notebook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from tqdm.auto import tqdm

from snaptune.training.events import EpochDone, Event, Finished, OutOfMemory, Saved, Started, StepDone

T = TypeVar("T")


def bar(items: Iterable[int], total: int, title: str) -> Iterable[int]:
    """The items, with a bar that fills while they are consumed."""
    shown: Iterable[int] = tqdm(items, total=total, desc=title, unit="", leave=False)
    return shown


def counted(items: Iterable[T], title: str) -> Iterable[T]:
    """The items, with a count and a rate while they are consumed; nothing where errors are not a screen."""
    shown: Iterable[T] = tqdm(items, desc=title, unit="", leave=False, disable=None)
    return shown


class TrainingBars:
    """An observer of training: one bar over the epochs, one over the steps of the present epoch (spec T1)."""

    def __init__(self) -> None:
        self._epochs: Any = None
        self._steps: Any = None

    def __call__(self, event: Event) -> None:
        match event:
            case Started():
                self._epochs = tqdm(total=event.epochs, desc="Epochs", unit="epoch")
                self._steps = tqdm(total=event.steps_per_epoch, desc="Train", unit="batch", leave=False)
            case StepDone():
                self._steps.n = event.step
                self._steps.set_postfix_str(
                    f"accuracy {event.accuracy:.3f}, loss {event.loss:.3f}, "
                    f"average loss {event.mean_loss:.3f}, lr {event.lr:.2e}"
                )
            case EpochDone():
                self._epochs.update()
                self._epochs.write(_row(event))
                self._steps.reset()
            case Saved():
                self._epochs.write(f"  checkpoint {event.checkpoint}")
            case OutOfMemory() | Finished():
                self.close()

    def close(self) -> None:
        if self._epochs is not None:
            self._steps.close()
            self._epochs.close()


def _row(event: EpochDone) -> str:
    return (
        f"  epoch {event.epoch + 1}: train loss {event.train_loss:.3f}, accuracy {event.train_accuracy:.3f}; "
        f"validation loss {event.validation_loss:.3f}, accuracy {event.validation_accuracy:.3f} "
        f"({event.seconds:.0f} s)"
    )
