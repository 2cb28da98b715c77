"""Every other format answers as PyTorch does, through its own runtime."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from snaptune.data.dataset import ImageDataset
from snaptune.errors import ExportError
from snaptune.export.onnx import describe, export_onnx
from snaptune.export.opened import open_exported
from snaptune.export.openvino import to_openvino
from snaptune.export.parity import certify
from snaptune.export.pictures import NamedPicture
from snaptune.export.pt2 import Whole, to_pt2
from snaptune.export.publish import export_run
from snaptune.images.preprocess import Preprocess
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run

from .conftest import confident_classifier

Write = Callable[[TorchClassifier, Path], Path]


def write_pt2(classifier: TorchClassifier, folder: Path) -> Path:
    return to_pt2(classifier, describe(classifier, "test"), folder / "model.pt2")


def write_openvino(classifier: TorchClassifier, folder: Path) -> Path:
    pytest.importorskip("openvino", reason="the 'openvino' extra is not installed")
    path = export_onnx(classifier, folder / "model.onnx", model_name="test")
    return to_openvino(path, folder / "model.xml")


@pytest.fixture(params=[write_pt2, write_openvino], ids=["pt2", "openvino"])
def write(request: pytest.FixtureRequest) -> Write:
    found: Write = request.param
    return found


def test_the_file_answers_as_pytorch_does(
    write: Write, classifier: TorchClassifier, pictures: list[NamedPicture], tmp_path: Path
) -> None:
    path = write(classifier, tmp_path)
    certificate = certify(classifier, path, pictures)
    certificate.check()
    library = {".pt2": "torch", ".xml": "openvino"}[path.suffix]
    assert certificate.versions[library]
    assert certificate.file == path.name


def test_the_file_describes_itself(write: Write, classifier: TorchClassifier, tmp_path: Path) -> None:
    path = write(classifier, tmp_path)
    assert open_exported(path).metadata == describe(classifier, "test")
    assert str(Path.cwd()).encode() not in path.read_bytes()


@pytest.mark.parametrize(
    "name", ["mobilenetv3_small_050", "tf_efficientnet_lite0", "convnextv2_atto", "test_vit"]
)
def test_families_answer_as_pytorch_does(
    name: str, write: Write, pictures: list[NamedPicture], tmp_path: Path
) -> None:
    classifier = confident_classifier(name, 160 if name == "test_vit" else 64, pictures[:20])
    certify(classifier, write(classifier, tmp_path), pictures[:20]).check()


@pytest.mark.parametrize("size", [8, 97])
def test_the_recipe_in_pytorch_gives_the_pixels_of_pillow_bit_for_bit(size: int) -> None:
    recipe = Preprocess(size, (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))
    whole = Whole(nn.Identity(), recipe, 1.0)
    for height, width in itertools.product((1, 3, 97, 160, 401), (1, 2, 31, 128, 1000)):
        pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
        expected = recipe.pixels(Image.fromarray(pixels))
        np.testing.assert_array_equal(whole.pixels(torch.tensor(pixels)).permute(1, 2, 0), expected)


def test_another_model_fails(
    write: Write, classifier: TorchClassifier, pictures: list[NamedPicture], tmp_path: Path
) -> None:
    wrong = replace(classifier, preprocess=replace(classifier.preprocess, mean=(0.3, 0.3, 0.3)))
    path = write(wrong, tmp_path)
    with pytest.raises(ExportError, match="does not answer as PyTorch does"):
        certify(classifier, path, pictures[:8]).check()


def test_a_damaged_file_is_named(write: Write, classifier: TorchClassifier, tmp_path: Path) -> None:
    path = write(classifier, tmp_path)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ExportError, match=rf"{path.name}' cannot be opened by"):
        open_exported(path)


def test_a_format_has_its_own_file_and_certificate(tiny_run: Run, small_dataset: ImageDataset) -> None:
    certificate = export_run(tiny_run, small_dataset, format="pt2")
    saved = json.loads((tiny_run.path / "export" / "pt2-certificate.json").read_text())
    assert (saved["file"], saved["sha256"]) == ("model.pt2", certificate.sha256)
    pixels = np.zeros((9, 7, 3), np.uint8)
    assert open_exported(tiny_run.exported_file("pt2"), 1).answer(pixels).shape == (3,)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"format": "tflite"}, "format 'tflite' must be one of: onnx, openvino, pt2."),
        ({"format": "pt2", "weights": "int8"}, "pt2 files hold fp32 weights only, not int8. Use --format "),
    ],
)
def test_what_cannot_be_written_says_what_can(
    asked: dict[str, Any], message: str, tiny_run: Run, small_dataset: ImageDataset
) -> None:
    with pytest.raises(ExportError) as caught:
        export_run(tiny_run, small_dataset, **asked)
    assert str(caught.value).startswith(message)


def test_without_openvino_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ExportError) as caught:
        to_openvino(tmp_path / "model.onnx", tmp_path / "model.xml")
    assert str(caught.value) == (
        "Exporting to OpenVINO needs the 'openvino' extra: pip install 'snaptune[openvino]'"
    )
