"""`snaptune quickstart`: the whole job on the built-in pictures, with no network and no GPU."""

from __future__ import annotations

import argparse

from snaptune.cli.options import Commands, add_out
from snaptune.config import TrainConfig

SAMPLE = "sample:hand-emoji"
HELD_OUT = "noto"


def add_to(commands: Commands) -> None:
    parser = commands.add_parser(
        "quickstart", help="the whole job on built-in pictures, in about two minutes"
    )
    add_out(parser, "snaptune-quickstart", "project folder; the run is made inside it")
    parser.add_argument(
        "--hold-out",
        default=HELD_OUT,
        metavar="ARTIST",
        help=f"whose pictures are held out (default: {HELD_OUT})",
    )
    parser.add_argument("--epochs", type=int, metavar="N", help="fewer for a quicker, worse model")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    config = TrainConfig().replaced({} if args.epochs is None else {"epochs": args.epochs})

    from snaptune.cli.evaluate import evaluate_and_show
    from snaptune.cli.export import export_and_show
    from snaptune.cli.progress import bar
    from snaptune.data.readers import open_dataset
    from snaptune.data.splits import split_by_group
    from snaptune.demo.publish import demo_run
    from snaptune.training.bars import TrainingBars
    from snaptune.training.train import train

    dataset = open_dataset(SAMPLE)
    split = split_by_group(dataset, (args.hold_out,))
    finished = train(dataset, config, args.out, split=split, on_event=TrainingBars(), progress=bar)
    print("\nEvaluating on the pictures of the artist who was held out ...")
    report = evaluate_and_show(finished, dataset)
    print("\nExporting and comparing with PyTorch ...")
    export_and_show(finished, dataset)
    demo_run(finished, dataset, finished.demo_folder)
    print()
    for group in report.groups:
        print(f"held-out artist {group.name}: accuracy {group.accuracy.as_share()}")
    print(
        f"run      {finished.path}\nreport   {finished.report_file}"
        f"\ndemo     snaptune demo {finished.path} --serve"
    )
