"""Time of a whole `check` against decoding the same files with the same decoder and threads.

python benchmarks/check_rate.py DATA [repetitions]
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from snaptune.data.health import check
from snaptune.data.parallel import for_each_few, silent
from snaptune.data.readers import open_dataset
from snaptune.images.load import load_image


def fastest(work: Callable[[], object], repetitions: int) -> tuple[float, float]:
    """Seconds of wall clock and of processor; the latter also holds on a machine that others use."""
    times = []
    for _ in range(repetitions):
        start, used = time.perf_counter(), time.process_time()
        work()
        times.append((time.perf_counter() - start, time.process_time() - used))
    wall, processor = zip(*times, strict=True)
    return min(wall), min(processor)


def main() -> None:
    dataset = open_dataset(sys.argv[1])
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 3

    def decode(numbers: range) -> None:
        for index in numbers:
            load_image(dataset.source.read(index), "picture")

    plain = fastest(lambda: for_each_few(decode, len(dataset), silent, ""), repetitions)
    checked = fastest(lambda: check(dataset), repetitions)
    print(f"{dataset.name}: {len(dataset):,} pictures, fastest of {repetitions}")
    for title, (wall, processor) in (("decoding alone", plain), ("check", checked)):
        rate = len(dataset) / wall
        print(f"  {title:<15}{wall:7.2f} s, {processor:.2f} s of processor, {rate:,.0f} pictures a second")
    ratios = [part / whole for part, whole in zip(checked, plain, strict=True)]
    print(f"  check / decoding  {ratios[0]:.2f} (at most 2); of processor {ratios[1]:.2f}")


if __name__ == "__main__":
    main()
