"""All that a run is made of, put to work: training, trying learning rates, writing down what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from snaptune.config import TrainConfig, starting_point
from snaptune.data.dataset import ImageDataset
from snaptune.data.prepared import Prepared
from snaptune.data.prepared import Progress as Bar
from snaptune.data.splits import Split, write_split
from snaptune.errors import RunError, TrainingError
from snaptune.images.preprocess import Preprocess
from snaptune.models.build import normalise
from snaptune.run_folder import Run, write_bytes, write_json
from snaptune.training.augment import Augment
from snaptune.training.batches import PreparedBatches
from snaptune.training.checkpoint import Kept, Learner, Progress, Saver, checkpoints, resume
from snaptune.training.events import OnEvent, OutOfMemory
from snaptune.training.loop import Plan, fit
from snaptune.training.mixup import build_mix
from snaptune.training.network import initial_model, keeps_statistics
from snaptune.training.numerics import Numerics
from snaptune.training.processes import Processes
from snaptune.training.rate_finder import RateSweep, sweep_rates
from snaptune.training.records import description, environment, recorded, stopped_by_signals, tee
from snaptune.training.say import Say, no_word
from snaptune.training.trackers import tracked, tracker_names

SCORING_BATCH = 64


class Interrupted(Exception):  # noqa: N818  it is no error: the run can go on
    """Training was asked to stop and did, after writing a checkpoint."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"Training stopped. Go on with: snaptune train --resume {run.path}")
        self.run = run


