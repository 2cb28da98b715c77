"""`train`: from a data set and settings to a finished run. The only place where the settings are unpacked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from snaptune.config import TrainConfig
from snaptune.data.cache_folder import cache_folder
from snaptune.data.dataset import ImageDataset, Ints
from snaptune.data.prepared import Prepared, prepare, silent
from snaptune.data.prepared import Progress as Bar
from snaptune.data.splits import Split, read_split, split_automatically, write_split
from snaptune.data.unreadable import Unreadable, refuse
from snaptune.errors import ConfigError, RunError, TrainingError
from snaptune.evaluation.plots import rate_chart
from snaptune.images.preprocess import Preprocess
from snaptune.models.build import (
    build_model,
    freeze_backbone,
    freeze_slow,
    normalise,
    parameter_groups,
    preprocess_for,
)
from snaptune.models.folding import fold_norms
from snaptune.run_folder import Run, read_json, write_bytes, write_json
from snaptune.training.augment import build_augment
from snaptune.training.batches import PreparedBatches
from snaptune.training.checkpoint import Kept, Learner, Progress, Saver, checkpoints, resume
from snaptune.training.events import OnEvent, OutOfMemory, ignore
from snaptune.training.loop import Plan, fit
from snaptune.training.memory import free_memory, ran_out, refusal, with_smaller_pieces
from snaptune.training.mixup import build_mix
from snaptune.training.numerics import Numerics
from snaptune.training.optim import build_ema, build_optimizer
from snaptune.training.processes import Processes, join_processes
from snaptune.training.rate_finder import RateSweep, sweep_rates
from snaptune.training.records import description, environment, recorded, stopped_by_signals, tee
from snaptune.training.trackers import tracked, tracker_names
from snaptune.training.tune import candidates, choose, whether_to_compile

SCORING_BATCH = 64
Say = Callable[[str], None]


@dataclass(frozen=True)
class Interrupted(Exception):  # noqa: N818  it is no error: the run can go on
    """Training was asked to stop and did, after writing a checkpoint."""

    run: Run


def train(
    dataset: ImageDataset,
    config: TrainConfig | None = None,
    out: str | Path = "runs",
    *,
    split: Split | None = None,
    skip_unreadable: bool = False,
    on_event: OnEvent = ignore,
    progress: Bar = silent,
    say: Say = print,
) -> Run:
    """Fine-tune a model and write the run to `out/<date_time>/`.

    Without a `split`, whole groups are held out where the data set has groups, else a share of each class;
    near duplicates stay on one side. Pictures that cannot be read raise `DataError`, or with
    `skip_unreadable` are in no part. Raises `Interrupted` where SIGTERM or Ctrl-C came; `resume_training`
    goes on from the checkpoint.
    """
    processes, device, on_event, progress, say = _joined(on_event, progress, say)
    config = config or TrainConfig()
    tracker_names(config.track)  # so that a missing package is told of before anything is done

    def new_run() -> Run:
        return Run(Path(processes.same(str(Run.create(Path(out)).path if processes.leads else ""))))

    begun = partial(_begun, split=split, skip_unreadable=skip_unreadable, progress=progress, say=say)
    job, why = begun(dataset, config, new_run, processes, device)
    if processes.leads:
        job.write_inputs()
    say(job.decisions(why))
    return _within_memory(job, Progress(), on_event, say)


def find_lr(
    dataset: ImageDataset,
    config: TrainConfig | None = None,
    out: str | Path = "runs",
    *,
    split: Split | None = None,
    skip_unreadable: bool = False,
    progress: Bar = silent,
    say: Say = print,
) -> RateSweep:
    """Try growing learning rates on the training part, and draw the loss over them: `out/learning_rate.svg`.

    Everything else is as `config` says. The network that learns is thrown away, and no run is made.
    """
    processes, device = join_processes()
    if processes.count > 1:
        raise ConfigError("Learning rates are tried in one process. Start it without a launcher.")
    begun = partial(_begun, split=split, skip_unreadable=skip_unreadable, progress=progress, say=say)
    job, _ = begun(dataset, config or TrainConfig(), lambda: Run(Path(out)), processes, device)
    sweep = job.sweep(progress)
    text = rate_chart(sweep.rates, sweep.losses, sweep.smooth, sweep.suggested)
    write_bytes(Path(out) / "learning_rate.svg", text.encode())
    return sweep


def resume_training(
    run: Run, dataset: ImageDataset, *, on_event: OnEvent = ignore, progress: Bar = silent, say: Say = print
) -> Run:
    """Go on from the newest undamaged checkpoint; on the CPU the weights end up as in an unbroken run.

    A run that was stopped before its first one begins again. Raises `RunError` where all checkpoints are
    damaged, the run is finished or the data set has changed.
    """
    processes, device, on_event, progress, say = _joined(on_event, progress, say)
    if read_json(run.dataset_file).get("fingerprint") != dataset.fingerprint():
        raise RunError(
            f"'{dataset.name}' is not as it was when '{run.path}' began: files, labels or groups have "
            "changed. Start a new run."
        )
    config, preprocess = run.config(), run.preprocess()
    saved = bool(checkpoints(run.checkpoint_folder))
    if run.model_file.is_file() and not saved:
        raise RunError(f"'{run.path}' is finished; there is nothing to go on with.")
    torch.set_num_threads(config.threads)
    initial = replace(config, weights="none") if saved else config
    model = _initial_model(initial, len(dataset.class_names), say)
    split = read_split(run.split_file, dataset)
    prepared = _prepared(run, dataset, config, preprocess, progress, say, skip_unreadable=True)
    if set(_indices(prepared.failures)) - set(split.indices("skipped")):
        raise refuse(prepared.failures, len(dataset), run.unreadable_file)
    job = _Job.assembled(run, dataset, prepared, split, config, preprocess, model, processes, device)
    if config.track:
        say(f"The figures go on to {config.track}, as {run.config_file.name} says.")
    state = _restored(run, job.learner, say) if saved else _new(run, say)
    return _within_memory(job, state, on_event, say)


def _restored(run: Run, learner: Learner, say: Say) -> Progress:
    state, refused = resume(run.checkpoint_folder, learner)
    for text in refused:
        say(f"Checkpoint {text}; using the one before.")
    say(f"Going on with {run.path} in epoch {state.epoch + 1} after batch {state.step}.")
    return state


def _new(run: Run, say: Say) -> Progress:
    say(f"{run.path} has no checkpoint yet; it begins again.")
    return Progress()


def _joined(on_event: OnEvent, progress: Bar, say: Say) -> tuple[Processes, torch.device, OnEvent, Bar, Say]:
    """This process's place and device, and who hears of it: nobody, where it does not lead."""
    processes, device = join_processes()
    heard = (on_event, progress, say) if processes.leads else (ignore, silent, _no_word)
    return processes, device, *heard


