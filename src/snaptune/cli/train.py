"""`snaptune train DATA`."""

from __future__ import annotations

import argparse
from pathlib import Path

from snaptune.cli.options import Commands, add_out, add_settings, settings
from snaptune.errors import ConfigError


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("train", help="fine-tune a model, evaluate it and write the report")
    parser.add_argument(
        "data", metavar="DATA", nargs="?", help="a folder with one folder a class, or sample:hand-emoji"
    )
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
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    config = settings(args)
    if (args.data is None) == (args.resume is None):
        raise ConfigError("Name either DATA to start a run, or --resume RUN to go on with one.")

    from snaptune.cli.evaluate import evaluate_and_show
    from snaptune.cli.progress import TrainingBars, bar
    from snaptune.data.readers import open_dataset
    from snaptune.data.splits import split_by_group
    from snaptune.run_folder import Run
    from snaptune.training.processes import join_processes
    from snaptune.training.train import Interrupted, resume_training, train

    bars = TrainingBars()
    try:
        if args.resume:
            unfinished = Run(Path(args.resume))
            dataset = open_dataset(unfinished.data_location())
            finished = resume_training(unfinished, dataset, on_event=bars, progress=bar)
        else:
            dataset = open_dataset(args.data)
            split = split_by_group(dataset, tuple(args.hold_out)) if args.hold_out else None
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
