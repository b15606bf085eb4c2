"""Which drafts may lie in the owner's mailbox.

Kept apart from the deliveries: whatever becomes of one, its draft is looked after until it is known to be
gone.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from daemon.store.engine import owner_of
from daemon.store.schema import meta
from daemon.store.upsert import insert

_PREFIX = "draft: "
_LAYING, _LAID = "laying ", "laid "


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The draft of one delivery; ``laid`` once the mailbox is known to have taken it."""

    delivery: int
    message_id: str
    laid: bool


def list_(conn: Connection) -> dict[int, Draft]:
    """Every draft that may lie there, by its delivery."""
    # the range of keys that begin with the prefix: the primary key finds it
    where = (meta.c.owner == owner_of(conn)) & (meta.c.key >= _PREFIX) & (meta.c.key < _PREFIX[:-1] + "!")
    found = {}
    for key, value in conn.execute(select(meta.c.key, meta.c.value).where(where)):
        id_ = int(key.removeprefix(_PREFIX))
        laid = value.startswith(_LAID)
        message_id = value.removeprefix(_LAID if laid else _LAYING)
        found[id_] = Draft(delivery=id_, message_id=message_id, laid=laid)
    return found


def get(conn: Connection, delivery: int) -> Draft | None:
    """The draft of one delivery; None when there is none."""
    return list_(conn).get(delivery)


def laying(conn: Connection, delivery: int, message_id: str) -> None:
    """From now on there may be a draft."""
    statement = insert(meta).values(
        owner=owner_of(conn), key=f"{_PREFIX}{delivery}", value=_LAYING + message_id
    )
    conn.execute(statement.on_conflict_do_nothing())


def laid(conn: Connection, draft: Draft) -> None:
    """The mailbox took it."""
    c = meta.c
    where = (c.owner == owner_of(conn)) & (c.key == f"{_PREFIX}{draft.delivery}")
    conn.execute(update(meta).where(where).values(value=_LAID + draft.message_id))


def gone(conn: Connection, delivery: int) -> None:
    """There is none any more."""
    c = meta.c
    where = (c.owner == owner_of(conn)) & (c.key == f"{_PREFIX}{delivery}")
    conn.execute(delete(meta).where(where))
