from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from snaptune.errors import ImageError
from snaptune.inputs.fetch import Limits, fetch, is_public

LOCAL = Limits(allow_local=True, seconds=10)


class Pages(BaseHTTPRequestHandler):
    """What the tests ask for; each path is one behaviour."""

    def do_GET(self) -> None:
        path, _, rest = self.path.partition("?")
        if path == "/to":
            self.answer(302, b"", Location=rest)
        elif path == "/loop":
            self.answer(302, b"", Location="/loop")
        elif path == "/drip":
            self.send_response(200)
            self.end_headers()
            self.drip()
        elif path == "/drip-headers":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
            self.drip()
        elif path == "/short":
            self.answer(200, b"1234", **{"Content-Length": "10"})
        elif path == "/large":
            self.answer(200, b"x" * (2**20 + 1))
        elif path == "/none":
            self.answer(404, b"")
        else:
            self.answer(200, self.headers["Host"].encode())

    def answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self) -> None:
        """A byte at a time, for as long as someone listens."""
        try:
            for _ in range(200):
                self.wfile.write(b"x")
                time.sleep(0.05)
        except OSError:
            return

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
    httpd.daemon_threads = True
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def refused(url: str, limits: Limits | None = None) -> str:
    with pytest.raises(ImageError) as error:
        fetch(url, limits)
    return str(error.value)


def test_a_body_and_the_name_that_was_asked_for(server: str) -> None:
    assert fetch(f"{server}/page", LOCAL) == server.removeprefix("http://").encode()


def test_a_local_address_needs_permission(server: str) -> None:
    assert "is at 127.0.0.1, which is not on the public internet" in refused(f"{server}/page")
    assert refused(f"{server}/page").endswith("If you trust the URL, pass --allow-local.")


def test_redirects_are_followed_and_counted(server: str) -> None:
    assert fetch(server + "/to?" * 5 + "/page", LOCAL)
    assert refused(server + "/to?" * 6 + "/page", LOCAL).endswith("was redirected more than 5 times.")
    assert refused(f"{server}/loop", LOCAL) == f"'{server}/loop' was redirected more than 5 times."


def test_a_redirect_goes_through_the_same_door(server: str) -> None:
    assert "not an http or https URL" in refused(f"{server}/to?file:///etc/hostname", LOCAL)


def test_a_redirect_to_a_private_address_is_refused(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = server.removeprefix("http://127.0.0.1")
    monkeypatch.setattr("snaptune.inputs.fetch.is_public", lambda address: address == "127.0.0.1")
    assert "is at 10.0.0.7, which is not" in refused(f"http://127.0.0.1{first}/to?http://10.0.0.7/secret")


def test_every_address_of_a_name_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    both = [(socket.AF_INET, 1, 6, "", (address, 80)) for address in ("93.184.216.34", "192.168.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: both)
    assert "'two.example' is at 192.168.0.1" in refused("http://two.example/cat.jpg")


def test_the_connection_goes_to_the_address_that_was_checked(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(server.rpartition(":")[2])
    asked: list[str] = []

    def resolve(host: str, *args: object, **kwargs: object) -> list[object]:
        asked.append(host)
        return [(socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]

    create = socket.create_connection
    to: list[object] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        to.append(address)
        monkeypatch.undo()
        return create(address, timeout)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    monkeypatch.setattr(socket, "create_connection", connect)
    assert fetch(f"http://pictures.example:{port}/", LOCAL) == f"pictures.example:{port}".encode()
    assert (asked, to) == (["pictures.example"], [("127.0.0.1", port)])


def test_the_size_is_limited(server: str) -> None:
    small = Limits(megabytes=1, allow_local=True)
    assert refused(f"{server}/large", small).endswith("it is larger than 1 MiB.")


@pytest.mark.parametrize("path", ["drip", "drip-headers"])
def test_the_time_is_limited_however_slowly_bytes_come(path: str, server: str) -> None:
    started = time.monotonic()
    quick = Limits(seconds=0.5, allow_local=True)
    assert refused(f"{server}/{path}", quick).endswith("took longer than 0.5 s.")
    assert time.monotonic() - started < 3


def test_a_server_that_says_nothing_is_left_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        started = time.monotonic()
        assert refused(url, Limits(seconds=0.5, allow_local=True)).endswith("took longer than 0.5 s.")
        assert time.monotonic() - started < 3


def test_answers_that_are_no_picture(server: str) -> None:
    assert refused(f"{server}/none", LOCAL).endswith("the server answered 404 Not Found.")
    assert refused(f"{server}/short", LOCAL).endswith("the connection ended 6 bytes early.")
    assert "cannot be fetched" in refused("http://127.0.0.1:1/", LOCAL)


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org/cat.jpg", "file:///etc/hostname", "http:///cat.jpg", "http://[::1", "https://"),
        *("http://example.org:99999/", "http://a b/", f"http://{'a' * 70}/"),
    ],
)
def test_what_is_no_http_url_is_refused_before_any_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*args: object, **kwargs: object) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr(socket, "create_connection", connect)
    assert refused(url, LOCAL).startswith(f"'{url}' cannot be fetched: ")


def test_a_password_is_not_sent(server: str) -> None:
    url = server.replace("//", "//user:word@")
    assert "a name or password in a URL would end in the output" in refused(f"{url}/page", LOCAL)


@pytest.mark.parametrize(
    ("address", "public"),
    [
        *(("93.184.216.34", True), ("2606:2800:220:1::1", True), ("::ffff:8.8.8.8", True)),
        *((address, False) for address in ("127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "0.0.0.1")),
        *((address, False) for address in ("169.254.169.254", "100.64.0.1", "224.0.0.1", "255.255.255.255")),
        *((address, False) for address in ("::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1")),
        *((address, False) for address in ("::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1")),
    ],
)
def test_public_addresses(address: str, public: bool) -> None:
    assert is_public(address) is public
