"""What records of calls say of meetings: which are still to be read, and what was read, kept for good."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from sqlalchemy import Connection, exists, or_, select

from daemon.store.engine import owner_of
from daemon.store.rows import chosen, chunks, fetch, named
from daemon.store.schema import calendars, call_records, call_users, occurrences
from daemon.store.upsert import insert
from rules.model import Address, Attendance, Held, Identity, Occurrence

_LONGEST = timedelta(days=1)
_CONFERENCE = '%"conference":"%'


def unread(
    conn: Connection, account: str, since: datetime, until: datetime, now: datetime
) -> list[Occurrence]:
    """Meetings of one account with a call, ended in [since, until), whose records want reading at ``now``.

    The latest first. A meeting that was moved since its records were read is read anew.
    """
    c, r = occurrences.c, call_records.c
    settled = exists().where(
        r.owner == c.owner,
        r.uid == c.uid,
        r.recurrence_id == c.recurrence_id,
        r.account == calendars.c.account,
        r.start == c.start,
        or_(r.next_at.is_(None), r.next_at > now),
    )
    query = chosen(conn).where(
        calendars.c.account == account,
        c.start >= since - _LONGEST,
        c.start < until,
        c.end >= since,
        c.end < until,
        c.timed,
        c.record.like(_CONFERENCE),
        ~settled,
    )
    return fetch(conn, query.order_by(c.end.desc()))


def tries(conn: Connection, one: Occurrence) -> int:
    """How often its records were read in vain for the time it has now."""
    r = call_records.c
    found = conn.execute(
        select(r.tries).where(
            r.owner == owner_of(conn),
            r.uid == one.key.uid,
            r.recurrence_id == (one.key.recurrence_id or ""),
            r.account == one.key.calendar.account,
            r.start == one.start_utc,
        )
    ).scalar_one_or_none()
    return found or 0


def keep(
    conn: Connection, one: Occurrence, known: Attendance, *, tries: int = 0, next_at: datetime | None = None
) -> None:
    """Keep what was read of a meeting; ``next_at`` is when to read once more (None: never)."""
    values = {
        "start": one.start_utc,
        "held": known.held.value,
        "source": known.source,
        "at": known.at,
        "tries": tries,
        "next_at": next_at,
    }
    key = {
        "owner": owner_of(conn),
        "uid": one.key.uid,
        "recurrence_id": one.key.recurrence_id or "",
        "account": one.key.calendar.account,
    }
    statement = insert(call_records).values(key | values)
    conn.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))


def of(conn: Connection, identities: Iterable[Identity]) -> dict[str, Attendance]:
    """What records say of these meetings, by ``str(identity)``; accounts that disagree know nothing."""
    r = call_records.c
    found: dict[str, Attendance] = {}
    for some in chunks({(one.uid, one.recurrence_id or "") for one in identities}):
        query = select(call_records).where(r.owner == owner_of(conn), named(call_records, some))
        for row in conn.execute(query.order_by(r.account)):
            identity = str(Identity(uid=row.uid, recurrence_id=row.recurrence_id or None))
            known = Attendance(held=Held(row.held), source=row.source, at=row.at)
            found[identity] = _agreed(found.get(identity), known)
    return found


def every(conn: Connection) -> Iterator[tuple[Identity, Attendance]]:
    """Everything that records said, in order of time."""
    r = call_records.c
    query = select(call_records).where(r.owner == owner_of(conn), r.held != Held.UNKNOWN.value)
    for row in conn.execute(query.order_by(r.at)):
        identity = Identity(uid=row.uid, recurrence_id=row.recurrence_id or None)
        yield identity, Attendance(held=Held(row.held), source=row.source, at=row.at)


def learn(conn: Connection, service: str, users: Mapping[str, Address], now: datetime) -> None:
    """Remember whose these accounts of a service are."""
    rows = [
        {"owner": owner_of(conn), "service": service, "user": user, "address": who, "learned_at": now}
        for user, who in users.items()
    ]
    if rows:
        conn.execute(insert(call_users).on_conflict_do_nothing(), rows)


def users(
    conn: Connection, service: str, some: Collection[str], mine: Collection[Address]
) -> dict[str, frozenset[Address]]:
    """Whose each of these accounts is, as far as it was learned; and which are known to be mine."""
    u = call_users.c
    found: dict[str, set[Address]] = {}
    wanted = or_(u.user.in_(sorted(some)), u.address.in_(sorted(mine)))
    query = select(u.user, u.address).where(u.owner == owner_of(conn), u.service == service, wanted)
    for row in conn.execute(query):
        found.setdefault(row.user, set()).add(Address(row.address))
    return {user: frozenset(people) for user, people in found.items()}


def _agreed(one: Attendance | None, other: Attendance) -> Attendance:
    if one is None or one.held is Held.UNKNOWN:
        return other
    if other.held in {Held.UNKNOWN, one.held}:
        return one
    return Attendance(held=Held.UNKNOWN, source=f"{one.source} and {other.source}, which differ", at=other.at)
