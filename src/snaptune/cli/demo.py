"""`snaptune demo RUN`."""

from __future__ import annotations

import argparse
from pathlib import Path

from snaptune.cli.data import add_data, open_data
from snaptune.cli.options import Commands, add_run


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("demo", help="build the browser page of a run, or open it")
    add_run(parser)
    add_data(parser, of_run=True)
    parser.add_argument("--out", type=Path, metavar="FOLDER", help="where the page goes (default: RUN/demo)")
    parser.add_argument(
        "--single-file", type=Path, metavar="FILE", help="also write it as one HTML file that opens from disk"
    )
    parser.add_argument(
        "--serve", action="store_true", help="serve the page on this machine and open a browser"
    )
    parser.add_argument("--port", type=int, default=8000, help="port for --serve (default: 8000)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.demo.publish import demo_run
    from snaptune.demo.serve import serve
    from snaptune.demo.single_file import build_single_file
    from snaptune.run_folder import Run

    opened = Run.open(args.run_path)
    site: Path = args.out or opened.demo_folder
    if not args.serve or not (site / "index.html").is_file():
        demo_run(opened, open_data(args, opened), site)
        print(f"page  {site / 'index.html'}")
    if args.single_file:
        print(f"file  {build_single_file(site, args.single_file)}")
    if args.serve:
        serve(site, args.port)
