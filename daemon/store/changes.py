"""Take what a poll found into the store.

Each changed resource is compared with what is stored under the same keys, so that the store knows when
a time moved and when an answer came, and so that only what really changed, and its neighbours, is
looked at again. Nothing is ever removed for being absent from a partial result.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, delete, func, select, update

from connectors.base import CalendarInfo, ChangeSet, Resource
from daemon.store import contacts, graveyard, history
from daemon.store.comparing import Held, Stored, Work, compare
from daemon.store.engine import owner_of
from daemon.store.rows import chosen, chunks, to_occurrence
from daemon.store.schema import calendars, occurrences, resources
from daemon.store.upsert import insert
from daemon.store.waking import wake_everything, wake_overlaps, wake_people, wake_uids
from daemon.store.writing import held_resources, write_occurrences, write_resources
from rules.model import Address, CalendarRef, OccurrenceKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What taking in a poll's result changed; ``events`` is how many resources the calendar holds now."""

    changed_keys: frozenset[OccurrenceKey]
    removed_keys: frozenset[OccurrenceKey]
    events: int


def calendar_is(conn: Connection, ref: CalendarRef) -> ColumnElement[bool]:
    """The condition that a row of ``calendars`` is this one."""
    c = calendars.c
    return and_(c.owner == owner_of(conn), c.account == ref.account, c.ref == ref.id)


class _Calendar(NamedTuple):
    """A calendar as it was before a poll: how far its occurrences were known, and what was thought of it."""

    id: int
    covered: datetime
    is_new: bool = False
    is_doubted: bool = False


def apply(
    conn: Connection,
    info: CalendarInfo,
    changes: ChangeSet,
    now: datetime,
    horizon_end: datetime,
    *,
    mine: Collection[Address] = (),
) -> Applied:
    """Take in the result of one poll, in the caller's transaction.

    ``horizon_end`` is the end of the window the occurrences were expanded in. A pending doubt about a
    shrunken calendar is settled by this: call it only with a result that is believed. What vanished of
    other people's meetings that one of ``mine`` had accepted is remembered as cancelled, unless the
    calendar was in doubt or the owner took it out themselves.
    """
    calendar = _put_calendar(conn, info, changes, now, horizon_end)
    arrived = {resource.href for resource in changes.changed}
    if changes.full:
        held = held_resources(conn, calendar.id)
        gone = held.keys() - arrived - changes.kept
        _observe(conn, [held[href].id for href in changes.kept if href in held], now)
    else:
        held = held_resources(conn, calendar.id, arrived | changes.removed)
        gone = held.keys() - arrived
    return _take(
        conn,
        calendar,
        changes.changed,
        gone,
        held=held,
        now=now,
        observed_at=now,
        appeared_at=None if calendar.is_new else now,
        mine=() if calendar.is_doubted else mine,
        cancelled=changes.cancelled,
        dismissed=changes.dismissed,
    )


def reread(
    conn: Connection,
    ref: CalendarRef,
    href: str,
    resource: Resource | None,
    now: datetime,
    *,
    mine: Collection[Address] = (),
) -> Applied:
    """Take in one resource that was read by itself (None: it is gone), outside the order of polls.

    The calendar's cursor, freshness and pending doubt stay as they are. ``mine`` is as for :func:`apply`.
    """
    calendar = _known(conn, ref)
    held = held_resources(conn, calendar.id, {href})
    arrived = () if resource is None else (resource,)
    gone = set() if arrived else set(held)
    return _take(
        conn,
        calendar,
        arrived,
        gone,
        held=held,
        now=now,
        observed_at=now,
        appeared_at=now,
        mine=mine,
    )


def roll(
    conn: Connection,
    ref: CalendarRef,
    expanded: Iterable[Resource],
    now: datetime,
    horizon_end: datetime,
) -> Applied:
    """Take in stored resources that were expanded in another window; nothing was read from a server.

    What was too old to matter at the roll before is forgotten on the way: a clock that runs ahead for an
    hour makes nothing forgotten.
    """
    calendar = _known(conn, ref)
    before = min(now, now - (horizon_end - calendar.covered))
    graveyard.prune(conn, calendar.id, before)
    history.prune(conn, before - history.KEPT)
    contacts.prune(conn, before)
    conn.execute(update(calendars).where(calendars.c.id == calendar.id).values(horizon_end=horizon_end))
    held = held_resources(conn, calendar.id)
    known = [resource for resource in expanded if resource.href in held]
    return _take(conn, calendar, known, set(), held=held, now=now)


