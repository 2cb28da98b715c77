"""Progress bars of work that is counted; those of training are `training.bars`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from tqdm.auto import tqdm

T = TypeVar("T")


def bar(items: Iterable[int], total: int, title: str) -> Iterable[int]:
    """The items, with a bar that fills while they are consumed."""
    shown: Iterable[int] = tqdm(items, total=total, desc=title, unit="", leave=False)
    return shown


def counted(items: Iterable[T], title: str) -> Iterable[T]:
    """The items, with a count and a rate while they are consumed; nothing where errors are not a screen."""
    shown: Iterable[T] = tqdm(items, desc=title, unit="", leave=False, disable=None)
    return shown
