"""Open a state in PostgreSQL, or refuse; and keep a second daemon from it."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import datetime

from sqlalchemy import Connection, func, inspect, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from daemon.store import migrate, moved, postgresql
from daemon.store.engine import Store
from daemon.store.errors import StoreError
from daemon.store.schema import meta
from daemon.store.upsert import insert

PRODUCT = "rebookd"


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
            _look(conn, name)
            migrate.upgrade(conn, name)
            if not for_copy:
                moved.refuse(conn, name)
                identity = _sign(conn, now, owner)
    except DBAPIError as error:
        engine.dispose()
        raise postgresql.cure(name, error) from error
    except BaseException:
        engine.dispose()
        raise
    return Store(engine, name, identity, nullcontext(), postgresql.cure)


def _look(conn: Connection, name: str) -> None:
    version = int((conn.dialect.server_version_info or (0,))[0])
    if version < postgresql.OLDEST:
        needed = f"rebookd needs {postgresql.OLDEST} or later: update the server"
        raise StoreError(f"{name} is PostgreSQL {version}; {needed}.")
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


def has_state(said: str) -> bool:
    """Whether there are tables of ours. Raises StoreError."""
    url = postgresql.address(said)
    engine = postgresql.engine_for(url, "default")
    try:
        with engine.connect() as conn:
            return inspect(conn).has_table(meta.name)
    except DBAPIError as error:
        raise postgresql.cure(postgresql.shown(url), error) from error
    finally:
        engine.dispose()


def name_of_process() -> str:
    """What the server shows of the connection that holds a lock."""
    return f"rebookd {socket.gethostname()}:{os.getpid()}"


@contextmanager
def lock(said: str, owner: str, *, shared: bool = False) -> Iterator[None]:
    """Hold an owner's state for this process alone, or ``shared`` among the workers of many machines.

    The lock goes with the connection, and that with the process. Raises StoreError naming the other one.
    """
    url = postgresql.address(said)
    name = postgresql.shown(url)
    named = url.update_query_dict({"application_name": name_of_process()})
    engine = postgresql.engine_for(named, owner, poolclass=NullPool)
    number = postgresql.key("daemon", owner)
    try:
        with engine.connect() as conn:
            take = func.pg_try_advisory_lock_shared if shared else func.pg_try_advisory_lock
            taken = conn.execute(select(take(number))).scalar_one()
            holder = "" if taken else conn.execute(_HOLDER, {"number": number}).scalar_one_or_none()
            conn.rollback()  # the lock is the session's and stays
            if not taken:
                raise StoreError(
                    f"Another rebookd ({(holder or '').removeprefix('rebookd ') or 'unknown'}) is already "
                    f"running on {name}; stop it first."
                )
            yield
    except DBAPIError as error:
        raise postgresql.cure(name, error) from error
    finally:
        engine.dispose()


_HOLDER = text(
    "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE locktype = 'advisory' "
    "AND granted AND (classid::bigint << 32) | objid::bigint = CAST(:number AS bigint) AND objsubid = 1 "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
