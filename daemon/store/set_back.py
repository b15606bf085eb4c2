"""The clock was set back: what is stored of times that have not come is put right.

What was stamped under a clock that ran ahead moves back by as much as the clock did: waits stay as long as
they were, and limits count what left lately. What lapsed there is renewed by the rule that asks for it again
(see :func:`rules.delivery.is_settled`); what no rule asks for is renewed here. The horizon of a calendar is
rolled back by its next poll.

It may be the new time that is wrong. So what was seen of meetings and heard from people moves back no further
than its order allows: an answer that came after a move stays after it. And a word that a meeting took place
stays when it was said, since it is about what was before.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, Table, func, select, type_coerce, update

from daemon.store import agenda, deliveries, schema
from daemon.store.codec import decode, encode
from daemon.store.engine import owner_of
from daemon.store.types import from_microseconds
from rules.delivery import ANSWERED, UNDOABLE, Event, State
from rules.model import CalendarRef, Occurrence, OccurrenceKey

STAMPED: dict[Table, tuple[str, ...]] = {
    schema.accounts: ("first_seen_at", "seen_at", "error_since"),
    schema.calendars: ("first_seen_at", "seen_at"),
    schema.resources: ("observed_at",),
    schema.call_records: ("next_at",),
    schema.call_users: ("learned_at",),
    schema.deliveries: ("next_try_at", "cleared_at", "lease_until", "created_at", "changed_at", "sent_at"),
    schema.contacts: ("met_at", "updated_at"),
    schema.optouts: ("created_at",),
    schema.demotions: ("changed_at",),
    schema.agreements: ("created_at", "changed_at"),
    schema.inboxes: ("read_at", "error_since"),
    schema.letters_in: ("at",),
    schema.history: ("until",),
}
"""The columns that the clock was read for, table by table."""

BY_NO_RULE = (schema.deliveries.c.uid == "") | schema.deliveries.c.do.in_(ANSWERED)
"""What no rule asks for: notices, and what follows from an answer."""

NOTED = ("appeared_at", "time_changed_at", "relabelled_at", "cancelled_at", "removed_at")
"""What the clock was read for in the record of an occurrence, beside when an attendee answered."""


def latest(conn: Connection) -> datetime | None:
    """The latest moment (UTC) that is known to have been; None in an empty store."""
    d, owner = schema.deliveries.c, owner_of(conn)
    settled = d.state.not_in(UNDOABLE)
    found = [
        conn.execute(select(func.max(schema.accounts.c.seen_at)).where(schema.accounts.c.owner == owner)),
        conn.execute(select(func.max(schema.calendars.c.seen_at)).where(schema.calendars.c.owner == owner)),
        conn.execute(select(func.max(d.changed_at)).where(d.owner == owner, settled)),
    ]
    return max((at for one in found if (at := one.scalar_one()) is not None), default=None)


def set_back(conn: Connection, now: datetime, by: timedelta) -> None:
    """The clock showed ``now + by`` before it showed ``now`` (UTC). Everything is looked at again."""
    _renew(conn, now)
    for table, names in STAMPED.items():
        for name in names:
            column = table.c[name]
            where = (table.c.owner == owner_of(conn)) & (column > now)
            if table is schema.deliveries and name == "changed_at":
                where &= table.c.state.not_in(UNDOABLE)  # it says that this is not settled
            conn.execute(update(table).where(where).values({name: _earlier(column, by)}))
    _unasked(conn, now, by)
    _silences(conn, now, by)
    _evidence(conn, now, by)
    _contacts(conn, now)
    agenda.wake_all(conn, now)


def _earlier(column: Any, by: timedelta) -> Any:
    """The stored instant, moved back: instants are stored as microseconds."""
    return type_coerce(column, BigInteger) - by // timedelta(microseconds=1)


def _renew(conn: Connection, now: datetime) -> None:
    """What lapsed at a time that has not come, and is asked for by no rule, waits as before."""
    c = schema.deliveries.c
    lapsed = (c.owner == owner_of(conn)) & (c.state == State.LAPSED) & (c.changed_at > now) & (c.until > now)
    for id_ in conn.execute(select(c.id).where(lapsed, BY_NO_RULE)).scalars().all():
        deliveries.move(conn, id_, Event.RENEW, now, next_try_at=now)


def _unasked(conn: Connection, now: datetime, by: timedelta) -> None:
    """What no rule asks for was due when it was queued."""
    c = schema.deliveries.c
    where = (c.owner == owner_of(conn)) & (c.due > now) & BY_NO_RULE
    moved = {name: _earlier(c[name], by) for name in ("due", "until")}
    conn.execute(update(schema.deliveries).where(where).values(moved))


def _silences(conn: Connection, now: datetime, by: timedelta) -> None:
    """A silence lasts as long as was asked for, from when it was asked for."""
    c = schema.silences.c
    moved = {name: _earlier(c[name], by) for name in ("created_at", "starts_at", "ends_at")}
    where = (c.owner == owner_of(conn)) & (c.created_at > now)
    conn.execute(update(schema.silences).where(where).values(moved))


def _evidence(conn: Connection, now: datetime, by: timedelta) -> None:
    """When meetings came, moved and were answered, there and on our pages: all moved back in one order."""
    c, a = schema.occurrences.c, schema.answers.c
    query = select(c.id, c.record).where(c.owner == owner_of(conn))
    records = [(row.id, _decoded(row.record)) for row in conn.execute(query).all()]
    said = conn.execute(select(a.at).where(a.owner == owner_of(conn)).distinct()).scalars().all()
    right = in_order({*said, *(at for _, one in records for at in _seen(one))}, now, by)
    for id_, one in records:
        if not right.keys().isdisjoint(_seen(one)):
            record = encode(_righted(one, right))
            conn.execute(update(schema.occurrences).where(c.id == id_).values(record=record))
    for at in sorted(right.keys() & {*said}):  # the earliest first, so that none is moved twice
        where = (a.owner == owner_of(conn)) & (a.at == at)
        conn.execute(update(schema.answers).where(where).values(at=right[at]))


def _decoded(record: str) -> Occurrence:
    nowhere = OccurrenceKey(calendar=CalendarRef(account="", id=""), uid="")
    return decode(record, key=nowhere, href="", etag="", observed_at=None)


def _seen(one: Occurrence) -> list[datetime]:
    found = [*(getattr(one, name) for name in NOTED), *(who.answered_at for who in one.attendees)]
    return [at for at in found if at is not None]


def in_order(stamps: Collection[datetime], now: datetime, by: timedelta) -> dict[datetime, datetime]:
    """For each that lies ahead of ``now``, when it was: ``by`` earlier, but after all that came before it."""
    before = max((at for at in stamps if at <= now), default=None)
    right = {}
    for at in sorted(at for at in stamps if at > now):
        earlier = at - by
        before = right[at] = earlier if before is None else max(earlier, before + timedelta(microseconds=1))
    return right


def _righted(one: Occurrence, right: Mapping[datetime, datetime]) -> Occurrence:
    noted = {name: right.get(at, at) for name in NOTED if (at := getattr(one, name)) is not None}
    people = tuple(
        who if (at := who.answered_at) is None else replace(who, answered_at=right.get(at, at))
        for who in one.attendees
    )
    return replace(one, attendees=people, **noted)


def _contacts(conn: Connection, now: datetime) -> None:
    """Nobody was met in a meeting that is not over."""
    c = schema.contacts.c
    query = select(c.address, c.encounters, c.last).where(c.owner == owner_of(conn))
    for row in conn.execute(query).all():
        encounters = json.loads(row.encounters)
        over = [one for one in encounters if from_microseconds(one[2]) <= now]
        last = None if row.last is None or _decoded(row.last).end_utc > now else row.last
        if len(over) < len(encounters) or last != row.last:
            values = {"encounters": json.dumps(over), "last": last}
            where = (c.owner == owner_of(conn)) & (c.address == row.address)
            conn.execute(update(schema.contacts).where(where).values(values))
