"""Every way in which exports go wrong in the field must fail the certificate."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import onnx
import pytest

from snaptune.errors import ExportError
from snaptune.evaluation.calibration import Calibration
from snaptune.export.metadata import Metadata
from snaptune.export.onnx import network_graph, with_recipe
from snaptune.export.parity import certify
from snaptune.export.pictures import NamedPicture
from snaptune.export.recipe import recipe_graph, recipe_text
from snaptune.prediction import TorchClassifier

Fails = Callable[..., None]


@pytest.fixture(scope="session")
def network(classifier: TorchClassifier) -> onnx.ModelProto:
    return network_graph(classifier)


@pytest.fixture
def fails(
    classifier: TorchClassifier, network: onnx.ModelProto, pictures: list[NamedPicture], tmp_path: Path
) -> Fails:
    """Asserts that a file with this recipe, network or metadata fails on eight real pictures and noise."""
    few = [*pictures[:8], pictures[-1]]
    honest = Metadata(classifier.class_names, classifier.preprocess, "test_resnet")

    def assert_fails(
        recipe: Callable[[str], str] = str,
        change: Callable[[onnx.GraphProto], None] = lambda graph: None,
        metadata: Metadata = honest,
    ) -> None:
        mutant = onnx.ModelProto()
        mutant.CopyFrom(network)
        change(mutant.graph)
        text = recipe_text(metadata.preprocess)
        assert recipe is str or recipe(text) != text
        path = tmp_path / "mutant.onnx"
        path.write_bytes(with_recipe(mutant, metadata, recipe_graph(recipe(text))).SerializeToString())
        with pytest.raises(ExportError, match="does not answer as PyTorch does"):
            certify(classifier, path, few).check()

    return assert_fails


def test_bgr_fails(fails: Fails) -> None:
    def flipped(text: str) -> str:
        swap = "pre_bgr = Gather <axis = 1> (pre_padded, pre_order)"
        order = "pre_order = Constant <value = int64[3] {2, 1, 0}> ()"
        return text.replace("pre_centred = Sub (pre_padded,", f"{order} {swap} pre_centred = Sub (pre_bgr,")

    fails(flipped)


def test_no_antialias_fails(fails: Fails) -> None:
    fails(lambda text: re.sub(r"= Max \(pre_(height|width), pre_fitted", "= Max (pre_1, pre_fitted", text))


def test_counting_what_lies_outside_fails(fails: Fails) -> None:
    """ONNX's Resize does so without `exclude_outside`."""
    fails(lambda text: re.sub(r"Where \(pre_inside_\w+, (\w+), pre_0\)", r"Identity (\1)", text))


def test_wrong_padding_fails(fails: Fails) -> None:
    fails(lambda text: text.replace('mode = "edge"', 'mode = "constant"'))


def test_wrong_mean_fails(fails: Fails, classifier: TorchClassifier) -> None:
    recipe = replace(classifier.preprocess, mean=(0.5, 0.5, 0.5))
    fails(metadata=Metadata(classifier.class_names, recipe, "test_resnet"))


def test_softmax_twice_fails(fails: Fails) -> None:
    def softmax_again(graph: onnx.GraphProto) -> None:
        for node in graph.node:
            node.output[:] = ["once" if name == "probs" else name for name in node.output]
        graph.node.append(onnx.helper.make_node("Softmax", ["once"], ["probs"], name="again", axis=0))

    fails(change=softmax_again)


def test_shuffled_labels_fail(fails: Fails, classifier: TorchClassifier) -> None:
    names = classifier.class_names
    fails(metadata=Metadata((*names[1:], names[0]), classifier.preprocess, "test_resnet"))


def test_without_the_temperature_fails(fails: Fails, classifier: TorchClassifier) -> None:
    raw = network_graph(replace(classifier, calibration=Calibration()))
    fails(change=lambda graph: graph.CopyFrom(raw.graph))


def test_the_honest_file_passes_on_the_same_pictures(
    classifier: TorchClassifier, exported: Path, pictures: list[NamedPicture]
) -> None:
    certify(classifier, exported, [*pictures[:8], pictures[-1]]).check()
