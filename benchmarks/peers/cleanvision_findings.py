"""What cleanvision finds in a folder of pictures, as JSON: kind of trouble -> paths below the folder.

python benchmarks/peers/cleanvision_findings.py FOLDER, in an environment that has cleanvision
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cleanvision import Imagelab

KINDS = {
    "dark": ("dark",),
    "blurred": ("blurry",),
    "blank": ("low_information",),
    "odd": ("odd_size", "odd_aspect_ratio"),
}


def main() -> None:
    root = Path(sys.argv[1])
    lab = Imagelab(data_path=str(root), verbose=False)
    asked: dict[str, dict[str, object]] = {name: {} for names in KINDS.values() for name in names}
    lab.find_issues(asked, n_jobs=1, verbose=False)
    found = {
        kind: sorted(
            {
                Path(str(path)).relative_to(root).as_posix()
                for name in names
                for path in lab.issues.index[lab.issues[f"is_{name}_issue"]]
            }
        )
        for kind, names in KINDS.items()
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
