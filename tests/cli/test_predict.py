from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from snaptune.cli.main import main
from snaptune.data.reading import Reading
from snaptune.run_folder import Run


@pytest.fixture
def folder(picture_folder: Path, tmp_path: Path) -> Path:
    """One good picture a class and a broken one."""
    for name in ("fist", "ok", "palm"):
        (tmp_path / "in" / name).mkdir(parents=True)
        first = min((picture_folder / name).iterdir())
        shutil.copy(first, tmp_path / "in" / name / "good.jpg")
    (tmp_path / "in" / "palm" / "broken.jpg").write_bytes(b"no picture")
    return tmp_path / "in"


def predict(run: Run, *words: object) -> int:
    return main(["predict", str(run.path), *map(str, words)])


def test_a_table_with_targets_and_an_error(
    tiny_run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(tiny_run, folder) == 3
    shown = capsys.readouterr()
    header, fist, ok, broken, palm = shown.out.splitlines()
    assert header.split() == ["confidence", "label", "target", "then", "name"]
    for line, name in ((fist, "fist"), (ok, "ok"), (palm, "palm")):
        cells = line.split()
        assert 33 <= float(cells[0]) <= 100
        assert (cells[1], cells[2] in ("fist", "ok", "palm"), cells[3]) == ("%", True, name)
        assert cells[-1] == f"{folder}/{name}/good.jpg"
        assert line.index(cells[-1]) == header.index("name")
    assert broken.startswith(
        f"         -  '{folder}/palm/broken.jpg' cannot be decoded: not a known picture format"
    )
    assert shown.err == "snaptune: 1 of 4 pictures have no answer; their rows say why.\n"


def test_csv_holds_every_row_and_the_leading_classes(
    tiny_run: Run, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(tiny_run, folder, "--format", "csv", "--top", "2") == 3
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert list(rows[0]) == [
        *("name", "target", "error", "label", "confidence_percent", "label_2", "confidence_percent_2")
    ]
    assert [row["target"] for row in rows] == ["fist", "ok", "palm", "palm"]
    assert [bool(row["error"]) for row in rows] == [False, False, True, False]
    assert float(rows[0]["confidence_percent"]) >= float(rows[0]["confidence_percent_2"]) > 0


def test_json_lines(tiny_run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "answers.jsonl"
    assert predict(tiny_run, folder / "ok", "--format", "jsonl", "--out", out) == 0
    [row] = [json.loads(line) for line in out.read_text().splitlines()]
    assert row["name"] == f"{folder}/ok/good.jpg"
    assert row["target"] == "ok"
    assert [set(one) for one in row["top"]] == [{"label", "confidence_percent"}] * 3
    assert (row["label"], row["confidence_percent"]) == tuple(row["top"][0].values())
    assert sum(one["confidence_percent"] for one in row["top"]) == pytest.approx(100, abs=0.01)
    assert capsys.readouterr().out == ""
    assert not list(tmp_path.glob("*.partial"))


def test_pictures_are_saved_with_their_label(tiny_run: Run, folder: Path, tmp_path: Path) -> None:
    saved = tmp_path / "saved"
    assert predict(tiny_run, folder, "--save-pictures", saved, "--out", tmp_path / "x") == 3
    assert sorted(path.name for path in saved.iterdir()) == [f"{number:06d}_good.jpg" for number in (1, 2, 4)]
    with Image.open(saved / "000001_good.jpg") as picture, Image.open(folder / "fist" / "good.jpg") as given:
        assert picture.width == given.width
        assert picture.height > given.height


def test_a_name_cannot_lead_out_of_the_folder(tiny_run: Run, folder: Path, tmp_path: Path) -> None:
    name = "..\\..\\evil .. \x1b[2J.jpg"
    shutil.copy(folder / "ok" / "good.jpg", tmp_path / name)
    assert predict(tiny_run, tmp_path / name, "--save-pictures", tmp_path / "s", "--out", tmp_path / "x") == 0
    assert [path.name for path in (tmp_path / "s").iterdir()] == ["000001_evil------2J.jpg"]
    assert "\x1b" not in (tmp_path / "x").read_text()


def test_a_name_that_is_no_text_is_written_out(tiny_run: Run, folder: Path, tmp_path: Path) -> None:
    odd = tmp_path / "caf\udce9.jpg"
    try:
        shutil.copy(folder / "ok" / "good.jpg", odd)
    except OSError:
        pytest.skip("this file system takes no such name")
    assert predict(tiny_run, odd, "--format", "csv", "--out", tmp_path / "x.csv") == 0
    assert "caf\\udce9.jpg" in (tmp_path / "x.csv").read_text()


def test_the_short_side_geometry_is_a_choice(tiny_run: Run, folder: Path, tmp_path: Path) -> None:
    assert predict(tiny_run, folder / "ok", "--fit", "short-side", "--out", tmp_path / "x") == 0


def test_what_is_missing_and_what_is_unwritable(
    tiny_run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(tiny_run, tmp_path / "no.jpg") == 3
    assert f"-  '{tmp_path}/no.jpg' cannot be read: No such file or directory." in capsys.readouterr().out
    assert predict(tiny_run, folder, "--out", tmp_path / "none" / "x.csv") == 1
    assert "x.csv' cannot be written: No such file or directory." in capsys.readouterr().err
    assert predict(tiny_run, folder, "--top", "0") == 1
    assert "--top 0 must be at least 1." in capsys.readouterr().err


def test_a_local_url_needs_permission(tiny_run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert predict(tiny_run, "http://127.0.0.1:1/cat.jpg") == 3
    assert "which is not on the public internet" in capsys.readouterr().out
    assert predict(tiny_run, "http://127.0.0.1:1/cat.jpg", "--allow-local") == 3
    assert "Connection refused" in capsys.readouterr().out


def test_unknown_is_an_answer_where_it_is_allowed(
    tiny_run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert predict(tiny_run, folder / "ok", "--unknown") == 1
    assert "has no threshold for 'unknown'" in capsys.readouterr().err
    shutil.copytree(tiny_run.path, tmp_path / "run")
    (tmp_path / "run" / "calibration.json").write_text('{"threshold": 1.0}')
    assert predict(Run(tmp_path / "run"), folder / "ok", "--unknown", "--format", "csv") == 0
    [row] = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (row["label"], row["target"]) == ("unknown", "ok")
    assert float(row["confidence_percent"]) > float(row["confidence_percent_2"])
    assert predict(Run(tmp_path / "run"), folder / "ok", "--unknown", "--format", "jsonl") == 0
    value = json.loads(capsys.readouterr().out)
    assert value["label"] == "unknown"
    assert value["top"][0]["label"] in ("fist", "ok", "palm")
    assert predict(Run(tmp_path / "run"), folder / "ok", "--unknown") == 0
    assert " %  unknown  ok " in capsys.readouterr().out


def limited(run: Run, to: Path, max_pixels: int) -> Run:
    """A copy of a run whose data were read with this limit."""
    shutil.copytree(run.path, to)
    copy = Run(to)
    record = json.loads(copy.dataset_file.read_text())
    reading = Reading("photos", max_pixels=max_pixels).to_json()
    copy.dataset_file.write_text(json.dumps({**record, "reading": reading}))
    return copy


def test_the_largest_picture_is_what_was_typed_or_what_the_run_was_trained_with(
    tiny_run: Run, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = folder / "ok" / "good.jpg"
    assert predict(tiny_run, picture, "--max-pixels", "9") == 3
    assert "the limit is 9. Raise it with --max-pixels" in capsys.readouterr().out
    small = limited(tiny_run, tmp_path / "run", 9)
    assert predict(small, picture) == 3
    assert predict(small, picture, "--max-pixels", "1000000") == 0
    assert predict(small, picture, "--max-pixels", "0") == 1
    assert "--max-pixels 0 must be at least 1." in capsys.readouterr().err
