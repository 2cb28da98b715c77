"""`snaptune publish RUN`: export, certificate, page."""

from __future__ import annotations

import argparse
from pathlib import Path

from snaptune.cli.data import add_data, open_data
from snaptune.cli.export import add_weights, export_and_show
from snaptune.cli.options import Commands, add_run


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("publish", help="export, prove it equal, and build the browser page")
    add_run(parser)
    add_data(parser, of_run=True)
    add_weights(parser)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the page goes (default: RUN/demo)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.demo.publish import demo_run
    from snaptune.run_folder import Run

    opened = Run.open(args.run_path)
    dataset = open_data(args, opened)
    export_and_show(opened, dataset, weights=args.weights, max_drop=args.max_drop, force=args.force)
    site: Path = args.out or opened.demo_folder
    demo_run(opened, dataset, site)
    print(f"page         {site / 'index.html'}")
