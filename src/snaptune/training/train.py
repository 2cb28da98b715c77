"""`train`: from a data set and settings to a finished run. The only place where the settings are unpacked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import nn

from snaptune.config import TrainConfig
from snaptune.data.cache_folder import cache_folder
from snaptune.data.dataset import ImageDataset, Ints
from snaptune.data.prepared import Prepared, prepare, silent
from snaptune.data.prepared import Progress as Bar
from snaptune.data.splits import Split, read_split, split_automatically
from snaptune.data.unreadable import Unreadable, refuse
from snaptune.errors import ConfigError, RunError
from snaptune.evaluation.plots import rate_chart
from snaptune.images.preprocess import Preprocess
from snaptune.models.build import preprocess_for
from snaptune.run_folder import Run, read_json, write_bytes
from snaptune.training.augment import Augment, build_augment
from snaptune.training.checkpoint import Learner, Progress, checkpoints, resume
from snaptune.training.events import OnEvent, ignore
from snaptune.training.job import Job
from snaptune.training.memory import free_memory, ran_out, refusal, with_smaller_pieces
from snaptune.training.network import build_learner, fitted_out, initial_model
from snaptune.training.processes import Processes, join_processes
from snaptune.training.rate_finder import RateSweep
from snaptune.training.say import Say, no_word
from snaptune.training.trackers import tracker_names
from snaptune.training.tune import candidates, choose, settled, whether_to_compile


def train(
    dataset: ImageDataset,
    config: TrainConfig | None = None,
    out: str | Path = "runs",
    *,
    split: Split | None = None,
    skip_unreadable: bool = False,
    augment: Augment | None = None,
    on_event: OnEvent = ignore,
    progress: Bar = silent,
    say: Say = print,
) -> Run:
    """Fine-tune a model and write the run to `out/<date_time>/`.

    An `augment` of your own, (uint8 [n, 3, h, w], epoch, sample indices [n]) -> float32 of that shape from 0
    to 255, takes the place of the setting, which then is "own". Resuming is exact, and several processes
    train as one, where what it does follows from its arguments alone.

    Without a `split`, whole groups are held out where the data set has groups, else a share of each class;
    near duplicates stay on one side. Pictures that cannot be read raise `DataError`, or with
    `skip_unreadable` are in no part. Raises `Interrupted` where SIGTERM or Ctrl-C came; `resume_training`
    goes on from the checkpoint.
    """
    processes, device, on_event, progress, say = _joined(on_event, progress, say)
    config, augment = _augmentation(config or TrainConfig(), augment)
    tracker_names(config.track)  # so that a missing package is told of before anything is done

    def new_run() -> Run:
        return Run(Path(processes.same(str(Run.create(Path(out)).path if processes.leads else ""))))

    begun = partial(_begun, split=split, skip_unreadable=skip_unreadable, progress=progress, say=say)
    job, why = begun(dataset, config, augment, new_run, processes, device)
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
    augment: Augment | None = None,
    progress: Bar = silent,
    say: Say = print,
) -> RateSweep:
    """Try growing learning rates on the training part, and draw the loss over them: `out/learning_rate.svg`.

    Everything else is as in `train`. The network that learns is thrown away, and no run is made.
    """
    processes, device = join_processes()
    if processes.count > 1:
        raise ConfigError("Learning rates are tried in one process. Start it without a launcher.")
    config, augment = _augmentation(config or TrainConfig(), augment)
    begun = partial(_begun, split=split, skip_unreadable=skip_unreadable, progress=progress, say=say)
    job, _ = begun(dataset, config, augment, lambda: Run(Path(out)), processes, device)
    sweep = job.sweep(progress)
    text = rate_chart(sweep.rates, sweep.losses, sweep.smooth, sweep.suggested)
    write_bytes(Path(out) / "learning_rate.svg", text.encode())
    return sweep


def resume_training(
    run: Run,
    dataset: ImageDataset,
    *,
    augment: Augment | None = None,
    on_event: OnEvent = ignore,
    progress: Bar = silent,
    say: Say = print,
) -> Run:
    """Go on from the newest undamaged checkpoint; on the CPU the weights end up as in an unbroken run.

    A run with an `augment` of your own needs it again. A run that was stopped before its first checkpoint
    begins again. Raises `RunError` where all checkpoints are damaged, the run is finished or the data set
    has changed.
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
    if augment is not None and config.augment != "own":
        raise ConfigError(
            f"'{run.path}' began with augment='{config.augment}' and goes on with it; give none."
        )
    config, augment = _augmentation(config, augment)
    torch.set_num_threads(config.threads)
    initial = replace(config, weights="none") if saved else config
    model = initial_model(initial, len(dataset.class_names), say)
    groups = fitted_out(model, config)
    split = read_split(run.split_file, dataset)
    prepared = _prepared(run, dataset, config, preprocess, progress, say, skip_unreadable=True)
    if set(_indices(prepared.failures)) - set(split.indices("skipped")):
        raise refuse(prepared.failures, len(dataset), run.unreadable_file)
    numerics = settled(config, device)
    learner = build_learner(model, groups, config, numerics)
    job = Job(run, dataset, prepared, split, config, preprocess, numerics, learner, processes, augment)
    if config.track:
        say(f"The figures go on to {config.track}, as {run.config_file.name} says.")
    state = _restored(run, job.learner, say) if saved else _new(run, say)
    return _within_memory(job, state, on_event, say)


def _augmentation(config: TrainConfig, own: Augment | None) -> tuple[TrainConfig, Augment]:
    """The settings with the augmentation's name, and the augmentation."""
    if own is not None:
        return replace(config, augment="own"), own
    if config.augment == "own":
        raise ConfigError(
            "augment='own' is a function of yours, which no file holds. Give it in Python: "
            "train(dataset, config, augment=function), or resume_training(run, dataset, augment=function)."
        )
    return config, build_augment(config.augment, config.seed, config.trivial_space)


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
    heard = (on_event, progress, say) if processes.leads else (ignore, silent, no_word)
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
    augment: Augment,
    new_run: Callable[[], Run],
    processes: Processes,
    device: torch.device,
    *,
    split: Split | None,
    skip_unreadable: bool,
    progress: Bar,
    say: Say,
) -> tuple[Job, str]:
    """All that training needs, from the settings, and a word on why the numerics are what they are."""
    config = replace(config, threads=config.threads or torch.get_num_threads())
    preprocess = preprocess_for(config.model, config.image_size)
    torch.set_num_threads(config.threads)
    model = initial_model(config, len(dataset.class_names), say)
    groups = fitted_out(model, config)
    run = new_run()
    prepared = _prepared(run, dataset, config, preprocess, progress, say, skip_unreadable)
    pairs = prepared.near_duplicates()
    if split is None:
        share, test = config.validation, config.test
        split = split_automatically(dataset, share, config.seed, test=test, duplicates=pairs)
    split = split.without(_indices(prepared.failures))
    pictures = len(split.indices("train"))
    config, why = _numerics_chosen(config, model, len(dataset.class_names), pictures, processes, device)
    numerics = settled(config, device)
    learner = build_learner(model, groups, config, numerics)
    job = Job(run, dataset, prepared, split, config, preprocess, numerics, learner, processes, augment)
    return job, why


def _within_memory(job: Job, state: Progress, on_event: OnEvent, say: Say) -> Run:
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
