"""A labelled table of files (CSV, TSV, JSON Lines, Parquet, a data frame) as an `ImageDataset`."""

from __future__ import annotations

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from snaptune.data.columns import check_unique, coded, names_of, part_codes
from snaptune.data.dataset import Files, ImageDataset, strings
from snaptune.data.reading import Columns
from snaptune.errors import DataError, closest, shown

TABLE_SUFFIXES = frozenset((".csv", ".tsv", ".jsonl", ".ndjson", ".parquet"))
_PROBED = 100


_USUAL = {
    "file": ("file", "file_name", "filename", "path", "filepath", "image", "image_path", "id"),
    "label": ("label", "class", "target", "category", "class_name"),
    "group": ("group",),
    "part": ("part", "split"),
}
_REQUIRED = ("file", "label")


def from_table(
    table: str | Path | object,
    columns: Columns | None = None,
    *,
    root: str | Path | None = None,
    name: str = "",
) -> ImageDataset:
    """Files and labels from a table file, or from a data frame (pandas, polars, Arrow).

    Files are relative to the table's folder, or to `root`; a data frame's to `root` or the present
    folder. A relative path that leaves that folder is refused; an absolute one is taken as written,
    since the table is the user's own. Samples are ordered by file name.
    """
    path = Path(table) if isinstance(table, str | Path) else None
    where = f"'{path}'" if path else "the data frame"
    rows = _read(path) if path else _as_arrow(table)
    chosen = _chosen(rows.column_names, columns or Columns(), where)
    rows = _as_text(rows, chosen, where)
    rows = rows.take(pc.sort_indices(rows["file"]))
    check_unique(rows["file"], where)
    _check_paths(rows["file"], where)
    folder = Path(root) if root is not None else (path.parent if path else Path())
    return _dataset(rows, folder, where, name or (path.stem if path else "table"))


def _dataset(rows: pa.Table, folder: Path, where: str, name: str) -> ImageDataset:
    class_names, labels = coded(rows["label"])
    has = set(rows.column_names)
    group_names, groups = coded(rows["group"]) if "group" in has else ((), None)
    parts = part_codes(rows["part"], where) if "part" in has else None
    files = Files(folder, names_of(rows["file"]))
    _check_some_exist(files, where)
    return ImageDataset(name, files, labels, class_names, groups, strings(group_names), parts=parts)


def _read(path: Path) -> pa.Table:
    if not path.is_file():
        raise DataError(f"'{path}' is not a file.")
    suffix = path.suffix.lower()
    if suffix not in TABLE_SUFFIXES:
        raise DataError(f"'{path}' is no table that is known. Allowed: {', '.join(sorted(TABLE_SUFFIXES))}.")
    try:
        if suffix == ".parquet":
            return _read_parquet(path)
        if suffix in (".jsonl", ".ndjson"):
            return pa.json.read_json(path)
        return _read_delimited(path, "\t" if suffix == ".tsv" else ",")
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read as {suffix[1:].upper()}: {error}") from error


def _read_parquet(path: Path) -> pa.Table:
    return pa.parquet.read_table(path)


def _read_delimited(path: Path, delimiter: str) -> pa.Table:
    """All columns as text, so that a label 01 stays 01."""
    parse = pa.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with pa.csv.open_csv(path, parse_options=parse) as reader:
        names = reader.schema.names
    convert = pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False)
    return pa.csv.read_csv(path, parse_options=parse, convert_options=convert)


def _as_arrow(frame: object) -> pa.Table:
    if isinstance(frame, pa.Table):
        return frame
    if not hasattr(frame, "__arrow_c_stream__"):
        raise DataError(
            f"{type(frame).__name__} is no table. Allowed: a file name, or a pandas, polars or Arrow table."
        )
    return pa.table(frame)


def _chosen(found: list[str], columns: Columns, where: str) -> dict[str, str]:
    """The table's own name for each of our columns that it has; raises `DataError` for all that lack."""
    chosen, problems = {}, []
    for ours, usual in _USUAL.items():
        asked = getattr(columns, ours)
        theirs = (
            asked if asked in found else next((name for name in usual if not asked and name in found), "")
        )
        if theirs:
            chosen[ours] = theirs
        elif asked:
            problems.append(f"No column '{asked}' in {where}.{_near(asked, found)}")
        elif ours in _REQUIRED:
            problems.append(f"No {ours} column in {where} (looked for: {', '.join(usual)}); name yours.")
    if problems:
        raise DataError("\n".join([*problems, f"Columns found: {', '.join(map(shown, found)) or 'none'}."]))
    return chosen


def _near(asked: str, found: list[str]) -> str:
    near = closest(asked, found)
    return f" Closest: {near}." if near else ""


def _as_text(rows: pa.Table, chosen: dict[str, str], where: str) -> pa.Table:
    """Only our columns, under our names, as text; raises `DataError` for empty cells."""
    problems, arrays = [], {}
    for ours, theirs in chosen.items():
        column = _text(rows[theirs], theirs, where)
        empty = pc.or_kleene(pc.is_null(column), pc.equal(column, "")).combine_chunks().fill_null(True)
        if count := pc.sum(empty).as_py():
            first = empty.index(True).as_py() + 1
            problems.append(
                f"{count} of {len(column)} rows in {where} have no '{theirs}' (first: row {first})."
            )
        arrays[ours] = column
    if problems:
        raise DataError("\n".join([*problems, "Fill them in, or take those rows out."]))
    if not rows.num_rows:
        raise DataError(f"{where} has no rows.")
    return pa.table(arrays)


def _text(column: pa.ChunkedArray, name: str, where: str) -> pa.ChunkedArray:
    try:
        return column.cast(pa.large_string())
    except pa.ArrowException as error:
        raise DataError(
            f"Column '{name}' in {where} holds {column.type}; names or numbers are wanted."
        ) from error


def _check_paths(files: pa.ChunkedArray, where: str) -> None:
    """Raises `DataError` for relative paths that may lead out of the folder."""
    escapes = files.filter(pc.match_substring_regex(files, r"(^|[/\\])\.\.([/\\]|$)"))
    if len(escapes):
        raise DataError(
            f"{len(escapes)} of {len(files)} files in {where} leave its folder by '..' (first: "
            f"{shown(escapes[0].as_py())}). Write them as absolute paths, or move the table up."
        )


def _check_some_exist(files: Files, where: str) -> None:
    """Wrong by one folder is the usual mistake: then none of the first files is there."""
    first = [files.root / str(name) for name in files.ids[:_PROBED]]
    if not any(os.path.lexists(path) for path in first):
        raise DataError(
            f"None of the first {len(first)} files named in {where} exists (first: {shown(str(first[0]))}). "
            "Files are relative to the table's folder; name another with root."
        )
