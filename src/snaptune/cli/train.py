"""`snaptune train DATA`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from snaptune.cli.data import add_data, open_data
from snaptune.cli.options import Commands, add_out, add_settings, settings
from snaptune.errors import ConfigError

if TYPE_CHECKING:
    from snaptune.config import TrainConfig
    from snaptune.data.dataset import ImageDataset
    from snaptune.data.splits import Split


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("train", help="fine-tune a model, evaluate it and write the report")
    add_data(parser, of_run=True)
    parser.add_argument("--resume", metavar="RUN", help="go on with a run that was stopped")
    add_out(parser, "runs", "project folder; the run is made inside it")
    parser.add_argument(
        "--hold-out",
        action="append",
        metavar="GROUP",
        help="validate on this whole group; may be given again",
    )
    parser.add_argument(
        "--skip-unreadable", action="store_true", help="train without the pictures that cannot be read"
    )
    parser.add_argument("--split", type=Path, metavar="CSV", help="use the split.csv of another run")
    parser.add_argument(
        "--find-lr",
        action="store_true",
        help="train no model, but try growing learning rates, suggest one and draw the loss over them",
    )
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    config = settings(args)
    if (args.data is None) == (args.resume is None):
        raise ConfigError("Name either DATA to start a run, or --resume RUN to go on with one.")

    if args.find_lr:
        _find_lr(args, config)
        return

    from snaptune.cli.evaluate import evaluate_and_show
    from snaptune.cli.progress import bar
    from snaptune.run_folder import Run
    from snaptune.training.bars import TrainingBars
    from snaptune.training.job import Interrupted
    from snaptune.training.processes import join_processes
    from snaptune.training.train import resume_training, train

    bars = TrainingBars()
    try:
        if args.resume:
            unfinished = Run(Path(args.resume))
            dataset = open_data(args, unfinished)
            finished = resume_training(unfinished, dataset, on_event=bars, progress=bar)
        else:
            dataset = open_data(args)
            split = _chosen_split(args, dataset)
            skip = args.skip_unreadable
            finished = train(
                dataset, config, args.out, split=split, skip_unreadable=skip, on_event=bars, progress=bar
            )
    except Interrupted as stop:
        bars.close()
        print(f"Stopped; go on with: snaptune train --resume {stop.run.path}")
        raise KeyboardInterrupt from stop
    if not join_processes()[0].leads:
        return
    evaluate_and_show(finished, dataset)
    print(f"\nrun     {finished.path}\nreport  {finished.report_file}")
    print(f"next    snaptune publish {finished.path}")


def _find_lr(args: argparse.Namespace, config: TrainConfig) -> None:
    if args.resume:
        raise ConfigError("Give either --find-lr or --resume.")

    from snaptune.cli.progress import bar
    from snaptune.training.train import find_lr

    dataset = open_data(args)
    split, skip = _chosen_split(args, dataset), args.skip_unreadable
    sweep = find_lr(dataset, config, args.out, split=split, skip_unreadable=skip, progress=bar)
    if sweep.suggested is None:
        print("The loss fell at no learning rate: look at the picture, and at the data: snaptune check DATA")
    else:
        print(f"suggested  --lr {sweep.suggested:g}, where the loss falls fastest; now {config.lr:g}")
    print(f"picture    {args.out / 'learning_rate.svg'}")


def _chosen_split(args: argparse.Namespace, dataset: ImageDataset) -> Split | None:
    """The split that the user asked for; None leaves it to training."""
    from snaptune.data.splits import read_split, split_by_group

    if args.split and args.hold_out:
        raise ConfigError("Give either --split or --hold-out.")
    if args.split:
        return read_split(args.split, dataset)
    return split_by_group(dataset, tuple(args.hold_out)) if args.hold_out else None
