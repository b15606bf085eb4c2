"""Open the state file, and hand out short transactions on it.

SQLite in WAL mode with ``synchronous=FULL``: a commit that returned is on the disk. Readers see one
moment of the whole file; writers take turns.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, cast

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.exc import DatabaseError, DBAPIError, TimeoutError  # noqa: A004 - waited for a connection

from daemon.store.errors import StoreError

BUSY_SECONDS = 20
"""How long a writer waits for its turn."""

_CURES = (
    ("disk is full", "the disk is full; free some space and start rebookd again"),
    ("readonly database", "it cannot be written; give rebookd's user write access to it and its folder"),
    ("unable to open", "it cannot be opened; give rebookd's user write access to it and its folder"),
    ("malformed", "it is damaged; restore it from a backup"),
    ("not a database", "it is damaged; restore it from a backup"),
    ("disk i/o error", "the disk reported an error; check its free space and its health"),
    ("locked", "another process keeps it locked; stop that process"),
)


def cure(path: str, error: Exception) -> StoreError:
    """The store error that says in one sentence what ``error`` means for the owner."""
    said = str(error.orig if isinstance(error, DatabaseError) else error)
    if isinstance(error, UnicodeDecodeError):  # SQLite's own words quote what is damaged
        said = "malformed"
    for words, sentence in _CURES:
        if words in said.lower():
            return StoreError(f"The state file {path} is of no use now: {sentence}.")
    return StoreError(f"The state file {path} is of no use now: {said}.")


def engine_for(path: str, owner: str, *, journal: str = "WAL") -> Engine:
    """An engine on ``path``, whose connections know the ``owner`` they work for."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"timeout": BUSY_SECONDS},
        execution_options={"owner": owner},
        pool_size=8,
        max_overflow=24,
    )
    event.listen(engine, "connect", _prepare(journal))
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(journal: str) -> Any:
    def prepare(connection: Any, _record: object) -> None:
        raw = cast("sqlite3.Connection", connection)
        raw.isolation_level = None  # we say BEGIN ourselves
        raw.execute(f"PRAGMA journal_mode={journal}").close()
        raw.execute("PRAGMA synchronous=FULL").close()
        raw.execute("PRAGMA foreign_keys=ON").close()
        raw.execute("PRAGMA cache_size=-2048").close()

    return prepare


def _begin(conn: Connection) -> None:
    writing = conn.get_execution_options().get("writing", False)
    conn.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def owner_of(conn: Connection) -> str:
    """Whose rows this connection may see."""
    return cast("str", conn.get_execution_options()["owner"])


class Store:
    """The open state. Safe to share between threads; each takes its own transactions.

    It shows the rows of one owner; ``of`` gives the same state to another. ``turn`` is whose turn it is to
    write: SQLite lets nobody wait longer than ``BUSY_SECONDS``, and many owners may.
    """

    def __init__(
        self,
        engine: Engine,
        path: str,
        identity: str,
        turn: AbstractContextManager[object] | None = None,
        cure: Callable[[str, Exception], StoreError] = cure,
    ) -> None:
        self._reading = engine
        self._writing = engine.execution_options(writing=True)
        self._turn = threading.RLock() if turn is None else turn
        self._cure = cure
        self.path = path
        self.identity = identity

    @property
    def is_file(self) -> bool:
        """Whether it is a file, with a folder around it; else it is a database, and ``path`` its address."""
        return self._reading.dialect.name == "sqlite"

    @property
    def owner(self) -> str:
        """Whose rows it shows."""
        return cast("str", self._reading.get_execution_options()["owner"])

    def of(self, owner: str) -> Store:
        """The same open state, with the rows of another owner; closing one closes all."""
        return Store(
            self._reading.execution_options(owner=owner), self.path, self.identity, self._turn, self._cure
        )

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One moment of the store. Raises StoreError when the file fails."""
        try:
            with self._reading.connect() as conn:
                yield conn
        except (DBAPIError, TimeoutError) as error:
            raise self._cure(self.path, error) from error

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that commits, durably, when its block ends without an error.

        Never keep one open while waiting for the network. Raises StoreError when the file fails;
        nothing of the block is then kept.
        """
        try:
            with self._turn, self._writing.begin() as conn:
                yield conn
        except (DBAPIError, TimeoutError) as error:
            raise self._cure(self.path, error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._reading.dispose()
