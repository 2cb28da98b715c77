"""`snaptune audit RUN [DATA]`."""

from __future__ import annotations

import argparse

from snaptune.cli.data import add_data, open_data
from snaptune.cli.options import Commands, add_out, add_run
from snaptune.cli.table import printable


def add_to(commands: Commands) -> None:
    parser = commands.add_parser(
        "audit",
        help="find labels that are likely wrong, and a page to put them right",
        description="The run's network looks at every picture; none is judged by its own label.",
    )
    add_run(parser)
    add_data(parser, of_run=True)
    add_out(parser, "audit", "where audit.html and suspects.csv go")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.cli.progress import bar
    from snaptune.label_audit import audit
    from snaptune.run_folder import Run

    opened = Run.open(args.run_path)
    found = audit(opened, open_data(args, opened), bar)
    page = found.write(args.out)
    print("\n".join(map(printable, found.summary().splitlines())))
    print(f"\npage    {page}\ntable   {page.with_name('suspects.csv')}")
