"""Take what a poll found into the store.

Each changed resource is compared with what is stored under the same keys, so that the store knows when
a time moved and when an answer came, and so that only what really changed, and its neighbours, is
looked at again. Nothing is ever removed for being absent from a partial result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, bindparam, delete, func, select, update
from sqlalchemy.dialects.sqlite import insert

from connectors.base import CalendarInfo, ChangeSet, Resource
from daemon.store.codec import carry_over, encode
from daemon.store.engine import owner_of
from daemon.store.rows import chosen, chunks, insert_many, to_occurrence
from daemon.store.schema import calendars, occurrences, people, resources
from daemon.store.types import to_microseconds
from daemon.store.waking import LONG, wake_everything, wake_overlaps, wake_uids
from rules.model import CalendarRef, Interval, Occurrence, OccurrenceKey, Timing


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """What taking in a poll's result changed; ``events`` is how many resources the calendar holds now."""

    changed_keys: frozenset[OccurrenceKey]
    removed_keys: frozenset[OccurrenceKey]
    events: int


class _Held(NamedTuple):
    """One resource as it lies in the store."""

    id: int
    etag: str


@dataclass(slots=True)
class _Stored:
    """One occurrence as it lies in the store."""

    id: int
    href: str
    record: str
    occurrence: Occurrence


@dataclass(slots=True)
class _Work:
    """The rows to write, gathered before anything is written.

    ``covered`` is how far the calendar's occurrences were known before; ``appeared_at`` is noted on new
    ones, unless the calendar itself is new.
    """

    now: datetime
    covered: datetime
    appeared_at: datetime | None
    insert: list[tuple[str, Occurrence, str]] = field(default_factory=list)
    update: list[tuple[int, str, Occurrence, str]] = field(default_factory=list)
    move: list[tuple[int, str]] = field(default_factory=list)
    delete: list[_Stored] = field(default_factory=list)
    touched: list[Interval] = field(default_factory=list)
    changed: set[OccurrenceKey] = field(default_factory=set)
    removed: set[OccurrenceKey] = field(default_factory=set)


def calendar_is(conn: Connection, ref: CalendarRef) -> ColumnElement[bool]:
    """The condition that a row of ``calendars`` is this one."""
    c = calendars.c
    return and_(c.owner == owner_of(conn), c.account == ref.account, c.ref == ref.id)


def apply(
    conn: Connection, info: CalendarInfo, changes: ChangeSet, now: datetime, horizon_end: datetime
) -> Applied:
    """Take in the result of one poll, in the caller's transaction.

    ``horizon_end`` is the end of the window the occurrences were expanded in. A pending doubt about a
    shrunken calendar is settled by this: call it only with a result that is believed.
    """
    calendar_id, covered, is_new = _put_calendar(conn, info, changes, now, horizon_end)
    arrived = {resource.href for resource in changes.changed}
    if changes.full:
        held = _held(conn, calendar_id)
        gone = held.keys() - arrived - changes.kept
        _observe(conn, [held[href].id for href in changes.kept if href in held], now)
    else:
        held = _held(conn, calendar_id, arrived | changes.removed)
        gone = held.keys() - arrived
    return _take(
        conn,
        calendar_id,
        changes.changed,
        gone,
        held=held,
        now=now,
        covered=covered,
        observed_at=now,
        appeared_at=None if is_new else now,
    )


def reread(
    conn: Connection, ref: CalendarRef, href: str, resource: Resource | None, now: datetime
) -> Applied:
    """Take in one resource that was read by itself (None: it is gone), outside the order of polls.

    The calendar's cursor, freshness and pending doubt stay as they are.
    """
    calendar = conn.execute(
        select(calendars.c.id, calendars.c.horizon_end).where(calendar_is(conn, ref))
    ).one()
    held = _held(conn, calendar.id, {href})
    arrived = () if resource is None else (resource,)
    gone = set() if arrived else set(held)
    return _take(
        conn,
        calendar.id,
        arrived,
        gone,
        held=held,
        now=now,
        covered=calendar.horizon_end,
        observed_at=now,
        appeared_at=now,
    )


def roll(
    conn: Connection,
    ref: CalendarRef,
    expanded: Iterable[Resource],
    now: datetime,
    horizon_end: datetime,
) -> Applied:
    """Take in stored resources that were expanded in another window; nothing was read from a server."""
    calendar = conn.execute(
        select(calendars.c.id, calendars.c.horizon_end).where(calendar_is(conn, ref))
    ).one()
    conn.execute(update(calendars).where(calendars.c.id == calendar.id).values(horizon_end=horizon_end))
    held = _held(conn, calendar.id)
    known = [resource for resource in expanded if resource.href in held]
    return _take(conn, calendar.id, known, set(), held=held, now=now, covered=calendar.horizon_end)


