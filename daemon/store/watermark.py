"""How many messages ever left, kept in the state and, since that can be put back, in a small file beside it.

A state that knows of fewer than the file beside it is an old one, however it came there. Both are durable
before a message leaves.
"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import Connection

from daemon.store.durable import sync_folder
from daemon.store.engine import Store
from daemon.store.errors import StoreError
from daemon.store.notes import note, noted

ENDING = ".watermark"

_NOTE = "departures"
_ALONE = "default"
_WIDTH = 100
"""Bytes of the file: always as many, so that writing it anew takes no space."""


class Watermark:
    """The count of one owner in one state."""

    def __init__(self, store: Store) -> None:
        self._identity = store.identity
        self._path = beside(store.path, store.owner) if store.is_file else None

    def count(self, conn: Connection) -> int:
        """How many messages left, or perhaps left, as far as the state knows."""
        return int(noted(conn, _NOTE) or 0)

    def rise(self, conn: Connection, least: int = 0) -> int:
        """One more is about to leave: the count with it, in the caller's transaction."""
        count = max(self.count(conn), least) + 1
        note(conn, _NOTE, str(count))
        return count

    def keep(self, count: int) -> None:
        """Make the count durable beside the state. Raises StoreError; then nothing may leave."""
        if self._path is None:
            return
        line = f"{self._identity} {count}".ljust(_WIDTH - 1) + "\n"
        try:
            is_new = not self._path.exists()
            descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.pwrite(descriptor, line.encode(), 0)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                sync_folder(self._path.parent)
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be written ({error.strerror}), so nothing is sent; "
                "check the folder's permissions and space."
            ) from error

    def beside(self) -> tuple[str, int] | None:
        """The state's identity and its count as the file beside it has them; None where there is none.

        What cannot be understood counts as more than any state knows.
        """
        if self._path is None:
            return None
        try:
            words = self._path.read_text("ascii").split()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(
                f"{self._path} cannot be read ({error.strerror}); give rebookd's user access to it."
            ) from error
        except ValueError:
            words = ["?"]
        if not words:
            return None
        return (words[0], int(words[1])) if len(words) == 2 and words[1].isdecimal() else ("?", 0)

    def is_behind(self, conn: Connection) -> bool:
        """Whether the state is older than what is known beside it."""
        found, count = self.beside(), self.count(conn)
        if found is None:
            return False
        identity, known = found
        if identity != self._identity:
            return count > 0  # begun anew where another one lay: nothing left yet
        return count < known


def beside(state: str | Path, owner: str = _ALONE) -> Path | None:
    """Where the count of an owner lies: beside the state, named like them where there are several.

    None for a state that is no file.
    """
    if "://" in str(state):
        return None
    path = Path(state)
    whose = "" if owner == _ALONE else f".{owner}"
    return path.with_name(f"{path.name}{whose}{ENDING}")
