"""Times that stand offered to somebody: a second meeting should not be promised the same hour."""

from __future__ import annotations

import json
from datetime import datetime

from sqlalchemy import Connection, or_, select

from daemon.store.engine import owner_of
from daemon.store.schema import deliveries
from daemon.store.types import from_microseconds
from rules.delivery import State
from rules.model import Identity, Interval

_STANDING = (State.SENT, State.UNKNOWN, State.COMMITTING)


def offered(conn: Connection, after: datetime, *, except_for: Identity) -> list[Interval]:
    """What was offered to people of other meetings and lies after ``after`` (UTC)."""
    c = deliveries.c
    query = select(c.offered).where(
        c.owner == owner_of(conn),
        c.offered != "[]",
        c.state.in_(_STANDING),
        or_(c.uid != except_for.uid, c.recurrence_id != (except_for.recurrence_id or "")),
    )
    spans = [span for text in conn.execute(query).scalars() for span in json.loads(text)]
    found = [Interval(from_microseconds(start), from_microseconds(end)) for start, end in spans]
    return [one for one in found if one.end > after]
