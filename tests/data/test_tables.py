"""Tables of files, from every format, into one shape."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from snaptune.data.readers import open_dataset
from snaptune.data.reading import Columns
from snaptune.data.tables import from_table
from snaptune.errors import DataError
from tests.data.trees import put_all, write_rows

ROWS = {
    "file": ["p/2.png", "p/1.png", "p/3.png"],
    "label": ["tulip", "rose", "tulip"],
    "group": ["ann", "bob", "ann"],
    "part": ["val", "train", "train"],
}


def write(path: Path, rows: dict[str, list[str]]) -> Path:
    put_all(path.parent, ROWS["file"])
    lines = [dict(zip(rows, values, strict=True)) for values in zip(*rows.values(), strict=True)]
    if path.suffix == ".parquet":
        pa.parquet.write_table(pa.table(rows), path)
    elif path.suffix in (".jsonl", ".ndjson"):
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    else:
        body = [list(rows), *([line[name] for name in rows] for line in lines)]
        write_rows(path, body, "\t" if path.suffix == ".tsv" else ",")
    return path


@pytest.mark.parametrize("suffix", [".csv", ".CSV", ".tsv", ".jsonl", ".ndjson", ".parquet"])
def test_every_format_gives_the_same_data_set(tmp_path: Path, suffix: str) -> None:
    dataset = open_dataset(write(tmp_path / f"labels{suffix}", ROWS))
    assert [str(name) for name in dataset.ids] == ["p/1.png", "p/2.png", "p/3.png"]
    assert dataset.class_names == ("rose", "tulip")
    assert dataset.labels.tolist() == [0, 1, 1]
    assert [dataset.group_of(index) for index in range(3)] == ["bob", "ann", "ann"]
    assert dataset.parts is not None
    assert dataset.parts.tolist() == [0, 1, 0]
    assert all(dataset.source.read(index) for index in range(3))


def test_row_order_does_not_matter(tmp_path: Path) -> None:
    turned = {name: values[::-1] for name, values in ROWS.items()}
    one = from_table(write(tmp_path / "a.csv", ROWS), name="x")
    other = from_table(write(tmp_path / "b.csv", turned), name="x")
    assert one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize("library", ["pandas", "pyarrow"])
def test_a_data_frame_will_do(tmp_path: Path, library: str) -> None:
    put_all(tmp_path, ROWS["file"])
    frame = pa.table(ROWS) if library == "pyarrow" else pytest.importorskip("pandas").DataFrame(ROWS)
    assert from_table(frame, root=tmp_path).class_names == ("rose", "tulip")
    with pytest.raises(DataError, match="list is no table"):
        from_table([1, 2])


def test_columns_may_have_any_name_and_wrong_ones_are_named_together(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", {"where": ROWS["file"], "what": ROWS["label"]})
    assert len(from_table(path, Columns(file="where", label="what"))) == 3
    with pytest.raises(DataError) as caught:
        from_table(path, Columns(file="wher"))
    assert str(caught.value) == (
        f"No column 'wher' in '{path}'. Closest: where, what.\n"
        f"No label column in '{path}' (looked for: label, class, target, category, class_name); name yours.\n"
        "Columns found: where, what."
    )


def test_labels_that_look_like_numbers_stay_as_they_are(tmp_path: Path) -> None:
    rows = {"file": ROWS["file"], "label": ["01", "1", "NA"]}
    assert from_table(write(tmp_path / "labels.csv", rows)).class_names == ("01", "1", "NA")


def test_empty_cells_are_counted(tmp_path: Path) -> None:
    rows = {"file": ROWS["file"], "label": ["rose", "", ""]}
    with pytest.raises(
        DataError, match=r"2 of 3 rows in '.*' have no 'label' \(first: row 2\).\nFill them in"
    ):
        from_table(write(tmp_path / "labels.csv", rows))


def test_a_picture_has_one_label(tmp_path: Path) -> None:
    rows = {"file": ["p/1.png", "p/1.png", "p/2.png"], "label": ["rose", "tulip", "rose"]}
    with pytest.raises(DataError, match=r"1 pictures are listed more than once in .* \(first: p/1.png\)"):
        from_table(write(tmp_path / "labels.csv", rows))


@pytest.mark.parametrize("name", ["../secret.png", "p/../../secret.png", "..\\secret.png", "p/.."])
def test_relative_paths_do_not_leave_the_folder(tmp_path: Path, name: str) -> None:
    rows = {"file": [name, "p/1.png"], "label": ["rose", "rose"]}
    with pytest.raises(DataError, match=r"1 of 2 files in '.*' leave its folder by '..'"):
        from_table(write(tmp_path / "labels.csv", rows))


def test_absolute_paths_are_taken_as_the_user_wrote_them(tmp_path: Path) -> None:
    put_all(tmp_path / "far", ["1..png"])
    (tmp_path / "near").mkdir()
    rows = {"file": [str(tmp_path / "far" / "1..png")], "label": ["rose"]}
    dataset = from_table(write(tmp_path / "near" / "labels.csv", rows))
    assert dataset.source.read(0)


def test_a_table_in_the_wrong_folder_is_noticed_at_once(tmp_path: Path) -> None:
    path = write(tmp_path / "labels.csv", {"file": ["q/1.png"], "label": ["rose"]})
    with pytest.raises(DataError, match=r"None of the first 1 files named in .* exists \(first: .*q/1.png\)"):
        from_table(path)
    put_all(tmp_path / "other", ["q/1.png"])
    assert len(from_table(path, root=tmp_path / "other")) == 1


def test_unknown_parts_are_named(tmp_path: Path) -> None:
    rows = {**ROWS, "part": ["train", "holdout", "fold 3"]}
    with pytest.raises(
        DataError, match=r"Unknown part 'fold 3', 'holdout' in .*. Allowed: train, validation, test"
    ):
        from_table(write(tmp_path / "labels.csv", rows))


@pytest.mark.parametrize(
    ("name", "data", "text"),
    [
        ("a.csv", b"file,label\n\xff\xfe,x\n", "cannot be read as CSV"),
        ("a.csv", b"", "cannot be read as CSV"),
        ("a.csv", b"file,label\n", "has no rows"),
        ("a.csv", b"file;label\na.png;rose\n", "Columns found: file;label."),
        ("a.jsonl", b"{not json}\n", "cannot be read as JSONL"),
        ("a.parquet", b"PAR1 but not really", "cannot be read as PARQUET"),
        ("a.xlsx", b"PK", "Allowed: .csv, .jsonl, .ndjson, .parquet, .tsv."),
    ],
)
def test_a_file_that_is_no_table_says_so(tmp_path: Path, name: str, data: bytes, text: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError) as caught:
        from_table(tmp_path / name)
    assert text in str(caught.value)


def test_a_name_with_a_line_break_survives_the_table(tmp_path: Path) -> None:
    name = "two\nlines, 'quoted' 🙂.png"
    put_all(tmp_path, [name])
    dataset = from_table(write(tmp_path / "labels.csv", {"file": [name], "label": ["rose"]}))
    assert dataset.source.read(0)
