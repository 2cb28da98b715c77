"""An exported file of any format, open for questions. Each runtime is imported where it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from snaptune.answers import Probabilities
from snaptune.errors import ExportError
from snaptune.export.metadata import Metadata
from snaptune.images.preprocess import Pixels

Answer = Callable[[Pixels], Probabilities]
"""An upright RGB picture, uint8 [height, width, 3] of any size, to probabilities [classes]."""


@dataclass(frozen=True)
class Opened:
    """What the file says about itself, how it answers, and the library that answers."""

    metadata: Metadata
    answer: Answer
    library: str


def open_exported(path: Path, threads: int = 0) -> Opened:
    """The file on the processor, with `threads` threads (0 for all cores); raises `ExportError`."""
    openers = {".onnx": _open_onnx, ".xml": _open_openvino, ".pt2": _open_pt2}
    if path.suffix not in openers:
        raise ExportError(f"'{path}' must end in one of: {', '.join(openers)}.")
    return openers[path.suffix](path, threads)


def files_of(path: Path) -> list[Path]:
    """The files that a format consists of: OpenVINO keeps the weights beside the graph."""
    return [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]


def _open_onnx(path: Path, threads: int) -> Opened:
    from snaptune.export.runtime import answer, file_metadata, open_session

    session = open_session(path, threads)
    return Opened(file_metadata(session, path), lambda pixels: answer(session, pixels), "onnxruntime")


def _open_openvino(path: Path, threads: int) -> Opened:
    from snaptune.export.openvino import compiled

    model, properties = compiled(path, threads)
    request = model.create_infer_request()
    metadata = Metadata.from_properties(properties, str(path))
    return Opened(metadata, lambda pixels: np.array(request.infer([pixels])[0]), "openvino")


def _open_pt2(path: Path, threads: int) -> Opened:
    from snaptune.export.pt2 import answering

    answer, properties = answering(path, threads)
    return Opened(Metadata.from_properties(properties, str(path)), answer, "torch")
