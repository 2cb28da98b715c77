"""`snaptune check DATA`."""

from __future__ import annotations

import argparse
from pathlib import Path

from snaptune.cli.data import add_data, open_data
from snaptune.cli.options import Commands


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("check", help="count, measure and list what is wrong with a data set")
    add_data(parser)
    parser.add_argument(
        "--out", metavar="FOLDER", default="check", help="where report.html and report.json go (check)"
    )
    parser.add_argument(
        "--split", metavar="CSV", help="also look for duplicates across the parts of this split"
    )
    parser.add_argument(
        "--gap", action="store_true", help="estimate what a random split would claim against whole groups"
    )
    parser.add_argument(
        "--model", metavar="NAME", default="tf_efficientnet_lite0", help="whose frozen features --gap probes"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.cli.progress import bar
    from snaptune.config import TrainConfig
    from snaptune.data.health import check
    from snaptune.data.health_report import terminal_table, write_html, write_json
    from snaptune.data.splits import read_split
    from snaptune.images.preprocess import Preprocess

    dataset = open_data(args)
    split = read_split(Path(args.split), dataset) if args.split else None
    report = check(dataset, split=split, progress=bar)
    recipe = Preprocess(TrainConfig().image_size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    out = Path(args.out)
    write_html(report, out / "report.html", recipe)
    write_json(report, out / "report.json")
    print(terminal_table(report))
    if args.gap:
        from snaptune.group_gap import group_gap

        print(f"\n{group_gap(dataset, args.model)}")
    print(f"\nreport  {out / 'report.html'}")
