"""The seven invariants of docs/design.md, one test each. The details are tested beside the code."""

from __future__ import annotations

import ast
import dataclasses
import hashlib
import inspect
import socket
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import onnxruntime  # type: ignore[import-untyped]
import pytest

import snaptune
from snaptune.data.dataset import ImageDataset, strings
from snaptune.data.readers import from_folder
from snaptune.data.splits import split_automatically
from snaptune.export.onnx import export_onnx
from snaptune.images.load import load_image
from snaptune.prediction import TorchClassifier
from snaptune.run_folder import Run
from snaptune.scoring import evaluate
from snaptune.training import loop
from snaptune.training.events import Event
from snaptune.training.train import train
from tests.conftest import TINY

PACKAGE = Path(snaptune.__file__).parent


def sources() -> dict[str, ast.Module]:
    files = sorted(PACKAGE.rglob("*.py"))
    return {str(file.relative_to(PACKAGE)): ast.parse(file.read_text(encoding="utf-8")) for file in files}


def test_1_one_recipe(tiny_run: Run, small_dataset: ImageDataset, tmp_path: Path) -> None:
    classifier = TorchClassifier.load(tiny_run)
    assert classifier.preprocess == tiny_run.preprocess()
    exported = onnxruntime.InferenceSession(
        export_onnx(classifier, tmp_path / "m.onnx", model_name="test_resnet")
    )
    for index in range(0, len(small_dataset), 5):
        picture = load_image(small_dataset.source.read(index), "picture")
        [expected] = classifier.probabilities(classifier.preprocess.pixels(picture)[None])
        [answered] = exported.run(None, {"image": np.asarray(picture)})
        assert np.abs(answered - expected).max() < 1e-3


def test_2_order_and_randomness_are_functions(small_dataset: ImageDataset, tmp_path: Path) -> None:
    weights = {
        hashlib.sha256(
            train(small_dataset, TINY, tmp_path, say=lambda text: None).model_file.read_bytes()
        ).digest()
        for _ in range(2)
    }
    assert len(weights) == 1
    users = [
        name
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and ast.unparse(node).startswith(("np.random.seed", "random.random"))
    ]
    assert users == []


def test_3_the_users_files_are_read_never_written(picture_folder: Path, tmp_path: Path) -> None:
    def state() -> dict[Path, tuple[int, str]]:
        files = [path for path in picture_folder.rglob("*") if path.is_file()]
        return {
            file: (file.stat().st_mtime_ns, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files
        }

    before = state()
    dataset = from_folder(picture_folder)
    evaluate(train(dataset, TINY, tmp_path, say=lambda text: None), dataset)
    assert state() == before


def test_4_no_pickle() -> None:
    for name, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = {alias.name for alias in node.names} | {getattr(node, "module", "") or ""}
                assert not {module.split(".")[0] for module in modules} & {"pickle", "dill", "joblib"}, name
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"torch.load", "np.load"}:
                safe = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
                assert safe.get("weights_only") == "True" or safe.get("allow_pickle") == "False", name
            if isinstance(node, ast.Attribute):
                assert ast.unparse(node) != "torch.save", name


def test_5_a_split_never_cuts_a_group_and_every_figure_has_its_interval(
    tiny_run: Run, small_dataset: ImageDataset
) -> None:
    rng = np.random.default_rng(0)
    for seed in range(20):
        groups = rng.integers(0, 6, len(small_dataset))
        names = strings([f"person {number}" for number in range(6)])
        grouped = replace(small_dataset, groups=groups, group_names=names)
        parts = split_automatically(grouped, 0.3, seed).parts
        assert all(len(set(parts[groups == group])) == 1 for group in set(groups))
    report = evaluate(tiny_run, small_dataset)
    for figure in (report.accuracy, report.balanced_accuracy, report.log_loss):
        assert figure.low <= figure.value <= figure.high
        assert figure.n == report.accuracy.n > 0


def test_6_nothing_leaves_the_machine(
    small_dataset: ImageDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a connection was tried: {arguments[1:]}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    run = train(small_dataset, TINY, tmp_path, say=lambda text: None)
    evaluate(run, small_dataset)
    export_onnx(TorchClassifier.load(run), tmp_path / "m.onnx", model_name="test_resnet")


def test_7_the_loop_is_one_function_and_observers_cannot_steer() -> None:
    assert len(inspect.getsource(loop.fit).splitlines()) <= 120
    callers = {
        name
        for name, tree in sources().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "backward"
    }
    assert callers == {"training/loop.py"}
    for event in get_args(Event):
        assert dataclasses.fields(event)
        assert event.__dataclass_params__.frozen
