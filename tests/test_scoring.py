import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from snaptune.answers import Picture
from snaptune.config import TrainConfig
from snaptune.data.dataset import ImageDataset
from snaptune.data.prepared import silent
from snaptune.data.readers import from_folder
from snaptune.data.splits import Split, read_split
from snaptune.errors import ConfigError, DataError, RunError
from snaptune.evaluation.calibration import Calibration, softmax
from snaptune.images.corruptions import CORRUPTIONS
from snaptune.images.load import load_image
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run
from snaptune.scoring import _logits, compare, evaluate
from snaptune.training.train import train

CLASSES = ("amber", "blue", "coral")


def write_pictures(root: Path, classes: tuple[str, ...] = CLASSES, each: int = 8) -> ImageDataset:
    """A folder a class: noise around a colour of its own."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        colour = np.eye(3)[number % 3] * 120 + 60
        for index in range(each):
            noise = np.random.default_rng((number, index)).normal(colour, 40, (40, 30, 3))
            Image.fromarray(noise.clip(0, 255).astype(np.uint8)).save(root / name / f"{index}.png")
    return from_folder(root)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> ImageDataset:
    plain = write_pictures(tmp_path_factory.mktemp("data") / "colours")
    groups = np.arange(len(plain)) % 4
    return replace(plain, groups=groups, group_names=np.array(["ann", "bob", "cem", "dee"]))


@pytest.fixture(scope="module")
def run(dataset: ImageDataset, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Two epochs of a tiny model, with the groups cem and dee held out."""
    config = TrainConfig(
        model="test_resnet", weights="none", image_size=32, epochs=2, augment="none", ema_decay=0.0
    )
    assert dataset.groups is not None
    split = Split((dataset.groups >= 2).astype(np.uint8), "whole groups held out: cem, dee")
    return train(dataset, config, tmp_path_factory.mktemp("runs"), split=split, say=lambda text: None)


def test_report_agrees_with_the_classifier(run: Run, dataset: ImageDataset) -> None:
    report = evaluate(run, dataset)
    held_out = read_split(run.split_file, dataset).indices("validation")
    pictures: list[Picture] = [dataset.source.read(index) for index in held_out]
    answers = TorchClassifier.load(run).predict(pictures)
    names = [dataset.class_names[label] for label in dataset.labels[held_out]]
    right = [answer.label == name for answer, name in zip(answers, names, strict=True)]
    assert report.accuracy.value == pytest.approx(np.mean(right))
    assert report.accuracy.n == 12
    assert {group.name: group.accuracy.n for group in report.groups} == {"cem": 6, "dee": 6}

    with run.predictions_file.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["id", "part", "label", "predicted", "confidence", "group"]
    assert [row["predicted"] for row in rows] == [answer.label for answer in answers]
    assert {row["part"] for row in rows} == {"validation"}


def test_files_say_the_same_as_the_report(run: Run, dataset: ImageDataset) -> None:
    report = evaluate(run, dataset)
    written = json.loads(run.report_json.read_text(encoding="utf-8"))
    assert written["accuracy"]["value"] == report.accuracy.value
    page = run.report_file.read_text(encoding="utf-8")
    assert "whole groups held out: cem, dee" in page
    assert "Nothing but temperature and threshold was chosen on these pictures" in page
    assert "of which there are 2; with fewer than 5, that of the log loss" in page
    assert "and of balanced accuracy is rough." in page
    assert "Learning curves" in page


def test_classes_are_matched_by_name_and_not_by_number(
    run: Run, tmp_path: Path, dataset: ImageDataset
) -> None:
    both = evaluate(run, dataset, "all")
    coral = evaluate(run, write_pictures(tmp_path / "test", ("coral",)), "all")
    assert [item.support for item in coral.classes] == [0, 0, 8]
    assert coral.about[0] == "Every picture of test."
    assert "By data set and file name, none of these pictures was trained on." in coral.about
    assert (
        "12 of these pictures were trained on, so this does not say how new pictures would do." in both.about
    )


def test_unknown_classes_are_named(run: Run, tmp_path: Path) -> None:
    other = write_pictures(tmp_path / "test", (*CLASSES, "daisy"), each=1)
    with pytest.raises(DataError) as caught:
        evaluate(run, other, "all")
    assert str(caught.value) == f"{run.path} knows 3 classes; 'test' has 4. Not known: 'daisy'."


