"""An exported file, answering through ONNX Runtime. Imports no torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime  # type: ignore[import-untyped]

from snaptune.errors import ExportError
from snaptune.images.preprocess import Pixels

INPUT, OUTPUT = "image", "probs"


def open_session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """The file on the processor, with `threads` threads (0 for all cores); raises `ExportError`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    onnxruntime.disable_telemetry_events()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise ExportError(f"'{path}' cannot be opened by ONNX Runtime: {error}") from error


def answer(session: onnxruntime.InferenceSession, pixels: Pixels) -> npt.NDArray[np.float32]:
    """Probabilities [classes] for an upright RGB picture, uint8 [height, width, 3] of any size."""
    probabilities: npt.NDArray[np.float32] = session.run([OUTPUT], {INPUT: pixels})[0]
    return probabilities