def _known(conn: Connection, ref: CalendarRef) -> _Calendar:
    query = select(calendars.c.id, calendars.c.horizon_end).where(calendar_is(conn, ref))
    return _Calendar(*conn.execute(query).one())


def _put_calendar(
    conn: Connection, info: CalendarInfo, changes: ChangeSet, now: datetime, horizon_end: datetime
) -> _Calendar:
    """Write the calendar's own row."""
    c = calendars.c
    known = conn.execute(
        select(c.id, c.horizon_end, c.shrink_seen).where(calendar_is(conn, info.ref))
    ).one_or_none()
    values = {
        "name": info.name,
        "cursor": changes.cursor.value,
        "seen_at": now,
        "schedules": info.capabilities.schedules,
        "shrink_seen": None,
        "horizon_end": horizon_end,
    }
    if known is not None:
        conn.execute(update(calendars).where(calendars.c.id == known.id).values(**values))
        return _Calendar(known.id, known.horizon_end, is_doubted=known.shrink_seen is not None)
    place = {"owner": owner_of(conn), "account": info.ref.account, "ref": info.ref.id}
    values |= {"first_seen_at": now, "events": 0}
    made = conn.execute(insert(calendars).values(**place, **values).returning(calendars.c.id)).scalar_one()
    return _Calendar(made, horizon_end, is_new=True)


def _take(
    conn: Connection,
    calendar: _Calendar,
    changed: Iterable[Resource],
    gone: set[str],
    *,
    held: dict[str, Held],
    now: datetime,
    observed_at: datetime | None = None,
    appeared_at: datetime | None = None,
    mine: Collection[Address] = (),
    cancelled: frozenset[str] = frozenset(),
    dismissed: frozenset[str] = frozenset(),
) -> Applied:
    arrived = {resource.href: resource for resource in changed}
    first = not held and _count(conn, calendar.id) == 0
    stored = _stored(conn, [held[href].id for href in held if href in arrived or href in gone])
    work = Work(
        now=now,
        covered=calendar.covered,
        appeared_at=appeared_at,
        cancelled=cancelled,
        dismissed=dismissed,
    )
    compare(work, arrived, stored, held)
    ids = write_resources(conn, calendar.id, arrived, held, observed_at)
    if mine and work.removed:
        ids |= graveyard.bury(conn, calendar.id, work, arrived, mine)
    if work.insert:
        graveyard.revive(conn, {one.key.identity for _, one, _ in work.insert}, now)
    history.keep(conn, work.past, now)
    write_occurrences(conn, work, ids, now)
    for some in chunks(sorted(held[href].id for href in gone)):
        conn.execute(delete(resources).where(resources.c.id.in_(some)))
    if first and work.changed:
        wake_everything(conn, now)
    elif work.changed or work.removed:
        wake_uids(conn, sorted({key.uid for key in work.changed | work.removed}), now)
        wake_overlaps(conn, work.touched, now)
        if mine and (work.removed or work.update):
            wake_people(conn, work.people - set(mine), now)
    contacts.wake(conn, work.people, now)
    events = _count(conn, calendar.id)
    conn.execute(update(calendars).where(calendars.c.id == calendar.id).values(events=events))
    return Applied(changed_keys=frozenset(work.changed), removed_keys=frozenset(work.removed), events=events)


def _count(conn: Connection, calendar_id: int) -> int:
    """How many resources of the server's a calendar holds."""
    where = (resources.c.calendar_id == calendar_id) & graveyard.LIVE
    return conn.execute(select(func.count()).select_from(resources).where(where)).scalar_one()


def _stored(conn: Connection, resource_ids: list[int]) -> list[Stored]:
    """The stored occurrences of these resources."""
    found: list[Stored] = []
    for some in chunks(resource_ids):
        rows = conn.execute(chosen(conn).where(occurrences.c.resource_id.in_(some)))
        found.extend(Stored(row.id, row.href, row.record, to_occurrence(row)) for row in rows)
    return found


def _observe(conn: Connection, ids: list[int], now: datetime) -> None:
    for some in chunks(ids):
        conn.execute(update(resources).where(resources.c.id.in_(some)).values(observed_at=now))
