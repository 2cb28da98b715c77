"""Accuracy on artists never seen before: ours, fastai and the worked example's loop in the same time.

    python -m benchmarks artists                  # six artists, three seeds, about an hour on two cores
    python -m benchmarks artists --artists fluent3d twemoji noto --seeds 1
    python -m benchmarks artists --report         # the table of what has been measured

Each artist is held out in turn. Ours takes its own nine epochs; the others get five, which take as long or
longer (the seconds are in the table). The last epoch counts for all: the one of lowest validation loss would
be chosen on the very pictures that are scored.
What was measured is kept in `results/artists.json`; delete the file to start over.
"""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path

from benchmarks._accuracy import arguments, compare
from benchmarks.train import laid_out

ARTISTS = ("blob", "emojione", "fluent3d", "fluentflat", "noto", "twemoji")


def main() -> None:
    parser = arguments(str(__doc__))
    parser.add_argument("--artists", nargs="+", choices=ARTISTS, default=ARTISTS)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compare("artists", {name: partial(laid_out, Path(folder), name) for name in args.artists}, args)


if __name__ == "__main__":
    main()
