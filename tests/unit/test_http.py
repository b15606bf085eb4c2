"""The guarded session: what it refuses, what it repeats, and how it says so."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from connectors.base import ConnectorError, Retryable
from connectors.http import GuardedSession, Limits, is_loopback, retry_after
from tests.support.fake_dav import Answer, fake_dav
from tests.support.servers import free_port

QUICK = Limits(seconds=0.4, wait_seconds=0)
PATIENT = Limits(seconds=20, wait_seconds=0)


@contextlib.contextmanager
def babbler(piece: bytes, pause: float) -> Iterator[str]:
    """A server that accepts one connection after another and dribbles this for ever."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def serve() -> None:
        listener.settimeout(0.05)
        while not stop.is_set():
            with contextlib.suppress(OSError):
                client, _ = listener.accept()
                with client:
                    while not stop.is_set():
                        client.sendall(piece)
                        time.sleep(pause)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        stop.set()
        thread.join(5)
        listener.close()


@pytest.mark.parametrize(
    "piece", [b"X", b"", b"HTTP/1.1 200 OK\r\nX-A: b\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"]
)
def test_hostile_20_slow_loris_headers(piece: bytes) -> None:
    """HOSTILE 20: a status line or headers that never end stop at the total deadline or the header limit."""
    with babbler(piece, 0.01) as url, pytest.raises(Retryable):
        GuardedSession(url, limits=QUICK).request("GET", url)


@pytest.mark.parametrize("url", ["http://dav.example/", "ftp://dav.example/", "https:///x", "dav.example"])
def test_addresses_it_will_not_ask(url: str) -> None:
    """Plain http to another machine and anything that is no web address."""
    with pytest.raises(ConnectorError):
        GuardedSession(url)


def test_plain_http_may_be_allowed() -> None:
    """insecure_http is the owner's word for it."""
    GuardedSession("http://dav.example/", insecure_http=True).close()


def test_another_host_is_never_asked() -> None:
    """The session speaks to its own host alone."""
    with fake_dav() as dav, pytest.raises(ConnectorError, match="not the host in the configuration"):
        GuardedSession(dav.url).request("GET", "https://elsewhere.example/")


def test_nobody_there() -> None:
    """A refused connection is tried again, then told in one sentence."""
    url = f"http://127.0.0.1:{free_port()}/"
    with pytest.raises(Retryable, match=r"127\.0\.0\.1 cannot be reached: connection refused\."):
        GuardedSession(url, limits=PATIENT).request("GET", url)


def test_a_body_shorter_than_announced_is_an_error() -> None:
    """Half a body is no answer."""
    with fake_dav() as dav:
        dav.before = lambda request: Answer(200, headers={"Content-Length": "100"}, chunks=iter([b"half"]))
        with pytest.raises(Retryable, match="broke off"):
            GuardedSession(dav.url, limits=PATIENT).request("GET", dav.url)
        assert dav.count("GET") == 3


def test_half_a_gzip_is_an_error() -> None:
    """A compressed body that stops early is no answer; one that is not compressed at all neither."""
    with fake_dav() as dav:
        for body in (b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff\xcb\x48", b"plain text"):
            dav.before = lambda request, body=body: Answer(200, body, {"Content-Encoding": "gzip"})  # type: ignore[misc]
            with pytest.raises(Retryable, match="broke off"):
                GuardedSession(dav.url, limits=PATIENT).request("GET", dav.url)


def test_unknown_compression_is_refused() -> None:
    """What we did not ask for we do not unpack."""
    with fake_dav() as dav:
        dav.before = lambda request: Answer(200, b"x", {"Content-Encoding": "br"})
        with pytest.raises(ConnectorError, match="compression"):
            GuardedSession(dav.url, limits=PATIENT).request("GET", dav.url)


def test_the_connection_is_kept() -> None:
    """Many requests, one connection."""
    with fake_dav() as dav:
        session = GuardedSession(dav.url)
        for _ in range(5):
            session.request("OPTIONS", dav.url)
        assert dav.connections == 1
        session.close()


def test_tls_is_checked() -> None:
    """Speaking TLS to something that does not is an error, without a traceback in its words."""
    with fake_dav() as dav:
        url = dav.url.replace("http://", "https://")
        with pytest.raises(ConnectorError) as caught:
            GuardedSession(url, limits=PATIENT).request("GET", url)
        assert "0x" not in str(caught.value)
        assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [("localhost", True), ("127.8.8.8", True), ("::1", True), ("dav.example", False), ("10.0.0.1", False)],
)
def test_loopback(host: str, loopback: bool) -> None:
    """This machine and no other."""
    assert is_loopback(host) is loopback


def test_retry_after_is_bounded() -> None:
    """At most a day, at least nothing; a date without the server's own date says nothing."""
    assert retry_after({"Retry-After": "99999999"}) == 86400
    assert retry_after({"Retry-After": "Wed, 01 Jan 2098 00:05:00 GMT"}) is None
    past = {"Retry-After": "Wed, 01 Jan 2020 00:05:00 GMT", "Date": "Wed, 01 Jan 2025 00:05:00 GMT"}
    assert retry_after(past) == 0
