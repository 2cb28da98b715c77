"""A table of 1,000,000 rows: read, split and fingerprinted. Prints seconds and peak memory.

python benchmarks/data_million.py [rows]
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from snaptune.data.dataset import ImageDataset
from snaptune.data.splits import split_automatically
from snaptune.data.tables import from_table


def write_table(path: Path, rows: int) -> None:
    (path.parent / "photos").mkdir()
    (path.parent / "photos" / "user0000000_0000000.jpg").touch()
    with path.open("w", encoding="utf-8") as file:
        file.write("file,label,group\n")
        for row in range(rows):
            file.write(
                f"photos/user{row // 16:07d}_{row:07d}.jpg,class{row * 7919 % 1000:03d},user{row // 16:07d}\n"
            )


def timed(title: str, start: float) -> float:
    now = time.perf_counter()
    print(f"  {title:<28}{now - start:6.2f} s   peak {peak_mib():7,.0f} MiB")
    return now


def peak_mib() -> float:
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def measure(path: Path) -> ImageDataset:
    start = now = time.perf_counter()
    dataset = from_table(path)
    now = timed("read", now)
    split_automatically(dataset, 0.1, 1234)
    now = timed("split by group", now)
    dataset.fingerprint()
    timed("fingerprint", now)
    timed("together", start)
    return dataset


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labels.csv"
        write_table(path, rows)
        print(f"{rows:,} rows, {path.stat().st_size / 2**20:.0f} MiB of CSV")
        measure(path)


if __name__ == "__main__":
    main()
