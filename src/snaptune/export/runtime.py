"""An exported file, answering through ONNX Runtime. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import overload

import numpy as np
import onnxruntime  # type: ignore[import-untyped]

from snaptune.answers import Picture, Prediction, Probabilities, open_picture, prediction
from snaptune.errors import ExportError
from snaptune.export.metadata import Metadata
from snaptune.images.preprocess import Pixels

INPUT, OUTPUT = "image", "probs"


@dataclass(frozen=True, eq=False)
class OnnxClassifier:
    """An exported file that answers like the run's own `Classifier`, with no torch installed."""

    session: onnxruntime.InferenceSession
    metadata: Metadata
    may_abstain: bool = False

    @classmethod
    def load(cls, path: str | Path, *, may_abstain: bool = False, threads: int = 0) -> OnnxClassifier:
        """The file, on the processor, with `threads` threads (0 for all cores).

        With `may_abstain` the label is 'unknown' where the file's threshold asks for more confidence;
        raises `ExportError` for a file without one, or one that snaptune did not write.
        """
        path = Path(path)
        session = open_session(path, threads)
        metadata = file_metadata(session, path)
        if may_abstain and metadata.threshold is None:
            raise ExportError(
                f"'{path}' has no threshold for 'unknown'. Find one with: snaptune evaluate RUN; "
                "then export the run again."
            )
        return cls(session, metadata, may_abstain)

    @overload
    def predict(self, pictures: Picture, top: int = 5) -> Prediction: ...

    @overload
    def predict(self, pictures: list[Picture], top: int = 5) -> list[Prediction]: ...

    def predict(self, pictures: Picture | list[Picture], top: int = 5) -> Prediction | list[Prediction]:
        """The answer for a path, bytes, a PIL image or a uint8 array [h, w, 3]; for a list, a list."""
        if isinstance(pictures, list):
            return [self._predict(picture, number, top) for number, picture in enumerate(pictures)]
        return self._predict(pictures, 0, top)

    def _predict(self, picture: Picture, number: int, top: int) -> Prediction:
        name, image = open_picture(picture, number)
        probabilities = answer(self.session, np.asarray(image))
        threshold = self.metadata.threshold if self.may_abstain else None
        return prediction(name, probabilities, self.metadata.class_names, threshold=threshold, top=top)


def open_session(path: Path, threads: int = 0) -> onnxruntime.InferenceSession:
    """The file on the processor, with `threads` threads (0 for all cores); raises `ExportError`."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
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
