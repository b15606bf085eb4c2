"""What was true of occurrences before they changed, so that the past can be replayed under other rules."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, bindparam, delete, insert, select

from daemon.store.codec import decode
from daemon.store.engine import owner_of
from daemon.store.rows import insert_many
from daemon.store.schema import calendars, history, occurrences, resources
from daemon.store.types import Instant, to_microseconds
from rules.model import CalendarRef, Occurrence, OccurrenceKey

KEPT = timedelta(days=180)
"""How far back the past is kept."""

_COLUMNS = ("owner", "account", "calendar", "uid", "recurrence_id", "record", "start", "end", "until")

Old = tuple[Occurrence, str]
"""An occurrence and its record, as they were stored."""


def keep(conn: Connection, old: list[Old], now: datetime) -> None:
    """Keep what was true of these until ``now`` (UTC)."""
    owner, until = owner_of(conn), to_microseconds(now)
    rows = [
        (
            owner,
            one.key.calendar.account,
            one.key.calendar.id,
            one.key.uid,
            one.key.recurrence_id or "",
            record,
            to_microseconds(one.start),
            to_microseconds(one.end),
            until,
        )
        for one, record in old
    ]
    insert_many(conn, history, _COLUMNS, rows)


def keep_stored(conn: Connection, where: ColumnElement[bool], now: datetime) -> None:
    """The same for stored occurrences that are about to be deleted."""
    o, c = occurrences.c, calendars.c
    until = bindparam("until", now, type_=Instant())
    old = (
        select(o.owner, c.account, c.ref, o.uid, o.recurrence_id, o.record, o.start, o.end, until)
        .select_from(
            occurrences.join(resources, resources.c.id == o.resource_id).join(
                calendars, c.id == resources.c.calendar_id
            )
        )
        .where(o.owner == owner_of(conn), where)
    )
    conn.execute(insert(history).from_select(list(_COLUMNS), old))


def versions(conn: Connection, since: datetime) -> Iterator[tuple[OccurrenceKey, Occurrence, datetime]]:
    """Everything that was true of an occurrence until some moment after ``since``, in order of that moment.

    What is true now is in the agenda. Where the version lay, and when it was read, is not kept.
    """
    c = history.c
    query = select(history).where(c.owner == owner_of(conn), c.until > since).order_by(c.until, c.id)
    for row in conn.execute(query.execution_options(yield_per=500)):
        key = OccurrenceKey(
            calendar=CalendarRef(account=row.account, id=row.calendar),
            uid=row.uid,
            recurrence_id=row.recurrence_id or None,
        )
        yield key, decode(row.record, key=key, href="", etag="", observed_at=None), row.until


def prune(conn: Connection, before: datetime) -> None:
    """Forget what ceased to be true before then."""
    c = history.c
    conn.execute(delete(history).where(c.owner == owner_of(conn), c.until < before))
