"""Move a whole state into an empty one, of the same kind or the other, so that nobody is mailed again.

Two states that remember the same must never both be worked on. So the old one says that it goes away before
the new one is there, and a copy that was broken off is finished by the same command.
"""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, Table, delete, func, insert, select, text, update

from daemon.store import database, fence, moved, postgresql
from daemon.store.engine import Store
from daemon.store.errors import StoreError
from daemon.store.lock import lock
from daemon.store.opening import open_store
from daemon.store.schema import deliveries, meta, metadata
from rules.delivery import State

_SOME = 500
_ARRIVED = "came from"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """How much went over."""

    owners: int
    rows: int


def copy_state(source: str, target: str, now: datetime) -> Copied:
    """Copy every owner's rows, under the same ids, and mark the source as moved.

    ``source`` and ``target`` are paths or addresses. Raises StoreError while a daemon runs on either, where
    there is nothing to copy, and where the target is not empty; the source is then as it was.
    """
    if not _is_there(source):
        raise StoreError(f"There is no state at {_shown(source)}; name the state file or the database.")
    with ExitStack() as stack:
        for place in (source, target):
            stack.enter_context(lock(place))
        old, new = (
            stack.enter_context(closing(open_store(place, now, for_copy=True))) for place in (source, target)
        )
        return _move(old, new, now)


def _move(old: Store, new: Store, now: datetime) -> Copied:
    with old.write() as source, fence.lifted(source):
        known = moved.moved(source)
        if known is not None and (known.done or known.to != new.path):
            moved.refuse(source, old.path)
        owners = _owners(source)
        _look_alone(source, old.path)
        for owner in owners:
            moved.say(source, new.path, now, owner, done=False)
    rows = 0
    copied = False
    try:
        with new.write() as target, fence.lifted(target):
            _look_alone(target, new.path)
            if known is None or not _arrived(target, known.at):
                _look_empty(target, new.path)
                with old.write() as source, fence.lifted(source):
                    rows = sum(_copy(source, target, table) for table in metadata.sorted_tables)
                _settle(target, owners, now)
            copied = True
    except BaseException:
        if not copied:  # nothing of it is kept: the state is where it was
            with old.write() as source, fence.lifted(source):
                for owner in owners:
                    moved.unsay(source, owner)
        raise
    with old.write() as source, fence.lifted(source):
        for owner in owners:
            moved.say(source, new.path, now, owner, done=True)
    return Copied(owners=len(owners), rows=rows)


def _is_there(place: str) -> bool:
    if postgresql.is_address(place):
        return database.has_state(place)
    return Path(place).exists()


def _shown(place: str) -> str:
    return postgresql.shown(postgresql.address(place)) if postgresql.is_address(place) else place


def _owners(conn: Connection) -> list[str]:
    found = {
        owner
        for table in metadata.sorted_tables
        for owner in conn.execute(select(table.c.owner).distinct()).scalars()
    }
    return sorted(found)


def _look_alone(conn: Connection, place: str) -> None:
    """Workers hold no lock that could be asked for, but they are connected."""
    if conn.dialect.name == "sqlite":
        return
    others = conn.execute(_OTHERS, {"mine": database.name_of_process()}).scalar_one()
    if others:
        raise StoreError(
            f"{place} is in use over {others} other connection{'s' if others > 1 else ''}; "
            "stop every rebookd and every worker on it first."
        )


_OTHERS = text(
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user "
    "AND backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> :mine"
)


def _look_empty(conn: Connection, place: str) -> None:
    for table in metadata.sorted_tables:
        query = select(func.count()).select_from(table)
        if table is meta:  # a new file says whose it is
            query = query.where(meta.c.key.not_in(("product", "store")))
        if conn.execute(query).scalar_one():
            raise StoreError(
                f"{place} is not empty; name a file that is not there yet, or a database without tables."
            )
    conn.execute(delete(meta))


def copy_owner(store: Store, path: Path, now: datetime) -> None:
    """Copy what a store shows into a new file at ``path``, to be thrown away. Raises StoreError."""
    new = open_store(path, now, store.owner, check=False)
    try:
        with store.read() as source, new.write() as target:
            target.execute(delete(meta))
            for table in metadata.sorted_tables:
                _copy(source, target, table, store.owner)
    finally:
        new.close()


def _copy(source: Connection, target: Connection, table: Table, owner: str = "") -> int:
    """Copy a table, of one owner or of all; how many rows."""
    count = 0
    query = select(table).where(table.c.owner == owner) if owner else select(table)
    if table is meta:
        query = query.where(meta.c.key.not_in((moved.KEY, _ARRIVED)))
    for rows in source.execute(query.execution_options(yield_per=_SOME)).partitions(_SOME):
        target.execute(insert(table), [row._asdict() for row in rows])
        count += len(rows)
    if "id" in table.c and target.dialect.name == "postgresql":
        highest = select(func.max(table.c.id)).scalar_subquery()
        sequence = func.pg_get_serial_sequence(table.name, "id")
        target.execute(select(func.setval(sequence, func.greatest(highest, 1), highest.is_not(None))))
    return count


def _settle(conn: Connection, owners: list[str], now: datetime) -> None:
    """Whoever had a message in hand is gone; the first run recovers it as after any crash."""
    hand = deliveries.c.state.in_((State.CLAIMED, State.COMMITTING))
    conn.execute(update(deliveries).where(hand).values(lease_until=now))
    rows = [{"owner": owner, "key": _ARRIVED, "value": now.isoformat()} for owner in owners]
    if rows:
        conn.execute(insert(meta), rows)


def _arrived(conn: Connection, at: str) -> bool:
    """Whether the copy that was begun then is here."""
    query = select(meta.c.value).where(meta.c.key == _ARRIVED).limit(1)
    return conn.execute(query).scalar_one_or_none() == at
