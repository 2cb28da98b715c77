from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from snaptune.cli.main import main
from snaptune.run_folder import Run
from tests.export.test_bench import expected_rows


def test_export_prints_what_was_proven(
    tiny_run: Run, picture_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["export", str(tiny_run.path), str(picture_folder), "--weights", "fp16", "--max-drop", "100"]
    assert main(command) == 0
    out = capsys.readouterr().out
    assert "model.onnx (fp16, " in out
    assert "points of accuracy lost (allowed 100)" in out
    assert out.endswith(f"model        {tiny_run.onnx_file}\ncertificate  {tiny_run.certificate_file}\n")


def test_publishing_exports_and_builds_the_page(
    tiny_run: Run, picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(Path(shutil.copytree(tiny_run.path, tmp_path / "run")))
    command = ["publish", str(run.path), str(picture_folder), "--out", str(tmp_path / "site")]
    smaller = ["--weights", "fp16", "--max-drop", "100"]
    assert main([*command, *smaller]) == 1
    assert (
        "has not been evaluated yet, and the page tells how good its model is. Do so: snaptune evaluate"
        in (capsys.readouterr().err)
    )
    assert main(["evaluate", str(run.path), str(picture_folder)]) == 0
    assert main([*command, *smaller]) == 0
    out = capsys.readouterr().out
    assert "model.onnx (fp16, " in out
    assert out.endswith(f"page         {tmp_path / 'site' / 'index.html'}\n")
    [shipped] = (tmp_path / "site" / "model").iterdir()
    assert shipped.read_bytes() == run.onnx_file.read_bytes()


def test_bench_prints_one_line_a_format(
    tiny_run: Run, picture_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("snaptune.export.bench.SECONDS", 0.1)
    assert main(["bench", str(tiny_run.path), str(picture_folder)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line[:16].rstrip() for line in lines] == ["format", *expected_rows()]


def test_unknown_weights_are_one_line(
    tiny_run: Run, picture_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(tiny_run.path), str(picture_folder), "--weights", "int4"]) == 1
    assert capsys.readouterr().err == "snaptune: weights 'int4' must be one of: fp32, fp16, int8.\n"
