"""`train`: from a data set and settings to a finished run. The only place where the settings are unpacked."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path

import torch

from snaptune.config import TrainConfig
from snaptune.data.dataset import ImageDataset
from snaptune.data.prepared import Progress, prepare, silent
from snaptune.data.splits import Split, split_automatically, write_split
from snaptune.models.build import build_model, normalise, parameter_groups, preprocess_for
from snaptune.run_folder import Run, write_bytes, write_json
from snaptune.training.augment import build_augment
from snaptune.training.batches import PreparedBatches
from snaptune.training.events import Event, OnEvent, ignore
from snaptune.training.loop import Kept, fit
from snaptune.training.optim import build_ema, build_optimizer

SCORING_BATCH = 64
_LIBRARIES = ("torch", "timm", "numpy", "pillow", "safetensors")


def train(
    dataset: ImageDataset,
    config: TrainConfig | None = None,
    out: str | Path = "runs",
    *,
    split: Split | None = None,
    on_event: OnEvent = ignore,
    progress: Progress = silent,
    say: Callable[[str], None] = print,
) -> Run:
    """Fine-tune a model and write the run to `out/<date_time>/`.

    Without a `split`, whole groups are held out where the data set has groups, else a share of each class.
    """
    config = config or TrainConfig()
    split = split or split_automatically(dataset, config.validation, config.seed)
    preprocess = preprocess_for(config.model, config.image_size)
    device = best_device()
    torch.manual_seed(config.seed)
    if config.threads:
        torch.set_num_threads(config.threads)

    model = build_model(config.model, len(dataset.class_names), config.weights, say)
    model = model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    groups = parameter_groups(model, weight_decay=config.weight_decay, layer_decay=config.layer_decay)
    optimizer = build_optimizer(groups, lr=config.lr, eps=config.adam_eps)
    ema = build_ema(model, config.ema_decay) if config.ema_decay else None

    run = Run.create(Path(out))
    say(_decisions(run, dataset, split, config, device))
    _write_inputs(run, dataset, split, config)
    write_bytes(run.preprocess_file, preprocess.to_json().encode())

    prepared = prepare(dataset, preprocess, progress)
    batches = partial(PreparedBatches, prepared.pixels, dataset.labels, device=device)
    with run.events_file.open("w", encoding="utf-8") as file:
        kept = fit(
            model,
            optimizer,
            batches(split.indices("train"), config.batch_size),
            batches(split.indices("validation"), SCORING_BATCH),
            epochs=config.epochs,
            lr=config.lr,
            warmup=config.warmup,
            label_smoothing=config.label_smoothing,
            seed=config.seed,
            augment=build_augment(config.augment, config.seed),
            normalise=partial(normalise, preprocess=preprocess),
            ema=ema,
            freeze_norms=config.norm_statistics == "pretrained" and config.weights != "none",
            keep_best=config.keep == "best",
            on_event=_tee(lambda event: print(_as_json(event), file=file, flush=True), on_event),
        )
    _write_outcome(run, config, kept)
    return run


def best_device() -> torch.device:
    """CUDA, then Intel XPU, then Apple MPS, then the processor (spec S2)."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found or torch.device("cpu")


def _decisions(
    run: Run, dataset: ImageDataset, split: Split, config: TrainConfig, device: torch.device
) -> str:
    counts = {part: len(split.indices(part)) for part in ("train", "validation")}
    kept = "the last epoch's" if config.keep == "last" else "those with the lowest validation loss"
    rows = [
        ("run", str(run.path)),
        ("data", f"{dataset.name}: {len(dataset)} pictures, {len(dataset.class_names)} classes"),
        ("split", f"{counts['train']} to train, {counts['validation']} to validate ({split.how})"),
        ("model", f"{config.model}, {config.weights} weights, {config.image_size} px"),
        ("device", f"{device}, float32, channels last, {torch.get_num_threads()} threads"),
        (
            "training",
            f"{config.epochs} epochs, batches of {config.batch_size}, peak learning rate {config.lr:g}",
        ),
        ("weights kept", kept + (" (moving average)" if config.ema_decay else "")),
    ]
    return "\n".join(f"{name:>13}  {value}" for name, value in rows)


def _write_inputs(run: Run, dataset: ImageDataset, split: Split, config: TrainConfig) -> None:
    write_bytes(run.config_file, config.to_toml().encode())
    write_split(run.split_file, dataset, split)
    run.write_classes(dataset.name, dataset.class_names)
    write_json(
        run.dataset_file,
        {
            "name": dataset.name,
            "location": dataset.location,
            "pictures": len(dataset),
            "fingerprint": dataset.fingerprint(),
            "split": split.how,
            "class_counts": dict(zip(dataset.class_names, dataset.class_counts().tolist(), strict=True)),
        },
    )
    libraries = {name: version(name) for name in (*_LIBRARIES, "snaptune")}
    environment = {"python": platform.python_version(), "platform": platform.platform(), **libraries}
    write_json(run.environment_file, {**environment, "threads": torch.get_num_threads()})


def _write_outcome(run: Run, config: TrainConfig, kept: Kept) -> None:
    write_json(
        run.metadata_file,
        {
            "epoch": kept.epoch,
            "train_loss": kept.train_loss,
            "valid_loss": kept.scores.loss,
            "metric_value": kept.scores.accuracy,
            "learning_rate": kept.lr,
            "model_architecture": config.model,
        },
    )
    run.write_weights(kept.state)


def _as_json(event: Event) -> str:
    return json.dumps({"event": type(event).__name__, **asdict(event)})


def _tee(*observers: OnEvent) -> OnEvent:
    def tell(event: Event) -> None:
        for observer in observers:
            observer(event)

    return tell
