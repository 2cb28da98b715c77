"""Packs a demo into one HTML file that opens from disk and can be sent by mail."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

from snaptune.errors import DemoError

IMPORT = re.compile(r"^import \{[^}]*\} from '\./([a-z]+\.js)';\n", re.MULTILINE)
EXPORT = re.compile(r"^export ", re.MULTILINE)
FOLDER_ONLY = re.compile(r"<!-- folder -->.*?<!-- /folder -->", re.DOTALL)
POLICY = re.compile(r'(http-equiv="Content-Security-Policy" content=")[^"]*')
TYPES = {".js": "text/javascript", ".json": "application/json", ".svg": "image/svg+xml", ".jpg": "image/jpeg"}


def build_single_file(site: Path, out: Path) -> Path:
    """Write the demo in the folder `site` into the one file `out`, which needs no server; returns `out`."""
    if not (site / "manifest.json").is_file():
        raise DemoError(
            f"No demo in '{site}' (no manifest.json). Build one first: snaptune demo RUN --out {site}"
        )
    app, style = bundle(site, "app.js"), (site / "style.css").read_text("utf-8")
    page = FOLDER_ONLY.sub("", (site / "index.html").read_text("utf-8"))
    page = POLICY.sub(lambda found: found[1] + policy(app, style), page)
    page = page.replace('<link rel="stylesheet" href="style.css">', f"<style>{style}</style>")
    page = page.replace('<script type="module" src="app.js"></script>', "")
    for name in ("icon.svg", "runtime/LICENSE.txt", "runtime/NOTICES.txt"):
        page = page.replace(
            f'href="{name}"', f'href="{data_address(site / name)}" download="{Path(name).name}"'
        )
    inside = "\n".join([*packed(site), f'<script type="module">{app}</script>', "</body>"])
    out.write_text(page.replace("</body>", inside), "utf-8")
    return out


def bundle(site: Path, name: str) -> str:
    """A module and all it imports as one module; the page's modules share no top-level names."""
    return "\n".join(EXPORT.sub("", IMPORT.sub("", text)) for text in modules(site, name, set()))


def modules(site: Path, name: str, seen: set[str]) -> Iterator[str]:
    """The source of a module after that of everything it imports, each once."""
    seen.add(name)
    text = (site / name).read_text("utf-8")
    for imported in IMPORT.findall(text):
        if imported not in seen:
            yield from modules(site, imported, seen)
    yield text


def packed(site: Path) -> Iterator[str]:
    """The files that the page fetches, as script elements that hold base64 and are never run.

    Without the runtime for WebGPU, which would add 9 MB that few visitors use.
    """
    manifest = json.loads((site / "manifest.json").read_text("utf-8"))
    runtime = {**manifest["runtime"], "webgpu": None}
    yield element("worker.js", bundle(site, "worker.js").encode())
    yield element("manifest.json", json.dumps({**manifest, "runtime": runtime}).encode())
    entries = [manifest["model"], runtime["script"], runtime["wasm"], *manifest["samples"]]
    for name in [*(entry["file"] for entry in entries), *manifest["credits"]]:
        yield element(name, (site / name).read_bytes())


def element(name: str, data: bytes) -> str:
    kind = TYPES.get(Path(name).suffix, "application/octet-stream")
    text = base64.b64encode(data).decode("ascii")
    names = f'data-file="{html.escape(name)}" data-type="{kind}"'
    return f'<script type="application/base64" {names}>{text}</script>'


def data_address(path: Path) -> str:
    kind = TYPES.get(path.suffix, "text/plain")
    return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"


def policy(app: str, style: str) -> str:
    """Run this very script and the parts inside the page, and reach nothing else at all."""
    return (
        f"default-src 'none'; script-src '{digest(app)}' data: 'wasm-unsafe-eval'; worker-src data:; "
        f"style-src '{digest(style)}'; img-src blob: data:; media-src blob:; connect-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def digest(text: str) -> str:
    """The hash by which a policy allows an inline script or style."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode("ascii")