def _prepared(
    run: Run,
    dataset: ImageDataset,
    config: TrainConfig,
    preprocess: Preprocess,
    progress: Bar,
    say: Say,
    skip_unreadable: bool,
) -> Prepared:
    return prepare(
        dataset,
        preprocess,
        progress,
        skip_unreadable=skip_unreadable,
        unreadable_file=run.unreadable_file,
        keep=not config.stream,
        workers=config.workers,
        say=say,
    )


def _begun(
    dataset: ImageDataset,
    config: TrainConfig,
    new_run: Callable[[], Run],
    processes: Processes,
    device: torch.device,
    *,
    split: Split | None,
    skip_unreadable: bool,
    progress: Bar,
    say: Say,
) -> tuple[_Job, str]:
    """All that training needs, from the settings, and a word on why the numerics are what they are."""
    config = replace(config, threads=config.threads or torch.get_num_threads())
    preprocess = preprocess_for(config.model, config.image_size)
    torch.set_num_threads(config.threads)
    model = _initial_model(config, len(dataset.class_names), say)
    run = new_run()
    prepared = _prepared(run, dataset, config, preprocess, progress, say, skip_unreadable)
    pairs = prepared.near_duplicates()
    if split is None:
        share, test = config.validation, config.test
        split = split_automatically(dataset, share, config.seed, test=test, duplicates=pairs)
    split = split.without(_indices(prepared.failures))
    pictures = len(split.indices("train"))
    config, why = _numerics_chosen(config, model, len(dataset.class_names), pictures, processes, device)
    job = _Job.assembled(run, dataset, prepared, split, config, preprocess, model, processes, device)
    return job, why


def _initial_model(config: TrainConfig, classes: int, say: Say) -> nn.Module:
    torch.manual_seed(config.seed)
    return build_model(config.model, classes, config.weights, say, size=config.image_size)


