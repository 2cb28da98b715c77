"""`snaptune train DATA`."""

from __future__ import annotations

import argparse

from snaptune.cli.options import Commands, add_out, add_settings, settings


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("train", help="fine-tune a model, evaluate it and write the report")
    parser.add_argument("data", metavar="DATA", help="a folder with one folder a class, or sample:hand-emoji")
    add_out(parser, "runs", "project folder; the run is made inside it")
    parser.add_argument(
        "--hold-out",
        action="append",
        metavar="GROUP",
        help="validate on this whole group; may be given again",
    )
    add_settings(parser)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    config = settings(args)

    from snaptune.cli.evaluate import evaluate_and_show
    from snaptune.cli.progress import TrainingBars, bar
    from snaptune.data.readers import open_dataset
    from snaptune.data.splits import split_by_group
    from snaptune.training.train import train

    dataset = open_dataset(args.data)
    split = split_by_group(dataset, tuple(args.hold_out)) if args.hold_out else None
    finished = train(dataset, config, args.out, split=split, on_event=TrainingBars(), progress=bar)
    evaluate_and_show(finished, dataset)
    print(
        f"\nrun     {finished.path}\nreport  {finished.report_file}\nnext    snaptune publish {finished.path}"
    )
