"""Serves a demo on this machine, with the headers that let the page use several threads."""

from __future__ import annotations

import os
import sys
import webbrowser
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from snaptune.errors import DemoError

HOST = "127.0.0.1"
POLICY = "default-src 'self' blob: data: 'wasm-unsafe-eval'"
"""No other origin. The page itself says more in its own, stricter one; this one also binds its threads."""

HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


class DemoHandler(SimpleHTTPRequestHandler):
    """Static files with our headers, and with types that no machine's registry can change."""

    extensions_map = {  # noqa: RUF012  the base class declares it so
        "": "application/octet-stream",
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
        ".jpg": "image/jpeg",
        ".png": "image/png",
        ".webp": "image/webp",
        ".gif": "image/gif",
        ".bmp": "image/bmp",
        ".onnx": "application/octet-stream",
        ".gzip": "application/octet-stream",
    }

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: the command line prints the address, and requests are no news."""


def make_server(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server of `folder` on the loopback address, not yet running; port 0 takes a free one."""
    if not (folder / "index.html").is_file():
        raise DemoError(
            f"No demo in '{folder}' (no index.html). Build one first: snaptune demo RUN --out {folder}"
        )
    try:
        return ThreadingHTTPServer((HOST, port), partial(DemoHandler, directory=str(folder)))
    except OSError as error:
        raise DemoError(
            f"Port {port} cannot be used ({error.strerror}). Choose another: --port 8001"
        ) from None


def address(server: ThreadingHTTPServer) -> str:
    """Where the demo is to be opened."""
    return f"http://{HOST}:{server.server_port}/"


def has_desktop() -> bool:
    """Whether a browser would open in a window; the others would take over the terminal."""
    return sys.platform in ("darwin", "win32") or bool({"DISPLAY", "WAYLAND_DISPLAY"} & os.environ.keys())


def serve(folder: Path, port: int = 8000) -> None:
    """Serve the demo in `folder` until interrupted; prints its address and opens the user's browser there."""
    with make_server(folder, port) as server:
        print(f"The demo is at {address(server)} (stop with Ctrl+C)")
        if has_desktop():
            webbrowser.open(address(server))
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