def test_a_part_without_pictures_says_which_there_are(run: Run, dataset: ImageDataset) -> None:
    with pytest.raises(DataError) as caught:
        evaluate(run, dataset, "test")
    assert str(caught.value) == (
        f"'colours' has no test part in {run.split_file}. It has: train (12), validation (12). "
        "Choose one of them, or 'all' for every picture."
    )


def test_every_unreadable_picture_is_counted(run: Run, tmp_path: Path) -> None:
    other = write_pictures(tmp_path / "test", each=2)
    for name in ("amber/0.png", "coral/1.png"):
        (tmp_path / "test" / name).write_bytes(b"no picture")
    with pytest.raises(
        DataError, match=r"^2 of 6 images cannot be read. First: 'amber/0.png' cannot be decoded"
    ):
        evaluate(run, other, "all")


def test_validation_calibrates_the_run_and_prediction_follows(run: Run, dataset: ImageDataset) -> None:
    report = evaluate(run, dataset, max_wrong=0.2)
    found = run.calibration()
    assert found == report.trust.calibration
    assert found.pictures == 12
    classifier = TorchClassifier.load(run)
    pixels = classifier.preprocess.pixels(Image.new("RGB", (40, 30), "red"))[None]
    expected = softmax(classifier.logits(pixels), found.temperature)
    assert classifier.probabilities(pixels) == pytest.approx(expected, abs=1e-6)
    with run.predictions_file.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    pictures: list[Picture] = [dataset.source.read(list(dataset.ids).index(row["id"])) for row in rows]
    confidences = [answer.confidence for answer in classifier.predict(pictures)]
    assert confidences == pytest.approx([float(row["confidence"]) for row in rows], abs=1e-5)


def test_other_parts_use_the_calibration_and_leave_it(run: Run, dataset: ImageDataset) -> None:
    run.write_calibration(Calibration(temperature=2.0, threshold=0.4, max_wrong=0.1, pictures=12))
    report = evaluate(run, dataset, "train")
    assert report.trust.calibration.temperature == run.calibration().temperature == 2.0
    assert not report.trust.fitted_here
    assert report.trust.unknown is not None
    assert report.trust.unknown.confidence == 0.4
    page = run.report_file.read_text(encoding="utf-8")
    assert "Nothing is promised about pictures of classes that the model does not know: many" in page


def test_an_unsure_answer_is_unknown_only_where_asked(run: Run) -> None:
    picture = Image.new("RGB", (40, 30), "white")
    plain = TorchClassifier.load(run).predict(picture)
    run.write_calibration(Calibration(threshold=0.999))
    unsure = TorchClassifier.load(run, may_abstain=True).predict(picture)
    assert unsure.label == "unknown"
    assert unsure.top[0][0] == plain.label
    assert TorchClassifier.load(run).predict(picture).label == plain.label
    run.write_calibration(Calibration(threshold=0.1))
    assert TorchClassifier.load(run, may_abstain=True).predict(picture).label == plain.label


def test_without_a_threshold_nothing_can_be_unknown(run: Run) -> None:
    run.write_calibration(Calibration(max_wrong=0.05))
    with pytest.raises(RunError) as caught:
        TorchClassifier.load(run, may_abstain=True)
    assert str(caught.value) == (
        f"'{run.path}' has no threshold for 'unknown'. Find one with: snaptune evaluate {run.path}. "
        "If that was done, allow more wrong answers than 5.0% or add pictures."
    )


@pytest.mark.parametrize("text", ['{"temperature": 0}', '{"temperature": "hot"}', '{"exec": 1}', "[]"])
def test_a_damaged_calibration_is_named(run: Run, text: str) -> None:
    run.calibration_file.write_text(text, encoding="utf-8")
    with pytest.raises(RunError, match=r"calibration\.json"):
        TorchClassifier.load(run)
    run.calibration_file.unlink()


