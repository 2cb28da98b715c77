"""What trivial augmentation draws from: operations and their strengths, as a value that settings hold."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from snaptune.errors import ConfigError, closest

GEOMETRY = ("ShearX", "ShearY", "TranslateX", "TranslateY", "Rotate")
_MOST = 10_000.0
_ALLOWED = {
    "Identity": (0.0, 0.0),
    **dict.fromkeys(GEOMETRY, (-_MOST, _MOST)),
    **dict.fromkeys(("Brightness", "Color", "Contrast", "Sharpness"), (-1.0, _MOST)),
    "Posterize": (0.0, 8.0),
    "Solarize": (0.0, 256.0),
    "AutoContrast": (0.0, 0.0),
    "Equalize": (0.0, 0.0),
}
_BINS = (2, 1000)
_EXAMPLE = '{ name = "Rotate", high = 30, signed = true }'


@dataclass(frozen=True)
class Operation:
    """An operation and its strengths: even steps from `low` to `high`, either sign alike if `signed`.

    Shears are slopes, translations pixels, rotations degrees counter-clockwise; brightness, colour, contrast
    and sharpness are added to a factor of one; posterize counts bits kept, solarize inverts levels from its
    strength on. Names are torchvision's. Raises `ConfigError`.
    """

    name: str
    low: float = 0.0
    high: float = 0.0
    signed: bool = False

    def __post_init__(self) -> None:
        if self.name not in _ALLOWED:
            raise ConfigError(f"Unknown operation {_hint(self.name, _ALLOWED)}")
        least, most = _ALLOWED[self.name]
        ends = (self.low, self.high) + ((-self.low, -self.high) if self.signed else ())
        if not all(least <= end <= most for end in ends):
            allowed = f"between {least:g} and {most:g}" if least < most else f"{most:g}: it has none"
            raise ConfigError(f"'{self.name}': strengths from {self._strengths} must be {allowed}.")

    @property
    def _strengths(self) -> str:
        return f"{self.low:g} to {self.high:g}{' of either sign' if self.signed else ''}"

    def __str__(self) -> str:
        return f"{self.name} {self._strengths}" if self.low or self.high else self.name


@dataclass(frozen=True)
class TrivialSpace:
    """Operations that are equally likely, each at one of `bins` strengths. Raises `ConfigError`."""

    operations: tuple[Operation, ...]
    bins: int = 31

    def __post_init__(self) -> None:
        if problems := _problems(len(self.operations), self.bins):
            raise ConfigError("\n".join(problems))

    @classmethod
    def from_plain(cls, values: object) -> TrivialSpace:
        """From the tables of a settings file; raises one `ConfigError` with every problem, a line each."""
        if not isinstance(values, Mapping):
            raise ConfigError(f"{values!r} must be a table: bins = 31, and operations = [{_EXAMPLE}, ...].")
        listed, bins = values.get("operations", ()), values.get("bins", cls.bins)
        if not isinstance(listed, list | tuple):
            raise ConfigError(f"operations must be a list of tables, such as {_EXAMPLE}.")
        problems = _unknown_keys(values, cls) + _problems(len(listed), bins)
        operations = []
        for number, table in enumerate(listed, 1):
            try:
                operations.append(_operation(table))
            except ConfigError as error:  # noqa: PERF203  every problem is told
                problems += [f"operation {number}: {line}" for line in str(error).splitlines()]
        if problems:
            raise ConfigError("\n".join(problems))
        return cls(tuple(operations), bins)

    def __str__(self) -> str:
        return f"{self.bins} strengths each of: {', '.join(map(str, self.operations))}"


def _problems(operations: int, bins: object) -> list[str]:
    problems = []
    if type(bins) is not int or not _BINS[0] <= bins <= _BINS[1]:
        problems.append(f"bins={bins!r} must be a whole number between {_BINS[0]} and {_BINS[1]}.")
    if not operations:
        problems.append('operations is empty; to change no picture, set augment = "none".')
    return problems


def _operation(table: object) -> Operation:
    if not isinstance(table, Mapping):
        raise ConfigError(f"{table!r} must be a table, such as {_EXAMPLE}.")
    problems = _unknown_keys(table, Operation)
    problems += [
        f"{key}={table[key]!r} must be {what}."
        for key, (what, fits) in _KINDS.items()
        if key in table and not fits(table[key])
    ]
    if "name" not in table:
        problems.append(f"it has no name. Known: {', '.join(_ALLOWED)}.")
    if problems:
        raise ConfigError("\n".join(problems))
    return Operation(**table)


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < 2**53)


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "name": ("a string", lambda value: type(value) is str),
    "low": ("a number", _is_number),
    "high": ("a number", _is_number),
    "signed": ("true or false", lambda value: type(value) is bool),
}


def _unknown_keys(values: Mapping[str, Any], kind: type[Any]) -> list[str]:
    known = [item.name for item in fields(kind)]
    return [f"Unknown key {_hint(key, known)}" for key in values if key not in known]


def _hint(name: str, known: Iterable[str]) -> str:
    near = closest(name, known)
    return f"'{name}'. Closest: {near}." if near else f"'{name}'. Known: {', '.join(known)}."


def _space(*, shear: float, rotate: float, brightness: float) -> TrivialSpace:
    """The 14 operations; these three ranges are all that the two spaces differ in."""
    return TrivialSpace(
        (
            Operation("Identity"),
            Operation("ShearX", 0, shear, signed=True),
            Operation("ShearY", 0, shear, signed=True),
            Operation("TranslateX", 0, 32, signed=True),
            Operation("TranslateY", 0, 32, signed=True),
            Operation("Rotate", 0, rotate, signed=True),
            Operation("Brightness", 0, brightness, signed=True),
            Operation("Color", 0, 0.99, signed=True),
            Operation("Contrast", 0, 0.99, signed=True),
            Operation("Sharpness", 0, 0.99, signed=True),
            Operation("Posterize", 8, 2),
            Operation("Solarize", 255, 0),
            Operation("AutoContrast"),
            Operation("Equalize"),
        )
    )


TUTORIAL = _space(shear=0.25, rotate=45, brightness=0.75)
"""Milder in shape and light: nothing is turned by more than 45°, so that up stays up."""
WIDE = _space(shear=0.99, rotate=135, brightness=0.99)
"""The paper's wide space as torchvision has it."""
