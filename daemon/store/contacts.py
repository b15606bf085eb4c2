"""People met before, each once for all accounts, with what the latest meetings came to.

They outlive the meetings they were met in. Who was never met in a meeting that was held has no ``last``
and is never due: there is nothing to miss.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from sqlalchemy import ColumnElement, Connection, Row, and_, bindparam, delete, func, or_, select, update

from daemon.store.codec import decode, encode
from daemon.store.engine import owner_of
from daemon.store.rows import chunks
from daemon.store.schema import contacts, deliveries
from daemon.store.types import EPOCH, from_microseconds, to_microseconds
from daemon.store.upsert import insert
from rules.model import Address, CalendarRef, Contact, Encounter, Identity, Met, Occurrence, OccurrenceKey
from rules.policy import TO_OTHERS

MOST = 24
"""How many encounters, and how many messages, are kept in mind of one contact."""

KEPT = timedelta(days=730)
"""Who was not met for so long is forgotten."""


class _Known(NamedTuple):
    """A contact as it lies in the store."""

    encounters: tuple[Encounter, ...]
    last: Occurrence | None


class Word(NamedTuple):
    """What one meeting with somebody came to, and the meeting itself where it was held."""

    address: Address
    encounter: Encounter
    last: Occurrence | None


def note(
    conn: Connection, address: Address, encounter: Encounter, last: Occurrence | None, now: datetime
) -> bool:
    """Remember one word; whether it was news."""
    return note_all(conn, [Word(address, encounter, last)], now)


def note_all(conn: Connection, words: Collection[Word], now: datetime) -> bool:
    """Remember what meetings came to; whether any of it was news.

    A later word about the same meeting replaces the earlier. ``last`` is kept when it ends later than the
    one known, or is the same. One that turns out not to have been held stays until another was. News
    wakes the contact.
    """
    before = _known_of(conn, {word.address for word in words})
    after = dict(before)
    for address, encounter, last in words:
        known = after.get(address, _Known((), None))
        met = {one.identity: one for one in known.encounters} | {encounter.identity: encounter}
        encounters = tuple(sorted(met.values(), key=lambda one: (one.at, one.identity))[-MOST:])
        after[address] = _Known(encounters, _later(known.last, last))
    news = {
        address: known
        for address, known in after.items()
        if address not in before
        or known.encounters != before[address].encounters
        or not _same(known.last, before[address].last)
    }
    if news:
        statement = insert(contacts)
        renewed = {name: statement.excluded[name] for name in _row(_Known((), None), now)}
        conn.execute(
            statement.on_conflict_do_update(index_elements=["owner", "address"], set_=renewed),
            [
                {"owner": owner_of(conn), "address": address, **_row(known, now)}
                for address, known in news.items()
            ],
        )
    return bool(news)


def _known_of(conn: Connection, addresses: Collection[Address]) -> dict[Address, _Known]:
    c = contacts.c
    return {
        Address(row.address): _known(row)
        for some in chunks(sorted(addresses))
        for row in conn.execute(select(contacts).where(c.owner == owner_of(conn), c.address.in_(some)))
    }


def _row(known: _Known, now: datetime) -> dict[str, Any]:
    """The columns of a contact of whom there is news."""
    return {
        "encounters": _encoded(known.encounters),
        "met_at": max((one.at for one in known.encounters), default=now),
        "updated_at": now,
        "wake_at": None if known.last is None else now,
        **_place(known.last),
    }


def of(conn: Connection, addresses: Iterable[Address]) -> dict[Address, Contact]:
    """Those of these people who were met before, with when we wrote to them since they were last met."""
    c = contacts.c
    rows = [
        row
        for some in chunks(sorted(set(addresses)))
        for row in conn.execute(select(contacts).where(c.owner == owner_of(conn), c.address.in_(some)))
    ]
    return {one.address: one for one in _contacts(conn, rows)}


def due(conn: Connection, now: datetime, limit: int) -> list[Contact]:
    """The contacts whose time to be looked at has come, the longest waiting first."""
    c = contacts.c
    query = (
        select(contacts)
        .where(c.owner == owner_of(conn), c.wake_at <= now)
        .order_by(c.wake_at, c.address)
        .limit(limit)
    )
    return _contacts(conn, list(conn.execute(query)))


def next_wake(conn: Connection) -> datetime | None:
    """When the next contact wants to be looked at."""
    c = contacts.c
    query = select(func.min(c.wake_at)).where(c.owner == owner_of(conn), c.wake_at.is_not(None))
    return cast("datetime | None", conn.execute(query).scalar_one())


def set_wake(conn: Connection, wakes: Mapping[OccurrenceKey, datetime | None]) -> None:
    """When to look again at the contacts whose ``last`` is one of these; None = not until news."""
    c = contacts.c
    known: set[str] = set()  # most meetings were nobody's last
    for some in chunks(sorted({key.uid for key in wakes})):
        query = select(c.uid).distinct().where(c.owner == owner_of(conn), c.uid.in_(some))
        known.update(conn.execute(query).scalars())
    rows = [
        {
            "in_account": key.calendar.account,
            "in_calendar": key.calendar.id,
            "of_uid": key.uid,
            "of_instance": key.recurrence_id or "",
            "wake": at,
        }
        for key, at in wakes.items()
        if key.uid in known
    ]
    if rows:
        mine = and_(
            c.owner == owner_of(conn),
            c.uid == bindparam("of_uid"),
            c.recurrence_id == bindparam("of_instance"),
            c.account == bindparam("in_account"),
            c.calendar == bindparam("in_calendar"),
            c.last.is_not(None),
        )
        conn.execute(update(contacts).where(mine).values(wake_at=bindparam("wake")), rows)


def wake(conn: Connection, addresses: Iterable[str], now: datetime) -> None:
    """Look at these people again now."""
    for some in chunks(sorted(set(addresses))):
        _wake(conn, contacts.c.address.in_(some), now)


def wake_all(conn: Connection, now: datetime) -> None:
    """Look at everybody again now."""
    _wake(conn, contacts.c.last.is_not(None), now)


def prune(conn: Connection, now: datetime) -> None:
    """Forget who was not met for :data:`KEPT`."""
    c = contacts.c
    conn.execute(delete(contacts).where(c.owner == owner_of(conn), c.met_at < now - KEPT))


def _wake(conn: Connection, where: ColumnElement[bool], now: datetime) -> None:
    c = contacts.c
    asleep = and_(c.last.is_not(None), or_(c.wake_at.is_(None), c.wake_at > now))
    conn.execute(update(contacts).where(c.owner == owner_of(conn), where, asleep).values(wake_at=now))


def _later(known: Occurrence | None, new: Occurrence | None) -> Occurrence | None:
    if known is None or new is None:
        return known or new
    return new if new.identity == known.identity or new.end_utc > known.end_utc else known


def _same(one: Occurrence | None, other: Occurrence | None) -> bool:
    """Whether two are kept in the same words."""
    return _place(one) == _place(other)


def _place(last: Occurrence | None) -> dict[str, str | None]:
    """The columns that keep a contact's last meeting."""
    if last is None:
        return {"account": "", "calendar": "", "uid": "", "recurrence_id": "", "href": "", "last": None}
    return {
        "account": last.key.calendar.account,
        "calendar": last.key.calendar.id,
        "uid": last.key.uid,
        "recurrence_id": last.key.recurrence_id or "",
        "href": last.href,
        "last": encode(last),
    }


