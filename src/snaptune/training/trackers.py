"""Trackers by name, through Accelerate: observers of training that write its figures elsewhere.

Nothing is written to any of them unless its name is given, and what they would send about their own use is
switched off.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from snaptune.config import TrainConfig
from snaptune.errors import ConfigError, closest
from snaptune.run_folder import Run
from snaptune.training.events import EpochDone, Event, OnEvent, Started, StepDone

TRACKERS = ("tensorboard", "mlflow", "wandb", "trackio")
"""Each the name of its package, of our extra and of Accelerate's tracker."""
_QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_SILENT": "true",
    "GRADIO_ANALYTICS_ENABLED": "False",
}


def tracker_names(setting: str) -> tuple[str, ...]:
    """The names in the setting `track`; `ConfigError` where one is unknown or its package is missing."""
    names = tuple(dict.fromkeys(name.strip() for name in setting.split(",") if name.strip()))
    problems = []
    for name in names:
        if name not in TRACKERS:
            near = closest(name, TRACKERS)
            hint = f" Closest: {near}." if near else ""
            problems.append(f"Unknown tracker '{name}' (from --track). Known: {', '.join(TRACKERS)}.{hint}")
        elif find_spec(name) is None:
            problems.append(f"Tracking with {name} needs the '{name}' extra: pip install 'snaptune[{name}]'")
    if problems:
        raise ConfigError("\n".join(problems))
    return names


@contextmanager
def tracked(
    names: Sequence[str], run: Run, config: TrainConfig, say: Callable[[str], None]
) -> Iterator[list[OnEvent]]:
    """One observer a name. A tracker that fails is told of and left; training goes on without it."""
    for variable, value in _QUIET.items() if names else ():
        os.environ.setdefault(variable, value)
    observers = [_Observer(name, run, config, say) for name in names]
    try:
        yield [*observers]
    finally:
        for observer in observers:
            observer.finish()


class _Observer:
    """Writes the figures of events to one tracker."""

    def __init__(self, name: str, run: Run, config: TrainConfig, say: Callable[[str], None]) -> None:
        self._name, self._say = name, say
        self._tracker: Any = None
        self._steps_per_epoch, self._failed = 0, False
        self._attempt(lambda: self._start(run, config))

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._steps_per_epoch = event.steps_per_epoch
        elif figures := _figures(event):
            step = self._step(event)
            self._attempt(lambda: self._tracker.log(figures, step=step))

    def finish(self) -> None:
        self._attempt(lambda: self._tracker.finish())

    def _start(self, run: Run, config: TrainConfig) -> None:
        self._tracker = _opened(self._name, run)
        self._tracker.start()
        self._tracker.store_init_configuration(config.listed())

    def _step(self, event: Event) -> int:
        """Steps since the very start, so that what is written again after a break falls on the same place."""
        done = event.step if isinstance(event, StepDone) else self._steps_per_epoch
        epoch = event.epoch if isinstance(event, StepDone | EpochDone) else 0
        return epoch * self._steps_per_epoch + done

    def _attempt(self, action: Callable[[], object]) -> None:
        """Others' code, other machines: whatever goes wrong there must not end training."""
        if self._failed:
            return
        try:
            action()
        except Exception as error:
            self._say(f"Tracking with {self._name} ends here: {type(error).__name__}: {error}")
            self._failed = True


def _opened(name: str, run: Run) -> Any:
    """Accelerate's tracker; where MLflow and Trackio keep their data is for their own settings to say."""
    from accelerate import PartialState, tracking

    PartialState()  # which Accelerate's trackers ask whether this process leads
    project, title = run.path.resolve().parent.name, run.path.name
    if name == "tensorboard":
        return tracking.TensorBoardTracker("", logging_dir=run.tensorboard_folder)
    if name == "mlflow":
        return tracking.MLflowTracker(project, run_name=title)
    if name == "wandb":
        return tracking.WandBTracker(project, name=title, id=title, resume="allow", dir=str(run.path))
    return tracking.TrackioTracker(project, name=title, resume="allow")


def _figures(event: Event) -> dict[str, float]:
    if isinstance(event, StepDone):
        return {"train/loss": event.loss, "train/accuracy": event.accuracy, "train/lr": event.lr}
    if isinstance(event, EpochDone):
        return {
            "epoch/train_loss": event.train_loss,
            "epoch/train_accuracy": event.train_accuracy,
            "epoch/validation_loss": event.validation_loss,
            "epoch/validation_accuracy": event.validation_accuracy,
        }
    return {}
