"""New times that were agreed on: taken once, then carried out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, select, update

from daemon.store.engine import owner_of
from daemon.store.schema import agreements
from daemon.store.upsert import insert
from rules.model import Address, CalendarRef, Identity, Interval, OccurrenceKey


class Kind(StrEnum):
    """How an agreement is carried out."""

    MOVE = "move"
    """The meeting is mine: it gets the new time."""
    CREATE = "create"
    """The meeting is over: another one is made."""
    COUNTER = "counter"
    """The meeting is somebody else's: they are asked to move it."""


class Stage(StrEnum):
    """How far an agreement came."""

    TAKEN = "taken"
    DONE = "done"
    FAILED = "failed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A new time for the meeting that was to begin at ``start``; ``address`` is who settled it."""

    id: int
    key: OccurrenceKey
    start: datetime
    slot: Interval
    kind: Kind
    state: Stage
    address: Address
    delivery: int | None
    why: str
    created_at: datetime
    changed_at: datetime


def take(
    conn: Connection,
    key: OccurrenceKey,
    *,
    start: datetime,
    slot: Interval,
    kind: Kind,
    address: Address,
    delivery: int | None,
    now: datetime,
) -> Agreement | None:
    """Take a slot for a meeting; None where another time was agreed on for it already."""
    statement = (
        insert(agreements)
        .values(
            owner=owner_of(conn),
            account=key.calendar.account,
            calendar=key.calendar.id,
            uid=key.uid,
            recurrence_id=key.recurrence_id or "",
            start=start,
            new_start=slot.start,
            new_end=slot.end,
            kind=kind.value,
            state=Stage.TAKEN.value,
            address=address,
            delivery=delivery,
            why="",
            created_at=now,
            changed_at=now,
        )
        .on_conflict_do_nothing()
        .returning(agreements.c.id)
    )
    made = conn.execute(statement).scalar_one_or_none()
    return None if made is None else get(conn, made)


def get(conn: Connection, id_: int) -> Agreement | None:
    """One agreement."""
    found = _select(conn, agreements.c.id == id_)
    return found[0] if found else None


def of(conn: Connection, identity: Identity, start: datetime) -> Agreement | None:
    """What was agreed on instead of one time of a meeting."""
    c = agreements.c
    found = _select(
        conn,
        c.uid == identity.uid,
        c.recurrence_id == (identity.recurrence_id or ""),
        c.start == start,
        c.state != Stage.DROPPED.value,
    )
    return found[0] if found else None


def standing(conn: Connection, after: datetime) -> list[Agreement]:
    """Times that are taken and not in the calendar yet, and lie after that (UTC).

    One that an organiser was asked for is not until they move the meeting.
    """
    c = agreements.c
    asked = (c.kind == Kind.COUNTER.value) & (c.state == Stage.DONE.value)
    return _select(conn, c.new_end > after, (c.state == Stage.TAKEN.value) | asked)


def overdue(conn: Connection, since: datetime) -> list[Agreement]:
    """Times that were taken by then (UTC) and are still not in the calendar."""
    c = agreements.c
    return _select(conn, c.state == Stage.TAKEN.value, c.created_at <= since)


def within(conn: Connection, start: datetime, end: datetime) -> list[Agreement]:
    """What was agreed on and carried out, from or to a time in [start, end) (UTC)."""
    c = agreements.c
    from_there, to_there = ((at >= start) & (at < end) for at in (c.start, c.new_start))
    return _select(conn, c.state == Stage.DONE.value, from_there | to_there)


def settle(conn: Connection, id_: int, state: Stage, now: datetime, why: str = "") -> bool:
    """Say what became of one that is to be carried out, or failed and is tried anew; False for any other."""
    c = agreements.c
    open_ = c.state.in_([Stage.TAKEN.value, Stage.FAILED.value])
    where = (c.owner == owner_of(conn)) & (c.id == id_) & open_
    values = {"state": state.value, "why": why, "changed_at": now}
    return conn.execute(update(agreements).where(where).values(**values)).rowcount == 1


def _select(conn: Connection, *where: ColumnElement[bool]) -> list[Agreement]:
    query = select(agreements).where(agreements.c.owner == owner_of(conn), *where).order_by(agreements.c.id)
    return [_agreement(row) for row in conn.execute(query)]


def _agreement(row: Row[Any]) -> Agreement:
    ref = CalendarRef(account=row.account, id=row.calendar)
    return Agreement(
        id=row.id,
        key=OccurrenceKey(calendar=ref, uid=row.uid, recurrence_id=row.recurrence_id or None),
        start=row.start,
        slot=Interval(row.new_start, row.new_end),
        kind=Kind(row.kind),
        state=Stage(row.state),
        address=Address(row.address),
        delivery=row.delivery,
        why=row.why,
        created_at=row.created_at,
        changed_at=row.changed_at,
    )
