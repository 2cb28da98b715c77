"""Time of a whole `check` against decoding the same files with the same decoder, on as many cores.

python -m benchmarks check_rate DATA [repetitions]
"""

from __future__ import annotations

import sys

from benchmarks._rates import Bare, beside, print_ratio
from snaptune.data.health import check


def main() -> None:
    repetitions = int(sys.argv[2]) if len(sys.argv) > 2 else 9
    bare = Bare(sys.argv[1], None)
    turns = beside(bare, "check", lambda turn: check(bare.dataset), repetitions)
    print_ratio("times threads (at most 2)", [whole / threads for threads, _, whole in turns], ".2f")
    print_ratio("times processes", [whole / processes for _, processes, whole in turns], ".2f")


if __name__ == "__main__":
    main()
