"""How a data set was read, so that a later command reads it the same way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from snaptune.images.load import MAX_PIXELS

STEPS = ("group pattern", "add", "fix", "exclude")


@dataclass(frozen=True)
class Columns:
    """Names of the columns; an empty one is looked for under its usual names."""

    file: str = ""
    label: str = ""
    group: str = ""
    part: str = ""


@dataclass(frozen=True)
class Reading:
    """What was opened, and what was done to it after.

    `place` is an absolute path, a URL, `hub:NAME` or `sample:NAME`; `root` is the folder that a table's files
    lie in; pictures of more than `max_pixels` are not decoded. `steps` are pairs of one of `STEPS` and its
    value (an expression, a zip, a table of fixes, a class), in their order.
    """

    place: str
    root: str = ""
    columns: Columns = Columns()
    steps: tuple[tuple[str, str], ...] = ()
    max_pixels: int = MAX_PIXELS

    @property
    def data(self) -> str:
        """What the user calls the data: the folder of the pictures, where a table lies elsewhere."""
        return self.root or self.place

    def then(self, kind: str, *values: str) -> Reading:
        """This, and afterwards a step of one kind for each value."""
        return replace(self, steps=(*self.steps, *((kind, value) for value in values)))

    def to_json(self) -> dict[str, Any]:
        """Without what may be secret in a URL: a name, a password, a query."""
        return asdict(replace(self, place=without_secrets(self.place)))

    @classmethod
    def from_json(cls, value: object) -> Reading:
        """Raises `ValueError` for anything that `to_json` does not write; older runs hold no `max_pixels`."""
        limit = value.get("max_pixels", MAX_PIXELS) if isinstance(value, Mapping) else MAX_PIXELS
        if type(limit) is not int or limit < 1:
            raise ValueError(f"max_pixels must be a whole number of at least 1, not {limit!r}")
        match value:
            case {
                "place": str(place),
                "root": str(root),
                "columns": Mapping() as columns,
                "steps": list(steps),
            }:
                known = all(isinstance(item, str) for item in columns.values())
                if place and known and set(columns) <= set(asdict(Columns())):
                    return cls(place, root, Columns(**columns), tuple(map(_step, steps)), limit)
        raise ValueError("it must hold place, root, columns and steps")


def _step(value: object) -> tuple[str, str]:
    match value:
        case [str(kind), str(text)] if kind in STEPS:
            return kind, text
    raise ValueError(f"a step is one of {', '.join(STEPS)} and a text, not {value!r}")


def without_secrets(place: str) -> str:
    """A URL without user, password and query; any other place as it is."""
    if not is_url(place):
        return place
    parts = urlsplit(place)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()


def is_url(place: str) -> bool:
    return place.startswith(("http://", "https://"))
