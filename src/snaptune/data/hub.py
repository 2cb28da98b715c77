"""Data sets of the Hugging Face Hub: downloaded once, unpacked, read from disk ever after."""

from __future__ import annotations

import os
import re
import shutil
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from snaptune.data.cache_folder import cache_folder
from snaptune.data.columns import PART_NAMES, coded, coded_as, part_of_words
from snaptune.data.dataset import PARTS, Codes, Files, ImageDataset, strings
from snaptune.data.embedded import ARROW_SUFFIXES, LABEL_COLUMNS, from_embedded, has_pictures
from snaptune.data.folders import from_folder, list_pictures
from snaptune.data.reading import Columns
from snaptune.errors import DataError

_DONE = "complete.txt"
_CARD = "README.md"


def from_hub(
    name: str,
    *,
    split: str = "",
    columns: Columns | None = None,
    cache: str | Path | None = None,
    workers: int | None = None,
    keep_download: bool = True,
) -> ImageDataset:
    """A data set of the hub by name, such as `cj-mills/hagrid-classification-512p-no-gesture-150k-zip`.

    All of its parts, or the one named by `split`. It is kept in `cache` (created if missing), and the
    hub is not asked again. Archives are unpacked there; `keep_download=False` then deletes the archive.
    `workers` download at once, as many as there are cores by default. `HF_ENDPOINT` names another hub.
    """
    if not re.fullmatch(r"(\w[\w.-]*/)?\w[\w.-]*", name, re.ASCII) or ".." in name:
        raise DataError(f"'{name}' is not a hub name. Expected hub:OWNER/NAME.")
    home = (Path(cache) if cache is not None else cache_folder() / "hub") / name.replace("/", "--")
    if not (home / _DONE).is_file():
        snapshot = _download(name, home / "download", workers or os.cpu_count() or 1)
        _unpack(snapshot, home / "data")
        (home / _DONE).write_text(f"{snapshot.relative_to(home).as_posix()}\n", encoding="utf-8")
    dataset = _open(home, name.rpartition("/")[2], columns)
    if not keep_download:
        dataset = replace(dataset, notes=(*dataset.notes, *remove_download(home)))
    return _one_part(dataset, split) if split else dataset


def from_local_copy(path: str | Path, columns: Columns | None = None) -> ImageDataset:
    """A copy of a hub data set on disk: a Parquet or Arrow file of pictures, or a folder of them."""
    path = Path(path)
    files = [path] if path.is_file() else _picture_files(path)
    return from_embedded(files, path.stem if path.is_file() else path.resolve().name, columns)


def is_local_copy(path: Path) -> bool:
    """Whether `path` is a Parquet or Arrow file that holds pictures, or a folder of such files."""
    if path.is_file():
        return path.suffix in ARROW_SUFFIXES and has_pictures(path)
    files = _picture_files(path) if path.is_dir() else []
    return bool(files) and has_pictures(files[0])


def remove_download(home: Path) -> tuple[str, ...]:
    """Delete the downloaded files of one unpacked data set; what cannot be deleted is named, the rest go on.

    Only below the data set's own download folder, and only if the pictures are not read from there.
    """
    if not (home / "data").is_dir():
        return ("the download is kept: the pictures are read from it",)
    folder = home / "download"
    kept = [path for path in _files_below(folder) if not _removed(path)]
    if not kept:
        shutil.rmtree(folder, ignore_errors=True)
    return tuple(f"'{path}' cannot be deleted" for path in kept)


def _files_below(folder: Path) -> list[Path]:
    return sorted(Path(where) / name for where, _, names in os.walk(folder) for name in names)


def _removed(path: Path) -> bool:
    try:
        path.unlink()
    except OSError:
        return False
    return True


def _download(name: str, folder: Path, workers: int) -> Path:
    """The data set's files as the hub has them.

    The client goes on by itself where a connection was cut; a later run keeps the files that are complete.
    """
    from huggingface_hub import errors as hub
    from huggingface_hub import snapshot_download

    endpoint = os.environ.get("HF_ENDPOINT")
    try:
        found = snapshot_download(
            name, repo_type="dataset", cache_dir=folder, max_workers=workers, endpoint=endpoint
        )
    except hub.GatedRepoError as error:
        raise DataError(
            f"'{name}' asks for a login: accept its terms on its page, then: hf auth login"
        ) from error
    except hub.RepositoryNotFoundError as error:
        raise DataError(
            f"No data set '{name}' on the hub, or it is private. Check the name OWNER/NAME."
        ) from error
    except (hub.HfHubHTTPError, OSError, RuntimeError) as error:
        raise DataError(_unreachable(name, folder, error)) from error
    except Exception as error:  # the HTTP library's own errors, which differ between its versions
        if "http" not in type(error).__module__:
            raise
        raise DataError(_unreachable(name, folder, error)) from error
    return Path(found)


