"""Connect to a host by its name within so many seconds, the look-up of the name among them.

The system's look-up takes no timeout: it runs in a thread of its own, which is left to end by itself.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

Found = tuple[int, int, int, str, Any]
Admitted = Callable[[str, Sequence[Found]], Sequence[Found]]


def look_up(host: str, port: int, seconds: float) -> Sequence[Found]:
    """The addresses of a host. Raises TimeoutError when the look-up takes longer, and OSError."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # a name, not an address
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "no name of a host looks like this") from error
    found: list[Found] = []
    failed: list[OSError] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except OSError as error:
            failed.append(error)

    asking = threading.Thread(target=ask, name=f"look up {host}", daemon=True)
    asking.start()
    asking.join(seconds)
    if asking.is_alive():
        raise TimeoutError("the name was not found in time")
    if failed:
        raise failed[0]
    return found


def reach(host: str, port: int, seconds: float, admitted: Admitted | None = None) -> socket.socket:
    """A connection to the first address that answers, leaving time for each. Raises OSError.

    ``admitted`` says which of a host's addresses may be tried, and raises an error of its own for none.
    """
    until = time.monotonic() + seconds
    addresses: Sequence[Found] = look_up(host, port, seconds)
    if admitted is not None:
        addresses = admitted(host, addresses)
    failure: OSError = OSError("it has no address")
    for place, (family, kind, protocol, _, address) in enumerate(addresses):
        left = (until - time.monotonic()) / (len(addresses) - place)
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.settimeout(max(left, 0.001))
            sock.connect(address)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise failure


__all__ = ["look_up", "reach"]
