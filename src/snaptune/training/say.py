"""How training tells in words what it decides."""

from collections.abc import Callable

Say = Callable[[str], None]


def no_word(text: str) -> None:
    """What all processes but the first say."""
