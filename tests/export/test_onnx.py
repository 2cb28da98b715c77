from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import pytest

from snaptune.errors import ExportError
from snaptune.export.awkward import SHAPES, scene
from snaptune.export.metadata import Metadata
from snaptune.export.onnx import export_onnx
from snaptune.export.runtime import answer, open_session
from snaptune.prediction import TorchClassifier

from .conftest import CLASSES


def test_file_takes_bytes_of_any_size_and_gives_a_flat_vector_of_probabilities(exported: Path) -> None:
    session = open_session(exported)
    (image,), (probs,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["height", "width", 3])
    assert (probs.name, probs.type, probs.shape) == ("probs", "tensor(float)", [len(CLASSES)])
    for width, height in SHAPES:
        probabilities = answer(session, scene(width, height))
        assert probabilities.shape == (len(CLASSES),)
        assert probabilities.sum() == pytest.approx(1)


def test_file_describes_itself(exported: Path, classifier: TorchClassifier) -> None:
    properties = open_session(exported).get_modelmeta().custom_metadata_map
    metadata = Metadata.from_properties(properties, "model.onnx")
    assert metadata == Metadata(classifier.class_names, classifier.preprocess, "test_resnet", 0.4)
    assert properties["snaptune_version"]


def test_file_is_one_file_without_traces_of_this_machine(exported: Path) -> None:
    assert [path.name for path in exported.parent.iterdir()] == ["model.onnx"]
    assert str(Path.cwd()).encode() not in exported.read_bytes()
    model = onnx.load(exported)
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]


def test_export_says_nothing(
    classifier: TorchClassifier,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    export_onnx(classifier, tmp_path / "model.onnx", model_name="test_resnet")
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []


def test_export_leaves_the_classifier_as_it_was(classifier: TorchClassifier, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    before = classifier.logits(pixels)
    export_onnx(classifier, tmp_path / "model.onnx", model_name="test_resnet")
    np.testing.assert_array_equal(classifier.logits(pixels), before)
    assert not classifier.model.training


def test_a_runtime_can_be_told_where_the_recipe_runs(exported: Path) -> None:
    names = [node.name for node in onnx.load(exported).graph.node]
    assert sum(name.startswith("pre_") for name in names) > 50
    assert len(set(names)) == len(names)


def test_metadata_of_another_tool_is_refused() -> None:
    with pytest.raises(ExportError) as caught:
        Metadata.from_properties({}, "other.onnx")
    assert str(caught.value) == (
        "'other.onnx' has no 'class_names' in its metadata, so it was not exported by snaptune. "
        "Make one: snaptune export RUN"
    )


@pytest.mark.parametrize("key", ["class_names", "preprocess", "unknown_threshold"])
def test_damaged_metadata_names_the_file(classifier: TorchClassifier, key: str) -> None:
    properties = Metadata(classifier.class_names, classifier.preprocess, "x").to_properties()
    with pytest.raises(ExportError, match=r"'other\.onnx'"):
        Metadata.from_properties(properties | {key: "{"}, "other.onnx")


def test_a_file_that_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ExportError, match=r"broken\.onnx' cannot be opened by ONNX Runtime"):
        open_session(path)
