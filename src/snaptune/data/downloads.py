"""Shards by URL: each is downloaded once, goes on where it was cut, and is a local file ever after.

The URLs are the user's own, typed as a data set is: unlike the pictures of `predict` they may lead to a
private network.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator, Sequence
from http.client import HTTPException, HTTPResponse
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from filelock import FileLock

from snaptune.data.parallel import Progress
from snaptune.errors import DataError

_MIB = 2**20
_NO_SUCH_RANGE = 416
_SILENCE_S = 30.0


def download_shards(urls: Sequence[str], folder: Path, progress: Progress) -> tuple[Path, ...]:
    """The files of the URLs below `folder`; those that are there are not asked for again.

    Raises `DataError` that says why one cannot be had, and whether its beginning is kept.
    """
    return tuple(_downloaded(url, _place(url, folder), progress) for url in urls)


def _place(url: str, folder: Path) -> Path:
    """Where a URL is kept: by its server and folder, not by its query, which may be a passing signature."""
    parts = urlsplit(url)
    path = PurePosixPath(unquote(parts.path))
    if path.suffix != ".tar" or not parts.hostname:
        raise DataError(
            f"'{url}' is no shard. Expected a URL of a .tar file, or of several: x-{{00..07}}.tar."
        )
    if parts.username or parts.password:
        raise DataError("A name or password in a URL would be written into the run; it is not sent.")
    where = hashlib.sha256(f"{parts.scheme}://{parts.netloc}{path.parent}".encode()).hexdigest()[:16]
    return folder / where / re.sub(r"[^\w.-]", "_", path.name)


def _downloaded(url: str, target: Path, progress: Progress) -> Path:
    if target.is_file():
        return target
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(target.name + ".lock")):
            if not target.is_file():
                _download(url, target, progress)
    except (OSError, HTTPException) as error:
        kept = _size(_partial(target))
        begun = f" The first {kept / _MIB:.1f} MiB are kept; run again to go on." if kept else ""
        raise DataError(f"'{url}' cannot be downloaded: {_reason(error)}.{begun}") from error
    return target


def _reason(error: Exception) -> str:
    if isinstance(error, HTTPError):
        return f"the server answered {error.code} {error.reason}"
    return str(error.reason if isinstance(error, URLError) else error) or type(error).__name__


def _partial(target: Path) -> Path:
    return target.with_name(target.name + ".partial")


def _download(url: str, target: Path, progress: Progress) -> None:
    """Ask again where the connection was cut, as long as every answer brings something."""
    partial = _partial(target)
    while True:
        before = _size(partial)
        try:
            _receive(url, partial, target.name, progress)
            break
        except HTTPError as error:
            if error.code != _NO_SUCH_RANGE or not before:
                raise
            partial.unlink()
        except (OSError, HTTPException):
            if _size(partial) <= before:
                raise
    partial.rename(target)
    _version_file(partial).unlink(missing_ok=True)


def _receive(url: str, partial: Path, name: str, progress: Progress) -> None:
    """All that is missing of the file; raises where the server stops early."""
    headers = {"User-Agent": f"snaptune/{version('snaptune')}", "Accept-Encoding": "identity"}
    begun, mark = _size(partial), _version_file(partial)
    if begun and mark.is_file():
        headers |= {"Range": f"bytes={begun}-", "If-Range": mark.read_text(encoding="utf-8")}
    with urlopen(Request(url, headers=headers), timeout=_SILENCE_S) as response:  # noqa: S310  http(s) only
        goes_on = response.status == 206
        if not goes_on:
            _keep_version(response, mark)
        total = math.ceil((response.length or 0) / _MIB)
        with partial.open("ab" if goes_on else "wb") as file:
            for _ in progress(_written(response, file), total, f"Downloading {name}"):
                pass
        if response.length:
            raise OSError(f"the connection ended {response.length:,} bytes early")


def _written(response: HTTPResponse, file: BinaryIO) -> Iterator[int]:
    """One number a mebibyte, the last one perhaps smaller."""
    while chunk := response.read(_MIB):
        file.write(chunk)
        yield 1


def _keep_version(response: HTTPResponse, mark: Path) -> None:
    """What the server calls this version of the file; without it a cut download starts over."""
    found = response.getheader("ETag") or response.getheader("Last-Modified") or ""
    if found and not found.startswith("W/"):
        mark.write_text(found, encoding="utf-8")
    else:
        mark.unlink(missing_ok=True)


def _version_file(partial: Path) -> Path:
    return partial.with_name(partial.name + ".version")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
