"""An exported file, answering through ONNX Runtime. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from snaptune.answers import Probabilities
from snaptune.classifier import Classifier
from snaptune.errors import ExportError
from snaptune.evaluation.calibration import Calibration
from snaptune.export.metadata import Metadata
from snaptune.images.preprocess import Pixels, Preprocess

INPUT, OUTPUT = "image", "probs"


@dataclass(frozen=True, eq=False)
class OnnxClassifier(Classifier):
    """An exported file that answers like the run that it came from, with no torch installed."""

    session: onnxruntime.InferenceSession
    preprocess: Preprocess
    class_names: tuple[str, ...]
    calibration: Calibration
    may_abstain: bool = False

    @classmethod
    def load(  # type: ignore[override]  # an exported file has no choice of device
        cls, source: str | PathLike[str], *, may_abstain: bool = False, threads: int = 0
    ) -> OnnxClassifier:
        """The file, on the processor, with `threads` threads (0 for all cores).

        With `may_abstain` the label is 'unknown' where the file's threshold asks for more confidence;
        raises `ExportError` for a file without one, or one that snaptune did not write.
        """
        path = Path(source)
        session = open_session(path, threads)
        metadata = file_metadata(session, path)
        if may_abstain and metadata.threshold is None:
            raise ExportError(
                f"'{path}' has no threshold for 'unknown'. Find one with: snaptune evaluate RUN; "
                "then export the run again."
            )
        calibration = Calibration(threshold=metadata.threshold)  # the graph divides by the temperature itself
        return cls(session, metadata.preprocess, metadata.class_names, calibration, may_abstain)

    def probabilities(self, pixels: Pixels) -> Probabilities:
        """Prepared uint8 [n, size, size, 3], which the file's own recipe leaves as they are."""
        return np.stack([answer(self.session, picture) for picture in pixels])

    def takes_any_size(self) -> bool:
        """Never: the file brings every picture to its own size."""
        return False


def open_session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """The file on the processor, with `threads` threads (0 for all cores); raises `ExportError`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Processors with AVX2 but no VNNI add 8-bit products in 16 bits, which overflow: others answer otherwise.
    options.add_session_config_entry("session.x64quantprecision", "1")
    onnxruntime.disable_telemetry_events()
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's own exceptions share no public base
        raise ExportError(f"'{path}' cannot be opened by ONNX Runtime: {error}") from error


def file_metadata(session: onnxruntime.InferenceSession, path: Path) -> Metadata:
    """What the file says about itself; raises `ExportError` where snaptune did not write it."""
    return Metadata.from_properties(session.get_modelmeta().custom_metadata_map, str(path))


def answer(session: onnxruntime.InferenceSession, pixels: Pixels) -> Probabilities:
    """Probabilities [classes] for an upright RGB picture, uint8 [height, width, 3] of any size."""
    probabilities: Probabilities = session.run([OUTPUT], {INPUT: pixels})[0]
    return probabilities
