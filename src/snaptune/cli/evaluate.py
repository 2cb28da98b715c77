"""`snaptune evaluate RUN [DATA]`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from snaptune.cli.data import add_data, open_data
from snaptune.cli.options import Commands, add_run
from snaptune.cli.table import printable

if TYPE_CHECKING:
    from snaptune.data.dataset import ImageDataset
    from snaptune.evaluation.results import EvaluationReport
    from snaptune.run_folder import Run


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("evaluate", help="score a run on held-out pictures and write its report")
    add_run(parser)
    add_data(parser, of_run=True)
    parser.add_argument(
        "--part",
        metavar="PART",
        help="train, validation, test, new or all (default: validation; all where every picture is new)",
    )
    parser.add_argument(
        "--max-wrong",
        type=float,
        metavar="SHARE",
        help="share of pictures that may get a wrong answer before 'unknown' is better (default: 0.02)",
    )
    parser.add_argument(
        "--robustness",
        action="store_true",
        help="score blurred, noisy, compressed, dark and turned pictures too; takes eleven times as long",
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.run_folder import Run

    opened = Run.open(args.run_path)
    dataset = open_data(args, opened)
    evaluate_and_show(opened, dataset, part=args.part, max_wrong=args.max_wrong, robustness=args.robustness)
    print(f"\nreport  {opened.report_file}")


def evaluate_and_show(
    run: Run,
    dataset: ImageDataset,
    *,
    part: str | None = None,
    max_wrong: float | None = None,
    robustness: bool = False,
) -> EvaluationReport:
    """Evaluate a part (by default what was held out), write the report, print the headline figures."""
    from snaptune.cli.progress import bar
    from snaptune.scoring import evaluate, part_to_score

    part = part or part_to_score(run, dataset)
    typed = {} if max_wrong is None else {"max_wrong": max_wrong}
    report = evaluate(run, dataset, part, bar, robustness=robustness, **typed)
    print("\n".join(map(printable, report.summary().splitlines())))
    return report
