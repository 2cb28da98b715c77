"""Data sets on disk, made on the spot."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.images.pictures import encoded, scene


def put(path: Path, seed: int = 0, kind: str = "PNG") -> Path:
    """A picture that follows from the seed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encoded(scene(seed=seed), kind))
    return path


def put_all(root: Path, names: Iterable[str]) -> Path:
    for seed, name in enumerate(names):
        put(root / name, seed)
    return root


def write_rows(path: Path, rows: Sequence[Sequence[str]], delimiter: str = ",") -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows(rows)
    return path
