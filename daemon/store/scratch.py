"""A throw-away store, what it begins with, and everything the true one knows, for playing the past again."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, select, update

from daemon.store import contacts, planner, records, silences
from daemon.store.engine import Store, engine_for, owner_of
from daemon.store.rows import chosen, chunks, to_occurrence
from daemon.store.schema import attendance, deliveries, metadata
from daemon.store.schema import contacts as contact_table
from daemon.store.upsert import insert
from rules.delivery import State
from rules.model import Address, Attendance, Held, Identity, Occurrence

_SOME = 500


@contextmanager
def scratch_store() -> Iterator[Store]:
    """An empty store in a folder that goes away with it; nothing of it need survive anything."""
    with tempfile.TemporaryDirectory(prefix="rebookd-") as folder:
        path = str(Path(folder) / "scratch.db")
        engine = engine_for(path, "default", journal="MEMORY")
        event.listen(engine, "connect", _careless)
        writing = engine.execution_options(writing=True)
        with writing.begin() as conn:
            metadata.create_all(conn)
            planner.teach(conn)
        engine.dispose()  # connections made from here on know the planner's statistics
        store = Store(engine, path, "scratch")
        try:
            yield store
        finally:
            store.close()


def _careless(connection: Any, _record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF").close()


def copy_deliveries(source: Connection, target: Connection, before: datetime) -> None:
    """Copy what was planned before then (UTC), without its rendered text: those steps are done."""
    columns = [column for column in deliveries.c if column.name not in {"id", "raw", "owner"}]
    query = select(*columns).where(deliveries.c.owner == owner_of(source), deliveries.c.created_at < before)
    for rows in source.execute(query.execution_options(yield_per=_SOME)).partitions(_SOME):
        values = [row._asdict() | {"owner": owner_of(target)} for row in rows]
        target.execute(insert(deliveries), values)


def copy_silences(source: Connection, target: Connection) -> None:
    """Copy every silence there ever was, with its times."""
    for one in silences.list_(source):
        silences.add(
            target,
            one.match,
            starts_at=one.starts_at,
            ends_at=one.ends_at,
            comment=one.comment,
            now=one.created_at,
        )


def copy_contacts(source: Connection, target: Connection, now: datetime) -> None:
    """Copy what was known of people at ``now`` (UTC): meetings with them that had ended by then."""
    c = contact_table.c
    addresses = source.execute(select(c.address).where(c.owner == owner_of(source))).scalars().all()
    for some in chunks(addresses):
        for one in contacts.of(source, map(Address, some)).values():
            for encounter in one.encounters:
                if encounter.at <= now:
                    is_last = one.last is not None and one.last.identity == encounter.identity
                    contacts.note(target, one.address, encounter, one.last if is_last else None, now)


def take_as_sent(conn: Connection, now: datetime) -> None:
    """Every message that waits leaves now, those that wait for the owner's word too."""
    c = deliveries.c
    waiting = c.state.in_((State.PENDING, State.HELD))
    conn.execute(
        update(deliveries)
        .where(c.owner == owner_of(conn), waiting)
        .values(state=State.SENT, sent_at=now, changed_at=now)
    )


def every_occurrence(conn: Connection) -> Iterator[Occurrence]:
    """Everything the calendars hold."""
    for row in conn.execute(chosen(conn).execution_options(yield_per=_SOME)):
        yield to_occurrence(row)


def every_mark(conn: Connection) -> Iterator[tuple[Identity, Attendance]]:
    """All that is known of meetings having taken place: the owner's word, else what records of calls say."""
    told: set[Identity] = set()
    query = select(attendance).where(attendance.c.owner == owner_of(conn)).order_by(attendance.c.at)
    for row in conn.execute(query.execution_options(yield_per=_SOME)):
        identity = Identity(uid=row.uid, recurrence_id=row.recurrence_id or None)
        told.add(identity)
        yield identity, Attendance(held=Held(row.held), source=row.source, at=row.at)
    for identity, known in records.every(conn):
        if identity not in told:
            yield identity, known
