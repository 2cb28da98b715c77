"""Prepared pictures on disk: what is in a folder of the cache, and what may be deleted there.

<cache>/<key>/pixels.u8 thumbs.u8 sides.u8   raw rows, mapped into memory
<cache>/<key>/complete.json                  written last: without it the folder counts for nothing
<cache>/<key>.partial/                       being built, or left by a process that was killed
<cache>/<key>.lock                           held by the process that builds
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt
from filelock import FileLock, Timeout

from snaptune.data.cache_folder import cache_folder
from snaptune.data.duplicates import SIDE
from snaptune.data.unreadable import Unreadable

_RECORD = "complete.json"
_FLUSHED_AT_ONCE = 16 * 2**20
"""Bytes that are sent on to the disk together while the next are made, so that few are left to wait for."""
_KEY = re.compile(r"[0-9a-f]{64}")
Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Arrays:
    """Rows of all samples: prepared pixels, thumbnails, and the sides of the picture (see `Sides`)."""

    pixels: Bytes
    thumbs: Bytes
    sides: Bytes

    @classmethod
    def zeros(cls, count: int, size: int) -> Arrays:
        return cls(*(np.zeros(shape, np.uint8) for shape in _shapes(count, size).values()))

    @classmethod
    def read(cls, data: memoryview, count: int, size: int) -> Arrays:
        """Of the bytes of all three, one after another; read-only where these are."""
        arrays, start = [], 0
        for shape in _shapes(count, size).values():
            arrays.append(np.frombuffer(data, np.uint8, math.prod(shape), start).reshape(shape))
            start += math.prod(shape)
        return cls(*arrays)

    def put(self, start: int, rows: Arrays) -> None:
        """Take over rows, the first of which is that of sample `start`."""
        end = start + len(rows.pixels)
        self.pixels[start:end], self.thumbs[start:end], self.sides[start:end] = rows

    def __iter__(self) -> Iterator[Bytes]:
        return iter((self.pixels, self.thumbs, self.sides))


@dataclass(eq=False)
class RowFiles:
    """The same rows as files that are being written: writing is far cheaper than faulting in new pages."""

    place: Path
    count: int
    size: int
    files: tuple[BinaryIO, BinaryIO, BinaryIO]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _flusher: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _flushes: list[Future[None]] = field(default_factory=list)
    _unflushed: int = 0

    def __enter__(self) -> RowFiles:
        return self

    def __exit__(self, *_: object) -> None:
        self._flusher.shutdown()
        for file in self.files:
            file.close()

    def put(self, start: int, rows: Arrays) -> None:
        with self._lock:
            for file, array in zip(self.files, rows, strict=True):
                file.seek(start * array[0].nbytes)
                file.write(array.data)
            self._unflushed += rows.pixels.nbytes
            if self._unflushed >= _FLUSHED_AT_ONCE:
                self._unflushed = 0
                self._flushes.append(self._flusher.submit(os.fsync, self.files[0].fileno()))

    def finish(self, failures: Sequence[Unreadable], dataset: str) -> None:
        """Bring all rows to the disk, then the record, then give the folder its name."""
        for flush in self._flushes:
            flush.result()  # the disk reports an error once, to whoever asked first
        for file in self.files:
            os.fsync(file.fileno())
            file.close()
        partial = self.place.with_suffix(".partial")
        listed = [asdict(item) for item in failures]
        record = {"dataset": dataset, "pictures": self.count, "size": self.size, "failures": listed}
        with (partial / _RECORD).open("w", encoding="utf-8") as text:
            json.dump(record, text)
            text.flush()
            os.fsync(text.fileno())
        shutil.rmtree(self.place, ignore_errors=True)
        partial.rename(self.place)


@dataclass(frozen=True)
class Kept:
    """One folder of the cache; `pictures` is 0 for one that was never finished."""

    path: Path
    dataset: str
    pictures: int
    size: int
    bytes: int


def _shapes(count: int, size: int) -> dict[str, tuple[int, ...]]:
    return {"pixels": (count, size, size, 3), "thumbs": (count, SIDE, SIDE, 3), "sides": (count, 2)}


def create(place: Path, count: int, size: int) -> RowFiles:
    """New rows beside `place`, their room on the disk reserved; raises `OSError` where there is none."""
    partial = place.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    shapes = _shapes(count, size)
    pixels, thumbs, sides = (
        _reserved(partial / f"{name}.u8", math.prod(shape)) for name, shape in shapes.items()
    )
    return RowFiles(place, count, size, (pixels, thumbs, sides))


def _reserved(path: Path, size: int) -> BinaryIO:
    """An unbuffered file whose every byte has a place on the disk: no later write runs out of room."""
    file = path.open("w+b", buffering=0)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    except OSError:
        file.close()
        raise
    return file


def open_finished(place: Path, count: int, size: int) -> tuple[Arrays, tuple[Unreadable, ...]] | None:
    """The rows in `place`, read-only, and what could not be read; none unless all of it is there."""
    record = _record(place)
    wanted = {f"{name}.u8": math.prod(shape) for name, shape in _shapes(count, size).items()}
    try:
        found = {name: (place / name).stat().st_size for name in wanted}
        failures = tuple(Unreadable(**item) for item in record["failures"])  # type: ignore[attr-defined]
    except (OSError, KeyError, TypeError):
        return None
    return (_mapped(place, count, size), failures) if found == wanted else None


def _mapped(folder: Path, count: int, size: int) -> Arrays:
    shapes = _shapes(count, size)
    pixels, thumbs, sides = (
        np.memmap(folder / f"{name}.u8", np.uint8, mode="r", shape=shape) for name, shape in shapes.items()
    )
    return Arrays(pixels, thumbs, sides)


def _record(place: Path) -> dict[str, object]:
    try:
        value = json.loads((place / _RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def list_caches(folder: Path | None = None) -> tuple[Kept, ...]:
    """What is kept in the cache, the largest first."""
    folder = folder if folder is not None else cache_folder() / "prepared"
    places = folder.iterdir() if folder.is_dir() else ()
    found = [_kept(path) for path in places if path.is_dir() and _KEY.fullmatch(path.stem)]
    return tuple(sorted(found, key=lambda kept: (-kept.bytes, kept.path)))


def _kept(path: Path) -> Kept:
    record = _record(path)
    numbers = {
        name: value if isinstance(value := record.get(name), int) else 0 for name in ("pictures", "size")
    }
    used = sum(file.stat().st_size for file in path.iterdir())
    return Kept(path, str(record.get("dataset", "unfinished")), numbers["pictures"], numbers["size"], used)


def clear_caches(folder: Path | None = None) -> int:
    """Delete what is kept, but not what a process is building; the bytes that were freed."""
    freed = 0
    for kept in list_caches(folder):
        lock = kept.path.with_suffix(".lock")
        try:
            with FileLock(lock, timeout=0):
                shutil.rmtree(kept.path)
        except (Timeout, OSError):
            continue
        lock.unlink(missing_ok=True)
        freed += kept.bytes
    return freed
