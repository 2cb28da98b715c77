"""Core ML's format: `model.mlpackage`, which takes a prepared picture. Only Apple's systems can run it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from snaptune.errors import ExportError
from snaptune.export.metadata import Metadata
from snaptune.export.prepared import Prepared
from snaptune.export.quiet import quiet
from snaptune.prediction import TorchClassifier


def to_coreml(classifier: TorchClassifier, metadata: Metadata, path: Path) -> Path:
    """Write the program in 32 bits: `image`, an RGB picture of size x size, prepared, to `probs`."""
    size = classifier.preprocess.size
    example = torch.zeros(1, 3, size, size)
    with quiet(), torch.no_grad():
        try:
            import coremltools as ct
        except ModuleNotFoundError as error:
            raise ExportError(
                "Exporting to Core ML needs the 'coreml' extra: pip install 'snaptune[coreml]'"
            ) from error
        program = torch.export.export(_FromPicture(Prepared(classifier)).eval(), (example,))
        model = ct.convert(
            program.run_decompositions({}),
            inputs=[ct.ImageType(name="image", shape=example.shape, color_layout=ct.colorlayout.RGB)],
            outputs=[ct.TensorType(name="probs")],
            compute_precision=ct.precision.FLOAT32,
            skip_model_load=True,
        )
    model.user_defined_metadata.update(metadata.to_properties())
    path.parent.mkdir(parents=True, exist_ok=True)
    model.save(str(path))
    return path


class _FromPicture(nn.Module):
    """Core ML hands a picture over as float32 [1, 3, size, size] of 0 to 255."""

    def __init__(self, prepared: Prepared) -> None:
        super().__init__()
        self.prepared = prepared

    def forward(self, image: Tensor) -> Tensor:
        probabilities: Tensor = self.prepared(image.squeeze(0).permute(1, 2, 0))
        return probabilities
