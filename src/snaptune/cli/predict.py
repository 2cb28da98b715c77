"""`snaptune predict RUN INPUT...`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from snaptune.cli.options import Commands, add_run
from snaptune.errors import ConfigError, DataError

if TYPE_CHECKING:
    from snaptune.prediction_stream import Row

SOME_FAILED = 3
"""Exit code where some pictures could not be read; their rows say why."""


def add_to(commands: Commands) -> None:
    parser = commands.add_parser(
        "predict",
        help="name what is on pictures",
        epilog=f"Exit code {SOME_FAILED}: some pictures could not be read; their rows hold the error.",
    )
    add_run(parser, "; or an exported model.onnx, which needs no PyTorch")
    parser.add_argument(
        "inputs",
        metavar="INPUT",
        nargs="+",
        help="picture, folder, 'pattern*', http(s) URL, - for standard input, video, or camera number",
    )
    parser.add_argument(
        "--top", type=int, default=3, metavar="K", help="classes shown a picture (default: 3)"
    )
    parser.add_argument(
        "--format", choices=("table", "csv", "jsonl"), default="table", help="(default: table)"
    )
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the rows here, not to the screen")
    parser.add_argument(
        "--fit",
        choices=("recipe", "short-side"),
        default="recipe",
        help="the run's own recipe (default), or shortest side to the training size, unpadded",
    )
    parser.add_argument(
        "--save-pictures", type=Path, metavar="FOLDER", help="save each picture with its label written on it"
    )
    parser.add_argument(
        "--unknown",
        action="store_true",
        help="answer 'unknown' where the model is not sure enough (the threshold comes from evaluating)",
    )
    parser.add_argument(
        "--allow-local", action="store_true", help="URLs may lead to this machine and private networks"
    )
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    if args.top < 1:
        raise ConfigError(f"--top {args.top} must be at least 1.")

    from snaptune.answers import UNKNOWN
    from snaptune.classifier import Classifier
    from snaptune.cli.rows import FORMATS
    from snaptune.inputs.expand import expand, is_camera
    from snaptune.inputs.fetch import Limits
    from snaptune.prediction_stream import predict_stream

    classifier = Classifier.load(args.run_path, may_abstain=args.unknown)
    names = classifier.class_names
    inputs = expand(args.inputs, class_names=names, limits=Limits(allow_local=args.allow_local))
    rows: Iterable[Row] = predict_stream(
        classifier,
        inputs,
        top=args.top,
        fit=args.fit,
        batch_size=1 if any(map(is_camera, args.inputs)) else 32,
        keep_pictures=args.save_pictures is not None,
    )
    if args.save_pictures is not None:
        rows = _saved(rows, args.save_pictures)
    tally = Tally()
    lines = FORMATS[args.format](
        tally.counting(rows), min(args.top, len(names)), max(map(len, (*names, UNKNOWN)))
    )
    with _output(args.out) as file:
        for line in _counted(lines) if file is not sys.stdout else lines:
            print(_encodable(line, file.encoding), file=file, flush=file is sys.stdout)
    return tally.told()


def _counted(lines: Iterator[str]) -> Iterable[str]:
    from snaptune.cli.progress import counted

    return counted(lines, "Predicting")


class Tally:
    """How many rows passed, and how many of them have no answer."""

    def __init__(self) -> None:
        self.rows = self.failed = 0

    def counting(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            self.rows += 1
            self.failed += row.prediction is None
            yield row

    def told(self) -> int:
        """The exit code; says on standard error how many failed."""
        if not self.failed:
            return 0
        print(
            f"snaptune: {self.failed} of {self.rows} pictures have no answer; their rows say why.",
            file=sys.stderr,
        )
        return SOME_FAILED


@contextmanager
def _output(out: Path | None) -> Iterator[TextIO]:
    """The screen, or a file that gets its name once it is complete."""
    if out is None:
        yield sys.stdout
        return
    partial = out.with_name(f"{out.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            yield file
        partial.replace(out)
    except OSError as error:
        raise DataError(f"'{out}' cannot be written: {error.strerror or error}.") from error


def _encodable(line: str, encoding: str | None) -> str:
    """Names of files may hold bytes that are no text; they are written out as escapes."""
    encoding = encoding or "utf-8"
    return line.encode(encoding, "backslashreplace").decode(encoding)


def _saved(rows: Iterable[Row], folder: Path) -> Iterator[Row]:
    """The rows, while a captioned JPEG of each is saved, numbered in their order."""
    from snaptune.images.caption import captioned

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, row in enumerate(rows, 1):
            if row.prediction and row.picture:
                picture = captioned(row.picture, f"{row.prediction.label} {row.prediction.confidence:.2%}")
                picture.save(folder / f"{number:06d}_{_safe_stem(row.name)}.jpg", quality=90)
            yield row
    except OSError as error:
        raise DataError(f"'{folder}' cannot be written: {error.strerror or error}.") from error


def _safe_stem(name: str) -> str:
    """The last part of a name, such that it cannot lead out of a folder."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-" for char in stem)[:80]
