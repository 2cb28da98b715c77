"""A folder of class folders as an `ImageDataset`; also train/ validation/ test/ with classes inside."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import numpy as np

from snaptune.data.columns import PART_NAMES, coded
from snaptune.data.dataset import Codes, Files, ImageDataset, strings
from snaptune.errors import DataError, shown
from snaptune.images.load import IMAGE_SUFFIXES

_NOT_DATA = frozenset(("thumbs.db", "desktop.ini", "__macosx"))


def from_folder(root: str | Path) -> ImageDataset:
    """One folder a class: `root/<class>/**/<image>`; or `root/train|val|test/<class>/**/<image>`.

    Parts are aligned by class name. Hidden files are passed over, links followed, loops survived.
    """
    root = Path(root)
    if not root.is_dir():
        raise DataError(f"'{root}' is not a folder. Expected {root}/<class>/<image>, or sample:hand-emoji.")
    pictures, others = list_pictures(root)
    depth = 1 if _comes_in_parts(pictures) else 0
    inside = [path for path in pictures if len(path.parts) > depth + 1]
    loose = len(pictures) - len(inside)
    if not inside:
        hint = (
            f" Found {loose} images directly inside: use a table (--labels labels.csv) or one folder a class."
        )
        raise DataError(
            f"No class folders in '{root}'. Expected {root}/<class>/<image>.{hint if loose else ''}"
        )
    class_names, labels = coded([path.parts[depth] for path in inside])
    parts = _parts(root, inside) if depth else None
    files = Files(root, strings([str(path) for path in inside]))
    name = root.resolve().name or "pictures"
    return ImageDataset(name, files, labels, class_names, parts=parts, notes=_notes(loose, others))


def list_pictures(root: Path) -> tuple[list[PurePosixPath], Counter[str]]:
    """All pictures below `root`, sorted, and how many other files there are of each suffix."""
    pictures: list[PurePosixPath] = []
    others: Counter[str] = Counter()
    for path in _walk(root, PurePosixPath(), frozenset()):
        suffix = path.suffix.lower()
        if suffix in IMAGE_SUFFIXES:
            pictures.append(path)
        else:
            others[suffix or "no suffix"] += 1
    _check_names(root, pictures)
    return sorted(pictures), others


def _walk(folder: Path, inside: PurePosixPath, above: frozenset[tuple[int, int]]) -> Iterator[PurePosixPath]:
    """Files below `folder`; a link to a folder that it lies in is not followed."""
    here = folder.stat()
    identity = (here.st_dev, here.st_ino)
    if identity in above:
        return
    try:
        entries = list(os.scandir(folder))
    except OSError as error:
        raise DataError(f"'{folder}' cannot be listed: {error.strerror or error}.") from error
    for entry in entries:
        if entry.name.startswith(".") or entry.name.lower() in _NOT_DATA:
            continue
        if entry.is_dir():
            yield from _walk(folder / entry.name, inside / entry.name, above | {identity})
        else:
            yield inside / entry.name


def _check_names(root: Path, pictures: list[PurePosixPath]) -> None:
    """Raises `DataError` for names that are not text and so cannot be written to a table."""
    wrong = [path for path in pictures if not _is_text(str(path))]
    if wrong:
        first = os.fsencode(str(min(wrong)))
        raise DataError(f"{len(wrong)} file names in '{root}' are not UTF-8 (first: {first!r}). Rename them.")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _comes_in_parts(pictures: list[PurePosixPath]) -> bool:
    """Whether the top folders are parts: all called so, and with folders inside."""
    nested = [path for path in pictures if len(path.parts) > 1]
    return bool(nested) and all(
        path.parts[0].lower() in PART_NAMES and len(path.parts) > 2 for path in nested
    )


def _parts(root: Path, inside: list[PurePosixPath]) -> Codes | None:
    """The part of each picture; none where there is only one. A class that is not trained on is an error."""
    parts = np.asarray([PART_NAMES[path.parts[0].lower()] for path in inside], np.uint8)
    if len(np.unique(parts)) == 1:
        return None
    known = {path.parts[1] for path, part in zip(inside, parts, strict=True) if part == 0}
    strange = sorted({path.parts[1] for path in inside} - known)
    if strange:
        listed = ", ".join(repr(shown(name)) for name in strange[:10])
        raise DataError(
            f"'{root}' has {len(known)} classes in train; other parts have more. Not in train: {listed}. "
            "Classes are matched by folder name."
        )
    return parts


def _notes(loose: int, others: Counter[str]) -> tuple[str, ...]:
    notes = [f"{loose} pictures outside any class folder are left out"] if loose else []
    if others:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in others.most_common(5))
        notes.append(f"{sum(others.values())} files that are no pictures are left out ({kinds})")
    return tuple(notes)
