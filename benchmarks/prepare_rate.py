"""Rate of building the cache of prepared pictures against bare decoding and resizing on as many cores.

python -m benchmarks prepare_rate DATA [size] [repetitions]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks._rates import MEAN, STD, Bare, beside, print_ratio
from snaptune.data.prepared import prepare
from snaptune.images.preprocess import Preprocess


def main() -> None:
    size = int(sys.argv[2]) if len(sys.argv) > 2 else 288
    repetitions = int(sys.argv[3]) if len(sys.argv) > 3 else 9
    bare, recipe = Bare(sys.argv[1], size), Preprocess(size, MEAN, STD)
    with tempfile.TemporaryDirectory() as folder:

        def build(turn: int) -> None:
            prepare(bare.dataset, recipe, cache=Path(folder, str(turn)), in_memory=0)

        turns = beside(bare, "cache built", build, repetitions)
    print_ratio("kept of threads (at least 80 %)", [threads / whole for threads, _, whole in turns], ".0%")
    print_ratio("kept of processes", [processes / whole for _, processes, whole in turns], ".0%")


if __name__ == "__main__":
    main()
