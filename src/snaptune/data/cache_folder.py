"""Where downloads and prepared pictures are kept between runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """`$SNAPTUNE_CACHE`, or `snaptune` in the user's cache directory as the system has it."""
    if chosen := os.environ.get("SNAPTUNE_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")).expanduser() / "snaptune" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "snaptune"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "snaptune"
