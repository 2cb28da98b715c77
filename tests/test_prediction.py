from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from snaptune.answers import Picture, Prediction
from snaptune.data.dataset import ImageDataset
from snaptune.errors import ImageError
from snaptune.models.build import build_model, normalise, preprocess_for
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run


@pytest.fixture(scope="module")
def classifier(tiny_run: Run) -> TorchClassifier:
    return TorchClassifier.load(tiny_run)


def test_every_way_to_give_a_picture_has_one_answer(
    classifier: TorchClassifier, picture_folder: Path, small_dataset: ImageDataset
) -> None:
    path = picture_folder / str(small_dataset.ids[0])
    with Image.open(path) as image:
        opened = image.convert("RGB")
    ways: list[Picture] = [path, str(path), path.read_bytes(), opened, np.asarray(opened)]
    answers = classifier.predict(ways, top=3)
    assert len({answer.top for answer in answers}) == 1
    alone = classifier.predict(path, top=3)
    assert alone.label == answers[0].label == alone.top[0][0]
    assert alone.confidence == pytest.approx(answers[0].confidence, abs=1e-5)


def test_probabilities_sum_to_one_and_are_ranked(
    classifier: TorchClassifier, small_dataset: ImageDataset
) -> None:
    answer = classifier.predict(small_dataset.source.read(0), top=3)
    shares = [share for _, share in answer.top]
    assert sum(shares) == pytest.approx(1.0, abs=1e-5)
    assert shares == sorted(shares, reverse=True)
    assert {label for label, _ in answer.top} == set(classifier.class_names)


def test_no_pictures_no_answers(classifier: TorchClassifier) -> None:
    assert classifier.predict([]) == []


def test_a_missing_file_and_a_wrong_array_are_named(classifier: TorchClassifier, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"nothing\.jpg' cannot be read: No such file"):
        classifier.predict(tmp_path / "nothing.jpg")
    with pytest.raises(ImageError, match=r"must be uint8 \[height, width, 3\], not float64 \[4, 4\]"):
        classifier.predict(np.zeros((4, 4)))  # type: ignore[arg-type]


def test_a_notebook_shows_the_picture_and_the_leading_classes(classifier: TorchClassifier) -> None:
    answer = classifier.predict(Image.new("RGB", (2000, 1000)))
    shown = answer._repr_html_()
    assert '<img alt="" src="data:image/jpeg;base64,' in shown
    assert shown.count("<tr>") == 3
    with Image.open(BytesIO(answer.thumbnail)) as small:
        assert small.size == (160, 80)


def test_names_in_a_notebook_are_text() -> None:
    shown = Prediction("<b>.jpg", "<script>", 0.5, (("<script>", 0.5),))._repr_html_()
    assert "<script>" not in shown
    assert "&lt;b&gt;.jpg: <b>&lt;script&gt;</b> (50.00%)" in shown
    assert "<img" not in shown


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "test_vit"])
def test_the_answers_are_the_models_within_rounding(name: str) -> None:
    """However the network is rewritten and the batch is cut up."""
    torch.manual_seed(0)
    size = 160
    model = build_model(name, 3, "none", size=size).eval()
    for norm in (module for module in model.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
        torch.nn.init.normal_(norm.bias, 0, 0.1)
    torch.nn.init.normal_(model.get_classifier().weight, 0, 0.02)  # type: ignore[operator]
    own = TorchClassifier(model, preprocess_for(name, size), ("a", "b", "c"))
    pixels = np.random.default_rng(0).integers(0, 256, (9, size, size, 3), dtype=np.uint8)
    with torch.inference_mode():
        inputs = normalise(torch.from_numpy(pixels).permute(0, 3, 1, 2), own.preprocess)
        expected = model(inputs).softmax(dim=1).numpy()
    assert 0.01 < np.abs(expected - 1 / 3).max() < 0.6
    np.testing.assert_allclose(own.probabilities(pixels), expected, atol=1e-5)


def test_the_processor_takes_large_pictures_a_few_at_a_time(classifier: TorchClassifier) -> None:
    seen: list[int] = []
    handle = classifier.network.register_forward_pre_hook(lambda module, args: seen.append(len(args[0])))
    try:
        classifier.logits(np.zeros((10, 128, 128, 3), np.uint8))
        classifier.logits(np.zeros((3, 288, 288, 3), np.uint8))
        classifier.logits(np.zeros((10, 32, 32, 3), np.uint8), batch_size=6)
    finally:
        handle.remove()
    assert seen == [8, 2, 2, 1, 6, 4]
