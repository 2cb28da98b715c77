"""Flags of the command line, made from the settings they set."""

from __future__ import annotations

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any

from snaptune.config import TrainConfig

Commands = Any  # argparse does not export the type of its subparsers

_TYPES = {"int": int, "float": float, "str": str}
FLAGS = (
    *("model", "weights", "image_size", "epochs", "batch_size", "lr"),
    *("augment", "keep", "validation", "seed", "threads"),
)
"""The settings that are flags; the others are set in a file with --config."""


def add_settings(parser: argparse.ArgumentParser) -> None:
    """`--config FILE` and a flag for each setting in `FLAGS`."""
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="settings in TOML; flags replace single ones"
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
            help=f"{item.metadata['help']} (default: {item.default})",
        )


def settings(args: argparse.Namespace) -> TrainConfig:
    """The settings file, then only what was typed replaces a field."""
    config = TrainConfig.read(args.config) if args.config else TrainConfig()
    return config.replaced({name: getattr(args, name) for name in FLAGS if getattr(args, name) is not None})


def add_out(parser: argparse.ArgumentParser, default: str, what: str) -> None:
    parser.add_argument(
        "--out", type=Path, default=Path(default), metavar="FOLDER", help=f"{what} (default: {default})"
    )
