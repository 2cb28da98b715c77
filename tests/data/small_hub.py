"""A hub of one data set, served on the loopback address."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class SmallHub:
    """What it has, what it was asked for, and after how many bytes it hangs up (once)."""

    name: str
    files: dict[str, bytes]
    url: str = ""
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    cut_after: int = 0
    refuse_after_cut: bool = False

    def ranges(self) -> list[str]:
        """Byte ranges that were asked for."""
        return [found for method, _, found in self.asked if method == "GET" and found]


@contextmanager
def serve(hub: SmallHub) -> Iterator[SmallHub]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(hub: SmallHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def _answer(self, with_body: bool) -> None:
            hub.asked.append((self.command, self.path, self.headers.get("Range", "")))
            path = self.path.split("?")[0]
            if path.startswith(f"/api/datasets/{hub.name}/"):
                return self._say(
                    json.dumps(self._listing(path)).encode(), {"Content-Type": "application/json"}
                )
            match = re.fullmatch(rf"/datasets/{hub.name}/resolve/[^/]+/(.+)", path)
            if match and match[1] in hub.files:
                return self._file(hub.files[match[1]], with_body)
            return self._say(b"", {"X-Error-Code": "RepoNotFound"}, 404)

        def _listing(self, path: str) -> object:
            if "/tree/" in path:
                return [
                    {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}  # noqa: S324
                    for name, data in hub.files.items()
                ]
            siblings = [{"rfilename": name} for name in hub.files]
            return {"id": hub.name, "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}

        def _file(self, data: bytes, with_body: bool) -> None:
            headers = {
                "X-Repo-Commit": COMMIT,
                "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
                "Accept-Ranges": "bytes",
            }
            begin = int((re.match(r"bytes=(\d+)-", self.headers.get("Range", "")) or [0, 0])[1])
            body, status = data[begin:], 206 if begin else 200
            if begin:
                headers["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
            if with_body and hub.refuse_after_cut and hub.cut_after < 0:
                return self._say(b"", {}, 503)
            if with_body and 0 < hub.cut_after < len(body):
                return self._hang_up(body, headers, status)
            return self._say(body if with_body else b"", headers, status, len(body))

        def _hang_up(self, body: bytes, headers: dict[str, str], status: int) -> None:
            self._head(status, headers, len(body))
            self.wfile.write(body[: hub.cut_after])
            self.wfile.flush()
            hub.cut_after = -1
            self.close_connection = True
            self.connection.close()

        def _say(
            self, body: bytes, headers: dict[str, str], status: int = 200, length: int | None = None
        ) -> None:
            self._head(status, headers, len(body) if length is None else length)
            if self.command == "GET":
                self.wfile.write(body)

        def _head(self, status: int, headers: dict[str, str], length: int) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(length)}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
