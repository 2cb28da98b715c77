"""Trackers get the figures of the events, and can neither steer nor stop training."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from snaptune.cli.main import main
from snaptune.data.dataset import ImageDataset
from snaptune.errors import ConfigError
from snaptune.run_folder import Run
from snaptune.training import trackers
from snaptune.training.events import EpochDone, Started, StepDone
from snaptune.training.trackers import TRACKERS, tracked, tracker_names
from snaptune.training.train import train
from tests.conftest import TINY

# packages of others warn about one another
pytestmark = pytest.mark.filterwarnings("default")


def tracked_run(dataset: ImageDataset, out: Path, name: str) -> tuple[Run, list[str]]:
    said: list[str] = []
    run = train(dataset, replace(TINY, track=name), out / "hands", say=said.append)
    return run, [text for text in said if text.startswith("Tracking")]


def epochs(run: Run) -> list[dict[str, Any]]:
    events = [json.loads(line) for line in run.events_file.read_text("utf-8").splitlines()]
    return [event for event in events if event["event"] == "EpochDone"]


def test_tensorboard_holds_the_figures_of_the_events(small_dataset: ImageDataset, tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, problems = tracked_run(small_dataset, tmp_path, "tensorboard")
    assert problems == []
    read = EventAccumulator(str(run.tensorboard_folder)).Reload()
    found = [(item.step, item.value) for item in read.Scalars("epoch/validation_loss")]
    assert found == [
        (3 * (event["epoch"] + 1), pytest.approx(event["validation_loss"], rel=1e-6)) for event in epochs(run)
    ]
    assert [item.step for item in read.Scalars("train/loss")] == [3, 6]
    assert (run.tensorboard_folder.parent / "config.toml").exists()


def test_mlflow_holds_the_figures_and_the_settings(
    small_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    store = f"sqlite:///{tmp_path / 'mlflow.db'}"
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(store)
    run, problems = tracked_run(small_dataset, tmp_path, "mlflow")
    assert problems == []
    client = mlflow.MlflowClient(store)
    [experiment] = client.search_experiments(filter_string="name = 'hands'")
    [kept] = client.search_runs([experiment.experiment_id])
    assert kept.info.run_name == run.path.name
    assert kept.info.status == "FINISHED"
    assert kept.data.params["model"] == "test_resnet"
    assert kept.data.metrics["epoch/validation_loss"] == pytest.approx(epochs(run)[-1]["validation_loss"])
    assert [item.step for item in client.get_metric_history(kept.info.run_id, "train/lr")] == [3, 6]


def test_wandb_writes_an_offline_run(
    small_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    run, problems = tracked_run(small_dataset, tmp_path, "wandb")
    assert problems == []
    [record] = (run.path / "wandb").glob("offline-run-*/*.wandb")
    assert b"epoch/validation_loss" in record.read_bytes()


def test_trackio_keeps_the_figures_here(
    small_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    run, problems = tracked_run(small_dataset, tmp_path, "trackio")
    assert problems == []
    logs = SQLiteStorage.get_logs("hands", run.path.name)
    losses = [row["epoch/validation_loss"] for row in logs if "epoch/validation_loss" in row]
    assert losses == pytest.approx([event["validation_loss"] for event in epochs(run)])


class Remembering:
    """A tracker with Accelerate's methods that may fail."""

    def __init__(self, fails_at: str = "") -> None:
        self.calls: list[tuple[str, Any]] = []
        self.fails_at = fails_at

    def _call(self, name: str, value: Any) -> None:
        self.calls.append((name, value))
        if name == self.fails_at:
            raise ConnectionError("no route to host")

    def start(self) -> None:
        self._call("start", None)

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self._call("settings", values)

    def log(self, values: dict[str, float], step: int) -> None:
        self._call("log", (values, step))

    def finish(self) -> None:
        self._call("finish", None)


@pytest.fixture
def any_tracker(monkeypatch: pytest.MonkeyPatch) -> Remembering:
    tracker = Remembering()
    monkeypatch.setattr(trackers, "_opened", lambda name, run: tracker)
    return tracker


def test_steps_count_from_the_very_start_also_after_a_break(any_tracker: Remembering, tmp_path: Path) -> None:
    with tracked(["wandb"], Run(tmp_path), TINY, print) as [observe]:
        observe(Started(epochs=3, steps_per_epoch=20, train_samples=80, validation_samples=8))
        observe(StepDone(epoch=1, step=10, loss=0.5, mean_loss=0.6, accuracy=0.9, lr=0.1))
        observe(EpochDone(1, 0.4, 0.8, 0.3, 0.7, 0.1, 5.0, kept=True))
    epoch = dict(zip(("train_loss", "train_accuracy"), (0.4, 0.8), strict=True))
    epoch |= {"validation_loss": 0.3, "validation_accuracy": 0.7}
    assert any_tracker.calls == [
        ("start", None),
        ("settings", TINY.listed()),
        ("log", ({"train/loss": 0.5, "train/accuracy": 0.9, "train/lr": 0.1}, 30)),
        ("log", ({f"epoch/{name}": value for name, value in epoch.items()}, 40)),
        ("finish", None),
    ]


@pytest.mark.parametrize("moment", ["start", "settings", "log", "finish"])
def test_a_tracker_that_fails_is_told_of_once_and_training_goes_on(
    any_tracker: Remembering, small_dataset: ImageDataset, tmp_path: Path, moment: str
) -> None:
    any_tracker.fails_at = moment
    said: list[str] = []
    with tracked(["wandb"], Run(tmp_path), TINY, said.append) as [observe]:
        for step in (10, 20):
            observe(StepDone(epoch=0, step=step, loss=0.5, mean_loss=0.6, accuracy=0.9, lr=0.1))
    assert said == ["Tracking with wandb ends here: ConnectionError: no route to host"]
    assert [name for name, _ in any_tracker.calls].count(moment) == 1
    assert any_tracker.calls[-1][0] == moment


def test_unknown_and_missing_trackers_are_told_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as error:
        tracker_names("tensorbord, mlflow")
    assert str(error.value).splitlines() == [
        "Unknown tracker 'tensorbord' (from --track). Known: tensorboard, mlflow, wandb, trackio. "
        "Closest: tensorboard.",
        "Tracking with mlflow needs the 'mlflow' extra: pip install 'snaptune[mlflow]'",
    ]
    monkeypatch.setattr(trackers, "find_spec", lambda name: object())
    assert tracker_names(" wandb,tensorboard, wandb") == ("wandb", "tensorboard")
    assert tracker_names(", ".join(TRACKERS)) == TRACKERS
    assert tracker_names("") == ()


def test_the_command_refuses_before_it_reads_a_picture(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(picture_folder), "--track", "neptun", "--out", str(tmp_path / "runs")]) == 1
    assert "Unknown tracker 'neptun' (from --track)." in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()
