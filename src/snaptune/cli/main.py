"""The command `snaptune`. Building the parser imports no torch; a command imports what it needs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import version

from snaptune.cli import (
    audit,
    bench,
    cache,
    check,
    compare,
    demo,
    evaluate,
    export,
    models,
    predict,
    publish,
    quickstart,
    train,
)
from snaptune.errors import SnaptuneError

COMMANDS = (
    quickstart,
    check,
    models,
    train,
    evaluate,
    compare,
    audit,
    predict,
    export,
    bench,
    demo,
    publish,
    cache,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code.

    0, 1 for the user's mistakes, 2 for usage, 3 where `predict` could not read some pictures, 130 for Ctrl-C.
    """
    args = build_parser().parse_args(argv)
    try:
        code: int | None = args.run(args)
    except SnaptuneError as error:
        print(f"snaptune: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("snaptune: stopped.", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader, such as `head`, has seen enough
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115  nothing is left to flush
        return 0
    return code or 0


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="snaptune",
        description="Fine-tune an image classifier, know how good it really is, and put it in a browser.",
        epilog="New here? Run: snaptune quickstart",
    )
    parser.add_argument("--version", action="version", version=f"snaptune {version('snaptune')}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add_to(commands)
    return parser
