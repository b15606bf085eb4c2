"""Who must be looked at again: setting ``wake_at``, by id, UID, overlap or altogether.

An occurrence that already waits to be looked at keeps its place in the queue.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import datetime, timedelta

from sqlalchemy import BindParameter, ColumnElement, Connection, and_, or_, select, update

from daemon.store.engine import owner_of
from daemon.store.rows import chunks
from daemon.store.schema import occurrences, people
from rules.model import Interval

LONG = timedelta(days=1)
"""Timed meetings longer than this are few and have an index of their own."""

Time = datetime | BindParameter[datetime]

RECENT = timedelta(days=30)
"""What ended longer ago is not looked at again because of a neighbour."""


LATELY = timedelta(days=7)
"""What ended longer ago is not looked at again because another meeting with its people changed."""


def overlaps(reach: Time, start: Time, end: Time) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """Two conditions, each with its own index, that together find every timed overlap of [start, end).

    ``reach`` is :data:`LONG` before ``start``.
    """
    c = occurrences.c
    usual = and_(c.start > reach, c.start < end, c.end > start, c.timed, ~c.long)
    lasting = and_(c.end > start, c.start < end, c.timed, c.long)
    return usual, lasting


def untimed(start: Time, end: Time) -> ColumnElement[bool]:
    """The condition, with an index of its own, that finds whole days and floating times in [start, end)."""
    c = occurrences.c
    return and_(c.end > start, c.start < end, ~c.timed)


def wake(conn: Connection, where: ColumnElement[bool], now: datetime) -> None:
    """Wake the owner's occurrences that satisfy a condition."""
    c = occurrences.c
    conn.execute(
        update(occurrences)
        .where(c.owner == owner_of(conn), where, or_(c.wake_at.is_(None), c.wake_at > now))
        .values(wake_at=now)
    )


def wake_uids(conn: Connection, uids: Iterable[str], now: datetime) -> None:
    """Wake every copy of these meetings, in all calendars."""
    for some in chunks(uids):
        wake(conn, occurrences.c.uid.in_(some), now)


def wake_overlaps(conn: Connection, intervals: Iterable[Interval], now: datetime) -> None:
    """Wake whatever shares time with one of these intervals."""
    for span in merged(intervals):
        for where in overlaps(span.start - LONG, span.start, span.end):
            wake(conn, where, now)


def wake_people(conn: Connection, addresses: Collection[str], now: datetime) -> None:
    """Wake the meetings with these people that are ahead or ended lately: one may replace another."""
    p = people.c
    for some in chunks(sorted(addresses)):
        theirs = select(p.occurrence_id).where(
            p.owner == owner_of(conn), p.address.in_(some), p.start > now - LATELY
        )
        wake(conn, occurrences.c.id.in_(theirs), now)


def wake_everything(conn: Connection, now: datetime) -> None:
    """Wake all that is ahead or ended lately."""
    wake(conn, occurrences.c.end > now - RECENT, now)


def merged(spans: Iterable[Interval]) -> list[Interval]:
    """The same time in as few intervals as possible."""
    found: list[Interval] = []
    for span in sorted(spans, key=lambda one: (one.start, one.end)):
        if found and span.start <= found[-1].end:
            found[-1] = Interval(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found
