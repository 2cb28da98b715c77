"""Folders of class folders, with and without predefined parts."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from snaptune.data.dataset import PARTS
from snaptune.data.folders import from_folder
from snaptune.errors import DataError
from tests.data.trees import put, put_all


def test_one_folder_a_class(tmp_path: Path) -> None:
    put_all(tmp_path, ["b/1.png", "a/2.png", "a/deep/er/3.png"])
    dataset = from_folder(tmp_path)
    assert dataset.class_names == ("a", "b")
    assert [str(name) for name in dataset.ids] == ["a/2.png", "a/deep/er/3.png", "b/1.png"]
    assert dataset.labels.tolist() == [0, 0, 1]
    assert dataset.parts is None
    assert dataset.notes == ()


def test_hidden_files_are_passed_over_and_suffixes_are_taken_in_any_case(tmp_path: Path) -> None:
    put_all(tmp_path, ["a/1.PNG", "a/2.JpG", "a/.3.png", ".hidden/4.png", "__MACOSX/a/5.png"])
    for name in ("a/.DS_Store", "a/Thumbs.db", "a/desktop.ini"):
        (tmp_path / name).write_bytes(b"x")
    dataset = from_folder(tmp_path)
    assert [str(name) for name in dataset.ids] == ["a/1.PNG", "a/2.JpG"]
    assert dataset.notes == ()


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    put_all(tmp_path, ["a/1.png", "loose.png"])
    for name in ("a/film.mp4", "a/notes.txt", "a/more.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert from_folder(tmp_path).notes == (
        "1 pictures outside any class folder are left out",
        "3 files that are no pictures are left out (2 .txt, 1 .mp4)",
    )


def test_pictures_without_class_folders_are_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    put_all(tmp_path, ["1.png", "2.png"])
    with pytest.raises(DataError) as caught:
        from_folder(tmp_path)
    assert str(caught.value) == (
        f"No class folders in '{tmp_path}'. Expected {tmp_path}/<class>/<image>. "
        "Found 2 images directly inside: use a table (--labels labels.csv) or one folder a class."
    )


def test_an_empty_folder_and_a_missing_one_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^No class folders in '.*'. Expected .*/<class>/<image>.$"):
        from_folder(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        from_folder(tmp_path / "missing")


@pytest.mark.parametrize(
    "names", [("train", "val", "test"), ("Training", "VALID", "Testing"), ("train", "dev", "test")]
)
def test_part_folders_give_a_predefined_split_aligned_by_name(tmp_path: Path, names: tuple[str, ...]) -> None:
    train, validation, test = names
    put_all(tmp_path, [f"{train}/{label}/{n}.png" for label in "abc" for n in range(2)])
    put_all(tmp_path, [f"{validation}/c/1.png", f"{test}/b/1.png"])
    dataset = from_folder(tmp_path)
    assert dataset.class_names == ("a", "b", "c")
    assert dataset.parts is not None
    found = {
        (PARTS[part], dataset.class_names[label])
        for part, label in zip(dataset.parts, dataset.labels, strict=True)
    }
    assert found == {*(("train", label) for label in "abc"), ("validation", "c"), ("test", "b")}


def test_a_class_that_is_not_trained_on_is_an_error(tmp_path: Path) -> None:
    put_all(tmp_path, ["train/a/1.png", "train/b/1.png", "val/daisy/1.png", "test/b/1.png"])
    with pytest.raises(
        DataError, match=r"has 2 classes in train; other parts have more. Not in train: 'daisy'"
    ):
        from_folder(tmp_path)


def test_one_part_alone_is_no_split(tmp_path: Path) -> None:
    dataset = from_folder(put_all(tmp_path, ["train/a/1.png", "train/b/1.png"]))
    assert dataset.class_names == ("a", "b")
    assert dataset.parts is None


def test_classes_that_are_called_like_parts_stay_classes(tmp_path: Path) -> None:
    assert from_folder(put_all(tmp_path, ["train/1.png", "bus/1.png"])).class_names == ("bus", "train")
    assert from_folder(put_all(tmp_path / "x", ["train/1.png", "test/1.png"])).class_names == (
        "test",
        "train",
    )


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_links_are_followed_and_loops_survived(tmp_path: Path) -> None:
    put_all(tmp_path / "data", ["a/1.png"])
    put_all(tmp_path / "elsewhere", ["2.png"])
    (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data" / "a" / "loop").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "a" / "self").symlink_to(tmp_path / "data" / "a")
    (tmp_path / "data" / "a" / "dangling.png").symlink_to(tmp_path / "nowhere.png")
    dataset = from_folder(tmp_path / "data")
    assert [str(name) for name in dataset.ids] == ["a/1.png", "a/dangling.png", "b/2.png"]


@pytest.mark.skipif(os.name != "posix", reason="names of bytes")
def test_names_that_are_no_text_are_refused_together(tmp_path: Path) -> None:
    put(tmp_path / "a" / "1.png")
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/a/caf\xe9.png")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes only text")
    with pytest.raises(
        DataError, match=r"1 file names in '.*' are not UTF-8 \(first: b'a/caf\\xe9.png'\). Rename"
    ):
        from_folder(tmp_path)


def test_odd_names_keep_their_place(tmp_path: Path) -> None:
    names = ["a b/with space.png", "a b/two\nlines.png", "smile 🙂/1.png"]
    dataset = from_folder(put_all(tmp_path, names))
    assert sorted(str(name) for name in dataset.ids) == sorted(names)
    assert all(dataset.source.read(index) for index in range(3))


def test_a_fingerprint_changes_with_names_labels_and_parts(tmp_path: Path) -> None:
    first = from_folder(put_all(tmp_path / "1", ["train/a/1.png", "val/a/2.png"]))
    again = from_folder(put_all(tmp_path / "2", ["train/a/1.png", "val/a/2.png"]))
    other = from_folder(put_all(tmp_path / "3", ["train/a/1.png", "test/a/2.png"]))
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


def test_a_subset_keeps_names_and_reads_the_right_pictures(tmp_path: Path) -> None:
    dataset = from_folder(put_all(tmp_path, ["train/a/1.png", "train/b/2.png", "val/b/3.png"]))
    part = dataset.subset(np.array([2, 0]))
    assert [str(name) for name in part.ids] == ["val/b/3.png", "train/a/1.png"]
    assert part.labels.tolist() == [1, 0]
    assert part.source.read(0) == dataset.source.read(2)
    assert part.class_names == ("a", "b")
    assert part.fingerprint() != dataset.fingerprint()


def test_the_stamp_changes_when_bytes_do_even_with_equal_size_and_time(tmp_path: Path) -> None:
    dataset = from_folder(put_all(tmp_path, ["a/1.png"]))
    path = tmp_path / "a" / "1.png"
    before, times = dataset.source.stamp(), path.stat()
    assert dataset.source.stamp() == before
    data = bytearray(path.read_bytes())
    data[-20] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert dataset.source.stamp() != before
