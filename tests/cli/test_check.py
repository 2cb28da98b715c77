"""`snaptune check` and `snaptune cache`, as typed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from snaptune.cli.main import main
from snaptune.data.folders import from_folder
from snaptune.data.prepared import prepare
from snaptune.evaluation.intervals import Estimate
from snaptune.group_gap import GroupGap
from snaptune.images.preprocess import Preprocess


def test_check_writes_both_reports_and_prints_the_table(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["check", str(picture_folder), "--out", str(tmp_path), "--group-pattern", r"/([a-z0-9]+)_"]) == 0
    )
    printed = capsys.readouterr().out
    assert "24 pictures, 3 classes, largest class 1.0 times the smallest" in printed
    assert "Nothing found." in printed
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["groups"] > 1
    assert (tmp_path / "report.html").read_text(encoding="utf-8").count("augmented, epoch") == 3


def test_the_gap_is_in_both_reports_too(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = GroupGap(Estimate(0.9, 0.8, 1.0, 24), Estimate(0.5, 0.4, 0.6, 24), Estimate(0.4, 0.3, 0.5, 24))
    monkeypatch.setattr("snaptune.group_gap.group_gap", lambda dataset, model: found)
    assert main(["check", str(picture_folder), "--out", str(tmp_path), "--gap"]) == 0
    told = "40.0 % (95 % interval 30.0 % to 50.0 %, n = 24): a random split flatters"
    assert f"gap            {told}\n" in capsys.readouterr().out
    assert f"<tr><th>gap</th><td>{told}</td></tr>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    listed = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["gap"]
    assert listed["gap"] == {"value": 0.4, "low": 0.3, "high": 0.5, "n": 24}


def test_without_groups_there_is_a_report_but_no_gap(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(picture_folder), "--out", str(tmp_path), "--gap"]) == 1
    assert "has no groups to compare. Name a group column" in capsys.readouterr().err
    assert "gap" not in json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (tmp_path / "report.html").is_file()


def test_check_lists_pictures_larger_than_the_limit(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", str(picture_folder), "--out", str(tmp_path), "--max-pixels", "9"]) == 0
    assert "Cannot be read                 24 (first: too many pixels)" in capsys.readouterr().out


def test_check_of_a_folder_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "nowhere"]) == 1
    assert capsys.readouterr().err.startswith("snaptune: 'nowhere' is not a folder.")


def test_an_empty_name_is_not_the_current_folder(
    picture_folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(picture_folder)
    assert main(["check", ""]) == 1
    assert capsys.readouterr().err.startswith("snaptune: The name of the data is empty. Give a folder, ")


def test_cache_lists_and_clears(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAPTUNE_CACHE", str(tmp_path))
    dataset = from_folder(picture_folder)
    prepare(dataset, Preprocess(32, (0.5,) * 3, (0.5,) * 3), in_memory=0)
    assert main(["cache"]) == 0
    listed = capsys.readouterr().out
    assert dataset.name in listed
    assert "1 kept in" in listed
    assert main(["cache", "--clear"]) == 0
    assert "0 MiB freed" in capsys.readouterr().out
    assert main(["cache"]) == 0
    assert "0 kept in" in capsys.readouterr().out
