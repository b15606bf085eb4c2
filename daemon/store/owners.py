"""Whose rows a state holds. The one place that looks beyond one owner, and at names alone."""

from __future__ import annotations

from sqlalchemy import Connection, select, union

from daemon.store.schema import accounts, deliveries


def remembered(conn: Connection) -> set[str]:
    """Everybody of whom the state remembers a calendar that was read or a message."""
    query = union(*(select(table.c.owner).distinct() for table in (accounts, deliveries)))
    return set(conn.execute(query).scalars())
