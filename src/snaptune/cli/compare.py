"""`snaptune compare A B [DATA]`."""

from __future__ import annotations

import argparse

from snaptune.cli.data import add_data, open_data
from snaptune.cli.options import Commands
from snaptune.cli.table import printable


def add_to(commands: Commands) -> None:
    parser = commands.add_parser(
        "compare",
        help="is one run better than another, or is it luck?",
        description="Both answer the same pictures; those that either was trained on are left out.",
    )
    parser.add_argument("a", metavar="A", help="a run, or a project folder (its newest run)")
    parser.add_argument("b", metavar="B", help="the run to compare with it")
    add_data(parser, of_run=True)
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.cli.progress import bar
    from snaptune.run_folder import Run
    from snaptune.scoring import compare

    first, second = Run.open(args.a), Run.open(args.b)
    found = compare(first, second, open_data(args, first), bar)
    print("\n".join(map(printable, found.summary().splitlines())))
