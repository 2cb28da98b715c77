"""What the user names — files, folders, patterns, URLs, standard input, video — as a stream of pictures."""

from __future__ import annotations

import glob
import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from snaptune.errors import ImageError
from snaptune.images.load import IMAGE_SUFFIXES, load_image
from snaptune.inputs.fetch import Limits, fetch
from snaptune.inputs.video import VIDEO_SUFFIXES, frames

MAX_BYTES = 256 * 2**20
"""Largest encoded picture that is read from a file or from standard input."""


@dataclass(frozen=True)
class Input:
    """One picture to come. `open` reads and decodes it, or raises `ImageError`; nothing is held before.

    `target` is the class whose folder the picture lies in, where that folder is named as a known class.
    """

    name: str
    open: Callable[[], Image.Image]
    target: str = ""


def expand(
    given: Iterable[str], *, class_names: Collection[str] = (), limits: Limits | None = None
) -> Iterator[Input]:
    """Pictures in the order given. Each thing named gives at least one: what is missing fails when opened.

    Of a folder, the names of one subfolder at a time are held, to sort them.
    """
    for text in given:
        yield from _expanded(text, class_names, limits or Limits())


def is_camera(text: str) -> bool:
    """A bare number that is no file is a camera."""
    return text.isdecimal() and not Path(text).exists()


def _expanded(text: str, class_names: Collection[str], limits: Limits) -> Iterator[Input]:
    path = Path(text)
    if text == "-":
        yield Input("-", partial(_from_stream, sys.stdin.buffer, "-", limits.max_pixels))
    elif "://" in text:
        yield Input(text, partial(_from_url, text, limits))
    elif path.is_dir():
        yield from _or_none(_in_folder(path, class_names, limits), f"No pictures in '{text}'.", text)
    elif is_camera(text):
        yield from _frames(int(text), f"camera {text}")
    elif path.suffix.lower() in VIDEO_SUFFIXES:
        yield from _frames(path, text)
    elif glob.has_magic(text) and not path.exists():
        root = _fixed_part(path)
        matches = (_file(path, root, class_names, limits) for path in _fitting(text))
        yield from _or_none(matches, f"No file fits '{text}'.", text)
    else:
        yield _file(path, path.parent, class_names, limits)


def _file(path: Path, root: Path, class_names: Collection[str], limits: Limits) -> Input:
    target = _target(path, root, class_names)
    return Input(str(path), partial(_from_file, path, limits.max_pixels), target)


def _fixed_part(pattern: Path) -> Path:
    """The folder that all files of a pattern lie below."""
    return next(folder for folder in pattern.parents if not glob.has_magic(str(folder)))


def _fitting(pattern: str) -> Iterator[Path]:
    """Files that fit a pattern, sorted; ** stands for any number of folders."""
    found = map(Path, sorted(glob.iglob(pattern, recursive=True)))  # noqa: PTH207  Path.glob wants no root
    return (path for path in found if path.is_file())


def _in_folder(root: Path, class_names: Collection[str], limits: Limits) -> Iterator[Input]:
    """Pictures below a folder, sorted; hidden files and folders are passed over, as in training."""
    for folder, subfolders, files in os.walk(root):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(files):
            path = Path(folder, name)
            if not name.startswith(".") and path.suffix.lower() in IMAGE_SUFFIXES and path.is_file():
                yield _file(path, root, class_names, limits)


def _target(path: Path, root: Path, class_names: Collection[str]) -> str:
    """The folder just below `root`, `root` itself or the picture's own, whichever is named as a class."""
    below = path.relative_to(root).parts[:-1]
    folders = (*below[:1], root.resolve().name, *below[-1:])
    return next((name for name in folders if name in class_names), "")


def _frames(source: Path | int, name: str) -> Iterator[Input]:
    try:
        for number, frame in enumerate(frames(source), 1):
            yield Input(f"{name}#{number}", partial(_itself, frame))
    except ImageError as error:
        yield Input(name, partial(_fail, str(error)))


def _or_none(inputs: Iterator[Input], text: str, name: str) -> Iterator[Input]:
    first = next(inputs, None)
    yield first or Input(name, partial(_fail, text))
    yield from inputs


def _fail(text: str) -> Image.Image:
    raise ImageError(text)


def _itself(image: Image.Image) -> Image.Image:
    return image


def _from_url(url: str, limits: Limits) -> Image.Image:
    return load_image(fetch(url, limits), url, max_pixels=limits.max_pixels)


def _from_file(path: Path, max_pixels: int) -> Image.Image:
    try:
        with path.open("rb") as file:
            return _from_stream(file, str(path), max_pixels)
    except OSError as error:
        raise ImageError(f"'{path}' cannot be read: {error.strerror or error}.") from error


def _from_stream(stream: BinaryIO, name: str, max_pixels: int) -> Image.Image:
    data = stream.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ImageError(f"'{name}' is larger than {MAX_BYTES // 2**20} MiB.")
    return load_image(data, name, max_pixels=max_pixels)