def _within_memory(job: _Job, state: Progress, on_event: OnEvent, say: Say) -> Run:
    """Train; each time memory runs out, again from the last checkpoint or the start, in smaller pieces."""
    while True:
        try:
            return job.run_to_the_end(state, on_event, say)
        except RuntimeError as error:
            if not ran_out(error):
                raise
            if job.processes.count > 1:
                raise refusal(job.config) from error
        # not in the handler: the error's frames hold the tensors of the step that failed
        free_memory()
        job = replace(job, config=with_smaller_pieces(job.config))
        state = job.restarted(on_event, say)


def _indices(failures: Sequence[Unreadable]) -> Ints:
    return np.asarray([item.index for item in failures], dtype=np.int64)


def _no_word(text: str) -> None:
    """What all processes but the first say."""


def _numerics_chosen(
    config: TrainConfig,
    model: nn.Module,
    classes: int,
    pictures: int,
    processes: Processes,
    device: torch.device,
) -> tuple[TrainConfig, str]:
    """The settings with the numerics as they will be, so that resuming and repeating do the same."""
    ways = candidates(device, config.precision, config.memory_format)
    choice = choose(model, config.model, config.image_size, classes, ways, cache_folder() / "speed")
    steps = config.epochs * pictures / config.batch_size
    seconds = None if choice.seconds is None else steps * choice.seconds
    compiles, reason = whether_to_compile(config.compile, device, seconds)
    layout = "channels_last" if choice.numerics.channels_last else "channels_first"
    on = "on" if compiles else "off"
    precision, layout, on = processes.same(f"{choice.numerics.precision} {layout} {on}").split()
    why = "; ".join(filter(None, (choice.why, reason)))
    return replace(config, precision=precision, memory_format=layout, compile=on), why


def _keeps_statistics(config: TrainConfig) -> bool:
    """Whether batch norms go on using the statistics they came with."""
    return config.norm_statistics == "pretrained" and config.weights != "none"


def _example(size: int, device: torch.device) -> Tensor:
    """Two pictures of numbers that are all different, without touching the random state."""
    return torch.linspace(-1, 1, 2 * 3 * size * size, device=device).view(2, 3, size, size)


@dataclass(frozen=True, eq=False)
class _Job:
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

    @classmethod
    def assembled(
        cls,
        run: Run,
        dataset: ImageDataset,
        prepared: Prepared,
        split: Split,
        config: TrainConfig,
        preprocess: Preprocess,
        model: nn.Module,
        processes: Processes,
        device: torch.device,
    ) -> _Job:
        [numerics] = candidates(device, config.precision, config.memory_format)
        numerics = replace(numerics, compile=config.compile == "on")
        if config.freeze == "backbone":
            freeze_backbone(model)
        model = numerics.placed(model)
        if _keeps_statistics(config):
            fold_norms(model, _example(config.image_size, device))
        groups = parameter_groups(
            model,
            weight_decay=config.weight_decay,
            layer_decay=config.layer_decay,
            decay_norms=config.decay_norms,
        )
        if config.weights != "none":
            groups = freeze_slow(groups, config.freeze_below)
        optimizer = build_optimizer(groups, lr=config.lr, eps=config.adam_eps)
        ema = build_ema(model, config.ema_decay) if config.ema_decay else None
        learner = Learner(model, optimizer, ema)
        return cls(run, dataset, prepared, split, config, preprocess, numerics, learner, processes)

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
                    augment=build_augment(config.augment, config.seed),
                    normalise=partial(normalise, preprocess=self.preprocess),
                    numerics=self.numerics,
                    saver=saver,
                    mix=build_mix(config.mix, config.seed, len(self.dataset.class_names)),
                    progress=state,
                    on_event=tee(record, *tracking, on_event),
                )
            except TrainingError:
                self._write_outcome(state.kept)
                raise
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
            augment=build_augment(self.config.augment, self.config.seed),
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
        self.learner.restart(_initial_model(config, len(self.dataset.class_names), _no_word).state_dict())
        return Progress()

    def _scored_at_once(self) -> int:
        return min(self.config.micro_batch or SCORING_BATCH, SCORING_BATCH)

    def _effect_of_pieces(self) -> str:
        if _keeps_statistics(self.config):
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
            freeze_norms=_keeps_statistics(config),
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
            ("model", f"{config.model}, {config.weights} weights, {config.image_size} px"),
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
