"""Pictures to compare on, decoded one at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from PIL import Image

from snaptune.data.dataset import ImageDataset, Ints


@dataclass(frozen=True)
class NamedPicture:
    """A picture that is decoded only when its turn comes; `open` gives it upright, RGB, at its own size.

    `label` and `group` are empty where they are not known.
    """

    name: str
    open: Callable[[], Image.Image]
    label: str = ""
    group: str = ""


def pictures_of(dataset: ImageDataset, indices: Ints) -> list[NamedPicture]:
    """Samples of a data set, at their own size."""

    def opener(index: int) -> Callable[[], Image.Image]:
        return lambda: dataset.load(index)

    def named(index: int) -> NamedPicture:
        label = dataset.class_names[dataset.labels[index]]
        return NamedPicture(str(dataset.ids[index]), opener(index), label, dataset.group_of(index))

    return [named(int(index)) for index in indices]
