"""`snaptune train` from the command line: what data it takes, how it splits, how it is resumed."""

from __future__ import annotations

from pathlib import Path

import pytest

from snaptune.cli.main import main
from snaptune.run_folder import Run
from tests.conftest import TINY


@pytest.fixture
def settings(tmp_path: Path) -> list[str]:
    file = tmp_path / "tiny.toml"
    file.write_text(TINY.to_toml(), encoding="utf-8")
    return ["--config", str(file), "--epochs", "1", "--out", str(tmp_path / "runs")]


def parts(run: Run) -> dict[str, str]:
    rows = [line.split(",") for line in run.split_file.read_text("utf-8").splitlines()[1:]]
    return {row[0]: row[3] for row in rows}


def test_a_class_can_be_left_out(picture_folder: Path, settings: list[str], tmp_path: Path) -> None:
    assert main(["train", str(picture_folder), "--exclude", "ok", *settings]) == 0
    run = Run.open(tmp_path / "runs")
    assert run.class_names() == ("fist", "palm")
    assert main(["evaluate", str(run.path)]) == 0
    assert main(["evaluate", str(run.path), "--exclude", "ok"]) == 0
    assert main(["evaluate", str(run.path), "--exclude", "fist"]) == 1  # what is typed replaces what was


def test_a_class_that_is_not_there_cannot_be_left_out(
    picture_folder: Path, settings: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", str(picture_folder), "--exclude", "rock", *settings]) == 1
    assert "has no class 'rock'. Its classes: fist, ok, palm." in capsys.readouterr().err


def test_labels_come_from_a_table_and_files_from_a_folder(
    picture_folder: Path, settings: list[str], tmp_path: Path
) -> None:
    files = sorted(path.relative_to(picture_folder).as_posix() for path in picture_folder.rglob("*.jpg"))
    table = tmp_path / "labels.csv"
    rows = [f"{file},{'hand' if 'ok' in file else 'fist'},{number % 4}" for number, file in enumerate(files)]
    table.write_text("file,label,group\n" + "\n".join(rows) + "\n", encoding="utf-8")
    assert main(["train", str(picture_folder), "--labels", str(table), "--hold-out", "2", *settings]) == 0
    run = Run.open(tmp_path / "runs")
    assert run.class_names() == ("fist", "hand")
    assert [part == "validation" for part in parts(run).values()] == [n % 4 == 2 for n in range(len(files))]
    assert main(["evaluate", str(run.path)]) == 0
    assert main(["evaluate", str(run.path), str(picture_folder)]) == 0


def test_a_test_part_is_kept_and_a_split_can_be_used_again(
    picture_folder: Path, settings: list[str], tmp_path: Path
) -> None:
    assert main(["train", str(picture_folder), "--test", "0.2", *settings]) == 0
    first = Run.open(tmp_path / "runs")
    assert set(parts(first).values()) == {"train", "validation", "test"}
    again = ["--split", str(first.split_file), "--seed", "5"]
    assert main(["train", str(picture_folder), *again, *settings]) == 0
    assert parts(Run.open(tmp_path / "runs")) == parts(first)


def test_groups_can_be_read_from_the_paths(picture_folder: Path, settings: list[str], tmp_path: Path) -> None:
    pattern = r"/(\w+?)_"
    assert main(["train", str(picture_folder), "--group-pattern", pattern, *settings]) == 0
    sides: dict[str, set[str]] = {}
    for name, part in parts(Run.open(tmp_path / "runs")).items():
        sides.setdefault(name.split("/")[1].split("_")[0], set()).add(part)
    assert all(len(side) == 1 for side in sides.values())
    assert len(sides) > 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "Name either DATA to start a run, or --resume RUN to go on with one."),
        (["photos", "--split", "a.csv", "--hold-out", "b"], "'photos' is not a folder"),
    ],
)
def test_arguments_that_do_not_fit_together(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *arguments]) == 1
    assert text in capsys.readouterr().err


@pytest.mark.parametrize("text", ["5", "m", "-1m", "5d", "xs"])
def test_a_time_must_have_a_unit(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["train", "photos", f"--time={text}"])
    assert "is not a time; write 90s, 5m or 2h" in capsys.readouterr().err


def test_a_time_becomes_minutes_in_the_run(picture_folder: Path, settings: list[str], tmp_path: Path) -> None:
    assert main(["train", str(picture_folder), "--time", "90s", *settings]) == 0
    assert Run.open(tmp_path / "runs").config().minutes == 1.5


def test_arithmetic_that_is_typed_is_not_measured(
    picture_folder: Path, settings: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    typed = ["--precision", "bfloat16", "--memory-format", "channels_first", "--threads", "2"]
    assert main(["train", str(picture_folder), *settings, *typed]) == 0
    config = Run.open(tmp_path / "runs").config()
    assert (config.precision, config.memory_format, config.threads) == ("bfloat16", "channels_first", 2)
    assert "cpu, bfloat16, channels first (as set), 2 threads" in capsys.readouterr().out
