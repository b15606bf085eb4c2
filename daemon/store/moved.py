"""A state that was copied elsewhere says so, and nobody works on it any more.

Two that remember the same would mail the same people.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime

from sqlalchemy import Connection, delete, insert, select

from daemon.store.errors import StoreError
from daemon.store.schema import meta

KEY = "moved"


@dataclass(frozen=True, slots=True)
class Moved:
    """Where a state went, and when (UTC, RFC 3339); until it is ``done`` only its copying may go on."""

    to: str
    at: str
    done: bool


def say(conn: Connection, to: str, now: datetime, owner: str, *, done: bool) -> None:
    """From now on this state is elsewhere."""
    unsay(conn, owner)
    value = json.dumps(asdict(Moved(to, now.isoformat(), done)))
    conn.execute(insert(meta).values(owner=owner, key=KEY, value=value))


def unsay(conn: Connection, owner: str) -> None:
    """It is here after all."""
    conn.execute(delete(meta).where(meta.c.owner == owner, meta.c.key == KEY))


def moved(conn: Connection) -> Moved | None:
    """Where this state went, if it did."""
    said = conn.execute(select(meta.c.value).where(meta.c.key == KEY).limit(1)).scalar_one_or_none()
    return None if said is None else Moved(**json.loads(said))


def refuse(conn: Connection, place: str) -> None:
    """Raises StoreError where this state, at ``place``, went elsewhere."""
    found = moved(conn)
    if found is None:
        return
    on = f"on {found.at[:10]} at {found.at[11:16]} UTC"
    if found.done:
        raise StoreError(
            f"{place}: this state was moved to {found.to} {on}; name that one after 'state:', "
            "so that nobody is mailed twice."
        )
    raise StoreError(
        f"{place}: this state was being moved to {found.to} {on}, and that was broken off; finish it with: "
        f"rebookd state copy {place} {found.to}"
    )
