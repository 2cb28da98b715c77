"""An exported file of any format, open for questions. Each runtime is imported where it is used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from snaptune.answers import Probabilities
from snaptune.errors import ExportError
from snaptune.export.metadata import PREPARED, Metadata
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
    """The file on the processor, with `threads` threads (0 for all cores); raises `ExportError`.

    Where the file takes prepared pictures, `answer` prepares them first, as Python does.
    """
    openers = {".onnx": _open_onnx, ".xml": _open_openvino, ".pt2": _open_pt2, ".tflite": _open_litert}
    if path.suffix not in openers:
        raise ExportError(f"'{path}' must end in one of: {', '.join(openers)}.")
    opened = openers[path.suffix](path, threads)
    return _preparing(opened) if opened.metadata.input == PREPARED else opened


def _preparing(opened: Opened) -> Opened:
    prepared = opened.metadata.preprocess.pixels
    return replace(opened, answer=lambda pixels: opened.answer(prepared(Image.fromarray(pixels))))


def parts_of(path: Path) -> list[Path]:
    """What lies in the folder for a format: OpenVINO keeps the weights beside the graph."""
    return [path, path.with_suffix(".bin")] if path.suffix == ".xml" else [path]


def files_of(path: Path) -> list[Path]:
    """The files that a format consists of: Core ML's is a folder of them."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return parts_of(path)


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


def _open_litert(path: Path, threads: int) -> Opened:
    from snaptune.export.litert import answering

    answer, properties = answering(path, threads)
    return Opened(Metadata.from_properties(properties, str(path)), answer, "ai-edge-litert")
