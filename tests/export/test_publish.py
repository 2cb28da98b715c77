from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from shutil import copytree, ignore_patterns
from typing import Any

import pytest

from snaptune.data.dataset import ImageDataset
from snaptune.errors import ExportError
from snaptune.export.awkward import awkward_pictures
from snaptune.export.certificate import Certificate
from snaptune.export.publish import export_run, slower
from snaptune.run_folder import Run
from snaptune.scoring import evaluate


def exported(run: Run, dataset: ImageDataset, **asked: Any) -> Certificate:
    certificate = export_run(run, dataset, **asked)
    assert isinstance(certificate, Certificate)
    return certificate


def test_run_gets_a_model_and_a_certificate(
    tiny_run: Run, small_dataset: ImageDataset, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    copytree(tiny_run.path, run.path, ignore=ignore_patterns("export"))
    certificate = exported(run, small_dataset)
    assert certificate.equal_top1 == 1
    saved = json.loads(run.certificate_file.read_text())
    assert saved["pictures"] == certificate.pictures > len(awkward_pictures())
    assert saved["latency_ms"]["one_thread"] > 0
    files = sorted(path.name for path in run.onnx_file.parent.iterdir())
    assert files == ["certificate.json", "model.onnx"]


def test_smaller_weights_are_judged_by_accuracy(tiny_run: Run, small_dataset: ImageDataset) -> None:
    certificate = exported(tiny_run, small_dataset, weights="fp16", max_drop=1.0)
    assert (certificate.weights, certificate.allowed_drop, certificate.notes) == ("fp16", 1.0, ())
    assert certificate.accuracy is not None
    assert certificate.accuracy.drop.n == certificate.pictures - len(awkward_pictures())
    assert "points of accuracy lost (allowed 100)" in certificate.summary()


def test_weights_that_lose_too_much_give_way_and_say_why(tiny_run: Run, small_dataset: ImageDataset) -> None:
    certificate = exported(tiny_run, small_dataset, weights="int8", max_drop=-1.0)
    assert certificate.weights == "fp32"
    assert [note[:10] for note in certificate.notes] == ["Not int8: ", "Not fp16: "]
    assert "points of accuracy; at most -100 are allowed." in certificate.notes[0]
    assert tiny_run.onnx_file.is_file()


def test_force_writes_them_nevertheless(tiny_run: Run, small_dataset: ImageDataset) -> None:
    certificate = exported(tiny_run, small_dataset, weights="int8", max_drop=-1.0, force=True)
    assert certificate.weights == "int8"
    assert certificate.notes[0].startswith("Written with --force although: int8 weights cost ")
    assert certificate.sha256 == hashlib.sha256(tiny_run.onnx_file.read_bytes()).hexdigest()


def test_slower_weights_say_how_much() -> None:
    assert slower(1.2) == ""
    assert slower(0.5) == "it takes 2.00 times as long as fp32 on this processor. Write it with --force."


def test_unknown_weights_name_the_known_ones(tiny_run: Run, small_dataset: ImageDataset) -> None:
    with pytest.raises(ExportError, match="weights 'int4' must be one of: fp32, fp16, int8"):
        export_run(tiny_run, small_dataset, weights="int4")


def test_an_unproven_file_does_not_become_the_model(
    tiny_run: Run, small_dataset: ImageDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snaptune.export.parity.ALLOWED_DIFFERENCE", -1.0)
    with pytest.raises(ExportError, match="does not answer as PyTorch does"):
        export_run(tiny_run, small_dataset)
    assert not tiny_run.onnx_file.exists()
    assert json.loads(tiny_run.certificate_file.read_text())["allowed_difference"] == -1


def test_the_report_shows_the_certificate_whichever_comes_first(
    tiny_run: Run, small_dataset: ImageDataset, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(tiny_run.path, run.path)
    shutil.rmtree(run.path / "export", ignore_errors=True)
    evaluate(run, small_dataset)
    assert "model.onnx" not in run.report_file.read_text()
    assert json.loads(run.report_json.read_text())["exports"] == []

    certificate = exported(run, small_dataset)
    page, figures = run.report_file.read_text(), run.report_json.read_text()
    assert certificate.sha256 in page
    assert json.loads(figures)["exports"] == [json.loads(run.certificate_file.read_text())]

    evaluate(run, small_dataset)
    assert run.report_file.read_text() == page
    assert run.report_json.read_text() == figures
