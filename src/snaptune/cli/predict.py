"""`snaptune predict RUN INPUT...`."""

from __future__ import annotations

import argparse
from pathlib import Path

from snaptune.cli.options import Commands
from snaptune.errors import DataError


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("predict", help="name what is on pictures")
    parser.add_argument("run_path", metavar="RUN", help="a run, or a project folder (its newest run)")
    parser.add_argument(
        "inputs", metavar="INPUT", nargs="+", type=Path, help="picture files or folders of them"
    )
    parser.add_argument(
        "--top", type=int, default=3, metavar="K", help="classes shown a picture (default: 3)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.prediction import Classifier

    files = [file for given in args.inputs for file in _pictures(given)]
    if not files:
        raise DataError(f"No pictures in {', '.join(map(str, args.inputs))}.")
    classifier = Classifier.load(args.run_path)
    for file in files:
        [prediction] = classifier.predict([file], args.top)
        leading = ", ".join(f"{label} {share:.2%}" for label, share in prediction.top)
        print(f"{prediction.name}: {leading}")


def _pictures(given: Path) -> list[Path]:
    from snaptune.data.readers import IMAGE_SUFFIXES

    if not given.is_dir():
        return [given]
    return sorted(path for path in given.rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES)
