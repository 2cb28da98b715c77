"""Every other format answers as PyTorch does, through its own runtime."""

from __future__ import annotations

import itertools
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from PIL import Image
from torch import nn

from snaptune.classifier import Classifier
from snaptune.data.dataset import ImageDataset
from snaptune.errors import ExportError
from snaptune.export.certificate import Certificate, Unverified, from_json
from snaptune.export.litert import to_litert
from snaptune.export.metadata import ANY_SIZE, PREPARED, Metadata
from snaptune.export.onnx import describe, network_graph, with_recipe
from snaptune.export.opened import open_exported
from snaptune.export.openvino import to_openvino
from snaptune.export.parity import certify
from snaptune.export.pictures import NamedPicture
from snaptune.export.pt2 import Whole, to_pt2
from snaptune.export.publish import export_run
from snaptune.export.reported import certificates_of
from snaptune.images.preprocess import Preprocess
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run
from snaptune.scoring import evaluate

from .conftest import confident_classifier

Write = Callable[[TorchClassifier, Path], Path]
LIBRARIES = {".pt2": "torch", ".xml": "openvino", ".tflite": "ai-edge-litert", ".onnx": "onnxruntime"}


def write_pt2(classifier: TorchClassifier, folder: Path) -> Path:
    return to_pt2(classifier, describe(classifier, "test"), folder / "model.pt2")


def write_openvino(classifier: TorchClassifier, folder: Path) -> Path:
    pytest.importorskip("openvino", reason="the 'openvino' extra is not installed")
    return to_openvino(network_graph(classifier), describe(classifier, "test"), folder / "model.xml")


def write_litert(classifier: TorchClassifier, folder: Path) -> Path:
    pytest.importorskip("litert_torch", reason="the 'litert' extra is not installed")
    return to_litert(classifier, describe(classifier, "test", PREPARED), folder / "model.tflite")


def write_tensorrt(classifier: TorchClassifier, folder: Path) -> Path:
    whole = with_recipe(network_graph(classifier), describe(classifier, "test", PREPARED))
    path = folder / "model-tensorrt.onnx"
    path.write_bytes(whole.SerializeToString())
    return path


@pytest.fixture(
    params=[write_pt2, write_openvino, write_litert, write_tensorrt],
    ids=["pt2", "openvino", "litert", "tensorrt"],
)
def write(request: pytest.FixtureRequest) -> Write:
    found: Write = request.param
    return found


def test_the_file_answers_as_pytorch_does(
    write: Write, classifier: TorchClassifier, pictures: list[NamedPicture], tmp_path: Path
) -> None:
    path = write(classifier, tmp_path)
    certificate = certify(classifier, path, pictures)
    certificate.check()
    library = LIBRARIES[path.suffix]
    assert certificate.versions[library]
    assert certificate.file == path.name


def test_the_file_describes_itself(write: Write, classifier: TorchClassifier, tmp_path: Path) -> None:
    path = write(classifier, tmp_path)
    takes = PREPARED if path.suffix in (".tflite", ".onnx") else ANY_SIZE
    assert open_exported(path).metadata == describe(classifier, "test", takes)
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
    assert isinstance(certificate, Certificate)
    saved = json.loads((tiny_run.path / "export" / "pt2-certificate.json").read_text())
    assert (saved["file"], saved["sha256"]) == ("model.pt2", certificate.sha256)
    pixels = np.zeros((9, 7, 3), np.uint8)
    assert open_exported(tiny_run.exported_file("pt2"), 1).answer(pixels).shape == (3,)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"format": "tflite"},
            "format 'tflite' must be one of: onnx, openvino, pt2, litert, coreml, tensorrt.",
        ),
        (
            {"format": "pt2", "weights": "int8"},
            "pt2 files hold fp32 weights only, not int8. Use --format onnx or openvino.",
        ),
        (
            {"format": "litert", "weights": "fp16"},
            "litert files hold fp32 weights only, not fp16. Use --format onnx or openvino.",
        ),
    ],
)
def test_what_cannot_be_written_says_what_can(
    asked: dict[str, Any], message: str, tiny_run: Run, small_dataset: ImageDataset
) -> None:
    with pytest.raises(ExportError) as caught:
        export_run(tiny_run, small_dataset, **asked)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("format", "title", "library"),
    [
        ("openvino", "OpenVINO", "openvino"),
        ("litert", "LiteRT", "litert_torch"),
        ("coreml", "Core ML", "coremltools"),
    ],
)
def test_a_missing_extra_is_named(
    format: str,
    title: str,
    library: str,
    tiny_run: Run,
    small_dataset: ImageDataset,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ExportError) as caught:
        export_run(tiny_run, small_dataset, format=format)
    assert str(caught.value) == (
        f"Exporting to {title} needs the '{format}' extra: pip install 'snaptune[{format}]'"
    )


