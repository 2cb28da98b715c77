from __future__ import annotations

import io
import os
import tracemalloc
from pathlib import Path

import pytest
from PIL import Image

from snaptune.errors import ImageError
from snaptune.inputs.expand import expand, is_camera


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 3), "red").save(path)
    return path


def names(*given: str | Path) -> list[str]:
    return [item.name for item in expand(map(str, given))]


def failure(given: str | Path) -> str:
    [item] = expand([str(given)])
    with pytest.raises(ImageError) as error:
        item.open()
    return str(error.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b/2.jpg", "b/1.PNG", "a/deep/3.png", "0.jpg", ".hidden/4.jpg", "b/.5.jpg"):
        picture(tmp_path / "in" / name.replace("PNG", "png")).rename(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").touch()
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "in" / "pipe.jpg")
    return tmp_path / "in"


def test_a_folder_gives_its_pictures_in_order(folder: Path) -> None:
    found = [Path(name).relative_to(folder).as_posix() for name in names(folder)]
    assert found == ["0.jpg", "a/deep/3.png", "b/1.PNG", "b/2.jpg"]


def test_the_target_is_the_class_folder(folder: Path) -> None:
    targets = {Path(item.name).name: item.target for item in expand([str(folder)], class_names=("a", "c"))}
    assert targets == {"0.jpg": "", "3.png": "a", "1.PNG": "", "2.jpg": ""}
    assert {item.target for item in expand([str(folder / "b")], class_names=("b",))} == {"b"}


@pytest.mark.parametrize(
    ("given", "targets"),
    [
        ("*/*.*", {"1.PNG": "b", "2.jpg": "b"}),
        ("b/*", {"1.PNG": "b", "2.jpg": "b"}),
        ("**/*.png", {"3.png": "deep"}),
        ("a", {"3.png": "deep"}),
        ("b/2.jpg", {"2.jpg": "b"}),
        ("0.jpg", {"0.jpg": ""}),
    ],
)
def test_files_and_patterns_have_a_target_too(folder: Path, given: str, targets: dict[str, str]) -> None:
    found = expand([str(folder / given)], class_names=("b", "deep"))
    assert {Path(item.name).name: item.target for item in found} == targets


def test_the_folder_of_a_pattern_without_one_is_the_present_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "b")
    assert [item.target for item in expand(["*.jpg", "1.PNG"], class_names=("b",))] == ["b", "b"]


def test_files_patterns_and_order(folder: Path) -> None:
    two, one = folder / "b" / "2.jpg", folder / "b" / "1.PNG"
    assert names(two, one, two) == [str(two), str(one), str(two)]
    assert names(folder / "b" / "*") == [str(one), str(two)]
    assert names(folder / "**" / "*.png") == [str(folder / "a" / "deep" / "3.png")]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    odd = picture(tmp_path / "cat[1].jpg")
    [item] = expand([str(odd)])
    assert item.open().size == (4, 3)


def test_what_is_missing_is_one_picture_that_fails(tmp_path: Path) -> None:
    assert failure(tmp_path / "no.jpg").endswith("no.jpg' cannot be read: No such file or directory.")
    assert failure(tmp_path) == f"No pictures in '{tmp_path}'."
    assert failure(tmp_path / "*.jpg") == f"No file fits '{tmp_path}/*.jpg'."
    assert failure("ftp://example.org/a.jpg").endswith("is not an http or https URL.")


def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snaptune.inputs.expand.MAX_BYTES", 2**20)
    with (tmp_path / "large.jpg").open("wb") as file:
        file.truncate(2**26)
    tracemalloc.start()
    assert failure(tmp_path / "large.jpg").endswith("large.jpg' is larger than 1 MiB.")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**23


def test_standard_input(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO((folder / "0.jpg").read_bytes())))
    [item] = expand(["-"])
    assert (item.name, item.open().size) == ("-", (4, 3))


def test_a_number_is_a_camera_unless_it_is_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_camera("0")
    (tmp_path / "0").touch()
    assert not is_camera("0")
    assert not is_camera("-1")


def test_memory_does_not_grow_with_the_number_of_folders(tmp_path: Path) -> None:
    for number in range(200):
        (tmp_path / f"{number:03d}").mkdir()
        for picture_number in range(5):
            (tmp_path / f"{number:03d}" / f"{picture_number}.jpg").touch()
    tracemalloc.start()
    assert sum(1 for _ in expand([str(tmp_path)])) == 1000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400_000
