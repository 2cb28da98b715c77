"""Time of a whole `check` against decoding the same files with the same decoder and threads.

python benchmarks/check_rate.py DATA [repetitions]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from snaptune.data.health import check
from snaptune.data.parallel import for_each_sample, silent
from snaptune.data.readers import open_dataset
from snaptune.images.load import load_image


def fastest(work: Callable[[], object], repetitions: int) -> float:
    times = []
    for _ in range(repetitions):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    dataset = open_dataset(sys.argv[1])
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 3

    def decode_one(index: int) -> None:
        load_image(dataset.source.read(index), "picture")

    plain = fastest(lambda: for_each_sample(decode_one, len(dataset), silent, ""), repetitions)
    checked = fastest(lambda: check(dataset), repetitions)
    print(f"{dataset.name}: {len(dataset):,} pictures, fastest of {repetitions}")
    print(f"  decoding alone  {plain:7.2f} s  {len(dataset) / plain:8,.0f} pictures a second")
    print(f"  check           {checked:7.2f} s  {len(dataset) / checked:8,.0f} pictures a second")
    print(f"  check / decoding  {checked / plain:.2f} (at most 2)")


if __name__ == "__main__":
    main()