def _unreachable(name: str, folder: Path, error: Exception) -> str:
    cause = error.__cause__ or error
    reason = (str(cause).strip().splitlines() or [type(cause).__name__])[0]
    begun = " Files that came complete are kept; run again to go on." if any(folder.rglob("blobs/*")) else ""
    return (
        f"'{name}' could not be downloaded: {reason}.{begun} "
        "Without a network, name a local copy: a folder of class folders or of Parquet files."
    )


def _unpack(snapshot: Path, target: Path) -> None:
    """Every archive into its own folder below `target`; nothing is left of an unpacking that was cut."""
    archives = sorted(snapshot.rglob("*.zip"))
    if not archives:
        return
    partial = target.with_name("data.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for archive in archives:
        _extract(archive, partial / archive.stem)
    card = snapshot / _CARD
    if card.is_file():
        shutil.copyfile(card, partial / _CARD)
    shutil.rmtree(target, ignore_errors=True)
    partial.rename(target)


def _extract(archive: Path, target: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            file.extractall(target)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(f"'{archive.name}' cannot be unpacked into '{target}': {error}.") from error


def _open(home: Path, name: str, columns: Columns | None) -> ImageDataset:
    unpacked = home / "data"
    if unpacked.is_dir():
        return _aligned(_from_archives(unpacked, name), unpacked / _CARD)
    snapshot = home / (home / _DONE).read_text(encoding="utf-8").strip()
    files = _picture_files(snapshot)
    if files:
        return from_embedded(files, name, columns)
    return _aligned(replace(from_folder(snapshot), name=name), snapshot / _CARD)


def _picture_files(folder: Path) -> list[Path]:
    """Parquet or Arrow files below a folder, the parts in their order."""
    found = [
        path for path in folder.rglob("*") if path.suffix in ARROW_SUFFIXES and not path.name.startswith(".")
    ]
    return sorted(found, key=lambda path: (path.parent, path.name))


def _from_archives(root: Path, name: str) -> ImageDataset:
    """Pictures labelled by the folder that they lie in, as the hub's own libraries read such archives."""
    pictures, _ = list_pictures(root)
    inside = [path for path in pictures if len(path.parts) > 2]
    if not inside:
        raise DataError(f"The archives of '{name}' hold no class folders with pictures.")
    class_names, labels = coded([path.parts[-2] for path in inside])
    files = Files(root, strings([str(path) for path in inside]))
    return ImageDataset(name, files, labels, class_names, parts=_parts(inside))


def _parts(paths: Sequence[PurePosixPath]) -> Codes | None:
    """The part that an archive or a folder above the class is called after; train where none is."""
    codes = [part_of_words(path.parts[:-2]) for path in paths]
    return np.asarray(codes, np.uint8) if len(set(codes)) > 1 else None


def _aligned(dataset: ImageDataset, card: Path) -> ImageDataset:
    """Class names in the order of the data set's card, where that knows them all."""
    names = _card_names(card)
    codes = coded_as(dataset.class_names, names)
    if not names or (codes < 0).any():
        return dataset
    return replace(dataset, labels=codes[dataset.labels], class_names=names)


def _card_names(card: Path) -> tuple[str, ...]:
    """Class names of the label feature in a data set card; empty where it names none."""
    from huggingface_hub import DatasetCard

    if not card.is_file():
        return ()
    try:
        infos = DatasetCard.load(card, ignore_metadata_errors=True).data.to_dict().get("dataset_info", [])
        first = infos[0] if isinstance(infos, list) else infos
        label = next(feature for feature in first["features"] if feature["name"] in LABEL_COLUMNS)
        names = label["dtype"]["class_label"]["names"]
        return tuple(str(names[key]) for key in sorted(names, key=int))
    except (KeyError, TypeError, ValueError, IndexError, StopIteration):
        return ()


def _one_part(dataset: ImageDataset, split: str) -> ImageDataset:
    wanted = PART_NAMES.get(split.lower())
    present = np.zeros(len(dataset), np.uint8) if dataset.parts is None else dataset.parts
    if wanted is None or not (present == wanted).any():
        listed = ", ".join(PARTS[part] for part in np.unique(present))
        raise DataError(f"'{dataset.name}' has no part '{split}'. Its parts: {listed}.")
    return replace(dataset.subset(np.flatnonzero(present == wanted)), parts=None)
