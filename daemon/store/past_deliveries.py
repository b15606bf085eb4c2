"""What became of messages, by the meeting they are about and by when they were planned."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, select

from daemon.store.delivery_row import Delivery, to_delivery
from daemon.store.engine import owner_of
from daemon.store.schema import deliveries
from rules.delivery import State
from rules.model import Identity


def about(conn: Connection, identity: Identity) -> list[Delivery]:
    """Every message about one meeting, oldest first, without their rendered text."""
    c = deliveries.c
    return list(_each(conn, c.uid == identity.uid, c.recurrence_id == (identity.recurrence_id or "")))


def latest(conn: Connection, states: Collection[State], limit: int) -> list[Delivery]:
    """What last came into one of these states, the latest first, without their rendered text."""
    c = deliveries.c
    columns = [column for column in c if column.name != "raw"]
    query = select(*columns).where(c.owner == owner_of(conn), c.state.in_(states))
    return [to_delivery(row) for row in conn.execute(query.order_by(c.changed_at.desc(), c.id).limit(limit))]


def last_sent(conn: Connection, limit: int) -> list[Delivery]:
    """What left last, the latest first, without its rendered text."""
    c = deliveries.c
    columns = [column for column in c if column.name != "raw"]
    is_sent = c.state.concat("") == State.SENT.value  # so said, the index of departures serves it
    left = (c.owner == owner_of(conn)) & c.sent_at.is_not(None) & is_sent
    query = select(*columns).where(left).order_by(c.sent_at.desc()).limit(limit)
    return [to_delivery(row) for row in conn.execute(query)]


def planned_since(conn: Connection, since: datetime) -> Iterator[Delivery]:
    """Every message that came from a rule at ``since`` (UTC) or later, oldest first, without its text."""
    return _each(conn, deliveries.c.created_at >= since, deliveries.c.uid != "")


def _each(conn: Connection, *where: ColumnElement[bool]) -> Iterator[Delivery]:
    columns = [column for column in deliveries.c if column.name != "raw"]
    query = select(*columns).where(deliveries.c.owner == owner_of(conn), *where).order_by(deliveries.c.id)
    for row in conn.execute(query.execution_options(yield_per=500)):
        yield to_delivery(row)
