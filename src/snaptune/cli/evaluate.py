"""`snaptune evaluate RUN [DATA]`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from snaptune.cli.options import Commands

if TYPE_CHECKING:
    from snaptune.data.dataset import ImageDataset
    from snaptune.evaluation.results import EvaluationReport
    from snaptune.run_folder import Run


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("evaluate", help="score a run on held-out pictures and write its report")
    parser.add_argument("run_path", metavar="RUN", help="a run, or a project folder (its newest run)")
    parser.add_argument(
        "data", metavar="DATA", nargs="?", help="the data set (default: the one it was trained on)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.data.readers import open_dataset
    from snaptune.run_folder import Run

    opened = Run.open(args.run_path)
    evaluate_and_show(opened, open_dataset(args.data or opened.data_location()))
    print(f"\nreport  {opened.report_file}")


def evaluate_and_show(run: Run, dataset: ImageDataset) -> EvaluationReport:
    """Evaluate on the validation part, write the report, print the headline figures."""
    from snaptune.cli.progress import bar
    from snaptune.scoring import evaluate

    report = evaluate(run, dataset, progress=bar)
    print(report.summary())
    return report
