"""What is remembered of invitations that vanished from their calendar.

Some servers delete the attendee's copy when the organiser cancels without a word (DAViCal, SOGo), so a
removal may be a cancellation; others say so (Google). Such an occurrence moves to its calendar's
graveyard, the one resource without an href, as CANCELLED; the agenda finds it there like any other, and
nothing that counts or reads resources sees it. A meeting that turns up again anywhere is remembered no
more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, select

from connectors.base import Resource
from daemon.store import history
from daemon.store.codec import encode
from daemon.store.comparing import Stored, Work
from daemon.store.engine import owner_of
from daemon.store.rows import chunks, named
from daemon.store.schema import calendars, occurrences, resources
from daemon.store.upsert import insert
from rules.model import Address, Identity, Occurrence, OccurrenceKey, PartStat, Status, Timing

HREF = ""
"""The href that no server gives."""

LIVE = resources.c.href != HREF
"""That a resource is one of the server's own."""

KEPT = timedelta(days=30)
"""How long after its end a vanished occurrence is remembered."""

EDGE = timedelta(days=28)
"""So close to the end of the window an instance of a series may have been moved out of it instead."""


def bury(
    conn: Connection, calendar_id: int, work: Work, arrived: dict[str, Resource], mine: Collection[Address]
) -> dict[str, int]:
    """Remember those of the rows to delete that may have been cancelled by somebody else.

    Returns the graveyard's id under its href, when there is something to bury.
    """
    lost = {
        row.occurrence.key: row
        for row in work.delete
        if row.occurrence.key in work.removed and _may_be_cancelled(row, work, arrived, mine)
    }
    for key in _alive_elsewhere(conn, lost, {row.id for row in work.delete}):
        del lost[key]
    if not lost:
        return {}
    buried = {row.id for row in lost.values()}
    work.delete = [row for row in work.delete if row.id not in buried]
    for row in lost.values():
        one = _cancelled(row.occurrence, work.now, was_said=row.href in work.cancelled)
        work.update.append((row.id, HREF, one, encode(one)))
    return {HREF: _ground(conn, calendar_id, work.now)}


def _may_be_cancelled(
    row: Stored, work: Work, arrived: dict[str, Resource], mine: Collection[Address]
) -> bool:
    """Whether somebody else's meeting, which I said yes to, is really gone."""
    one = row.occurrence
    if one.timing is not Timing.TIMED or one.start_utc <= work.now or row.href == HREF:
        return False
    if row.href in work.dismissed:
        return False
    if one.organizer is None or one.organizer in mine:
        return False
    if not any(who.address in mine and who.partstat is PartStat.ACCEPTED for who in one.attendees):
        return False
    left = arrived.get(row.href)
    if left is None:
        return True
    # its resource is still there: only a series that lost this instance, and was not planned anew
    is_moved = row.href in work.replanned or one.start_utc >= work.covered - EDGE
    return one.recurring and not left.broken and not is_moved


def _cancelled(one: Occurrence, now: datetime, *, was_said: bool) -> Occurrence:
    """What is remembered; where the server said that it was cancelled it did not merely vanish."""
    was_live = one.status is not Status.CANCELLED
    return replace(
        one,
        status=Status.CANCELLED,
        cancelled_at=now if was_live else one.cancelled_at,
        removed_at=None if was_said else now,
        href=HREF,
        etag="",
    )


def _alive_elsewhere(
    conn: Connection, keys: Collection[OccurrenceKey], dying: Collection[int]
) -> set[OccurrenceKey]:
    """Those of these meetings that any calendar of the owner still holds, besides the dying rows."""
    o = occurrences.c
    alive: set[Identity] = set()
    for some in chunks({(key.uid, key.recurrence_id or "") for key in keys}):
        query = (
            select(o.id, o.uid, o.recurrence_id)
            .join(resources, resources.c.id == o.resource_id)
            .where(o.owner == owner_of(conn), named(occurrences, some), LIVE)
        )
        alive.update(
            Identity(uid=row.uid, recurrence_id=row.recurrence_id or None)
            for row in conn.execute(query)
            if row.id not in dying
        )
    return {key for key in keys if key.identity in alive}


def _ground(conn: Connection, calendar_id: int, now: datetime) -> int:
    """The id of a calendar's graveyard, made when it is the first time."""
    statement = insert(resources).values(
        owner=owner_of(conn),
        calendar_id=calendar_id,
        href=HREF,
        etag="",
        uid="",
        raw="",
        recurring=False,
        broken="",
        observed_at=now,
    )
    statement = statement.on_conflict_do_update(
        index_elements=["calendar_id", "href"], set_={"observed_at": now}
    )
    id_: int = conn.execute(statement.returning(resources.c.id)).scalar_one()
    return id_


def revive(conn: Connection, identities: Collection[Identity], now: datetime) -> None:
    """Remember these no more: they are in some calendar of the owner again."""
    o = occurrences.c
    graves = (
        select(resources.c.id)
        .join(calendars, calendars.c.id == resources.c.calendar_id)
        .where(calendars.c.owner == owner_of(conn), resources.c.href == HREF)
    )
    query = select(o.id, o.uid, o.recurrence_id).where(o.resource_id.in_(graves))
    _forget(
        conn,
        [
            row.id
            for row in conn.execute(query)
            if Identity(uid=row.uid, recurrence_id=row.recurrence_id or None) in identities
        ],
        now,
    )


def prune(conn: Connection, calendar_id: int, now: datetime) -> None:
    """Remember no more what would have ended long ago."""
    o = occurrences.c
    grave = select(resources.c.id).where(resources.c.calendar_id == calendar_id, resources.c.href == HREF)
    query = select(o.id).where(o.resource_id.in_(grave), o.end < now - KEPT)
    _forget(conn, conn.execute(query).scalars().all(), now)


def _forget(conn: Connection, ids: Iterable[int], now: datetime) -> None:
    for some in chunks(ids):
        history.keep_stored(conn, occurrences.c.id.in_(some), now)
        conn.execute(delete(occurrences).where(occurrences.c.id.in_(some)))
