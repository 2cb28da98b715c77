from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from snaptune.data.corrections import from_corrections, joined
from snaptune.data.dataset import ImageDataset
from snaptune.data.splits import split_automatically, split_by_group
from snaptune.errors import DataError, ImageError


def zipped(path: Path, labels: str, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("labels.csv", labels)
        for name, data in files.items():
            file.writestr(name, data)
    return path


@pytest.fixture
def corrections(tmp_path: Path, small_dataset: ImageDataset) -> Path:
    rows = "file,label,group\npictures/0001.jpg,palm,web-1\npictures/0002.jpg,heart,web-1\n"
    files = {f"pictures/000{number}.jpg": small_dataset.source.read(number) for number in (1, 2)}
    return zipped(tmp_path / "corrections.zip", rows, files)


def test_corrections_are_a_group_of_their_own(corrections: Path, hands: ImageDataset) -> None:
    both = joined(hands, from_corrections(corrections))
    assert len(both) == 769
    assert "heart" in both.class_names
    assert sorted(map(str, both.ids)) == list(map(str, both.ids))
    added = [index for index in range(len(both)) if str(both.ids[index]).startswith("corrections.zip/")]
    assert [both.class_names[both.labels[index]] for index in added] == ["palm", "heart"]
    assert {both.group_of(index) for index in added} == {"web-1"}
    assert both.group_of(0) == "blob"
    held_out = split_by_group(both, ("web-1",)).indices("validation").tolist()
    assert held_out == added


def test_pictures_come_from_where_they_lie(corrections: Path, small_dataset: ImageDataset) -> None:
    both = joined(small_dataset, from_corrections(corrections))
    for index in range(len(both)):
        name = str(both.ids[index])
        origin = int(name[-5]) if name.startswith("corrections.zip/") else list(small_dataset.ids).index(name)
        assert both.source.read(index) == small_dataset.source.read(origin)


def test_ungrouped_pictures_can_still_be_split(corrections: Path, small_dataset: ImageDataset) -> None:
    both = joined(small_dataset, from_corrections(corrections)).excluding(("heart",))
    parts = split_automatically(both, 0.3, seed=0).parts
    assert set(parts) == {0, 1}


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ("file,label\na.jpg,x\n", "the columns file, label and group are needed"),
        ("file,label,group\n../a.jpg,x,g\n", r"names 1 files that it does not hold \(first: \.\./a\.jpg\)"),
        ("file,label,group\n", "is empty"),
    ],
)
def test_a_zip_that_does_not_fit_is_named(tmp_path: Path, labels: str, text: str) -> None:
    with pytest.raises(DataError, match=text):
        from_corrections(zipped(tmp_path / "c.zip", labels, {}))


def test_no_zip_at_all(tmp_path: Path) -> None:
    (tmp_path / "c.zip").write_bytes(b"PK")
    with pytest.raises(DataError, match=r"c\.zip' is not a zip of corrections"):
        from_corrections(tmp_path / "c.zip")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snaptune.data.corrections.MAX_BYTES", 1000)
    file = tmp_path / "c.zip"
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("labels.csv", "file,label,group\na.jpg,x,g\n")
        archive.writestr("a.jpg", b"\0" * 1_000_000)
    with pytest.raises(ImageError, match=r"a\.jpg' is larger than"):
        from_corrections(file).source.read(0)
