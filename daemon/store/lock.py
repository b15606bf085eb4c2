"""One daemon per state file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.store.errors import StoreError


@contextmanager
def lock(path: str | Path) -> Iterator[None]:
    """Hold the state file ``path`` for this process alone, through ``PATH.lock``.

    The lock goes with the process, however it ends. Raises StoreError naming the other process.
    """
    state = Path(path).expanduser().resolve()
    beside = state.with_name(f"{state.name}.lock")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StoreError(
            f"{beside} cannot be written ({error.strerror}); check the folder's permissions and space."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StoreError(
                f"Another rebookd (pid {holder}) is already running on {state}; stop it first."
            ) from error
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        yield
    finally:
        os.close(descriptor)
