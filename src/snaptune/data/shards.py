"""WebDataset tar shards as an `ImageDataset`: pictures are read in place, by their offset in the shard."""

from __future__ import annotations

import glob
import json
import re
import tarfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from snaptune.data.cache_folder import cache_folder
from snaptune.data.columns import PART_NAMES, check_unique, coded, names_of
from snaptune.data.dataset import Codes, ImageDataset, Ints, Strings, stamp_of_files
from snaptune.data.downloads import download_shards
from snaptune.data.parallel import Progress, silent
from snaptune.data.reading import is_url
from snaptune.errors import DataError, ImageError, shown
from snaptune.images.load import IMAGE_SUFFIXES

_LABEL_SUFFIXES = (".cls", ".json", ".txt")
_MAX_LABEL_BYTES = 2**20


@dataclass(frozen=True, eq=False)
class TarMembers:
    """Pictures inside uncompressed tar files: shard, offset and length of each."""

    shards: tuple[Path, ...]
    shard: Ints
    offset: Ints
    length: Ints
    ids: Strings

    def read(self, index: int) -> bytes:
        path = self.shards[self.shard[index]]
        try:
            with path.open("rb") as file:
                file.seek(int(self.offset[index]))
                data: bytes = file.read(int(self.length[index]))
                return data
        except OSError as error:
            reason = error.strerror or str(error)
            name = shown(str(self.ids[index]))
            raise ImageError(f"'{name}' in '{path}' cannot be read: {reason}.", reason.lower()) from error

    def stamp(self) -> bytes:
        return stamp_of_files(self.shards)


@dataclass
class _Index:
    """What one pass over the shards collects: numbers in arrays, names a shard at a time in Arrow."""

    shard: array[int] = field(default_factory=lambda: array("q"))
    offset: array[int] = field(default_factory=lambda: array("q"))
    length: array[int] = field(default_factory=lambda: array("q"))
    ids: list[pa.Array] = field(default_factory=list)
    labels: list[pa.Array] = field(default_factory=list)
    unlabelled: int = 0
    first_unlabelled: str = ""


def is_shards(spec: str) -> bool:
    """Whether `spec` names tar shards: a file, a pattern, or a folder with nothing but .tar files to read."""
    if spec.endswith(".tar") or is_url(spec):
        return True
    folder = Path(spec)
    if not folder.is_dir():
        return False
    names = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
    return any(name.endswith(".tar") for name in names) and not any(
        path.is_dir() for path in folder.iterdir()
    )


def from_shards(spec: str | Path, *, cache: Path | None = None, progress: Progress = silent) -> ImageDataset:
    """Shards: `x.tar`, a pattern `train-*.tar` or `train-{000..007}.tar`, or a folder of shards.

    Of URLs, `https://host/train-{000..007}.tar`, each shard is downloaded once into `cache` and read there.
    A sample is a picture and, under the same name, its label: a `.cls` or `.txt` file with it, or a
    `.json` file with a "label". Shards called train*, val* and test* make predefined parts.
    """
    spec = str(spec)
    if is_url(spec):
        folder = cache if cache is not None else cache_folder() / "shards"
        shards = download_shards(_ranges(spec), folder, progress)
    else:
        shards = _shards(spec)
    index = _Index()
    for number, path in enumerate(shards):
        _add_shard(index, number, path, several=len(shards) > 1)
    if index.unlabelled:
        raise DataError(
            f"{index.unlabelled} pictures in '{spec}' have no label "
            f"(first: {shown(index.first_unlabelled)}). "
            'Expected NAME.cls, NAME.txt or NAME.json with a "label" beside each in the shard.'
        )
    if not index.shard:
        raise DataError(f"No pictures in '{spec}' ({len(shards)} shards).")
    return _dataset(spec, shards, index)


def _dataset(spec: str, shards: tuple[Path, ...], index: _Index) -> ImageDataset:
    ids = pa.chunked_array(index.ids, pa.large_string())
    check_unique(ids, f"'{spec}'")
    class_names, labels = coded(pa.chunked_array(index.labels, pa.large_string()))
    shard, offset, length = (
        np.array(column, np.int64) for column in (index.shard, index.offset, index.length)
    )
    source = TarMembers(shards, shard, offset, length, names_of(ids))
    name = re.sub(r"[-_.*{}\d]+$", "", Path(spec.partition("?")[0].removesuffix(".tar")).name) or "shards"
    return ImageDataset(name, source, labels, class_names, parts=_parts(shards, shard))


