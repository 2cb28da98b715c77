from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch

from snaptune.data.dataset import ImageDataset
from snaptune.errors import ExportError
from snaptune.export.awkward import awkward_pictures
from snaptune.export.publish import export_run
from snaptune.run_folder import Run


def test_run_gets_a_model_and_a_certificate(tiny_run: Run, small_dataset: ImageDataset) -> None:
    certificate = export_run(tiny_run, small_dataset)
    assert certificate.equal_top1 == 1
    saved = json.loads(tiny_run.certificate_file.read_text())
    assert saved["pictures"] == certificate.pictures > len(awkward_pictures())
    assert saved["latency_ms"]["one_thread"] > 0
    files = sorted(path.name for path in tiny_run.onnx_file.parent.iterdir())
    assert files == ["certificate.json", "model.onnx"]


def test_an_unproven_file_does_not_become_the_model(
    tiny_run: Run, small_dataset: ImageDataset, tmp_path: Path
) -> None:
    broken = Run(tmp_path / "run")
    shutil.copytree(tiny_run.path, broken.path)
    broken.write_weights({name: value * torch.nan for name, value in tiny_run.weights().items()})
    with pytest.raises(ExportError, match="does not answer as PyTorch does"):
        export_run(broken, small_dataset)
    assert not broken.onnx_file.exists()
    assert json.loads(broken.certificate_file.read_text())["largest_difference"] == 1
