"""Occurrences as the decision asks for them: what is due, what overlaps, who is meant.

Every query that a tick makes walks an index, so that its cost follows what it finds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any, cast

from sqlalchemy import BindParameter, Connection, Select, bindparam, func, select, update

from daemon.store import contacts, waking
from daemon.store.changes import calendar_is
from daemon.store.engine import owner_of
from daemon.store.rows import chosen, chosen_of, chunks, fetch, fetch_in, named, to_occurrence
from daemon.store.schema import calendars, occurrences, people, resources
from daemon.store.types import Instant
from rules.model import Address, CalendarRef, Occurrence, OccurrenceKey


def due(conn: Connection, now: datetime, limit: int) -> list[Occurrence]:
    """The occurrences whose time to be looked at has come, the longest waiting first."""
    c = occurrences.c
    return fetch(conn, chosen(conn).where(c.wake_at <= now).order_by(c.wake_at, c.id).limit(limit))


def soonest(conn: Connection, limit: int) -> list[Occurrence]:
    """The occurrences that will be looked at next, soonest first."""
    c = occurrences.c
    return fetch(conn, chosen(conn).where(c.wake_at.is_not(None)).order_by(c.wake_at, c.id).limit(limit))


def next_wake(conn: Connection) -> datetime | None:
    """When the next occurrence wants to be looked at."""
    c = occurrences.c
    found = conn.execute(
        select(func.min(c.wake_at)).where(c.owner == owner_of(conn), c.wake_at.is_not(None))
    ).scalar_one()
    return cast("datetime | None", found)


def set_wake(conn: Connection, wakes: Mapping[OccurrenceKey, datetime | None]) -> None:
    """When to look at each of these again; None = not until something changes."""
    ids = _ids(conn, wakes)
    rows = [{"row": row, "wake": wakes[key]} for key, some in ids.items() for row in some]
    if rows:
        statement = update(occurrences).where(occurrences.c.id == bindparam("row"))
        conn.execute(statement.values(wake_at=bindparam("wake")), rows)


def wake(conn: Connection, keys: Iterable[OccurrenceKey], now: datetime) -> None:
    """Look at these again now."""
    for some in chunks(row for rows in _ids(conn, keys).values() for row in rows):
        waking.wake(conn, occurrences.c.id.in_(some), now)


def wake_account(conn: Connection, account: str, now: datetime) -> None:
    """Look again at everything of one account that is ahead or ended lately."""
    mine = (
        select(resources.c.id)
        .join(calendars, calendars.c.id == resources.c.calendar_id)
        .where(calendars.c.owner == owner_of(conn), calendars.c.account == account)
    )
    c = occurrences.c
    waking.wake(conn, c.resource_id.in_(mine) & (c.end > now - waking.RECENT), now)


def wake_all(conn: Connection, now: datetime) -> None:
    """Look again at all that is ahead or ended lately, and at everybody, as after a change of the rules."""
    waking.wake_everything(conn, now)
    contacts.wake_all(conn, now)


def overlapping(conn: Connection, start: datetime, end: datetime, limit: int) -> list[Occurrence]:
    """Timed occurrences that share time with [start, end), whatever their status, earliest first."""
    values = {"reach": start - waking.LONG, "start": start, "end": end, "limit": limit}
    found = [one for query in _overlapping(owner_of(conn)) for one in fetch(conn, query, values)]
    return sorted(found, key=_by_start)[:limit]


def away(conn: Connection, start: datetime, end: datetime, labels: Collection[str]) -> list[Occurrence]:
    """What may say that I am away in [start, end), earliest first.

    Everything that is not timed and shares time with it, and what is timed and an absence by its kind, or
    begins its title with one of the labels, or has one as a category (any case, with or without brackets).
    """
    words = tuple(label.casefold() for label in labels)
    bare = {word.strip("[]") for word in words} | set(words)
    query = chosen(conn).where(waking.untimed(start, end))
    found = {one.key: one for one in fetch(conn, query)}
    for where in waking.overlaps(start - waking.LONG, start, end):
        for row in conn.execute(chosen(conn).add_columns(occurrences.c.title).where(where)):
            told = _AWAY in row.record or row.title.strip().casefold().startswith(words)
            if told or _CATEGORIES in row.record:  # few have any; only those are read closely
                one = to_occurrence(row)
                if told or not bare.isdisjoint(category.strip().casefold() for category in one.categories):
                    found.setdefault(one.key, one)
    return sorted(found.values(), key=_by_start)


_CATEGORIES = '"categories":'
_AWAY = '"away":true'


@cache
def _overlapping(owner: str) -> list[Select[Any]]:
    """The queries of :func:`overlapping`; a tick asks them for every busy span."""
    reach, start, end = (bindparam(name, type_=Instant()) for name in ("reach", "start", "end"))
    limit: BindParameter[int] = bindparam("limit")
    return [
        chosen_of(owner).where(where).order_by(occurrences.c.start).limit(limit)
        for where in waking.overlaps(reach, start, end)
    ]


def between(conn: Connection, start: datetime, end: datetime) -> list[Occurrence]:
    """Occurrences of every kind that begin in [start, end), earliest first."""
    c = occurrences.c
    return fetch(conn, chosen(conn).where(c.start >= start, c.start < end).order_by(c.start, c.id))


def by_uids(conn: Connection, uids: Iterable[str]) -> list[Occurrence]:
    """Every occurrence of these UIDs, in all calendars."""
    return fetch_in(conn, chosen(conn), occurrences.c.uid, sorted(set(uids)))


def copies(conn: Connection, keys: Iterable[OccurrenceKey]) -> list[Occurrence]:
    """The same meetings (UID and RECURRENCE-ID), in all calendars."""
    found: dict[OccurrenceKey, Occurrence] = {}
    for some in chunks({(key.uid, key.recurrence_id or "") for key in keys}):
        for one in fetch(conn, chosen(conn).where(named(occurrences, some))):
            found.setdefault(one.key, one)
    return list(found.values())


def get(conn: Connection, keys: Iterable[OccurrenceKey]) -> dict[OccurrenceKey, Occurrence]:
    """The stored occurrences under these keys."""
    wanted = set(keys)
    return {found.key: found for found in copies(conn, wanted) if found.key in wanted}


def meeting(conn: Connection, key: OccurrenceKey, people: Iterable[Address]) -> Occurrence | None:
    """A meeting in its calendar or, long past, as it is remembered with one of these people.

    What is only remembered has no ``href``: it cannot be read again.
    """
    found = get(conn, [key]).get(key)
    if found is not None:
        return found
    lasts = [one.last for one in contacts.of(conn, people).values()]
    last = next((one for one in lasts if one is not None and one.key == key), None)
    return None if last is None else replace(last, href="")


def by_href(conn: Connection, ref: CalendarRef, href: str) -> list[Occurrence]:
    """The occurrences of one resource, earliest first."""
    return fetch(
        conn,
        chosen(conn).where(calendar_is(conn, ref), resources.c.href == href).order_by(occurrences.c.start),
    )


def find(conn: Connection, text: str) -> list[Occurrence]:
    """Occurrences with this UID or UID/RECURRENCE-ID, or else with this text in their title (any case).

    Earliest first.
    """
    uid, _, recurrence_id = text.rpartition("/")
    exact = by_uids(conn, [text]) or [
        one for one in by_uids(conn, [uid]) if uid and one.key.recurrence_id == recurrence_id
    ]
    if exact:
        return sorted(exact, key=_by_start)
    c = occurrences.c
    folded = text.casefold()
    titles = conn.execute(select(c.id, c.title).where(c.owner == owner_of(conn), c.title != ""))
    ids = [row.id for row in titles if folded in row.title.casefold()]
    return sorted(fetch_in(conn, chosen(conn), c.id, ids), key=_by_start)


def with_people(conn: Connection, addresses: Iterable[str], since: datetime) -> list[Occurrence]:
    """Occurrences that start after ``since`` and invite any of these addresses, earliest first."""
    p = people.c
    ids: set[int] = set()
    for some in chunks(sorted(set(addresses))):
        query = select(p.occurrence_id).where(p.owner == owner_of(conn), p.address.in_(some), p.start > since)
        ids.update(conn.execute(query).scalars())
    return sorted(fetch_in(conn, chosen(conn), occurrences.c.id, sorted(ids)), key=_by_start)


def _by_start(occurrence: Occurrence) -> tuple[datetime, OccurrenceKey]:
    key = occurrence.key
    # an absent RECURRENCE-ID does not compare with a present one
    return occurrence.start_utc, OccurrenceKey(
        calendar=key.calendar, uid=key.uid, recurrence_id=key.recurrence_id or ""
    )


def _ids(conn: Connection, keys: Iterable[OccurrenceKey]) -> dict[OccurrenceKey, list[int]]:
    """The row ids under each key; more than one where a server keeps one UID in two resources."""
    wanted = set(keys)
    c = occurrences.c
    found: dict[OccurrenceKey, list[int]] = {}
    query = (
        select(c.id, c.uid, c.recurrence_id, calendars.c.account, calendars.c.ref)
        .join(resources, resources.c.id == c.resource_id)
        .join(calendars, calendars.c.id == resources.c.calendar_id)
        .where(c.owner == owner_of(conn))
    )
    for some in chunks({(key.uid, key.recurrence_id or "") for key in wanted}):
        for row in conn.execute(query.where(named(occurrences, some))):
            ref = CalendarRef(account=row.account, id=row.ref)
            key = OccurrenceKey(calendar=ref, uid=row.uid, recurrence_id=row.recurrence_id or None)
            if key in wanted:
                found.setdefault(key, []).append(row.id)
    return found
