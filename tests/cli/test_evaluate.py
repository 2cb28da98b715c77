from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from snaptune.cli.main import main
from snaptune.run_folder import Run


@pytest.fixture
def run(tiny_run: Run, tmp_path: Path) -> Run:
    """A copy: evaluating writes into the run."""
    return Run(shutil.copytree(tiny_run.path, tmp_path / "run"))


def test_evaluate_prints_the_figures_and_where_the_report_is(
    run: Run, picture_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run.path), str(picture_folder), "--max-wrong", "0.3"]) == 0
    shown = capsys.readouterr().out
    assert "95 % interval" in shown
    assert "These pictures are the validation part" in shown
    assert shown.endswith(f"report  {run.report_file}\n")
    assert run.calibration().max_wrong == 0.3


def test_pictures_that_the_run_never_saw_are_all_scored(
    run: Run, picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(picture_folder / "ok", tmp_path / "elsewhere" / "ok")
    assert main(["evaluate", str(run.path), str(tmp_path / "elsewhere")]) == 0
    assert "Every picture of elsewhere." in capsys.readouterr().out
    assert main(["evaluate", str(run.path), str(tmp_path / "elsewhere"), "--part", "test"]) == 1
    assert "has no test part" in capsys.readouterr().err


def test_compare_says_when_it_cannot_tell(
    run: Run, picture_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(run.path), str(run.path), str(picture_folder)]) == 0
    shown = capsys.readouterr().out
    assert "Cannot tell which is better: +0.0 points" in shown
    assert "McNemar, exact: p = 1" in shown
