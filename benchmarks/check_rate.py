"""Time of a whole `check` against decoding the same files with the same decoder and threads.

python benchmarks/check_rate.py DATA [repetitions]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

from snaptune.data.health import check
from snaptune.data.parallel import for_each_few, silent
from snaptune.data.readers import open_dataset
from snaptune.images.load import load_image


def seconds(work: Callable[[], object]) -> tuple[float, float]:
    """Of wall clock and of processor; the latter also holds on a machine that others use."""
    start, used = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - start, time.process_time() - used


def main() -> None:
    dataset = open_dataset(sys.argv[1])
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 9

    def decode(numbers: range) -> None:
        for index in numbers:
            load_image(dataset.source.read(index), "picture")

    def plain() -> None:
        for_each_few(decode, len(dataset), silent, "")

    plain()
    pairs = [(seconds(plain), seconds(lambda: check(dataset))) for _ in range(repetitions)]
    print(f"{dataset.name}: {len(dataset):,} pictures, {repetitions} times in turn, median")
    for place, title in enumerate(("decoding alone", "check")):
        wall, processor = (median(pair[place][clock] for pair in pairs) for clock in (0, 1))
        rate = len(dataset) / wall
        print(f"  {title:<15}{wall:7.2f} s, {processor:.2f} s of processor, {rate:,.0f} pictures a second")
    for clock, title in enumerate(("check / decoding", "the same, of processor")):
        ratios = sorted(checked[clock] / decoded[clock] for decoded, checked in pairs)
        spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}"
        print(f"  {title:<24}{median(ratios):.2f} ({spread}, n = {repetitions}); at most 2")


if __name__ == "__main__":
    main()
