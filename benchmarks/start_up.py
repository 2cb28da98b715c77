"""Seconds from typing `snaptune train` to the first step, on a data set that is prepared already.

    python -m benchmarks start_up                    # the sample, three times
    python -m benchmarks start_up DATA --times 5

The first run prepares the pictures and measures the processor, and is shown apart. `began` is when the loop
starts; the loss is looked at every tenth step, so `ten steps` is when the first ten are done.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("data", nargs="?", default="sample:hand-emoji")
    parser.add_argument("--times", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        first = started(args.data, Path(cache))
        warm = [started(args.data, Path(cache)) for _ in range(args.times)]
    print(f"first time here   began {first[0]:5.1f} s, ten steps {first[1]:5.1f} s")
    for title, values in zip(("began", "ten steps"), zip(*warm, strict=True), strict=True):
        print(
            f"prepared, {title:<9} median {median(values):5.1f} s "
            f"({min(values):.1f}–{max(values):.1f}, n = {len(values)}; began: under 10 s)"
        )


def started(data: str, cache: Path) -> tuple[float, float]:
    """Seconds until the loop begins and until its tenth step is done; the run is then ended."""
    with tempfile.TemporaryDirectory() as runs:
        begun = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-m", "snaptune", "train", data, "--out", runs],
            env=os.environ | {"SNAPTUNE_CACHE": str(cache)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            return _seen(Path(runs), '"Started"', begun), _seen(Path(runs), '"StepDone"', begun)
        finally:
            process.kill()
            process.wait()


def _seen(runs: Path, word: str, begun: float) -> float:
    while time.perf_counter() - begun < 300:
        if any(word in file.read_text(encoding="utf-8") for file in runs.glob("*/events.jsonl")):
            return time.perf_counter() - begun
        time.sleep(0.02)
    raise SystemExit(f"no {word} within five minutes")


if __name__ == "__main__":
    main()
