"""`snaptune compare A B [DATA]`."""

from __future__ import annotations

import argparse

from snaptune.cli.options import Commands
from snaptune.cli.table import printable


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("compare", help="is one run better than another, or is it luck?")
    parser.add_argument("a", metavar="A", help="a run, or a project folder (its newest run)")
    parser.add_argument("b", metavar="B", help="the run to compare with it")
    parser.add_argument(
        "data",
        metavar="DATA",
        nargs="?",
        help="the data set; pictures that either run was trained on are left out (default: the data of A)",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.cli.progress import bar
    from snaptune.data.readers import open_dataset
    from snaptune.run_folder import Run
    from snaptune.scoring import compare

    first, second = Run.open(args.a), Run.open(args.b)
    found = compare(first, second, open_dataset(args.data or first.data_location()), bar)
    print("\n".join(map(printable, found.summary().splitlines())))
