"""`snaptune bench RUN`."""

from __future__ import annotations

import argparse

from snaptune.cli.data import add_data, open_data
from snaptune.cli.options import Commands, add_run


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("bench", help="how fast each exported format answers on this machine")
    add_run(parser)
    add_data(parser, of_run=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.export.bench import bench_run, bench_table
    from snaptune.run_folder import Run

    opened = Run.open(args.run_path)
    print(bench_table(bench_run(opened, open_data(args, opened))))
