"""What left, or may have left: when, to whom, and about which meeting."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, or_, select

from daemon.store.deliveries import ACTIONS
from daemon.store.engine import owner_of
from daemon.store.schema import deliveries
from rules.delivery import State
from rules.model import Identity


def sent_since(conn: Connection, since: datetime, *, besides: Collection[str] = ()) -> list[datetime]:
    """When messages left, or may have left, after ``since``, oldest first, not counting some addresses.

    A message that carried several deliveries counts once.
    """
    return _departures(conn, since, *(deliveries.c.to != address for address in besides))


def sent_to_since(conn: Connection, to: str, since: datetime) -> list[datetime]:
    """The same for one address alone."""
    return _departures(conn, since, deliveries.c.to == to)


def ladder(conn: Connection, identity: Identity, to: str) -> tuple[str, ...]:
    """The Message-IDs of what this address already got about this meeting, oldest first."""
    c = deliveries.c
    query = (
        select(c.message_id)
        .where(
            c.owner == owner_of(conn),
            c.uid == identity.uid,
            c.recurrence_id == (identity.recurrence_id or ""),
            c.to == to,
            c.state == State.SENT,
            c.message_id != "",
        )
        .order_by(c.sent_at, c.id)
    )
    return tuple(dict.fromkeys(conn.execute(query).scalars()))


def _departures(conn: Connection, since: datetime, *where: ColumnElement[bool]) -> list[datetime]:
    c = deliveries.c
    left = or_(c.sent_at > since, c.state.in_((State.UNKNOWN, State.COMMITTING)) & (c.changed_at > since))
    query = select(func.coalesce(c.sent_at, c.changed_at)).where(
        c.owner == owner_of(conn), left, c.carried_by.is_(None), c.do.not_in(ACTIONS), *where
    )
    return sorted(conn.execute(query).scalars())


__all__ = ["ladder", "sent_since", "sent_to_since"]
