"""One daemon per state file."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.store import postgresql
from daemon.store.errors import StoreError


@contextmanager
def lock(path: str | Path, *, shared: bool = False) -> Iterator[Callable[[], None]]:
    """Hold the state file ``path`` for this process alone, through ``PATH.lock``.

    The lock goes with the process, however it ends. That of a database can be ``shared`` among workers; it
    goes with the server, too, and what is given makes sure of it again. Raises StoreError naming the other
    process.
    """
    if postgresql.is_address(str(path)):
        from daemon.store import database  # noqa: PLC0415 - few need it

        with database.lock(str(path), shared=shared) as again:
            yield again
        return
    state = Path(path).expanduser().resolve()
    beside = state.with_name(f"{state.name}.lock")
    try:
        descriptor = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(beside, error) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise StoreError(
                f"Another rebookd (pid {holder}) is already running on {state}; stop it first."
            ) from error
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
        except OSError as error:
            raise _unwritable(beside, error) from error
        yield lambda: None
    finally:
        os.close(descriptor)


def holder_of(path: str | Path) -> str:
    """The pid of the process that holds a state file, as text; empty where none does."""
    state = Path(path).expanduser().resolve()
    try:
        descriptor = os.open(state.with_name(f"{state.name}.lock"), os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        pid = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip()
        if not Path(f"/proc/{pid}").exists():
            return ""  # not asked of the lock itself: that would keep one who starts just now from it
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return pid
    else:
        return ""
    finally:
        os.close(descriptor)


def _unwritable(beside: Path, error: OSError) -> StoreError:
    return StoreError(
        f"{beside} cannot be written ({error.strerror}); check the folder's permissions and space."
    )
