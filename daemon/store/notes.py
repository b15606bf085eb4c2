"""Small facts the daemon keeps about itself."""

from __future__ import annotations

from sqlalchemy import Connection, delete, select

from daemon.store.engine import owner_of
from daemon.store.schema import meta
from daemon.store.upsert import insert

_PREFIX = "note: "
"""Keeps these apart from what identifies the file."""


def noted(conn: Connection, key: str) -> str | None:
    """What was noted under this key; None when nothing."""
    query = select(meta.c.value).where(meta.c.owner == owner_of(conn), meta.c.key == _PREFIX + key)
    return conn.execute(query).scalar_one_or_none()


def noted_all(conn: Connection, beginning: str) -> dict[str, str]:
    """Everything noted under a key that begins like this."""
    c, start = meta.c, _PREFIX + beginning
    query = select(c.key, c.value).where(c.owner == owner_of(conn), c.key.startswith(start, autoescape=True))
    return {row.key.removeprefix(_PREFIX): row.value for row in conn.execute(query)}


def note(conn: Connection, key: str, value: str) -> None:
    """Note a value, replacing what was there."""
    statement = insert(meta).values(owner=owner_of(conn), key=_PREFIX + key, value=value)
    conn.execute(statement.on_conflict_do_update(index_elements=["owner", "key"], set_={"value": value}))


def note_for_all(conn: Connection, key: str, value: str) -> None:
    """Note a value for every owner in sight who has none under this key."""
    owners = {*conn.execute(select(meta.c.owner)).scalars(), owner_of(conn)}
    rows = [{"owner": owner, "key": _PREFIX + key, "value": value} for owner in sorted(owners)]
    conn.execute(insert(meta).on_conflict_do_nothing(index_elements=["owner", "key"]), rows)


def forget(conn: Connection, key: str) -> None:
    """Keep nothing under this key."""
    conn.execute(delete(meta).where(meta.c.owner == owner_of(conn), meta.c.key == _PREFIX + key))
