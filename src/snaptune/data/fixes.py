"""Labels that were put right, and pictures to leave out: a table beside the data, which stay as they are."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np

from snaptune.data.columns import coded_as
from snaptune.data.dataset import ImageDataset
from snaptune.errors import DataError, closest, shown

COLUMNS = ("id", "new_label", "remove")
MAX_BYTES = 256 * 2**20
_YES = ("yes", "y", "true", "1", "x")
_NO = ("", "no", "n", "false", "0")
_LISTED = 10


def fixed(dataset: ImageDataset, path: str | Path) -> ImageDataset:
    """The data set with the labels of a CSV table in place of its own, less the pictures that it removes.

    The table has the columns `id`, `new_label` (empty: as it is) and `remove` (yes, or empty); others are
    not read. Raises `DataError` that lists every row that cannot be followed.
    """
    path = Path(path)
    rows = _rows(path)
    samples = coded_as([row["id"] for row in rows], [str(name) for name in dataset.ids])
    labels = coded_as([row["new_label"] for row in rows], dataset.class_names)
    problems = [
        text
        for row, sample, label in zip(rows, samples.tolist(), labels.tolist(), strict=True)
        if (text := _problem(dataset, row, sample, label))
    ]
    twice = len(samples) - len(np.unique(samples))
    if not problems and twice:
        problems = [f"{twice} pictures are listed more than once."]
    if problems:
        listed = "\n".join(problems[:_LISTED])
        more = f"\n… and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
        raise DataError(f"'{path}' cannot be applied to '{dataset.name}':\n{listed}{more}")
    changed = dataset.labels.copy()
    changed[samples[labels >= 0]] = labels[labels >= 0]
    after = replace(dataset, labels=changed)
    removed = samples[[_said(row) in _YES for row in rows]]
    if len(removed):  # otherwise the source stays the same, and what is prepared of it is found again
        after = after.subset(np.setdiff1d(np.arange(len(dataset)), removed))
    return replace(after, reading=dataset.reading and dataset.reading.then("fix", str(path.resolve())))


def _said(row: dict[str, str]) -> str:
    """What stands in `remove`, in small letters."""
    return row["remove"].strip().lower()


def _problem(dataset: ImageDataset, row: dict[str, str], sample: int, label: int) -> str:
    name = shown(row["id"])
    if sample < 0:
        return f"there is no picture '{name}'."
    if row["new_label"] and label < 0:
        near = closest(row["new_label"], dataset.class_names)
        hint = f" Closest: {near}." if near else ""
        return f"'{name}': there is no class '{shown(row['new_label'])}'.{hint}"
    if _said(row) not in (*_YES, *_NO):
        return f"'{name}': remove is '{shown(row['remove'])}'; write yes or nothing."
    return ""


def _rows(path: Path) -> list[dict[str, str]]:
    """Those that ask for something, with the columns that are read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise DataError(f"'{path}' is larger than {MAX_BYTES // 2**20} MiB.")
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        names = reader.fieldnames or ()
        lacking = [name for name in COLUMNS if name not in names]
        if lacking:
            raise DataError(
                f"'{path}' has no column {', '.join(lacking)}. It needs {', '.join(COLUMNS)}, as the page of "
                "snaptune audit writes them."
            )
        rows = [{name: row[name] or "" for name in COLUMNS} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"'{path}' cannot be read as a table of fixes: {error}.") from error
    return [row for row in rows if row["new_label"] or row["remove"]]
