from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from snaptune.data.dataset import ImageDataset
from snaptune.data.fixes import fixed
from snaptune.data.prepared import cache_key
from snaptune.data.readers import open_dataset, read_again
from snaptune.data.reading import Reading
from snaptune.errors import DataError
from snaptune.images.preprocess import Preprocess


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(["id,label,new_label,remove", *rows]) + "\n", encoding="utf-8")
    return path


def test_labels_are_put_right_and_pictures_left_out(tmp_path: Path, picture_folder: Path) -> None:
    dataset = open_dataset(picture_folder)
    first, second, third = map(str, dataset.ids[:3])
    fixes = table(tmp_path / "fixes.csv", f"{first},fist,ok,", f"{second},fist,,yes", f"{third},fist,,")
    after = fixed(dataset, fixes)
    assert second not in set(map(str, after.ids))
    assert len(after) == len(dataset) - 1
    names = {str(name): after.class_names[label] for name, label in zip(after.ids, after.labels, strict=True)}
    assert names[first] == "ok"
    assert names[third] == "fist"
    unchanged = names.keys() - {first}
    before = {
        str(n): dataset.class_names[label] for n, label in zip(dataset.ids, dataset.labels, strict=True)
    }
    assert all(names[name] == before[name] for name in unchanged)
    assert after.source.read(0) == dataset.source.read(0)
    assert after.fingerprint() != dataset.fingerprint()


def test_a_later_command_applies_the_same_fixes(tmp_path: Path, picture_folder: Path) -> None:
    dataset = open_dataset(picture_folder)
    fixes = table(tmp_path / "fixes.csv", f"{dataset.ids[0]},fist,ok,")
    after = fixed(dataset, fixes)
    assert after.reading is not None
    again = read_again(Reading.from_json(json.loads(json.dumps(after.reading.to_json()))))
    assert again.fingerprint() == after.fingerprint()


def test_a_table_without_any_decision_changes_nothing(tmp_path: Path, small_dataset: ImageDataset) -> None:
    fixes = table(
        tmp_path / "fixes.csv", f"{small_dataset.ids[0]},fist,,", f"{small_dataset.ids[1]},fist,,no"
    )
    assert np.array_equal(fixed(small_dataset, fixes).labels, small_dataset.labels)


def test_names_with_commas_quotes_and_newlines_are_found(tmp_path: Path, picture_folder: Path) -> None:
    root = tmp_path / "photos"
    strange = 'a, "b"\nc.jpg'
    for name in ("fist", "ok"):
        (root / name).mkdir(parents=True)
        source = next((picture_folder / name).iterdir())
        (root / name / "plain.jpg").write_bytes(source.read_bytes())
    (root / "fist" / strange).write_bytes((root / "ok" / "plain.jpg").read_bytes())
    dataset = open_dataset(root)
    quoted = "fist/" + strange.replace('"', '""')
    after = fixed(dataset, table(tmp_path / "fixes.csv", f'"{quoted}",fist,ok,'))
    assert [after.class_names[label] for label in after.labels] == ["ok", "fist", "ok"]


def test_all_that_cannot_be_followed_is_listed(tmp_path: Path, small_dataset: ImageDataset) -> None:
    one, two = map(str, small_dataset.ids[:2])
    fixes = table(tmp_path / "fixes.csv", "gone.jpg,fist,ok,", f"{one},fist,okay,", f"{two},fist,,perhaps")
    with pytest.raises(DataError) as caught:
        fixed(small_dataset, fixes)
    text = str(caught.value)
    assert "there is no picture 'gone.jpg'." in text
    assert f"'{one}': there is no class 'okay'. Closest: ok." in text
    assert f"'{two}': remove is 'perhaps'; write yes or nothing." in text


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"id,label\na,b\n", "has no column new_label, remove. It needs id, new_label, remove"),
        (b"\xff\xfe", "cannot be read as a table of fixes"),
        (b"id,new_label,remove\nfist,,yes\nfist,,yes\n", "there is no picture 'fist'"),
    ],
)
def test_other_files_are_refused(
    tmp_path: Path, small_dataset: ImageDataset, content: bytes, text: str
) -> None:
    path = tmp_path / "fixes.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=text):
        fixed(small_dataset, path)


def test_a_picture_listed_twice_is_refused(tmp_path: Path, small_dataset: ImageDataset) -> None:
    name = small_dataset.ids[0]
    fixes = table(tmp_path / "fixes.csv", f"{name},fist,ok,", f"{name},fist,palm,")
    with pytest.raises(DataError, match="1 pictures are listed more than once"):
        fixed(small_dataset, fixes)


def test_a_missing_table_is_told(tmp_path: Path, small_dataset: ImageDataset) -> None:
    with pytest.raises(DataError, match=r"nowhere\.csv' cannot be read as a table of fixes"):
        fixed(small_dataset, tmp_path / "nowhere.csv")


def test_prepared_pictures_are_found_again_where_only_labels_changed(
    tmp_path: Path, small_dataset: ImageDataset
) -> None:
    recipe = Preprocess(32, (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    after = fixed(small_dataset, table(tmp_path / "fixes.csv", f"{small_dataset.ids[0]},fist,ok,"))
    assert cache_key(after, recipe) == cache_key(small_dataset, recipe)
