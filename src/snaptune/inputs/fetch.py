"""Pictures by URL, for a process that may stand inside a network the asker cannot reach.

Every address a name resolves to is checked, and the connection is made to a checked address, so that a
name cannot answer differently in between. Each redirect goes through the same door. Connections are
direct: a proxy would resolve names by itself, so none is used. The time limit covers everything but the
look-up of the name, which the system limits.
"""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from importlib.metadata import version
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urljoin, urlsplit

from snaptune.errors import ImageError
from snaptune.images.load import MAX_PIXELS

_REDIRECTS = (301, 302, 303, 307, 308)
_NAT64 = IPv6Network("64:ff9b::/96")
_CHUNK = 2**16


@dataclass(frozen=True)
class Limits:
    """What one picture may cost: its pixels, and by URL all else, redirects included.

    `allow_local` admits non-public addresses.
    """

    megabytes: float = 64
    seconds: float = 20
    redirects: int = 5
    allow_local: bool = False
    max_pixels: int = MAX_PIXELS


def fetch(url: str, limits: Limits | None = None) -> bytes:
    """The body that an http or https URL answers with; raises `ImageError` that names the URL."""
    limits = limits or Limits()
    deadline = time.monotonic() + limits.seconds
    present = url
    try:
        for _ in range(limits.redirects + 1):
            body, location = _ask(present, limits, deadline)
            if location is None:
                return body
            present = urljoin(present, location)
    except (OSError, HTTPException, ValueError) as error:
        if time.monotonic() >= deadline:
            raise ImageError(f"'{url}' took longer than {limits.seconds:g} s.") from error
        raise ImageError(f"'{url}' cannot be fetched: {str(error) or type(error).__name__}.") from error
    raise ImageError(f"'{url}' was redirected more than {limits.redirects} times.")


def is_public(text: str) -> bool:
    """Whether an address belongs to the public internet, also where it carries an IPv4 address inside."""
    address = ip_address(text.partition("%")[0])
    return all(one.is_global and not one.is_multicast for one in _with_embedded(address))


def _with_embedded(address: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    if isinstance(address, IPv4Address):
        yield address
        return
    inside = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64:
        inside.append(IPv4Address(int(address) & 0xFFFFFFFF))
    carried = [one for one in inside if one is not None]
    yield from carried
    if address.ipv4_mapped is None:
        yield address


def _ask(url: str, limits: Limits, deadline: float) -> tuple[bytes, str | None]:
    """The body, or where the server sends us instead."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"'{url}' is not an http or https URL")
    if parts.username or parts.password:
        raise ValueError("a name or password in a URL would end in the output; it is not sent")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    address = _checked_address(parts.hostname, port, limits.allow_local)
    with _connected(parts, address, port, deadline) as connection:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        headers = {
            "User-Agent": f"snaptune/{version('snaptune')}",
            "Accept": "image/*",
            "Connection": "close",
        }
        connection.request("GET", path, headers=headers)
        with connection.getresponse() as response:
            return _read(response, limits, deadline)


def _checked_address(host: str, port: int, allow_local: bool) -> str:
    """One address of the host; raises where any of them is not public and `allow_local` is off."""
    found = [str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
    local = [address for address in found if not is_public(address)]
    if local and not allow_local:
        raise ValueError(
            f"'{host}' is at {local[0]}, which is not on the public internet. "
            "If you trust the URL, pass --allow-local"
        )
    return found[0]


@contextmanager
def _connected(parts: SplitResult, address: str, port: int, deadline: float) -> Iterator[HTTPConnection]:
    """A connection to the checked address, cut at the deadline however slowly the server drips."""
    raw = socket.create_connection((address, port), timeout=_left(deadline))
    sock = _encrypted(raw, str(parts.hostname)) if parts.scheme == "https" else raw
    connection = HTTPConnection(str(parts.hostname), port)
    connection.sock = sock
    cut = threading.Timer(_left(deadline), _shut, [sock])
    cut.daemon = True
    cut.start()
    try:
        if isinstance(sock, ssl.SSLSocket):
            sock.do_handshake()
        yield connection
    finally:
        cut.cancel()
        connection.close()
        sock.close()


def _encrypted(raw: socket.socket, host: str) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    return context.wrap_socket(raw, server_hostname=host, do_handshake_on_connect=False)


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # closed already


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


def _read(response: HTTPResponse, limits: Limits, deadline: float) -> tuple[bytes, str | None]:
    location = response.getheader("Location")
    if response.status in _REDIRECTS and location:
        return b"", location
    if response.status != 200:
        raise ValueError(f"the server answered {response.status} {response.reason}")
    limit = int(limits.megabytes * 2**20)
    body = bytearray()
    while chunk := response.read1(_CHUNK):
        body += chunk
        _left(deadline)
        if len(body) > limit:
            raise ValueError(f"it is larger than {limits.megabytes:g} MiB")
    _left(deadline)
    if response.length:
        raise ValueError(f"the connection ended {response.length:,} bytes early")
    return bytes(body), None
