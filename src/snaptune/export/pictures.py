"""Pictures to compare on, decoded one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from snaptune.data.dataset import ImageDataset, Ints
from snaptune.images.load import load_image


@dataclass(frozen=True)
class NamedPicture:
    """A picture that is decoded only when its turn comes; `open` gives it upright, RGB, at its own size."""

    name: str
    open: Callable[[], Image.Image]


def pictures_of(dataset: ImageDataset, indices: Ints) -> list[NamedPicture]:
    """Samples of a data set, at their own size."""

    def opener(index: int) -> Callable[[], Image.Image]:
        return lambda: load_image(dataset.source.read(index), str(dataset.ids[index]))

    return [NamedPicture(str(dataset.ids[index]), opener(int(index))) for index in indices]
