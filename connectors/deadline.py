"""One deadline for a whole call: sockets whose every wait ends there, however slowly bytes trickle in.

A timeout on each read would start anew with every byte.
"""

from __future__ import annotations

import contextvars
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_deadline: contextvars.ContextVar[tuple[float, float]] = contextvars.ContextVar("deadline")
"""When time is up, and how long it was."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """Everything done inside shares this many seconds, and those that are left of any around it."""
    own = (time.monotonic() + seconds, seconds)
    token = _deadline.set(min(own, _deadline.get(own)))
    try:
        yield
    finally:
        _deadline.reset(token)


def remaining() -> float:
    """Seconds left for this call. Raises TimeoutError when there are none."""
    left = _deadline.get()[0] - time.monotonic()
    if left <= 0:
        raise TimeoutError("the time for this request is over")
    return left


def over() -> bool:
    """Whether the time for this call is up."""
    return _deadline.get()[0] <= time.monotonic()


def span() -> float:
    """How many seconds there were at first, until the deadline that comes first."""
    return _deadline.get()[1]


class _DeadlineSocket(socket.socket):
    """A socket whose every wait ends at the call's deadline, however slowly bytes trickle in."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(remaining())
        return super().recv_into(*args, **kwargs)

    def sendall(self, *args: Any, **kwargs: Any) -> None:
        self.settimeout(remaining())
        return super().sendall(*args, **kwargs)


class _DeadlineTlsSocket(ssl.SSLSocket):
    """The same under TLS."""

    def recv_into(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(remaining())
        return super().recv_into(*args, **kwargs)

    def send(self, *args: Any, **kwargs: Any) -> int:
        self.settimeout(remaining())
        return super().send(*args, **kwargs)

    def do_handshake(self, block: bool = False) -> None:
        self.settimeout(remaining())
        super().do_handshake(block)


def guard_tls(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, whose connections are bound by the deadline."""
    context.sslsocket_class = _DeadlineTlsSocket
    return context


def guard(plain: socket.socket) -> socket.socket:
    """The same connection, bound by the deadline."""
    timeout = plain.gettimeout()
    guarded = _DeadlineSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    guarded.settimeout(timeout)
    return guarded
