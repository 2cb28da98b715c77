"""Flags of the command line, made from the settings they set."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from snaptune.config import RECIPES, TrainConfig

Commands = Any  # argparse does not export the type of its subparsers

_TYPES = {"int": int, "float": float, "str": str}
FLAGS = (
    *("model", "weights", "image_size", "epochs", "batch_size", "lr"),
    *("augment", "keep", "validation", "test", "seed", "track"),
    *("precision", "memory_format", "threads"),
)
"""The settings that are flags; the others are set in a file with --config."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """`--config FILE` and a flag for each setting in `FLAGS`."""
    parser.add_argument(
        "--recipe", choices=RECIPES, default="default", help="settings to start from (default: default)"
    )
    parser.add_argument(
        "--time", type=_minutes, metavar="TIME", help="wall-clock budget of training, such as 90s, 5m or 2h"
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings in TOML; flags replace single ones"
    )
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="compile the network, or do not (default: where a GPU will be busy for ten minutes or more)",
    )
    known = {item.name: item for item in fields(TrainConfig)}
    for name in FLAGS:
        item = known[name]
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=_TYPES[str(item.type)],
            choices=item.metadata["one_of"] or None,
            default=None,
            metavar=None if item.metadata["one_of"] else name.rpartition("_")[2].upper(),
            help=f"{item.metadata['help']} (default: {'none' if item.default == '' else item.default})",
        )


def settings(args: argparse.Namespace) -> TrainConfig:
    """The settings file, then only what was typed replaces a field."""
    config = TrainConfig.recipe(args.recipe)
    if args.config:
        config = TrainConfig.read(args.config, config)
    typed: dict[str, object] = {
        name: getattr(args, name) for name in FLAGS if getattr(args, name) is not None
    }
    if args.time is not None:
        typed["minutes"] = args.time
    if args.compile is not None:
        typed["compile"] = "on" if args.compile else "off"
    return config.replaced(typed)


def _minutes(text: str) -> float:
    """Minutes from `90s`, `5m` or `2h`."""
    unit = {"s": 1 / 60, "m": 1.0, "h": 60.0}.get(text[-1:])
    try:
        if unit is not None and (value := float(text[:-1]) * unit) > 0:
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"'{text}' is not a time; write 90s, 5m or 2h")


def add_run(parser: argparse.ArgumentParser, or_else: str = "") -> None:
    """RUN, the argument of every command on a finished run; `or_else` says what else it may be."""
    parser.add_argument(
        "run_path", metavar="RUN", help=f"a run, or a project folder (its newest run){or_else}"
    )


def add_out(parser: argparse.ArgumentParser, default: str, what: str) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path(default), metavar="FOLDER", help=f"{what} (default: {default})"
    )
