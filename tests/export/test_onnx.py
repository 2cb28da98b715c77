from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest
from PIL import Image

from snaptune.errors import ExportError
from snaptune.export.metadata import Metadata
from snaptune.export.onnx import export_onnx, recipe_graph
from snaptune.export.runtime import answer, open_session
from snaptune.images.preprocess import Preprocess
from snaptune.prediction import Classifier

from .conftest import CLASSES, SIZES, noise


def test_file_takes_bytes_of_any_size_and_gives_a_flat_vector_of_probabilities(exported: Path) -> None:
    session = open_session(exported)
    (image,), (probs,) = session.get_inputs(), session.get_outputs()
    assert (image.name, image.type, image.shape) == ("image", "tensor(uint8)", ["height", "width", 3])
    assert (probs.name, probs.type, probs.shape) == ("probs", "tensor(float)", [len(CLASSES)])
    for name in SIZES:
        probabilities = answer(session, np.asarray(noise(name).open()))
        assert probabilities.shape == (len(CLASSES),)
        assert probabilities.sum() == pytest.approx(1)


def test_file_describes_itself(exported: Path, classifier: Classifier) -> None:
    properties = open_session(exported).get_modelmeta().custom_metadata_map
    metadata = Metadata.from_properties(properties, "model.onnx")
    assert metadata == Metadata(classifier.class_names, classifier.preprocess, "test_resnet")
    assert properties["snaptune_version"]


def test_file_is_one_file_without_traces_of_this_machine(exported: Path) -> None:
    assert [path.name for path in exported.parent.iterdir()] == ["model.onnx"]
    assert str(Path.cwd()).encode() not in exported.read_bytes()
    model = onnx.load(exported)
    assert not any(node.metadata_props or node.doc_string for node in model.graph.node)
    assert [(item.domain, item.version) for item in model.opset_import] == [("", 18)]


def test_export_says_nothing(
    classifier: Classifier,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    export_onnx(classifier, tmp_path / "model.onnx", model_name="test_resnet")
    assert capfd.readouterr() == ("", "")
    assert [record for record in caplog.records if record.levelno >= logging.INFO] == []


def test_export_leaves_the_classifier_as_it_was(classifier: Classifier, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    before = classifier.logits(pixels)
    export_onnx(classifier, tmp_path / "model.onnx", model_name="test_resnet")
    np.testing.assert_array_equal(classifier.logits(pixels), before)
    assert not classifier.model.training


def test_resize_can_be_pinned_by_name(exported: Path) -> None:
    (resize,) = (node for node in onnx.load(exported).graph.node if node.op_type == "Resize")
    attributes = {item.name: onnx.helper.get_attribute_value(item) for item in resize.attribute}
    assert resize.name == "pre_resize"
    assert (attributes["antialias"], attributes["exclude_outside"]) == (1, 1)


@pytest.mark.parametrize("size", [32, 97, 128])
@pytest.mark.parametrize("width", [1, 2, 31, 64, 129, 400])
@pytest.mark.parametrize("height", [1, 3, 33, 97, 401])
def test_recipe_graph_gives_the_pixels_of_pillow(size: int, width: int, height: int) -> None:
    recipe = Preprocess(size, (0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))
    session = onnxruntime.InferenceSession(recipe_graph(recipe).SerializeToString())
    ramp = np.add.outer(np.arange(height) * 3, np.arange(width) * 5)[..., np.newaxis] + [0, 80, 160]
    pixels = (ramp % 256).astype(np.uint8)
    given = session.run(None, {"image": pixels})[0][0].transpose(1, 2, 0)
    expected = recipe.pixels(Image.fromarray(pixels)).astype(np.float32)
    assert np.abs(given - expected).max() < 2.01  # one step of 255 in each of the two passes, at ties
    assert np.abs(given - expected).mean() < 0.2


def test_recipe_graph_normalises_each_channel_with_its_own_statistics() -> None:
    recipe = Preprocess(8, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    session = onnxruntime.InferenceSession(recipe_graph(recipe).SerializeToString())
    pixels = np.full((8, 8, 3), (10, 20, 30), np.uint8)
    given = session.run(None, {"image": pixels})[0][0, :, 0, 0]
    expected = (np.array([10, 20, 30]) / 255 - recipe.mean) / recipe.std
    np.testing.assert_allclose(given, expected, rtol=1e-5)


def test_metadata_of_another_tool_is_refused() -> None:
    with pytest.raises(ExportError) as caught:
        Metadata.from_properties({}, "other.onnx")
    assert str(caught.value) == (
        "'other.onnx' has no 'class_names' in its metadata, so it was not exported by snaptune. "
        "Make one: snaptune export RUN"
    )


@pytest.mark.parametrize("key", ["class_names", "preprocess"])
def test_damaged_metadata_names_the_file(classifier: Classifier, key: str) -> None:
    properties = Metadata(classifier.class_names, classifier.preprocess, "x").to_properties()
    with pytest.raises(ExportError, match=r"'other\.onnx'"):
        Metadata.from_properties(properties | {key: "{"}, "other.onnx")


def test_a_file_that_is_no_model_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ExportError, match=r"broken\.onnx' cannot be opened by ONNX Runtime"):
        open_session(path)
