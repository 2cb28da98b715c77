"""Progress bars of training, for the terminal and the notebook (spec T1)."""

from __future__ import annotations

from typing import Any

from tqdm.auto import tqdm

from snaptune.training.events import EpochDone, Event, Finished, OutOfMemory, Saved, Started, StepDone


class TrainingBars:
    """An observer of training: one bar over the epochs, one over the steps of the present epoch.

    For `train(..., on_event=TrainingBars())`, in the terminal and in the notebook.
    """

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
            case OutOfMemory():
                self.close()
            case Finished():
                if text := _ENDINGS.get(event.ending):
                    self._epochs.write(f"  ended after epoch {event.epochs}: {text}")
                self.close()

    def close(self) -> None:
        if self._epochs is not None:
            self._steps.close()
            self._epochs.close()


_ENDINGS = {
    "time": "the time was up",
    "patience": "patience ended without a lower validation loss",
}


def _row(event: EpochDone) -> str:
    return (
        f"  epoch {event.epoch + 1}: train loss {event.train_loss:.3f}, accuracy {event.train_accuracy:.3f}; "
        f"validation loss {event.validation_loss:.3f}, accuracy {event.validation_accuracy:.3f} "
        f"({event.seconds:.0f} s)"
    )
