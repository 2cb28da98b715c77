"""A data set is read again as it was read the first time."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import pytest

from snaptune.cli.data import add_data, open_data
from snaptune.cli.main import build_parser
from snaptune.data.corrections import from_corrections, joined
from snaptune.data.dataset import ImageDataset
from snaptune.data.readers import open_dataset, read_again
from snaptune.data.reading import Columns, Reading
from snaptune.data.splits import group_by_pattern
from snaptune.errors import DataError, ImageError
from snaptune.images.load import MAX_PIXELS
from snaptune.run_folder import Run, write_json
from tests.data.test_corrections import zipped

PATTERN = r"/(\w+?)_"


def again(dataset: ImageDataset) -> ImageDataset:
    """Through the text that a run keeps."""
    assert dataset.reading is not None
    return read_again(Reading.from_json(json.loads(json.dumps(dataset.reading.to_json()))))


def test_every_step_is_done_again_in_its_order(picture_folder: Path, tmp_path: Path) -> None:
    corrections = from_corrections(
        zipped(tmp_path / "some.zip", "file,label,group\na.png,ok,desk\n", {"a.png": b""})
    )
    first = open_dataset(picture_folder).excluding(("ok",))
    second = joined(group_by_pattern(first, PATTERN), corrections)
    third = second.excluding(("fist",))
    assert third.class_names == ("ok", "palm")
    assert again(third).fingerprint() == third.fingerprint()
    assert len({again(one).fingerprint() for one in (first, second, third)}) == 3


def test_a_table_is_read_with_its_columns_and_its_root(picture_folder: Path, tmp_path: Path) -> None:
    table = tmp_path / "birds.csv"
    name = next(picture_folder.rglob("*.jpg")).relative_to(picture_folder).as_posix()
    table.write_text(f"species,shot,file\nwren,{name},nonsense\n")
    columns = Columns(file="shot", label="species")
    dataset = open_dataset(table, columns, root=picture_folder)
    assert dataset.class_names == ("wren",)
    assert again(dataset).fingerprint() == dataset.fingerprint()


def test_a_place_means_the_same_from_any_folder(
    picture_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(picture_folder.parent)
    dataset = open_dataset(picture_folder.name)
    monkeypatch.chdir("/")
    assert again(dataset).fingerprint() == dataset.fingerprint()


def test_some_of_the_pictures_are_not_opened_again_as_all(picture_folder: Path) -> None:
    dataset = open_dataset(picture_folder)
    assert dataset.subset(dataset.labels[:3] * 0).reading is None


def test_what_is_kept_of_a_url_holds_no_secret() -> None:
    reading = Reading("https://me:word@host:81/set/train-{000..007}.tar?token=abc")
    assert reading.to_json()["place"] == "https://host:81/set/train-{000..007}.tar"


@pytest.mark.parametrize(
    "value",
    [
        None,
        "folder",
        {},
        {"place": "x", "root": "", "columns": {}, "steps": [["run", "rm"]]},
        {"place": "x", "root": "", "columns": {"shell": "a"}, "steps": []},
        {"place": "x", "root": "", "columns": {"file": 1}, "steps": []},
        {"place": "", "root": "", "columns": {}, "steps": []},
        {"place": "x", "root": "", "columns": {}, "steps": [["exclude"]]},
        {"place": 3, "root": "", "columns": {}, "steps": []},
    ],
)
def test_nonsense_is_no_reading(value: object) -> None:
    with pytest.raises(ValueError, match=r"must hold place|a step is one of"):
        Reading.from_json(value)


class TestTyped:
    """What a command about a run reads, by what the user typed."""

    @pytest.fixture
    def folder(self, picture_folder: Path, tmp_path: Path) -> Path:
        return Path(shutil.copytree(picture_folder, tmp_path / "elsewhere"))

    @pytest.fixture
    def run(self, picture_folder: Path, tmp_path: Path) -> Run:
        """Of a data set read without "ok", in groups."""
        dataset = group_by_pattern(open_dataset(picture_folder), PATTERN).excluding(("ok",))
        assert dataset.reading
        run = Run(tmp_path / "run")
        write_json(run.dataset_file, {"reading": dataset.reading.to_json()})
        return run

    def opened(self, run: Run, *typed: str) -> ImageDataset:
        parser = argparse.ArgumentParser()
        add_data(parser, of_run=True)
        return open_data(parser.parse_args(typed), run)

    def test_nothing_is_as_the_run_read_it(self, run: Run) -> None:
        dataset = self.opened(run)
        assert dataset.class_names == ("fist", "palm")
        assert dataset.groups is not None

    def test_the_same_place_too(self, run: Run, picture_folder: Path) -> None:
        assert self.opened(run, str(picture_folder)).fingerprint() == self.opened(run).fingerprint()

    def test_another_place_is_read_plainly(self, run: Run, folder: Path) -> None:
        dataset = self.opened(run, str(folder))
        assert dataset.class_names == ("fist", "ok", "palm")
        assert dataset.groups is None

    def test_a_flag_replaces_what_was_remembered_of_its_kind(self, run: Run) -> None:
        dataset = self.opened(run, "--exclude", "palm")
        assert dataset.class_names == ("fist", "ok")
        assert dataset.groups is not None


def test_columns_are_named_on_the_command_line(
    picture_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = next(picture_folder.rglob("*.jpg"))
    (tmp_path / "birds.csv").write_text(f"species,shot\nwren,{name}\n")
    args = build_parser().parse_args(
        ["check", str(tmp_path / "birds.csv"), "--columns", "label=species, file=shot"]
    )
    assert open_data(args).class_names == ("wren",)
    for wrong in ("species", "label=", "kind=species", ""):
        with pytest.raises(SystemExit):
            build_parser().parse_args(["check", "x.csv", "--columns", wrong])
        assert "names no columns; write NAME=COLUMN,... with names among" in capsys.readouterr().err


def test_the_pixel_limit_is_part_of_how_data_are_read(picture_folder: Path) -> None:
    dataset = open_dataset(picture_folder).limited_to(9)
    assert again(dataset).max_pixels == 9
    with pytest.raises(ImageError, match=r"the limit is 9\. Raise it with --max-pixels"):
        dataset.excluding(("ok",)).load(0)
    with pytest.raises(DataError, match=r"The largest picture to decode, 0 pixels, must be at least 1\."):
        dataset.limited_to(0)


def test_a_run_from_before_there_was_a_pixel_limit_has_the_default() -> None:
    value = json.loads(json.dumps(Reading("photos").to_json()))
    del value["max_pixels"]
    assert Reading.from_json(value).max_pixels == MAX_PIXELS
    for wrong in (0, True, "9", None):
        with pytest.raises(ValueError, match="max_pixels must be a whole number of at least 1"):
            Reading.from_json({**value, "max_pixels": wrong})
