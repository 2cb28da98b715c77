"""`snaptune predict RUN INPUT...`."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from zlib import crc32

from snaptune.cli.data import add_max_pixels
from snaptune.cli.options import Commands, add_run
from snaptune.errors import ConfigError, DataError

if TYPE_CHECKING:
    import torch

    from snaptune.inputs.expand import Input
    from snaptune.prediction_stream import Row
    from snaptune.training.processes import Processes

SOME_FAILED = 3
"""Exit code where some pictures could not be read; their rows say why."""


def add_to(commands: Commands) -> None:
    parser = commands.add_parser(
        "predict",
        help="name what is on pictures",
        epilog=f"Exit code {SOME_FAILED}: some pictures could not be read; their rows hold the error. "
        "Shared out over processes and machines by: accelerate launch -m snaptune predict RUN FOLDER "
        "(the first process writes all rows, in order; each saves its own pictures).",
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
    add_max_pixels(parser, "as in the run, or ")
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

    processes, device = _place(Path(args.run_path))
    if processes.count > 1:
        _refuse_unshareable(args.inputs)
    classifier = Classifier.load(args.run_path, may_abstain=args.unknown, device=device)
    names = classifier.class_names
    limits = Limits(allow_local=args.allow_local, max_pixels=_max_pixels(args))
    listing = Listing(expand(args.inputs, class_names=names, limits=limits))
    rows: Iterable[Row] = predict_stream(
        classifier,
        processes.in_turns(listing),
        top=args.top,
        fit=args.fit,
        batch_size=1 if any(map(is_camera, args.inputs)) else 32,
        keep_pictures=args.save_pictures is not None,
        threads=max(1, (os.cpu_count() or 1) // processes.on_this_machine),
    )
    if args.save_pictures is not None:
        rows = _saved(rows, args.save_pictures, processes.in_turns(count(1)))
    tally = Tally()
    lines = FORMATS[args.format](
        tally.counting(processes.in_order(rows)), min(args.top, len(names)), max(map(len, (*names, UNKNOWN)))
    )
    with _output(args.out, writes=processes.leads) as file:
        for line in _counted(lines) if file is not sys.stdout else lines:
            print(_encodable(line, file.encoding), file=file, flush=file is sys.stdout)
        listing.compare(processes, device)
    failed = processes.any(tally.told() != 0, device)
    return SOME_FAILED if failed else 0


def _max_pixels(args: argparse.Namespace) -> int:
    """What was typed, or what the run was trained with."""
    from snaptune.images.load import MAX_PIXELS
    from snaptune.run_folder import Run, exported_model

    if args.max_pixels is not None:
        if args.max_pixels < 1:
            raise ConfigError(f"--max-pixels {args.max_pixels} must be at least 1.")
        return int(args.max_pixels)
    reading = None if exported_model(Path(args.run_path)) else Run.open(args.run_path).reading()
    return reading.max_pixels if reading else MAX_PIXELS


def _place(run: Path) -> tuple[Processes, torch.device | str]:
    """This process's place among all and its device; an exported file answers alone, on the processor."""
    from snaptune.run_folder import exported_model
    from snaptune.training.processes import Processes, join_processes

    if exported_model(run) or find_spec("torch") is None:
        return Processes(), "cpu"
    return join_processes()


def _refuse_unshareable(inputs: list[str]) -> None:
    from snaptune.inputs.expand import is_camera

    alone = [text for text in inputs if text == "-" or is_camera(text)]
    if alone:
        raise ConfigError(
            f"'{alone[0]}' can be read by one process only. Start it without a launcher: snaptune predict ..."
        )


class Listing:
    """The inputs as they pass, and a checksum of their names: processes must have found the same ones."""

    def __init__(self, inputs: Iterable[Input]) -> None:
        self._inputs, self._count, self._checksum = inputs, 0, 0

    def __iter__(self) -> Iterator[Input]:
        for given in self._inputs:
            self._count += 1
            self._checksum = crc32(os.fsencode(given.name), self._checksum)
            yield given

    def compare(self, processes: Processes, device: torch.device | str) -> None:
        """Raises `DataError` in every process where one has found other inputs than the leader."""
        own = f"{self._count} {self._checksum}"
        if processes.any(processes.same(own) != own, device):
            raise DataError(
                f"The processes see different pictures (this one found {self._count}), so that rows would be "
                "missing. Every machine needs the same files under the same names."
            )


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
def _output(out: Path | None, *, writes: bool) -> Iterator[TextIO]:
    """The screen, or a file that gets its name once it is complete; nothing where another process writes."""
    if not writes:
        with Path(os.devnull).open("w", encoding="utf-8") as nothing:
            yield nothing
        return
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


def _saved(rows: Iterable[Row], folder: Path, numbers: Iterator[int]) -> Iterator[Row]:
    """The rows without their pictures, while a captioned JPEG of each is saved under its number."""
    from snaptune.images.caption import captioned

    try:
        folder.mkdir(parents=True, exist_ok=True)
        for number, row in zip(numbers, rows, strict=False):
            if row.prediction and row.picture:
                picture = captioned(row.picture, f"{row.prediction.label} {row.prediction.confidence:.2%}")
                picture.save(folder / f"{number:06d}_{_safe_stem(row.name)}.jpg", quality=90)
            yield replace(row, picture=None)
    except OSError as error:
        raise DataError(f"'{folder}' cannot be written: {error.strerror or error}.") from error


def _safe_stem(name: str) -> str:
    """The last part of a name, such that it cannot lead out of a folder."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem = last.rpartition(".")[0] or last
    return "".join(char if char.isascii() and (char.isalnum() or char in "-_") else "-" for char in stem)[:80]