def _put_calendar(
    conn: Connection, info: CalendarInfo, changes: ChangeSet, now: datetime, horizon_end: datetime
) -> tuple[int, datetime, bool]:
    """The calendar's id, how far its occurrences were known before, and whether it is new."""
    known = conn.execute(
        select(calendars.c.id, calendars.c.horizon_end).where(calendar_is(conn, info.ref))
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
        return known.id, known.horizon_end, False
    place = {"owner": owner_of(conn), "account": info.ref.account, "ref": info.ref.id}
    values |= {"first_seen_at": now, "events": 0}
    made = conn.execute(insert(calendars).values(**place, **values).returning(calendars.c.id)).scalar_one()
    return made, horizon_end, True


def _held(conn: Connection, calendar_id: int, hrefs: Iterable[str] | None = None) -> dict[str, _Held]:
    """The stored resources of a calendar, or those of some hrefs, by href."""
    c = resources.c
    query = select(c.href, c.id, c.etag).where(c.calendar_id == calendar_id)
    queries = [query] if hrefs is None else [query.where(c.href.in_(some)) for some in chunks(sorted(hrefs))]
    return {row.href: _Held(row.id, row.etag) for query in queries for row in conn.execute(query)}


def _take(
    conn: Connection,
    calendar_id: int,
    changed: Iterable[Resource],
    gone: set[str],
    *,
    held: dict[str, _Held],
    now: datetime,
    covered: datetime,
    observed_at: datetime | None = None,
    appeared_at: datetime | None = None,
) -> Applied:
    arrived = {resource.href: resource for resource in changed}
    first = not held and _is_empty(conn, calendar_id)
    stored = _stored(conn, [held[href].id for href in held if href in arrived or href in gone])
    work = _Work(now=now, covered=covered, appeared_at=appeared_at)
    _compare(work, arrived, stored, held)
    ids = _write_resources(conn, calendar_id, arrived, held, observed_at)
    _write_occurrences(conn, work, ids, now)
    for some in chunks(sorted(held[href].id for href in gone)):
        conn.execute(delete(resources).where(resources.c.id.in_(some)))
    if first and work.changed:
        wake_everything(conn, now)
    elif work.changed or work.removed:
        wake_uids(conn, sorted({key.uid for key in work.changed | work.removed}), now)
        wake_overlaps(conn, work.touched, now)
    events = conn.execute(
        select(func.count()).select_from(resources).where(resources.c.calendar_id == calendar_id)
    ).scalar_one()
    conn.execute(update(calendars).where(calendars.c.id == calendar_id).values(events=events))
    return Applied(changed_keys=frozenset(work.changed), removed_keys=frozenset(work.removed), events=events)


def _is_empty(conn: Connection, calendar_id: int) -> bool:
    query = select(resources.c.id).where(resources.c.calendar_id == calendar_id).limit(1)
    return conn.execute(query).first() is None


def _stored(conn: Connection, resource_ids: list[int]) -> list[_Stored]:
    """The stored occurrences of these resources."""
    found: list[_Stored] = []
    for some in chunks(resource_ids):
        rows = conn.execute(chosen(conn).where(occurrences.c.resource_id.in_(some)))
        found.extend(_Stored(row.id, row.href, row.record, to_occurrence(row)) for row in rows)
    return found


def _compare(
    work: _Work, arrived: dict[str, Resource], stored: list[_Stored], held: dict[str, _Held]
) -> None:
    """Decide, occurrence by occurrence, what to write."""
    by_key = {row.occurrence.key: row for row in stored}
    by_place = {(row.href, row.occurrence.key): row for row in stored}
    new_keys = {o.key for resource in arrived.values() for o in resource.occurrences}
    replanned = {
        row.href
        for row in stored
        if row.href in arrived
        and row.occurrence.key not in new_keys
        and row.occurrence.start_utc > work.now
        and held[row.href].etag != arrived[row.href].etag
    }
    used: set[int] = set()
    for href, resource in arrived.items():
        for key, occurrence in {o.key: o for o in resource.occurrences}.items():
            old = by_place.get((href, key)) or by_key.get(key)
            if old is None:
                _add(work, href, occurrence, replanned=href in replanned)
            elif old.id in used:
                work.insert.append((href, occurrence, encode(occurrence)))
            else:
                used.add(old.id)
                _renew(work, href, occurrence, old)
    for row in stored:
        if row.id not in used:
            work.delete.append(row)
            if row.occurrence.key not in new_keys:
                work.removed.add(row.occurrence.key)
                _touch(work, row.occurrence)


def _add(work: _Work, href: str, new: Occurrence, *, replanned: bool) -> None:
    """A key not stored before. In a series whose other instances vanished, it is a moved one."""
    if replanned and new.start_utc < work.covered and new.time_changed_at is None:
        new = replace(new, time_changed_at=work.now)
    if work.appeared_at is not None:
        new = replace(new, appeared_at=work.appeared_at)
    work.insert.append((href, new, encode(new)))
    work.changed.add(new.key)
    _touch(work, new)


def _renew(work: _Work, href: str, new: Occurrence, old: _Stored) -> None:
    """A key stored before: write it only when something in it changed."""
    record = encode(new)
    if record != old.record:
        new = carry_over(new, old.occurrence, work.now)
        record = encode(new)
    if record != old.record:
        work.update.append((old.id, href, new, record))
        work.changed.add(new.key)
        _touch(work, old.occurrence)
        _touch(work, new)
    elif href != old.href:
        work.move.append((old.id, href))


def _touch(work: _Work, occurrence: Occurrence) -> None:
    if occurrence.timing is Timing.TIMED:
        work.touched.append(Interval(occurrence.start_utc, occurrence.end_utc))


def _write_resources(
    conn: Connection,
    calendar_id: int,
    arrived: dict[str, Resource],
    held: dict[str, _Held],
    observed_at: datetime | None,
) -> dict[str, int]:
    """Upsert the resources; the id of each href that arrived."""
    if observed_at is None:  # only the window moved
        return {href: held[href].id for href in arrived}
    owner = owner_of(conn)
    rows = [
        {
            "owner": owner,
            "calendar_id": calendar_id,
            "href": resource.href,
            "etag": resource.etag,
            "uid": resource.uid,
            "raw": resource.raw,
            "recurring": resource.recurring,
            "broken": resource.broken,
            "observed_at": observed_at,
        }
        for resource in arrived.values()
    ]
    if not rows:
        return {}
    statement = insert(resources)
    renewed = {
        name: statement.excluded[name] for name in rows[0] if name not in ("owner", "calendar_id", "href")
    }
    conn.execute(statement.on_conflict_do_update(index_elements=["calendar_id", "href"], set_=renewed), rows)
    if arrived.keys() <= held.keys():
        return {href: held[href].id for href in arrived}
    return {href: row.id for href, row in _held(conn, calendar_id, arrived).items()}


def _write_occurrences(conn: Connection, work: _Work, ids: dict[str, int], now: datetime) -> None:
    """Write what was gathered; a changed occurrence is written anew under its own id."""
    owner = owner_of(conn)
    for some in chunks([row.id for row in work.delete] + [row for row, *_ in work.update]):
        conn.execute(delete(occurrences).where(occurrences.c.id.in_(some)))
    if work.move:
        conn.execute(
            update(occurrences)
            .where(occurrences.c.id == bindparam("row"))
            .values(resource_id=bindparam("to")),
            [{"row": row, "to": ids[href]} for row, href in work.move],
        )
    top = conn.execute(select(func.max(occurrences.c.id))).scalar_one() or 0
    top = max([top, *(row for row, *_ in work.update)])
    # Ids in order of time: a batch of what is due then lies close together, and needs little around it.
    work.insert.sort(key=lambda new: new[1].start_utc)
    placed = work.update + [(row, *what) for row, what in enumerate(work.insert, top + 1)]
    wake_at = to_microseconds(now)
    insert_many(
        conn,
        occurrences,
        _COLUMNS,
        [
            (row, owner, ids[href], new.key.uid, new.key.recurrence_id or "", *_plain(new, record), wake_at)
            for row, href, new, record in placed
        ],
    )
    insert_many(
        conn,
        people,
        ("owner", "address", "start", "occurrence_id"),
        [
            (owner, address, start, row)
            for row, _, new, _ in placed
            for start in (to_microseconds(new.start),)
            for address in {who.address for who in new.attendees}
        ],
    )


_COLUMNS = (
    "id",
    "owner",
    "resource_id",
    "uid",
    "recurrence_id",
    "start",
    "end",
    "timed",
    "long",
    "title",
    "record",
    "wake_at",
)


def _plain(new: Occurrence, record: str) -> tuple[int, int, bool, bool, str, str]:
    """``start`` to ``record``, as the database keeps them."""
    start, end = new.start_utc, new.end_utc
    timed = new.timing is Timing.TIMED
    return (
        to_microseconds(start),
        to_microseconds(end),
        timed,
        timed and end - start > LONG,
        new.title,
        record,
    )


def _observe(conn: Connection, ids: list[int], now: datetime) -> None:
    for some in chunks(ids):
        conn.execute(update(resources).where(resources.c.id.in_(some)).values(observed_at=now))
