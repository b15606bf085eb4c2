"""Counts over the past: what meetings came to, and how many answers and agreements there were."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import Connection, func, select

from daemon.store.engine import owner_of
from daemon.store.schema import agreements, answers, attendance, call_records
from rules.model import Held, Identity


def marked(conn: Connection, since: datetime) -> Iterator[tuple[Identity, Held, datetime]]:
    """What somebody said of meetings at ``since`` (UTC) or later, and when they said it."""
    c = attendance.c
    query = select(c.uid, c.recurrence_id, c.held, c.at).where(c.owner == owner_of(conn), c.at >= since)
    for uid, recurrence_id, held, at in conn.execute(query):
        yield Identity(uid=uid, recurrence_id=recurrence_id or None), Held(held), at


def recorded(conn: Connection, since: datetime) -> Iterator[tuple[Identity, Held, datetime]]:
    """What records say of calls that began at ``since`` (UTC) or later, and when they began."""
    c = call_records.c
    query = select(c.uid, c.recurrence_id, c.held, c.start).where(c.owner == owner_of(conn), c.start >= since)
    for uid, recurrence_id, held, start in conn.execute(query):
        yield Identity(uid=uid, recurrence_id=recurrence_id or None), Held(held), start


def moved(conn: Connection, since: datetime) -> list[datetime]:
    """When meetings got a new time that was agreed on, at ``since`` (UTC) or later."""
    c = agreements.c
    done = (c.state == "done") & c.kind.in_(("move", "create"))
    query = select(c.changed_at).where(c.owner == owner_of(conn), done, c.changed_at >= since)
    return list(conn.execute(query).scalars())


def agreed(conn: Connection) -> dict[str, int]:
    """How many agreements there are in each state that has any."""
    c = agreements.c
    query = select(c.state, func.count()).where(c.owner == owner_of(conn)).group_by(c.state)
    return {row[0]: row[1] for row in conn.execute(query)}


def answered(conn: Connection) -> int:
    """How many answers people gave beside their calendars."""
    query = select(func.count()).select_from(answers).where(answers.c.owner == owner_of(conn))
    return int(conn.execute(query).scalar_one())
