"""The data set of a command: where it lies and how it is read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from snaptune.data.dataset import ImageDataset
    from snaptune.run_folder import Run

_WHERE = "a folder, a table, shards (also by URL), hub:OWNER/NAME or sample:hand-emoji"


def add_data(parser: argparse.ArgumentParser, *, of_run: bool = False) -> None:
    """DATA and how to read it; on a command about a run it may be left out."""
    default = " (default: what the run was trained on)" if of_run else ""
    parser.add_argument("data", metavar="DATA", nargs="?" if of_run else None, help=_WHERE + default)
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Flags that say how a data set is read."""
    parser.add_argument(
        "--labels", type=Path, metavar="TABLE", help="a table of files and labels; the files lie below DATA"
    )
    parser.add_argument(
        "--add",
        action="append",
        default=[],
        type=Path,
        metavar="ZIP",
        help="add pictures that were corrected on the browser page, as a group of their own",
    )
    parser.add_argument(
        "--group-pattern", metavar="REGEX", help="read groups from the paths: the first bracket of a match"
    )
    parser.add_argument(
        "--exclude",
        action="append",
        default=[],
        metavar="CLASS",
        help="leave out a class; can be repeated",
    )


def open_data(args: argparse.Namespace, run: Run | None = None) -> ImageDataset:
    """The data set that the arguments name; without any, the one of the run."""
    from snaptune.cli.progress import bar
    from snaptune.data.corrections import from_corrections, joined
    from snaptune.data.readers import open_dataset
    from snaptune.data.splits import group_by_pattern

    place = args.data or (run.data_location() if run else "")
    root = place if args.labels else None
    dataset = open_dataset(args.labels or place, root=root, progress=bar)
    if args.group_pattern:
        dataset = group_by_pattern(dataset, args.group_pattern)
    for path in args.add:
        dataset = joined(dataset, from_corrections(path))
    return dataset.excluding(tuple(args.exclude)) if args.exclude else dataset
