"""What is known of meetings having taken place; one mark per meeting, in all its calendars."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, select

from daemon.store.engine import owner_of
from daemon.store.rows import chunks, named
from daemon.store.schema import attendance
from daemon.store.upsert import insert
from rules.model import Attendance, Held, Identity


def mark(conn: Connection, identity: Identity, held: Held, source: str, at: datetime) -> None:
    """Record whether the meeting was held, who says so and when (UTC); the last word counts."""
    values = {"held": held.value, "source": source, "at": at}
    statement = insert(attendance).values(
        owner=owner_of(conn), uid=identity.uid, recurrence_id=identity.recurrence_id or "", **values
    )
    keys = ["owner", "uid", "recurrence_id"]
    conn.execute(statement.on_conflict_do_update(index_elements=keys, set_=values))


def marks(conn: Connection, identities: Iterable[Identity]) -> dict[str, Attendance]:
    """What is known of these meetings, by ``str(identity)``."""
    c = attendance.c
    found: dict[str, Attendance] = {}
    for some in chunks({(i.uid, i.recurrence_id or "") for i in identities}):
        query = select(attendance).where(c.owner == owner_of(conn), named(attendance, some))
        for row in conn.execute(query):
            identity = Identity(uid=row.uid, recurrence_id=row.recurrence_id or None)
            found[str(identity)] = Attendance(held=Held(row.held), source=row.source, at=row.at)
    return found
