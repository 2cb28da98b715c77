"""Shards by URL, from a server on loopback that can hang up in the middle."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from snaptune.data.downloads import download_shards
from snaptune.data.parallel import silent
from snaptune.data.readers import open_dataset
from snaptune.data.reading import Reading
from snaptune.data.shards import from_shards
from snaptune.errors import DataError
from tests.data.test_shards import sample, shard

LARGE = np.random.default_rng(0).bytes(3 * 2**20 + 17)


@dataclass
class Server:
    """`files` by path; the answers to come are cut after so many bytes as `cuts` says, one an answer."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    mark: str | None = '"1"'
    ranges: bool = True


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range", "")
            state.asked.append(f"{self.path} {asked}".strip())
            data = state.files.get(self.path.partition("?")[0])
            if data is None:
                self.send_error(404)
                return
            start = self.begin(data, asked)
            part = data[start:]
            self.wfile.write(part[: state.cuts.pop(0)] if state.cuts else part)

        def begin(self, data: bytes, asked: str) -> int:
            """Send the headers; where the body starts."""
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if self.headers.get("If-Range") not in (None, state.mark):
                start = 0
            if asked and state.ranges and start >= len(data):
                self.send_error(416)
                return len(data)
            self.send_response(206 if start else 200)
            self.send_header("Content-Length", str(len(data) - start))
            if state.mark:
                self.send_header("ETag", state.mark)
            self.end_headers()
            return start

        def log_message(self, format: str, *args: object) -> None:
            return

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    yield state
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def fetched(server: Server, folder: Path, name: str = "/a/large.tar") -> bytes:
    (path,) = download_shards([server.url + name], folder, silent)
    return path.read_bytes()


def test_shards_of_a_range_are_read_like_local_ones(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SNAPTUNE_CACHE", str(tmp_path / "cache"))
    for number, label in enumerate("ab"):
        path = shard(tmp_path / f"{number}.tar", sample("1", label, number))
        server.files[f"/set/train-{number:02d}.tar"] = path.read_bytes()
    spec = f"{server.url}/set/train-{{00..01}}.tar"
    dataset = open_dataset(spec)
    assert dataset.class_names == ("a", "b")
    assert [str(name) for name in dataset.ids] == ["train-00/1.png", "train-01/1.png"]
    assert (dataset.name, dataset.reading) == ("train", Reading(spec))
    assert dataset.source.read(1) == sample("1", "b", 1)[0][1]
    count = len(server.asked)
    assert open_dataset(spec).fingerprint() == dataset.fingerprint()
    assert len(server.asked) == count == 2


def test_a_download_cut_in_the_middle_goes_on_by_itself(server: Server, tmp_path: Path) -> None:
    server.files["/a/large.tar"] = LARGE
    server.cuts = [2**20, 1000]
    assert fetched(server, tmp_path) == LARGE
    assert server.asked == [
        "/a/large.tar",
        f"/a/large.tar bytes={2**20}-",
        f"/a/large.tar bytes={2**20 + 1000}-",
    ]
    assert [path.name for path in tmp_path.rglob("large*") if path.suffix != ".lock"] == ["large.tar"]


def test_a_later_run_goes_on_where_the_last_one_gave_up(server: Server, tmp_path: Path) -> None:
    server.files["/a/large.tar"] = LARGE
    server.cuts = [2 * 2**20, 0]
    with pytest.raises(
        DataError, match=r"ended 1,048,593 bytes early. The first 2.0 MiB are kept; run again"
    ):
        fetched(server, tmp_path)
    assert fetched(server, tmp_path) == LARGE
    assert server.asked[-1] == f"/a/large.tar bytes={2 * 2**20}-"


def test_a_file_that_has_changed_meanwhile_is_not_pieced_together(server: Server, tmp_path: Path) -> None:
    server.files["/a/large.tar"] = LARGE
    server.cuts = [2**20, 0]
    with pytest.raises(DataError):
        fetched(server, tmp_path)
    server.mark, server.files["/a/large.tar"] = '"2"', LARGE[::-1]
    assert fetched(server, tmp_path) == LARGE[::-1]


@pytest.mark.parametrize(("mark", "ranges"), [(None, True), ('W/"1"', True), ('"1"', False)])
def test_a_server_that_cannot_go_on_starts_over(
    server: Server, tmp_path: Path, mark: str | None, ranges: bool
) -> None:
    server.mark, server.ranges = mark, ranges
    server.files["/a/large.tar"] = LARGE
    server.cuts = [2**20]
    assert fetched(server, tmp_path) == LARGE


def test_all_of_it_without_the_last_step_starts_over(server: Server, tmp_path: Path) -> None:
    server.files["/a/large.tar"] = LARGE
    server.cuts = [2**20, 0]
    with pytest.raises(DataError):
        fetched(server, tmp_path)
    (partial,) = tmp_path.rglob("large.tar.partial")
    partial.write_bytes(LARGE)
    assert fetched(server, tmp_path) == LARGE


def test_a_new_signature_finds_what_is_kept(server: Server, tmp_path: Path) -> None:
    server.files["/a/large.tar"] = LARGE
    assert fetched(server, tmp_path, "/a/large.tar?key=1") == fetched(server, tmp_path, "/a/large.tar?key=2")
    assert len(server.asked) == 1


def test_what_cannot_be_had_is_said(server: Server, tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"none.tar' cannot be downloaded: the server answered 404 Not Found\.$"
    ):
        from_shards(f"{server.url}/none.tar", cache=tmp_path)
    with pytest.raises(DataError, match=r"is no shard. Expected a URL of a .tar file"):
        from_shards(f"{server.url}/pictures.zip", cache=tmp_path)
    with pytest.raises(DataError, match="name or password"):
        from_shards("https://me:secret@example.org/x.tar", cache=tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(DataError, match=r"cannot be downloaded: .*refused"):
            from_shards(f"http://127.0.0.1:{port}/x.tar", cache=tmp_path)
