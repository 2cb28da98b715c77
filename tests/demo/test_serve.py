"""The server for a demo on this machine."""

from __future__ import annotations

from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from snaptune.demo.serve import make_server
from snaptune.errors import DemoError
from tests.demo.conftest import Serve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("index.html", "app.js", "model.onnx", "ort.wasm.gzip"):
        (tmp_path / name).write_text(name)
    return tmp_path


def get(url: str, path: str) -> HTTPResponse:
    connection = HTTPConnection(urlsplit(url).netloc)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        response.read()
        return response
    finally:
        connection.close()


def test_sends_the_headers_that_isolate_and_bind_the_page(folder: Path, serve: Serve) -> None:
    response = get(serve(folder), "/")

    assert response.status == 200
    assert response.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert response.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert response.headers["Content-Security-Policy"].startswith("default-src 'self' ")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/app.js", "text/javascript; charset=utf-8"),
        ("/model.onnx", "application/octet-stream"),
        ("/ort.wasm.gzip", "application/octet-stream"),
    ],
)
def test_sends_types_of_its_own(folder: Path, serve: Serve, path: str, kind: str) -> None:
    response = get(serve(folder), path)

    assert response.headers["Content-Type"] == kind
    assert response.headers["Content-Encoding"] is None


def test_listens_on_this_machine_only(folder: Path) -> None:
    with make_server(folder, 0) as server:
        assert server.server_address[0] == "127.0.0.1"


def test_does_not_leave_the_folder(folder: Path, serve: Serve) -> None:
    (folder.parent / "secret.txt").write_text("secret")

    assert get(serve(folder), "/../secret.txt").status == 404


def test_says_that_there_is_no_demo(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"No demo in .* Build one first: snaptune demo RUN --out"):
        make_server(tmp_path, 0)


def test_says_that_the_port_is_taken(folder: Path) -> None:
    with make_server(folder, 0) as server:
        port = server.server_port
        with pytest.raises(DemoError, match=rf"Port {port} cannot be used .* Choose another: --port"):
            make_server(folder, port)