def _shards(spec: str) -> tuple[Path, ...]:
    if Path(spec).is_dir():
        found = sorted(Path(spec).glob("*.tar"))
    else:
        found = sorted(Path(path) for pattern in _ranges(spec) for path in _matches(pattern))
    if not found:
        raise DataError(f"No shards match '{spec}'. Expected a .tar file, a pattern or a folder of them.")
    return tuple(found)


def _matches(pattern: str) -> list[str]:
    return [pattern] if Path(pattern).is_file() else glob.glob(pattern)  # noqa: PTH207  the pattern may be absolute


def _ranges(spec: str) -> list[str]:
    """`a-{00..03}.tar` written out; anything else as it is."""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", spec)
    if not match:
        return [spec]
    first, last = match.groups()
    numbers = range(int(first), int(last) + 1)
    return [f"{spec[: match.start()]}{number:0{len(first)}d}{spec[match.end() :]}" for number in numbers]


def _add_shard(index: _Index, number: int, path: Path, several: bool) -> None:
    """Pictures and labels of one shard; a sample's files lie next to each other, as the format asks."""
    ids: list[str] = []
    labels: list[str] = []
    try:
        with tarfile.open(path, "r:") as tar:
            for key, picture, label in _samples(tar):
                name = f"{path.stem}/{key}" if several else key
                if label is None:
                    index.unlabelled += 1
                    index.first_unlabelled = index.first_unlabelled or name
                    continue
                index.shard.append(number)
                index.offset.append(picture.offset_data)
                index.length.append(picture.size)
                ids.append(name)
                labels.append(label)
    except (tarfile.TarError, OSError, UnicodeDecodeError) as error:
        raise DataError(f"'{path}' cannot be read as an uncompressed tar file: {error}") from error
    index.ids.append(pa.array(ids, pa.large_string()))
    index.labels.append(pa.array(labels, pa.large_string()))


def _samples(tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo, str | None]]:
    """Name, place and label (none where it lacks) of each picture."""
    key, picture, label = "", None, None
    while (member := tar.next()) is not None:
        tar.members.clear()  # type: ignore[attr-defined]  # else every header stays in memory
        if not member.isfile() or Path(member.name).name.startswith("."):
            continue
        stem, suffix = _split_name(member.name)
        if stem != key:
            if picture is not None:
                yield picture.name, picture, label
            key, picture, label = stem, None, None
        if suffix in IMAGE_SUFFIXES:
            picture = member
        elif suffix in _LABEL_SUFFIXES and label is None:
            label = _label(tar, member, suffix)
    if picture is not None:
        yield picture.name, picture, label


def _split_name(name: str) -> tuple[str, str]:
    """Key and suffix as WebDataset cuts them: at the first dot of the last part; the last suffix in small."""
    folder, _, base = name.rpartition("/")
    key, _, suffixes = base.partition(".")
    return f"{folder}/{key}", "." + suffixes.rpartition(".")[2].lower()


def _label(tar: tarfile.TarFile, member: tarfile.TarInfo, suffix: str) -> str | None:
    file = tar.extractfile(member)
    text = file.read(_MAX_LABEL_BYTES).decode() if file else ""
    if suffix != ".json":
        return text.strip() or None
    try:
        value = json.loads(text)
    except ValueError as error:
        raise DataError(f"'{member.name}' in '{tar.name!s}' is not valid JSON: {error}.") from error
    found = value.get("label", value.get("cls")) if isinstance(value, dict) else None
    return None if found is None else str(found)


def _parts(shards: tuple[Path, ...], shard: Ints) -> Codes | None:
    """Parts from the shards' names, where every shard is called after one and there are several."""
    words = [re.match(r"[a-zA-Z]*", path.name) for path in shards]
    codes = [PART_NAMES.get(word.group().lower()) if word else None for word in words]
    if None in codes or len(set(codes)) == 1:
        return None
    return np.asarray(codes, np.uint8)[shard]
