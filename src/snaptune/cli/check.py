"""`snaptune check DATA`."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from snaptune.cli.data import add_data, open_data
from snaptune.cli.options import Commands

if TYPE_CHECKING:
    from snaptune.data.health_report import Augmented


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("check", help="count, measure and list what is wrong with a data set")
    add_data(parser)
    parser.add_argument(
        "--out", metavar="FOLDER", default="check", help="where report.html and report.json go (check)"
    )
    parser.add_argument(
        "--split", metavar="CSV", help="also look for duplicates across the parts of this split"
    )
    parser.add_argument(
        "--gap", action="store_true", help="estimate what a random split would claim against whole groups"
    )
    parser.add_argument(
        "--model", metavar="NAME", default="tf_efficientnet_lite0", help="whose frozen features --gap probes"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.cli.progress import bar
    from snaptune.config import TrainConfig
    from snaptune.data.health import check
    from snaptune.data.health_report import terminal_table, write_html, write_json
    from snaptune.data.splits import read_split
    from snaptune.images.preprocess import Preprocess

    dataset = open_data(args)
    split = read_split(Path(args.split), dataset) if args.split else None
    report = check(dataset, split=split, progress=bar)
    recipe = Preprocess(TrainConfig().image_size, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    out, gap = Path(args.out), None
    print(terminal_table(report))
    try:
        if args.gap:
            from snaptune.group_gap import group_gap

            gap = group_gap(dataset, args.model)
            print(f"\n{gap}")
    finally:  # what was checked is worth a report, also where there is no gap to estimate
        write_html(report, out / "report.html", recipe, _augmented(), gap=gap.rows() if gap else ())
        write_json(report, out / "report.json", asdict(gap) if gap else None)
    print(f"\nreport  {out / 'report.html'}")


def _augmented() -> Augmented | None:
    """What training by default makes of a picture; none where PyTorch is not installed."""
    if find_spec("torch") is None:
        return None
    from snaptune.config import TrainConfig
    from snaptune.data.health_report import AUGMENTED
    from snaptune.training.augment import build_augment, shown_augmented

    config = TrainConfig()
    return partial(
        shown_augmented,
        build_augment(config.augment, config.seed, config.trivial_space),
        epochs=AUGMENTED,
    )
