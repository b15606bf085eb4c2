"""Who asks, and how often they may."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from starlette.types import Scope

MOST_VISITORS = 10_000
"""So many addresses are remembered; the one that asked longest ago is forgotten first."""

POST_COSTS = 6.0
"""An answer counts as so many looks."""


@dataclass(slots=True)
class Bucket:
    """A token bucket for each address: ``burst`` looks at once, ``per_second`` more as time goes by."""

    clock: Callable[[], float]
    burst: float = 120.0
    per_second: float = 2.0
    _left: OrderedDict[str, tuple[float, float]] = field(default_factory=OrderedDict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def wait(self, visitor: str, cost: float = 1.0) -> float:
        """Let them in, or the seconds after which they may come again."""
        now = self.clock()
        with self._guard:
            left, at = self._left.pop(visitor, (self.burst, now))
            left = min(self.burst, left + (now - at) * self.per_second)
            enough = left >= cost
            self._left[visitor] = (left - cost if enough else left, now)
            if len(self._left) > MOST_VISITORS:
                self._left.popitem(last=False)
        return 0.0 if enough else (cost - left) / self.per_second


def visitor(scope: Scope) -> str:
    """Whom a request counts for: an IPv4 address or an IPv6 network of 64 bits.

    A web server on this machine, or at the other end of a Unix socket, is believed whom it speaks for: the
    last entry of ``X-Forwarded-For``, which is its own. Nobody else is.
    """
    client = scope.get("client")
    peer = _address(client[0]) if client and client[0] else None
    if peer is not None and not peer.is_loopback:
        return _network(peer)
    named = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
    last = named[-1].decode("latin-1").rpartition(",")[2].strip() if named else ""
    told = _address(last)
    return _network(told) if told is not None else "this machine"


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, ipaddress.IPv6Address) else found


def _network(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    return str(ipaddress.ip_network((address, 64), strict=False))