@dataclass(frozen=True, eq=False)
class Job:
    """All that a run is made of, built and ready."""

    run: Run
    dataset: ImageDataset
    prepared: Prepared
    split: Split
    config: TrainConfig
    preprocess: Preprocess
    numerics: Numerics
    learner: Learner
    processes: Processes
    augment: Augment

    def run_to_the_end(self, state: Progress, on_event: OnEvent, say: Say) -> Run:
        try:
            return self._run_to_the_end(state, on_event, say)
        except OSError as error:
            raise RunError(
                f"'{self.run.path}' cannot be written: {error.strerror or error}. The last checkpoint is "
                f"whole. Make room, then: snaptune train --resume {self.run.path}"
            ) from error

    def _run_to_the_end(self, state: Progress, on_event: OnEvent, say: Say) -> Run:
        config, run = self.config, self.run
        trackers = tracker_names(config.track) if self.processes.leads else ()
        saver = Saver(run.checkpoint_folder, every=config.checkpoint_minutes * 60)
        with (
            recorded(run, self.processes) as record,
            tracked(trackers, run, config, say) as tracking,
            stopped_by_signals(saver),
        ):
            try:
                kept = fit(
                    self.learner,
                    self._train_batches(),
                    self._batches("validation", self._scored_at_once()),
                    self._plan(),
                    augment=self.augment,
                    normalise=partial(normalise, preprocess=self.preprocess),
                    numerics=self.numerics,
                    saver=saver,
                    mix=build_mix(config.mix, config.seed, len(self.dataset.class_names)),
                    progress=state,
                    on_event=tee(record, *tracking, on_event),
                )
            except TrainingError as error:
                self._write_outcome(state.kept)
                raise TrainingError(f"{error}{_what_stays(run, state.kept)}") from error
        if kept is None:
            raise Interrupted(run)
        self._write_outcome(kept)
        if self.processes.leads:
            saver.clear()
        return run

    def sweep(self, progress: Bar) -> RateSweep:
        """How the loss goes as the learning rate grows; the learner stays as it is."""
        return sweep_rates(
            self.learner,
            self._train_batches(),
            self._plan(),
            augment=self.augment,
            normalise=partial(normalise, preprocess=self.preprocess),
            numerics=self.numerics,
            mix=build_mix(self.config.mix, self.config.seed, len(self.dataset.class_names)),
            progress=progress,
        )

    def _train_batches(self) -> PreparedBatches:
        return self._batches("train", self.config.batch_size, balanced=self.config.sampling == "balanced")

    def _batches(self, part: str, size: int, *, balanced: bool = False) -> PreparedBatches:
        samples, device = self.split.indices(part), self.numerics.device
        pixels, labels = self.prepared.pixels, self.dataset.labels
        return PreparedBatches(pixels, labels, samples, size, device, balanced, self.processes)

    def restarted(self, on_event: OnEvent, say: Say) -> Progress:
        """Record and tell the present settings after memory ran out, and go back to the last checkpoint."""
        config, run = self.config, self.run
        write_bytes(run.config_file, config.to_toml().encode())
        with recorded(run, self.processes) as record:
            tee(record, on_event)(OutOfMemory(config.micro_batch))
        say(
            f"Memory ran out: from here on batches of {config.batch_size} are computed in pieces of "
            f"{config.micro_batch}. {self._effect_of_pieces()}"
        )
        self.learner.optimizer.zero_grad(set_to_none=True)
        if checkpoints(run.checkpoint_folder):
            return resume(run.checkpoint_folder, self.learner)[0]
        self.learner.restart(initial_model(config, len(self.dataset.class_names), no_word).state_dict())
        return Progress()

    def _scored_at_once(self) -> int:
        return min(self.config.micro_batch or SCORING_BATCH, SCORING_BATCH)

    def _effect_of_pieces(self) -> str:
        if keeps_statistics(self.config):
            return "Each update is still that of a whole batch."
        return "Each update is that of a whole batch, but batch norms see the statistics of a piece."

    def _plan(self) -> Plan:
        config = self.config
        return Plan(
            epochs=config.epochs,
            lr=config.lr,
            warmup=config.warmup,
            torch_one_cycle=config.schedule == "onecycle",
            seed=config.seed,
            label_smoothing=config.label_smoothing,
            class_weights=self._class_weights(),
            accumulate=config.accumulate,
            micro_batch=config.micro_batch,
            clip=config.clip,
            freeze_norms=keeps_statistics(config),
            keep_best=config.keep == "best",
            patience=config.patience,
            seconds=config.minutes * 60,
        )

    def _class_weights(self) -> Tensor | None:
        """Weights whose mean over the training samples is 1, inverse to the size of the class."""
        if self.config.class_weights == "none":
            return None
        labels = torch.from_numpy(self.dataset.labels[self.split.indices("train")])
        counts = torch.bincount(labels, minlength=len(self.dataset.class_names)).clamp(min=1)
        return (len(labels) / (len(counts) * counts)).float().to(self.numerics.device)

    def decisions(self, why: str) -> str:
        """What was decided, in one block; `why` is about the numerics."""
        config, split = self.config, self.split
        counts = {part: len(split.indices(part)) for part in ("train", "validation")}
        kept = "of the last epoch" if config.keep == "last" else "with the lowest validation loss"
        average = ", as a moving average" if config.ema_decay else ""
        dataset, count = self.dataset, self.processes.count
        hands = f"{config.threads} threads" if count == 1 else f"{count} processes"
        rows = [
            ("run", str(self.run.path)),
            ("data", f"{dataset.name}: {len(dataset)} pictures, {len(dataset.class_names)} classes"),
            ("split", f"{counts['train']} to train, {counts['validation']} to validate ({split.how})"),
            ("model", f"{config.model}, {starting_point(config.weights)}, {config.image_size} px"),
            ("device", f"{self.numerics} ({why}), {hands}"),
            (
                "training",
                f"{config.epochs} epochs, batches of {config.batch_size}, learning rate {config.lr:g}",
            ),
            ("weights", f"those {kept} are kept{average}"),
        ]
        return "\n".join(f"{name:>10}  {value}" for name, value in rows)

    def write_inputs(self) -> None:
        run, dataset = self.run, self.dataset
        write_bytes(run.config_file, self.config.to_toml().encode())
        write_bytes(run.preprocess_file, self.preprocess.to_json().encode())
        write_split(run.split_file, dataset, self.split)
        run.write_classes(dataset.name, dataset.class_names)
        write_json(run.dataset_file, description(dataset, self.split))
        write_json(run.environment_file, environment())
        dataset.copy_credits(run.credits_folder)

    def _write_outcome(self, kept: Kept | None) -> None:
        """Write the weights and where they come from; before the first epoch has ended there are none."""
        if kept is None or not self.processes.leads:
            return
        metadata = {
            "epoch": kept.epoch,
            "train_loss": kept.train_loss,
            "valid_loss": kept.scores.loss,
            "metric_value": kept.scores.accuracy,
            "learning_rate": kept.lr,
            "model_architecture": self.config.model,
        }
        write_json(self.run.metadata_file, metadata)
        self.run.write_weights(kept.state)


def _what_stays(run: Run, kept: Kept | None) -> str:
    """What is left of a training that could not go on."""
    return f"\nThe weights of epoch {kept.epoch + 1} stay in '{run.path}'." if kept is not None else ""