@pytest.mark.parametrize("max_wrong", [0.0, 1.0])
def test_the_share_let_through_has_a_range(run: Run, dataset: ImageDataset, max_wrong: float) -> None:
    with pytest.raises(ConfigError, match=r"must be between 0 and 1; usual values: 0.01 to 0.05"):
        evaluate(run, dataset, max_wrong=max_wrong)


def test_a_run_is_no_better_than_itself(run: Run, dataset: ImageDataset) -> None:
    found = compare(run, run, dataset)
    assert found.verdict == "cannot tell"
    assert (found.difference.value, found.difference.n, found.only_a, found.only_b) == (0, 12, 0, 0)
    assert found.accuracy_a == evaluate(run, dataset).accuracy


def test_runs_are_compared_on_what_neither_was_trained_on(
    run: Run, dataset: ImageDataset, tmp_path: Path
) -> None:
    other = Run(shutil.copytree(run.path, tmp_path / "other"))
    text = run.split_file.read_text(encoding="utf-8")
    other.split_file.write_text(text.replace("cem,validation", "cem,train"), encoding="utf-8")
    assert compare(run, other, dataset).difference.n == 6
    other.split_file.write_text(text.replace("validation", "train"), encoding="utf-8")
    with pytest.raises(DataError) as caught:
        compare(run, other, dataset)
    assert str(caught.value) == (
        f"'colours' has no picture that both {run.path} and {other.path} held out. "
        "Train both with the same split, or give pictures that are new to both."
    )


def test_robustness_compares_the_same_pictures(run: Run, dataset: ImageDataset) -> None:
    plain = evaluate(run, dataset)
    assert plain.hardships == ()
    assert "Under worse conditions" not in run.report_file.read_text(encoding="utf-8")
    report = evaluate(run, dataset, robustness=True)
    assert report.accuracy == plain.accuracy
    assert {item.name for item in report.hardships} == {"Blur", "Noise", "JPEG", "Darkness", "Rotation"}
    for item in report.hardships:
        assert item.accuracy.n == item.change.n == 12
        assert item.change.value == pytest.approx(item.accuracy.value - plain.accuracy.value)
    assert "Under worse conditions" in run.report_file.read_text(encoding="utf-8")


def test_each_picture_is_made_worse_by_its_own_chance(run: Run, dataset: ImageDataset) -> None:
    """Chance follows from the picture's place in the data set: the same in any part, another for each."""
    classifier = TorchClassifier.load(run)
    samples = np.array([3, 7, 20])
    noisy = [item for item in CORRUPTIONS if item.name == "Noise"][-1:]
    _, worse = _logits(classifier, dataset, samples, silent, noisy)
    for place, index in enumerate(samples.tolist()):
        picture = load_image(dataset.source.read(index), "picture")
        pixels = classifier.preprocess.pixels(picture)
        made = noisy[0].worsen(pixels, np.random.default_rng(index))
        assert worse[place] == pytest.approx(classifier.logits(made[None])[0], abs=1e-5)


def test_mistakes_are_shown_with_what_spoke_for_them(run: Run, dataset: ImageDataset) -> None:
    report = evaluate(run, dataset)
    wrong = round(12 * (1 - report.accuracy.value))
    page = run.report_file.read_text(encoding="utf-8")
    assert wrong > 0
    assert page.count("data:image/jpeg;base64,") == 2 * wrong


def test_a_model_card_is_for_held_out_parts(run: Run, dataset: ImageDataset) -> None:
    run.card_file.unlink(missing_ok=True)
    evaluate(run, dataset, "train")
    assert not run.card_file.exists()
    evaluate(run, dataset)
    assert "whole groups held out: cem, dee" in run.card_file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            {"keep": "best"},
            "The epoch was chosen by its loss on these pictures, so the figures are a little too good.",
        ),
        (
            {"patience": 2},
            "Training stopped by its loss on these pictures, so the figures are a little too good.",
        ),
    ],
)
def test_what_was_chosen_on_the_pictures_is_said(
    run: Run, dataset: ImageDataset, tmp_path: Path, setting: dict[str, object], sentence: str
) -> None:
    other = Run(shutil.copytree(run.path, tmp_path / "other"))
    other.config_file.write_text(run.config().replaced(setting).to_toml(), encoding="utf-8")
    assert sentence in evaluate(other, dataset).about
