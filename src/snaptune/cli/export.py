"""`snaptune export RUN`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from snaptune.cli.data import add_data, open_data
from snaptune.cli.options import Commands, add_run

if TYPE_CHECKING:
    from snaptune.data.dataset import ImageDataset
    from snaptune.run_folder import Run


def add_to(commands: Commands) -> None:
    parser = commands.add_parser("export", help="write a model file, proven to answer as PyTorch does")
    add_run(parser)
    add_data(parser, of_run=True)
    parser.add_argument(
        "--format",
        default="onnx",
        metavar="FORMAT",
        help="onnx, pt2 (torch.export), openvino, litert or coreml (each an extra of that name), or tensorrt "
        "(an ONNX file for trtexec) (default: onnx)",
    )
    add_weights(parser)
    parser.set_defaults(run=run)


def add_weights(parser: argparse.ArgumentParser) -> None:
    """`--weights` and the two flags of its gate."""
    parser.add_argument(
        "--weights",
        default="fp32",
        metavar="KIND",
        help="fp32, fp16 (half the size) or int8 (a quarter, often faster); larger ones where accuracy "
        "or speed suffers (default: fp32)",
    )
    parser.add_argument(
        "--max-drop",
        type=float,
        metavar="POINTS",
        help="accuracy that smaller weights may cost on the validation part (default: 0.5)",
    )
    parser.add_argument("--force", action="store_true", help="write smaller weights whatever they cost")


def run(args: argparse.Namespace) -> None:
    from snaptune.run_folder import Run

    opened = Run.open(args.run_path)
    dataset = open_data(args, opened)
    export_and_show(
        opened,
        dataset,
        format=args.format,
        weights=args.weights,
        max_drop=args.max_drop,
        force=args.force,
    )


def export_and_show(
    run: Run,
    dataset: ImageDataset,
    *,
    format: str = "onnx",
    weights: str = "fp32",
    max_drop: float | None = None,
    force: bool = False,
) -> None:
    """Export, certify on the validation part, print what was proven; `max_drop` in points."""
    from snaptune.cli.progress import bar
    from snaptune.export.publish import MAX_DROP, export_run

    allowed = MAX_DROP if max_drop is None else max_drop / 100
    certificate = export_run(
        run, dataset, progress=bar, format=format, weights=weights, max_drop=allowed, force=force
    )
    print(
        f"{certificate.summary()}\nmodel        {run.exported_file(format)}"
        f"\ncertificate  {run.certificate_of(format)}"
    )