def test_core_ml_is_written_but_never_passed(
    tiny_run: Run, small_dataset: ImageDataset, tmp_path: Path
) -> None:
    coremltools = pytest.importorskip("coremltools", reason="the 'coreml' extra is not installed")
    run = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "run")))
    evaluate(run, small_dataset)
    for _ in range(2):  # the second replaces the first
        certificate = export_run(run, small_dataset, format="coreml")
    assert isinstance(certificate, Unverified)
    assert certificate.summary().endswith(
        "MB): not verified here. Only Apple's systems run Core ML: compare its answers there before you rely "
        "on it."
    )
    assert certificates_of(run) == [certificate]
    assert "<td>not verified here</td>" in run.report_file.read_text()

    model = coremltools.models.MLModel(str(run.exported_file("coreml")), skip_model_load=True)
    metadata = Metadata.from_properties(model.user_defined_metadata, "model.mlpackage")
    assert (metadata.class_names, metadata.input) == (run.class_names(), PREPARED)
    (image,), (probs,) = model.get_spec().description.input, model.get_spec().description.output
    size = run.preprocess().size
    assert (image.name, image.type.imageType.width, image.type.imageType.height) == ("image", size, size)
    assert (probs.name, list(probs.type.multiArrayType.shape)) == ("probs", [3])


def test_the_file_for_tensorrt_is_compared_as_a_graph_and_still_not_passed(
    tiny_run: Run, small_dataset: ImageDataset
) -> None:
    certificate = export_run(tiny_run, small_dataset, format="tensorrt")
    assert isinstance(certificate, Unverified)
    assert certificate.not_verified == (
        "It is made for trtexec, which was not run: compare its answers before you rely on it."
    )
    (note,) = certificate.notes
    assert note.startswith("Through ONNX Runtime, not TensorRT: ")
    assert "100.00% the same label" in note
    saved = tiny_run.certificate_of("tensorrt").read_text()
    assert from_json(saved, "tensorrt-certificate.json") == certificate


def test_a_wrong_file_for_tensorrt_is_not_written(
    tiny_run: Run, small_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snaptune.export.parity.ALLOWED_DIFFERENCE", -1.0)
    with pytest.raises(ExportError, match="does not answer as PyTorch does"):
        export_run(tiny_run, small_dataset, format="tensorrt")
    assert not tiny_run.exported_file("tensorrt").exists()


def test_the_file_for_tensorrt_keeps_to_what_its_parser_documents(
    classifier: TorchClassifier, tmp_path: Path
) -> None:
    """MatMulInteger and Mod of bytes are not; bytes may come in and nothing else; doubles are narrowed."""
    graph = onnx.shape_inference.infer_shapes(onnx.load(write_tensorrt(classifier, tmp_path))).graph
    recipe = {node.op_type for node in graph.node if node.name.startswith("pre_")}
    assert recipe == {"Constant", "Cast", "Transpose", "Unsqueeze", "Sub", "Div"}
    inner = {value.type.tensor_type.elem_type for value in graph.value_info}
    assert not inner & {onnx.TensorProto.UINT8, onnx.TensorProto.DOUBLE}


def test_a_file_for_prepared_pictures_answers_through_the_public_door(
    classifier: TorchClassifier, pictures: list[NamedPicture], tmp_path: Path
) -> None:
    loaded = Classifier.load(write_tensorrt(classifier, tmp_path))
    image = pictures[0].open()
    given, expected = loaded.predict(image), classifier.predict(image)
    assert given.label == expected.label
    assert given.confidence == pytest.approx(expected.confidence, abs=1e-4)
