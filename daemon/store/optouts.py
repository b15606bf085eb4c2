"""Who asked not to be written to: addresses, and patterns such as ``*@acme.example``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, select

from daemon.store.engine import owner_of
from daemon.store.schema import optouts
from daemon.store.upsert import insert


@dataclass(frozen=True, slots=True, kw_only=True)
class OptOut:
    """One address or pattern (lower case), since when (UTC), and why."""

    pattern: str
    comment: str
    created_at: datetime


def add(conn: Connection, pattern: str, comment: str, now: datetime) -> bool:
    """Write no more to whom this fits, in any case; False when it was there already."""
    statement = insert(optouts).values(
        owner=owner_of(conn), pattern=pattern.lower(), comment=comment, created_at=now
    )
    statement = statement.on_conflict_do_nothing()
    return conn.execute(statement.returning(optouts.c.pattern)).one_or_none() is not None


def remove(conn: Connection, pattern: str) -> bool:
    """Write to them again; False when it was not there."""
    c = optouts.c
    where = (c.owner == owner_of(conn)) & (c.pattern == pattern.lower())
    return conn.execute(delete(optouts).where(where)).rowcount == 1


def list_(conn: Connection) -> list[OptOut]:
    """Every opt-out, by pattern."""
    c = optouts.c
    query = select(c.pattern, c.comment, c.created_at).where(c.owner == owner_of(conn)).order_by(c.pattern)
    return [OptOut(**row._asdict()) for row in conn.execute(query)]
