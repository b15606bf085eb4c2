"""What is remembered of the mails that were read: how far each inbox, and which mails, by their Message-ID.

Nothing else of a mail is kept here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, func, select

from connectors.base import Cursor
from daemon.store.deliveries import ACTIONS
from daemon.store.delivery_row import Delivery, to_delivery
from daemon.store.engine import owner_of
from daemon.store.schema import deliveries, inboxes, letters_in
from daemon.store.upsert import insert
from rules.model import Address

MOST_OF_ONE = 40
"""How many deliveries of one message, or to one address, are looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxRow:
    """How far one inbox was read, when last (UTC), and since when it cannot be, if so."""

    name: str
    cursor: Cursor = field(default_factory=Cursor)
    read_at: datetime | None = None
    error_since: datetime | None = None
    error: str = ""
    failures: int = 0


def inbox(conn: Connection, name: str) -> InboxRow:
    """What is known of an inbox."""
    c = inboxes.c
    row = conn.execute(select(inboxes).where(c.owner == owner_of(conn), c.name == name)).one_or_none()
    if row is None:
        return InboxRow(name=name)
    return InboxRow(
        name=name,
        cursor=Cursor(row.cursor),
        read_at=row.read_at,
        error_since=row.error_since,
        error=row.error,
        failures=row.failures,
    )


def keep(conn: Connection, row: InboxRow) -> None:
    """Remember how far an inbox was read."""
    values = {
        "cursor": row.cursor.value,
        "read_at": row.read_at,
        "error_since": row.error_since,
        "error": row.error,
        "failures": row.failures,
    }
    statement = insert(inboxes).values(owner=owner_of(conn), name=row.name, **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["owner", "name"], set_=values))


def was_seen(conn: Connection, message_id: str) -> bool:
    """Whether this mail was dealt with."""
    c = letters_in.c
    query = select(c.at).where(c.owner == owner_of(conn), c.message_id == message_id)
    return conn.execute(query).one_or_none() is not None


def saw(conn: Connection, message_id: str, became: str, now: datetime) -> None:
    """Remember that this mail was dealt with, and how."""
    statement = insert(letters_in).values(owner=owner_of(conn), message_id=message_id, became=became, at=now)
    conn.execute(statement.on_conflict_do_nothing())


def count_since(conn: Connection, became: str, since: datetime) -> int:
    """How many mails were dealt with in this way after that (UTC)."""
    c = letters_in.c
    query = select(func.count()).where(c.owner == owner_of(conn), c.became == became, c.at > since)
    return conn.execute(query).scalar_one()


def of_message(conn: Connection, message_id: str) -> list[Delivery]:
    """What left, or may have left, in one message, its first meeting's first."""
    found = _select(conn, deliveries.c.message_id == message_id, deliveries.c.message_id != "")
    return sorted(found, key=lambda one: (one.carried_by is not None, one.id))


def last_to(conn: Connection, address: Address) -> Delivery | None:
    """The last message that left to an address."""
    c = deliveries.c
    found = _select(conn, c.to == address, c.sent_at.is_not(None), c.uid != "", c.do.not_in(ACTIONS))
    return max(found, key=lambda one: (one.sent_at or one.changed_at, one.id), default=None)


def about(conn: Connection, uids: Iterable[str], to: Address) -> list[Delivery]:
    """What left to an address about meetings of these UIDs, the latest first."""
    c = deliveries.c
    found = _select(
        conn, c.uid.in_(sorted(uids)), c.to == to, c.sent_at.is_not(None), c.uid != "", c.do.not_in(ACTIONS)
    )
    return sorted(found, key=lambda one: (one.sent_at or one.changed_at, one.id), reverse=True)


def _select(conn: Connection, *where: ColumnElement[bool]) -> list[Delivery]:
    columns = [column for column in deliveries.c if column.name != "raw"]
    query = (
        select(*columns)
        .where(deliveries.c.owner == owner_of(conn), *where)
        .order_by(deliveries.c.id.desc())
        .limit(MOST_OF_ONE)
    )
    return [to_delivery(row) for row in conn.execute(query)]
