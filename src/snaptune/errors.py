"""What can go wrong because of the user's input.

A `SnaptuneError` is the user's to mend: the command line prints its text and no traceback.
Anything else that reaches the top is a bug and keeps its traceback.

    SnaptuneError
    ├── ConfigError      a setting is unknown, of the wrong type or out of range
    ├── DataError        a data set cannot be read, labelled or split
    │   └── ImageError   one picture cannot be decoded
    ├── ModelError       a model is unknown or its weights cannot be loaded
    ├── RunError         a run folder is missing, incomplete or damaged
    ├── TrainingError    training cannot go on (the loss is not a number)
    ├── ExportError      an exported model does not answer as PyTorch does
    └── DemoError        the browser page cannot be built or served
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SnaptuneError(Exception):
    """Base of every error whose text is meant for the user."""


class ConfigError(SnaptuneError):
    """A setting is unknown, of the wrong type or out of range."""


class DataError(SnaptuneError):
    """A data set cannot be read, labelled or split."""


class ImageError(DataError):
    """One picture cannot be decoded; `reason` is the short form for lists, such as "truncated"."""

    def __init__(self, text: str, reason: str = "unreadable") -> None:
        super().__init__(text)
        self.reason = reason


class ModelError(SnaptuneError):
    """A model is unknown or its weights cannot be loaded."""


class RunError(SnaptuneError):
    """A run folder is missing, incomplete or damaged."""


class TrainingError(SnaptuneError):
    """Training cannot go on."""


class ExportError(SnaptuneError):
    """An exported model does not answer as PyTorch does."""


class DemoError(SnaptuneError):
    """The browser page cannot be built or served."""


def shown(name: str) -> str:
    """A file name for a one-line message: line breaks and other control characters escaped."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in name)


def closest(word: str, choices: Iterable[str], count: int = 3) -> str:
    """The choices most like `word`, joined for a message; empty if none is near."""
    return ", ".join(difflib.get_close_matches(word, list(choices), n=count, cutoff=0.5))
