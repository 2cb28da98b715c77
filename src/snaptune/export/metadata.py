"""What an exported file says about itself. Imports no torch: it is also read where only the file is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version

from snaptune.errors import ExportError, RunError
from snaptune.images.preprocess import Preprocess

ANY_SIZE, PREPARED = "any size", "prepared"
"""What a file takes: uint8 [height, width, 3], or [size, size, 3] that was resized and padded."""


@dataclass(frozen=True)
class Metadata:
    """Everything that answering needs besides the graph; class names in the order of the outputs.

    An answer that is no surer than `threshold` should be 'unknown'; None where the run has no threshold.
    """

    class_names: tuple[str, ...]
    preprocess: Preprocess
    model: str
    threshold: float | None = None
    input: str = ANY_SIZE
    snaptune_version: str = version("snaptune")

    def to_properties(self) -> dict[str, str]:
        """Text by key, as ONNX's `metadata_props` want it; lists and objects are JSON."""
        return {
            "class_names": json.dumps(self.class_names, ensure_ascii=False),
            "preprocess": self.preprocess.to_json(),
            "model": self.model,
            "unknown_threshold": json.dumps(self.threshold),
            "input": self.input,
            "snaptune_version": self.snaptune_version,
        }

    @classmethod
    def from_properties(cls, properties: Mapping[str, str], source: str) -> Metadata:
        """What `to_properties` wrote; raises `ExportError` that names `source` for anything else."""
        try:
            names = json.loads(properties["class_names"])
            if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
                raise ExportError(f"'{source}' holds class names that are not a list of texts.")
            recipe = Preprocess.from_json(properties["preprocess"], source)
            threshold = json.loads(properties["unknown_threshold"])
            if not isinstance(threshold, float | None):
                raise ExportError(f"'{source}' holds a threshold that is not a number: {threshold!r}.")
            if properties["input"] not in (ANY_SIZE, PREPARED):
                raise ExportError(f"'{source}' takes no input of snaptune's: {properties['input']!r}.")
            return cls(
                tuple(names),
                recipe,
                properties["model"],
                threshold,
                properties["input"],
                properties["snaptune_version"],
            )
        except KeyError as error:
            raise ExportError(
                f"'{source}' has no {error} in its metadata, so it was not exported by snaptune. "
                "Make one: snaptune export RUN"
            ) from error
        except (ValueError, RunError) as error:
            raise ExportError(f"The metadata of '{source}' is damaged: {error}") from error
