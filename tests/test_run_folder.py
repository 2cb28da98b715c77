from __future__ import annotations

from pathlib import Path

import pytest
import torch

from snaptune.data.dataset import ImageDataset
from snaptune.data.reading import Reading
from snaptune.errors import RunError
from snaptune.evaluation.calibration import Calibration
from snaptune.run_folder import Run, read_json, write_bytes, write_json
from snaptune.training.train import train
from tests.conftest import TINY


def test_a_run_explains_itself(small_dataset: ImageDataset, tmp_path: Path) -> None:
    run = train(small_dataset, TINY, tmp_path, say=lambda text: None)
    assert sorted(path.name for path in run.path.iterdir()) == [
        "classes.json",
        "config.toml",
        "dataset.json",
        "environment.json",
        "events.jsonl",
        "model.safetensors",
        "pictures0-classes.json",
        "preprocess.json",
        "split.csv",
        "training_metadata.json",
    ]


def test_the_metadata_have_the_fields_of_the_worked_example(tiny_run: Run) -> None:
    assert list(tiny_run.metadata()) == [
        "epoch",
        "train_loss",
        "valid_loss",
        "metric_value",
        "learning_rate",
        "model_architecture",
    ]


def test_a_project_opens_its_newest_finished_run(tiny_run: Run) -> None:
    (tiny_run.path.parent / "9999-12-31_23-59-59").mkdir(exist_ok=True)
    assert Run.open(tiny_run.path.parent) == tiny_run
    assert Run.open(str(tiny_run.path)) == tiny_run


def test_a_folder_without_a_run_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        Run.open(tmp_path)
    assert str(error.value) == (
        f"No finished run in '{tmp_path}'. Make one: snaptune train DATA --out {tmp_path}"
    )


def test_two_runs_of_one_second_get_two_folders(tmp_path: Path) -> None:
    assert len({Run.create(tmp_path).path for _ in range(3)}) == 3


def test_a_write_is_all_or_nothing(tmp_path: Path) -> None:
    file = tmp_path / "inside" / "value.json"
    write_bytes(file, b"one")
    write_bytes(file, b"two")
    assert file.read_bytes() == b"two"
    assert [path.name for path in file.parent.iterdir()] == ["value.json"]


@pytest.mark.parametrize(
    ("content", "text"),
    [(b"{", "is not valid JSON"), (b"[1]", "must hold a JSON object, not list"), (b"\xff", "cannot be read")],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, text: str) -> None:
    (tmp_path / "dataset.json").write_bytes(content)
    with pytest.raises(RunError, match=text):
        read_json(tmp_path / "dataset.json")


def test_damaged_weights_are_named(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_weights({"fc.weight": torch.zeros(2, 3)})
    assert run.weights()["fc.weight"].shape == (2, 3)
    run.model_file.write_bytes(b"\xff" * 100)
    with pytest.raises(RunError, match=r"model\.safetensors' cannot be read as safetensors"):
        run.weights()


@pytest.mark.parametrize("name", ["../../evil", "a/b", "..", "C:\\x"])
def test_a_data_set_name_cannot_leave_the_run(tmp_path: Path, name: str) -> None:
    (tmp_path / "run").mkdir()
    Run(tmp_path / "run").write_classes(name, ("a", "b"))
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert len(list((tmp_path / "run").iterdir())) == 2


def test_a_run_cannot_send_anybody_to_the_network(tmp_path: Path) -> None:
    run = Run(tmp_path)
    write_json(run.dataset_file, {"reading": Reading("hub:someone/pictures").to_json()})
    with pytest.raises(RunError, match=r"was trained on hub:someone/pictures\. The network"):
        run.reading_at_hand()


def test_new_weights_need_a_new_calibration(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.write_calibration(Calibration(temperature=0.5))
    assert run.calibration().temperature == 0.5
    run.write_weights({"fc.weight": torch.zeros(2, 3)})
    assert run.calibration().temperature == 1.0
