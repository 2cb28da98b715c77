"""Pictures inside Parquet and Arrow files, as the hub stores them, as an `ImageDataset`."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet

from snaptune.data.columns import coded, part_of_words
from snaptune.data.dataset import PARTS, ImageDataset, Ints, Strings, stamp_of_files, strings
from snaptune.data.reading import Columns
from snaptune.errors import DataError, ImageError

ARROW_SUFFIXES = (".parquet", ".arrow")
LABEL_COLUMNS = ("label", "labels", "class", "target")
_KEPT_GROUPS = 4


@dataclass(frozen=True)
class _Block:
    """Some rows of one file that are read together: a row group of Parquet, a record batch of Arrow."""

    path: Path
    number: int
    rows: int


@dataclass(frozen=True, eq=False)
class EmbeddedPictures:
    """The picture column of Parquet or Arrow files; the last few blocks stay in memory."""

    blocks: tuple[_Block, ...]
    column: str
    ids: Strings
    _kept: OrderedDict[int, pa.Array] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @cached_property
    def _starts(self) -> Ints:
        return np.cumsum([0, *(block.rows for block in self.blocks)])

    def read(self, index: int) -> bytes:
        number = int(np.searchsorted(self._starts, index, side="right")) - 1
        value = self._block(number)[index - int(self._starts[number])].as_py()
        data = value.get("bytes") if isinstance(value, dict) else value
        if data is None and isinstance(value, dict) and value.get("path"):
            return self._beside(self.blocks[number].path, str(value["path"]), index)
        if data is None:
            raise ImageError(f"'{self.ids[index]}' holds no picture.", "empty")
        return bytes(data)

    def stamp(self) -> bytes:
        return stamp_of_files(dict.fromkeys(block.path for block in self.blocks))

    def _beside(self, file: Path, path: str, index: int) -> bytes:
        try:
            return (file.parent / path).read_bytes()
        except OSError as error:
            reason = error.strerror or str(error)
            raise ImageError(
                f"'{self.ids[index]}' ({path}) cannot be read: {reason}.", reason.lower()
            ) from error

    def _block(self, number: int) -> pa.Array:
        with self._lock:
            if number not in self._kept:
                self._kept[number] = _read_block(self.blocks[number], self.column)
                if len(self._kept) > _KEPT_GROUPS:
                    self._kept.popitem(last=False)
            return self._kept[number]


def has_pictures(path: Path) -> bool:
    """Whether a Parquet or Arrow file holds pictures themselves, not their file names."""
    try:
        return bool(_picture_column(_schema(path), ""))
    except (pa.ArrowException, OSError):
        return False


def from_embedded(files: Sequence[Path], name: str, columns: Columns | None = None) -> ImageDataset:
    """Rows of Parquet or Arrow files with a picture column and a label column, in the order of `files`.

    Class names come from the files' own features where they say them. A file called after a part, or
    in a folder that is, belongs to it.
    """
    columns = columns or Columns()
    schema = _schema(files[0])
    where = f"'{files[0]}'"
    picture, label = _picture_column(schema, columns.file), _label_column(schema, columns.label)
    if not picture or not label:
        listed = ", ".join(f"{item.name}: {item.type}" for item in schema)
        raise DataError(f"No picture and label column in {where}; name yours. Columns found: {listed}.")
    blocks = tuple(block for path in files for block in _blocks(path))
    class_names, labels = _labels(_column(files, label), _feature_names(schema, label), label, where)
    group_names, groups = (
        coded(_column(files, columns.group).cast(pa.large_string())) if columns.group else ((), None)
    )
    parts = np.repeat([_part_of(block.path) for block in blocks], [block.rows for block in blocks])
    source = EmbeddedPictures(blocks, picture, _ids(parts))
    predefined = parts.astype(np.uint8) if len(np.unique(parts)) > 1 else None
    return ImageDataset(name, source, labels, class_names, groups, strings(group_names), parts=predefined)


def _ids(parts: np.ndarray) -> Strings:
    """`train/0000012`: the part and the row in it, which is the picture's address on the hub."""
    rows = np.zeros(len(parts), np.int64)
    for part in range(len(PARTS)):
        rows[parts == part] = np.arange((parts == part).sum())
    return strings([f"{PARTS[part]}/{row:07d}" for part, row in zip(parts, rows, strict=True)])


def _part_of(path: Path) -> int:
    """The part that a file or its folder is called after."""
    return part_of_words((path.stem.split("-")[0], path.parent.name))


def _labels(
    values: pa.ChunkedArray, names: tuple[str, ...], column: str, where: str
) -> tuple[tuple[str, ...], Ints]:
    if values.null_count:
        raise DataError(f"{values.null_count} of {len(values)} rows in {where} have no '{column}'.")
    if not names or not pa.types.is_integer(values.type):
        return coded(values.cast(pa.large_string()))
    codes = values.to_numpy().astype(np.int64)
    low, high = int(codes.min()), int(codes.max())
    if low < 0 or high >= len(names):
        raise DataError(f"'{column}' in {where} must be 0 to {len(names) - 1}; found {low} to {high}.")
    return names, codes


def _feature_names(schema: pa.Schema, column: str) -> tuple[str, ...]:
    """Class names from the features that the hub's libraries write into the schema."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features[column]["names"])
    except (KeyError, TypeError, ValueError):
        return ()


def _label_column(schema: pa.Schema, asked: str) -> str:
    wanted = (asked,) if asked else LABEL_COLUMNS
    return next((name for name in wanted if name in schema.names), "")


def _picture_column(schema: pa.Schema, asked: str) -> str:
    wanted = [item for item in schema if not asked or item.name == asked]
    return next((item.name for item in wanted if _holds_pictures(item.type)), "")


def _holds_pictures(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return "bytes" in {kind.field(index).name for index in range(kind.num_fields)}
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _schema(path: Path) -> pa.Schema:
    if path.suffix == ".parquet":
        return pa.parquet.read_schema(path)
    with pa.memory_map(str(path)) as file, pa.ipc.open_stream(file) as stream:
        return stream.schema


def _blocks(path: Path) -> list[_Block]:
    if path.suffix == ".parquet":
        metadata = pa.parquet.read_metadata(path)
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    else:
        sizes = [batch.num_rows for batch in _batches(path)]
    return [_Block(path, number, rows) for number, rows in enumerate(sizes) if rows]


def _batches(path: Path) -> list[pa.RecordBatch]:
    """Views on the file: mapped, not read."""
    return list(pa.ipc.open_stream(pa.memory_map(str(path))))


def _column(files: Sequence[Path], column: str) -> pa.ChunkedArray:
    chunks: list[pa.Array] = []
    for path in files:
        if path.suffix == ".parquet":
            chunks += pa.parquet.read_table(path, columns=[column])[column].chunks
        else:
            chunks += [batch.column(column) for batch in _batches(path)]
    return pa.chunked_array(chunks)


def _read_block(block: _Block, column: str) -> pa.Array:
    try:
        if block.path.suffix == ".parquet":
            with pa.parquet.ParquetFile(block.path) as file:
                return file.read_row_group(block.number, columns=[column])[column].combine_chunks()
        return _batches(block.path)[block.number].column(column)
    except (pa.ArrowException, OSError) as error:
        raise ImageError(f"'{block.path}' cannot be read: {error}", "damaged file") from error
