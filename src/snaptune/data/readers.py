"""Readers: wherever labelled pictures lie, the result is one `ImageDataset`."""

from __future__ import annotations

import csv
from dataclasses import replace
from importlib import resources
from pathlib import Path

import numpy as np

from snaptune.data.dataset import Files, ImageDataset, strings
from snaptune.errors import DataError, closest

IMAGE_SUFFIXES = frozenset(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .bmp .gif .tif .tiff .ppm .pgm .avif .heic .heif .mpo".split()
)
SAMPLES = {"hand-emoji": "hand_emoji"}


def open_dataset(spec: str) -> ImageDataset:
    """The data set that the user named: `sample:NAME` or a folder of class folders."""
    if spec.startswith("sample:"):
        return replace(from_sample(spec.removeprefix("sample:")), location=spec)
    return replace(from_folder(Path(spec)), location=str(Path(spec).resolve()))


def from_sample(name: str) -> ImageDataset:
    """A data set that is part of the package."""
    if name not in SAMPLES:
        raise DataError(f"Unknown sample '{name}'. Built in: {', '.join(SAMPLES)}.{_hint(name)}")
    root = Path(str(resources.files("snaptune.data"))) / SAMPLES[name]
    with (root / "metadata.csv").open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file_name"])
    class_names, labels = _coded([row["label"] for row in rows])
    group_names, groups = _coded([row["group"] for row in rows])
    files = Files(root, strings([row["file_name"] for row in rows]))
    credits = (root / "README.md", *sorted((root / "licences").iterdir()))
    return ImageDataset(name, files, labels, class_names, groups, strings(group_names), credits=credits)


def from_folder(root: str | Path) -> ImageDataset:
    """One folder a class: `root/<class>/**/<image>`; hidden files are passed over."""
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"'{root}' is not a folder. Expected {root}/<class>/<image>, or sample:hand-emoji.")
    found = sorted(path.relative_to(root) for path in root.rglob("*") if _is_picture(path, root))
    inside = [path for path in found if len(path.parts) > 1]
    if not inside:
        loose = f" Found {len(found)} images directly inside: use one folder a class." if found else ""
        raise DataError(f"No class folders in '{root}'. Expected {root}/<class>/<image>.{loose}")
    class_names, labels = _coded([path.parts[0] for path in inside])
    return ImageDataset(
        root.name, Files(root, strings([path.as_posix() for path in inside])), labels, class_names
    )


def _is_picture(path: Path, root: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return not hidden and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file()


def _coded(values: list[str]) -> tuple[tuple[str, ...], np.ndarray]:
    """Distinct values, sorted, and the code of each."""
    names, codes = np.unique(np.asarray(values), return_inverse=True)
    return tuple(str(name) for name in names), codes.astype(np.int64)


def _hint(name: str) -> str:
    near = closest(name, SAMPLES)
    return f" Closest: {near}." if near else ""
