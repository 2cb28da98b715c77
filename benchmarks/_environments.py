"""Virtual environments of the contestants, made beside the benchmark; none is a dependency of ours."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

PLACE = Path(__file__).parents[1] / ".peers"
PACKAGES = {
    "cleanvision": ("cleanvision",),
    "fastai": ("fastai",),
    "transformers": ("transformers",),
    "ultralytics": ("ultralytics",),
}


def python_of(peer: str) -> Path:
    """The Python of a contestant's environment, made now where there is none.

    It sees the packages of the running environment behind its own, so that all use the same torch.
    """
    folder = PLACE / peer
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"installing {', '.join(PACKAGES[peer])} into {folder}", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        inside = ["import sysconfig; print(sysconfig.get_path('purelib'))"]
        answer = subprocess.run([python, "-c", *inside], check=True, capture_output=True, text=True)
        behind = Path(answer.stdout.strip()) / "behind.pth"
        behind.write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES[peer]], check=True)
        (folder / "complete").touch()
    return python
