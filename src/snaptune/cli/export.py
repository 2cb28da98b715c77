"""`snaptune export RUN`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from snaptune.cli.options import Commands

if TYPE_CHECKING:
    from snaptune.data.dataset import ImageDataset
    from snaptune.run_folder import Run


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("export", help="write model.onnx, proven to answer as PyTorch does")
    parser.add_argument("run_path", metavar="RUN", help="a run, or a project folder (its newest run)")
    parser.add_argument(
        "data", metavar="DATA", nargs="?", help="the data set (default: the one it was trained on)"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> None:
    from snaptune.data.readers import open_dataset
    from snaptune.run_folder import Run

    opened = Run.open(args.run_path)
    export_and_show(opened, open_dataset(args.data or opened.data_location()))


def export_and_show(run: Run, dataset: ImageDataset) -> None:
    """Export to ONNX, certify on the validation part, print what was proven."""
    from snaptune.cli.progress import bar
    from snaptune.export.publish import export_run

    certificate = export_run(run, dataset, progress=bar)
    print(f"{certificate.summary()}\nmodel        {run.onnx_file}\ncertificate  {run.certificate_file}")
