"""What the owner asked to be left alone for a while."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, insert, select, update

from daemon.store.engine import owner_of
from daemon.store.schema import silences


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSilence:
    """One silence: what it fits, as the owner wrote it, and from when until when (UTC, half-open)."""

    id: int
    match: dict[str, Any]
    starts_at: datetime
    ends_at: datetime
    comment: str
    created_at: datetime


def add(
    conn: Connection,
    match: Mapping[str, Any],
    *,
    starts_at: datetime,
    ends_at: datetime,
    comment: str,
    now: datetime,
) -> int:
    """Begin a silence; its id. ``match`` is plain data, as JSON can say it."""
    values = {
        "match": json.dumps(match, ensure_ascii=False),
        "starts_at": starts_at,
        "ends_at": ends_at,
        "comment": comment,
        "created_at": now,
    }
    made = insert(silences).values(owner=owner_of(conn), **values).returning(silences.c.id)
    id_: int = conn.execute(made).scalar_one()
    return id_


def list_(conn: Connection) -> list[StoredSilence]:
    """Every silence there ever was, oldest first."""
    return _select(conn)


def active(conn: Connection, now: datetime) -> list[StoredSilence]:
    """The silences that hold at ``now``, oldest first."""
    c = silences.c
    return _select(conn, c.ends_at > now, c.starts_at <= now)


def expire(conn: Connection, id_: int, now: datetime) -> bool:
    """End a silence now; False when there is none of that id that still holds."""
    c = silences.c
    where = (c.owner == owner_of(conn)) & (c.id == id_) & (c.ends_at > now)
    return conn.execute(update(silences).where(where).values(ends_at=now)).rowcount == 1


def _select(conn: Connection, *where: ColumnElement[bool]) -> list[StoredSilence]:
    c = silences.c
    query = select(silences).where(c.owner == owner_of(conn), *where)
    found = [
        StoredSilence(
            id=row.id,
            match=json.loads(row.match),
            starts_at=row.starts_at,
            ends_at=row.ends_at,
            comment=row.comment,
            created_at=row.created_at,
        )
        for row in conn.execute(query)
    ]
    return sorted(found, key=lambda one: one.id)
