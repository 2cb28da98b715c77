"""Pictures that cannot be read: all of them are listed, none is replaced."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snaptune.errors import DataError, ImageError, shown


@dataclass(frozen=True, order=True)
class Unreadable:
    """One sample that cannot be read: its place, its id, the reason in a word or two, and in full."""

    index: int
    id: str
    reason: str
    detail: str

    @classmethod
    def of(cls, index: int, name: str, error: ImageError) -> Unreadable:
        return cls(index, name, error.reason, str(error))


def write_unreadable(path: Path, failures: Sequence[Unreadable]) -> None:
    """One row a picture: id, reason, detail."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "reason", "detail"])
        writer.writerows([item.id, item.reason, item.detail] for item in failures)


def refuse(failures: Sequence[Unreadable], total: int, listed_in: Path | None) -> DataError:
    """The error for pictures that cannot be read, with the full list written to `listed_in`."""
    first = min(failures)
    where = ""
    if listed_in is not None:
        write_unreadable(listed_in, failures)
        where = f" Full list: {listed_in}."
    return DataError(
        f"{len(failures)} of {total} images cannot be read (first: {shown(first.id)}, {first.reason})."
        f"{where} Fix them or pass --skip-unreadable."
    )