def _encoded(encounters: Iterable[Encounter]) -> str:
    return json.dumps(
        [
            (one.identity.uid, one.identity.recurrence_id, to_microseconds(one.at), one.met)
            for one in encounters
        ]
    )


def _known(row: Row[Any]) -> _Known:
    encounters = tuple(
        Encounter(identity=Identity(uid=uid, recurrence_id=instance), at=from_microseconds(at), met=Met(met))
        for uid, instance, at, met in json.loads(row.encounters)
    )
    if row.last is None:
        return _Known(encounters, None)
    key = OccurrenceKey(
        calendar=CalendarRef(account=row.account, id=row.calendar),
        uid=row.uid,
        recurrence_id=row.recurrence_id or None,
    )
    return _Known(encounters, decode(row.last, key=key, href=row.href, etag="", observed_at=None))


def _contacts(conn: Connection, rows: list[Row[Any]]) -> list[Contact]:
    known = {row.address: _known(row) for row in rows}
    written = _written(
        conn,
        {
            address: max((e.at for e in one.encounters if e.met is Met.HELD), default=EPOCH)
            for address, one in known.items()
        },
    )
    return [
        Contact(
            address=Address(address),
            encounters=one.encounters,
            last=one.last,
            written=tuple(written[address][-MOST:]),
        )
        for address, one in known.items()
    ]


def _written(conn: Connection, since: Mapping[str, datetime]) -> dict[str, list[datetime]]:
    """When our messages about meetings left for these people, oldest first, each after its own moment."""
    c = deliveries.c
    found: dict[str, list[datetime]] = defaultdict(list)
    for some in chunks(sorted(since)):
        query = (
            select(c.to, c.sent_at)
            .where(
                c.owner == owner_of(conn),
                c.to.in_(some),
                c.sent_at > min(since[address] for address in some),
                c.do.in_(TO_OTHERS),
                c.carried_by.is_(None),
            )
            .order_by(c.sent_at)
        )
        for address, at in conn.execute(query):
            if at > since[address]:
                found[address].append(at)
    return found
