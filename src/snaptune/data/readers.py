"""Wherever labelled pictures lie: what the user named, to one `ImageDataset`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

from snaptune.data.corrections import from_corrections, joined
from snaptune.data.dataset import ImageDataset
from snaptune.data.fixes import fixed
from snaptune.data.folders import from_folder
from snaptune.data.hub import from_hub, from_local_copy, is_local_copy
from snaptune.data.parallel import Progress, silent
from snaptune.data.reading import Columns, Reading, is_url
from snaptune.data.shards import from_shards, is_shards
from snaptune.data.splits import group_by_pattern
from snaptune.data.tables import TABLE_SUFFIXES, from_table
from snaptune.errors import DataError, closest

__all__ = [
    "Columns",
    "from_folder",
    "from_hub",
    "from_sample",
    "from_shards",
    "from_table",
    "open_dataset",
]

SAMPLES = {"hand-emoji": "hand_emoji"}


def open_dataset(
    spec: str | Path,
    columns: Columns | None = None,
    *,
    root: str | Path | None = None,
    progress: Progress = silent,
) -> ImageDataset:
    """The data set that the user named.

    `sample:NAME`, `hub:OWNER/NAME`, a table file (read with `columns` and `root`), WebDataset shards
    (a .tar file or URL, a pattern, or a folder of them), a local copy of a hub data set, or a folder of class
    folders.
    """
    columns = columns or Columns()
    place = located(spec)
    dataset = _opened(spec, columns, root, progress)
    reading = Reading(place, "" if root is None else located(root), columns)
    return replace(dataset, reading=reading)


def read_again(reading: Reading, progress: Progress = silent) -> ImageDataset:
    """The data set as it was read before: opened, and every step done again."""
    root = reading.root or None
    dataset = open_dataset(reading.place, reading.columns, root=root, progress=progress)
    for kind, value in reading.steps:
        dataset = _STEPS[kind](dataset, value)
    return dataset.limited_to(reading.max_pixels)


def located(spec: str | Path) -> str:
    """What the user named, so that it means the same from any folder."""
    text = str(spec)
    if not text.strip():  # a variable of a script that was not set; a path would make it the current folder
        raise DataError("The name of the data is empty. Give a folder, a table or sample:hand-emoji.")
    return text if text.startswith(("sample:", "hub:")) or is_url(text) else str(Path(spec).resolve())


_STEPS: dict[str, Callable[[ImageDataset, str], ImageDataset]] = {
    "group pattern": group_by_pattern,
    "add": lambda dataset, path: joined(dataset, from_corrections(path)),
    "fix": fixed,
    "exclude": lambda dataset, name: dataset.excluding((name,)),
}


def _opened(spec: str | Path, columns: Columns, root: str | Path | None, progress: Progress) -> ImageDataset:
    text = str(spec)
    if text.startswith("sample:"):
        return from_sample(text.removeprefix("sample:"))
    if text.startswith("hub:"):
        return from_hub(text.removeprefix("hub:"), columns=columns)
    if is_shards(text):
        return from_shards(text, progress=progress)
    path = Path(spec)
    if is_local_copy(path):
        return from_local_copy(path, columns)
    is_table = path.suffix.lower() in TABLE_SUFFIXES and not path.is_dir()
    return from_table(path, columns, root=root) if is_table else from_folder(path)


def from_sample(name: str) -> ImageDataset:
    """A data set that is part of the package."""
    if name not in SAMPLES:
        near = closest(name, SAMPLES)
        hint = f" Closest: {near}." if near else ""
        raise DataError(f"Unknown sample '{name}'. Built in: {', '.join(SAMPLES)}.{hint}")
    root = Path(str(resources.files("snaptune.data"))) / SAMPLES[name]
    credits = (root / "README.md", *sorted((root / "licences").iterdir()))
    return replace(from_table(root / "metadata.csv", name=name), credits=credits)
