"""Open a state in PostgreSQL, or refuse; and keep a second daemon from it."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import datetime

from sqlalchemy import URL, Connection, func, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from daemon.store import migrate, moved, postgresql
from daemon.store.engine import Store
from daemon.store.errors import StoreAway, StoreError
from daemon.store.schema import meta
from daemon.store.upsert import insert

PRODUCT = "rebookd"
_LOCK = postgresql.key("daemon", "default")


def open_database(said: str, now: datetime, owner: str, *, for_copy: bool = False) -> Store:
    """Make the tables, or bring them up to date, and open them. ``now`` (UTC) dates a new state.

    ``for_copy`` is as for :func:`daemon.store.opening.open_store`. Raises StoreError with the cure.
    """
    url = postgresql.address(said)
    name = postgresql.shown(url)
    engine = postgresql.engine_for(url, owner)
    identity = ""
    try:
        with engine.execution_options(writing=True).begin() as conn:
            refuse_unfit(conn, name)
            migrate.upgrade(conn, name)
            if not for_copy:
                moved.refuse(conn, name)
                identity = _sign(conn, now, owner)
    except DBAPIError as error:
        engine.dispose()
        if getattr(error.orig, "sqlstate", "") == postgresql.LOCKED:
            said = f"The tables of {name} are in use and cannot be brought up to date now; try again soon."
            raise StoreAway(said) from error
        raise postgresql.cure(name, error) from error
    except BaseException:
        engine.dispose()
        raise
    return Store(engine, name, identity, nullcontext(), postgresql.cure)


def refuse_unfit(conn: Connection, name: str) -> None:
    """Make sure that it can hold a state. Raises StoreError with what is needed instead."""
    version = int((conn.dialect.server_version_info or (0,))[0])
    if version < postgresql.OLDEST:
        needed = f"rebookd needs {postgresql.OLDEST} or later: update the server"
        raise StoreError(f"{name} is PostgreSQL {version}; {needed}.")
    encoding = conn.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != postgresql.ENCODING:
        cure = f"make another: CREATE DATABASE … TEMPLATE template0 ENCODING '{postgresql.ENCODING}'"
        raise StoreError(f"{name} keeps texts as {encoding}, in which not every name can be written; {cure}.")
    tables = inspect(conn)
    if tables.has_table("alembic_version") and not tables.has_table(meta.name):
        raise StoreError(f"{name} holds tables of something else; give rebookd a database of its own.")


def _sign(conn: Connection, now: datetime, owner: str) -> str:
    """Which state this is; a new one is given its name."""
    c = meta.c
    query = select(c.value).where(c.owner == owner, c.key == "store")
    known = conn.execute(query).scalar_one_or_none()
    if known is not None:
        return str(known)
    facts = {"product": PRODUCT, "store": now.strftime(f"{PRODUCT}-%Y%m%dT%H%M%S.%fZ")}
    rows = [{"owner": owner, "key": key, "value": value} for key, value in facts.items()]
    conn.execute(insert(meta).on_conflict_do_nothing(), rows)
    return facts["store"]


@contextmanager
def asked(said: str) -> Iterator[Connection]:
    """A connection that only asks, of nobody's rows. Raises StoreError."""
    url = postgresql.address(said)
    engine = postgresql.engine_for(url, "", poolclass=NullPool)
    try:
        with engine.connect() as conn:
            yield conn
    except DBAPIError as error:
        raise postgresql.cure(postgresql.shown(url), error) from error
    finally:
        engine.dispose()


def has_state(said: str) -> bool:
    """Whether there are tables of ours. Raises StoreError."""
    with asked(said) as conn:
        return inspect(conn).has_table(meta.name)


def is_current(said: str) -> bool:
    """Whether the tables are of this version. Raises StoreError."""
    with asked(said) as conn:
        return migrate.revision(conn) == migrate.REVISIONS[-1]


def name_of_process() -> str:
    """What the server shows of the connection that holds a lock."""
    return f"rebookd {socket.gethostname()}:{os.getpid()}"


@contextmanager
def lock(said: str, *, shared: bool = False) -> Iterator[Callable[[], None]]:
    """Hold a state for this process alone, or ``shared`` among the workers of many machines.

    The lock goes with the connection, and that with the process or the server. What is given makes sure of
    it again. Both raise StoreError naming the other one.
    """
    held = _Held(postgresql.address(said), shared=shared)
    try:
        held.take()
        yield held.take
    finally:
        held.close()


class _Held:
    """A lock and the connection it lives by."""

    def __init__(self, url: URL, *, shared: bool) -> None:
        named = url.update_query_dict({"application_name": name_of_process()})
        self._name = postgresql.shown(url)
        self._engine = postgresql.engine_for(named, "", poolclass=NullPool)
        self._take = func.pg_try_advisory_lock_shared if shared else func.pg_try_advisory_lock
        self._conn: Connection | None = None
        self._session: int | None = None

    def take(self) -> None:
        """Hold it still, or again where the server was away meanwhile. Raises StoreError."""
        try:
            if self._conn is None or not self._is_alive(self._conn):
                self._conn = self._taken(self._engine.connect())
        except DBAPIError as error:
            raise postgresql.cure(self._name, error) from error

    def close(self) -> None:
        """Let go of it."""
        if self._conn is not None:
            with suppress(DBAPIError):
                self._conn.close()
        self._engine.dispose()

    def _is_alive(self, conn: Connection) -> bool:
        try:
            conn.execute(select(1))
            conn.rollback()
        except DBAPIError:
            self._conn = None
            with suppress(DBAPIError):
                conn.close()
            return False
        return True

    def _taken(self, conn: Connection) -> Connection:
        try:
            taken, session = conn.execute(select(self._take(_LOCK), func.pg_backend_pid())).one()
            if taken:
                conn.rollback()  # the lock is the session's and stays
                self._session = session
                return conn
            held_by = _holders(conn)
        except BaseException:
            conn.close()
            raise
        conn.close()
        if self._session in held_by:
            raise StoreAway(f"The lock on {self._name} is still held by a connection of ours that broke.")
        holder = next(iter(held_by.values()), "unknown")
        raise StoreError(f"Another rebookd ({holder}) is already running on {self._name}; stop it first.")


def holders(conn: Connection) -> list[str]:
    """The processes that work on this state, each as ``host:pid``."""
    return sorted(_holders(conn).values())


def _holders(conn: Connection) -> dict[int, str]:
    """By the server's process."""
    found = conn.execute(_HOLDER, {"number": _LOCK})
    return {row.pid: row.application_name.removeprefix("rebookd ") or "unknown" for row in found}


_HOLDER = text(
    "SELECT pid, application_name FROM pg_stat_activity JOIN pg_locks USING (pid) "
    "WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
    "AND (classid::bigint << 32) | objid::bigint = CAST(:number AS bigint) "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
