"""`python -m benchmarks TABLE …` is `python -m benchmarks.TABLE …`; without a table, the list of them."""

from __future__ import annotations

import pkgutil
import runpy
import sys
from pathlib import Path


def main() -> None:
    names = sorted(item.name for item in pkgutil.iter_modules([str(Path(__file__).parent)]) if not item.ispkg)
    tables = [name for name in names if not name.startswith("_")]
    if len(sys.argv) < 2 or sys.argv[1] not in tables:
        raise SystemExit(f"Which table? One of: {', '.join(tables)}.")
    sys.argv = [f"benchmarks.{sys.argv[1]}", *sys.argv[2:]]
    runpy.run_module(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
