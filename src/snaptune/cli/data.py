"""The data set of a command: where it lies and how it is read."""

from __future__ import annotations

import argparse
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from snaptune.errors import ConfigError

if TYPE_CHECKING:
    from snaptune.data.dataset import ImageDataset
    from snaptune.data.reading import Columns, Reading
    from snaptune.run_folder import Run

_WHERE = "a folder, a table, shards (also by URL), hub:OWNER/NAME or sample:hand-emoji"


def add_data(parser: argparse.ArgumentParser, *, of_run: bool = False) -> None:
    """DATA and how to read it; on a command about a run all of it may be left out."""
    default = " (default: what the run was trained on, read as it was then)" if of_run else ""
    parser.add_argument("data", metavar="DATA", nargs="?" if of_run else None, help=_WHERE + default)
    add_reading(parser)


def add_reading(parser: argparse.ArgumentParser) -> None:
    """Flags that say how a data set is read."""
    parser.add_argument(
        "--labels", type=Path, metavar="TABLE", help="a table of files and labels; the files lie below DATA"
    )
    parser.add_argument(
        "--columns",
        type=_columns,
        metavar="NAME=COLUMN,...",
        help="a table's own names for the columns file, label, group and part, such as label=species",
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
        "--fix",
        action="append",
        default=[],
        type=Path,
        metavar="CSV",
        help="labels put right and pictures left out, as the page of 'snaptune audit' writes them",
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
    add_max_pixels(parser)


def add_max_pixels(parser: argparse.ArgumentParser, of_run: str = "") -> None:
    """The limit for what may be decoded; `of_run` says what else it may be by default."""
    parser.add_argument(
        "--max-pixels",
        type=int,
        metavar="N",
        help=f"largest picture that is decoded; larger ones are unreadable (default: {of_run}89478485)",
    )


def open_data(args: argparse.Namespace, run: Run | None = None) -> ImageDataset:
    """The data set that the arguments name; without any, the one of the run."""
    from snaptune.cli.progress import bar
    from snaptune.data.readers import read_again

    return read_again(_reading(args, run), bar)


def _reading(args: argparse.Namespace, run: Run | None) -> Reading:
    """What was typed; for the data of a run, as the run read them but for the flags that were typed."""
    reading = _of_run(run) if args.data is None else _named(args.data, run)
    if args.labels:
        reading = replace(reading, place=str(args.labels), root=reading.data)
    if args.columns:
        reading = replace(reading, columns=args.columns)
    if args.max_pixels is not None:
        reading = replace(reading, max_pixels=args.max_pixels)
    typed = {
        "group pattern": [args.group_pattern] if args.group_pattern else [],
        "add": list(map(str, args.add)),
        "fix": list(map(str, args.fix)),
        "exclude": args.exclude,
    }
    reading = replace(reading, steps=tuple(step for step in reading.steps if not typed[step[0]]))
    for kind, values in typed.items():
        reading = reading.then(kind, *values)
    return reading


def _of_run(run: Run | None) -> Reading:
    if run is None:
        raise ConfigError("Name the DATA: " + _WHERE + ".")
    return run.reading_at_hand()


def _named(place: str, run: Run | None) -> Reading:
    """A place that was typed; where it is that of the run, with all else that the run remembers."""
    from snaptune.data.readers import located
    from snaptune.data.reading import Reading, without_secrets

    known = run.reading() if run else None
    if known is None or known.data != without_secrets(located(place)):
        return Reading(place)
    return known if known.root else replace(known, place=place)


def _columns(text: str) -> Columns:
    """Column names from `file=image,label=species`."""
    from snaptune.data.reading import Columns

    ours = [item.name for item in fields(Columns)]
    pairs = [item.partition("=") for item in text.split(",")]
    if any(name.strip() not in ours or not theirs.strip() for name, _, theirs in pairs):
        raise argparse.ArgumentTypeError(
            f"'{text}' names no columns; write NAME=COLUMN,... with names among {', '.join(ours)}"
        )
    return Columns(**{name.strip(): theirs.strip() for name, _, theirs in pairs})
