"""A certificate authority of the tests' own, and a server on this machine whose certificate it signed."""

from __future__ import annotations

import contextlib
import functools
import ssl
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from daemon.demo import authority


@functools.cache
def certificates() -> Path:
    """A folder with ``ca.pem``, and ``server.pem`` with its key for ``localhost`` and 127.0.0.1."""
    folder = Path(tempfile.mkdtemp(prefix="rebookd-authority-"))
    return authority.certificates(folder, datetime.now(UTC))


def server_context() -> ssl.SSLContext:
    """What a server of the tests speaks TLS with."""
    return authority.server_context(certificates())


@contextlib.contextmanager
def trusted() -> Iterator[Path]:
    """Connections made ready in here trust the authority, as where it is among those of the machine."""
    with authority.trusted(certificates()):
        yield certificates() / "ca.pem"
