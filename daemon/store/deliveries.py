"""The outbox's memory: every message that was ever meant to leave, and how far it came.

Rows are never deleted: they are what keeps anyone from being mailed twice. Every change of state goes
through the table in :mod:`rules.delivery`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, literal_column, or_, select, update

from daemon.store.delivery_row import Delivery, encoded, intent_values, to_delivery
from daemon.store.engine import owner_of
from daemon.store.rows import chunks, named
from daemon.store.schema import deliveries
from daemon.store.upsert import insert
from rules.delivery import (
    AGREE,
    OPEN,
    PERHAPS_SENT,
    PROPOSE,
    Event,
    ForbiddenMove,
    State,
    is_settled,
    next_state,
)
from rules.model import Done, Identity, Intent, Interval
from rules.policy import TO_OTHERS

NOTICE = "notice"
"""The ``do`` of a message that tells the owner about rebookd itself."""

ACTIONS = ("mark", "webhook", AGREE, PROPOSE)
"""The ``do`` of what goes to nobody's mailbox."""

RETRY_FOR = timedelta(hours=1)
"""How long a step that is over stays open once the owner wants it sent after all."""

LAST_CALL = timedelta(minutes=1)
"""How long before the end of its step a message stops waiting for others of its group."""

_SEPARATOR = "\x1f"


def add(
    conn: Connection,
    intents: Iterable[Intent],
    now: datetime,
    state: State | str = State.PENDING,
    error: str = "",
) -> list[int]:
    """Queue what is not queued yet; the ids of the new ones. ``error`` says why they are held, if so.

    What ended by a clock that ran ahead is queued anew. An intent with a ``hold`` is held for that, whatever
    ``state`` says. One with a group waits for the message of its group that already waits, or starts the
    wait.
    """
    added = []
    for intent in intents:
        row = intent_values(intent) | {"next_try_at": _first_try(conn, intent, now)}
        place = (State.HELD, intent.hold) if intent.hold else (state, error)
        made = _insert(conn, row, now, *place)
        made = _renewed(conn, row, now, *place) if made is None else made
        if made is not None:
            added.append(made)
    return added


def _renewed(
    conn: Connection, row: dict[str, Any], now: datetime, state: State | str, error: str
) -> int | None:
    """The delivery of this key, queued anew, where it ended by a clock that ran ahead; else None."""
    c = deliveries.c
    query = select(c.id, c.state, c.changed_at).where(
        c.owner == owner_of(conn), c.intent_key == row["intent_key"]
    )
    known = conn.execute(query).one()
    if is_settled(known.state, known.changed_at, now):
        return None
    move(conn, known.id, Event.RENEW, now, cleared_at=None, error="", **row)
    if state == State.HELD:
        move(conn, known.id, Event.HOLD, now, error=error)
    return int(known.id)


def _first_try(conn: Connection, intent: Intent, now: datetime) -> datetime:
    """When an intent may leave: with those of its group that were not tried yet, if it has one."""
    if not intent.group:
        return now
    c = deliveries.c
    query = select(func.min(c.next_try_at)).where(
        c.owner == owner_of(conn),
        c.group_key == intent.group,
        c.group_key != literal_column("''"),  # said so that the index of grouped ones serves it
        c.to == intent.to,
        c.state == State.PENDING,
        c.attempts == 0,
    )
    at = conn.execute(query).scalar_one() or now + intent.wait
    return max(now, min(at, intent.until - LAST_CALL))


def add_notice(
    conn: Connection,
    kind: str,
    subject_key: str,
    to: str,
    *,
    subject: str,
    body: str,
    now: datetime,
    until: datetime,
    wait: timedelta = timedelta(),
) -> int | None:
    """Queue a message to the owner about rebookd itself; None when this one is already queued or sent.

    ``kind`` and ``subject_key`` are its fence: the same pair is told to one address only once. It leaves
    after ``wait`` at the earliest.
    """
    row = {
        "intent_key": _notice_key(kind, subject_key, to),
        "rule": "rebookd",
        "step": kind,
        "do": NOTICE,
        "mode": "auto",
        "detector": "",
        "tone": "",
        "template": None,
        "account": "",
        "calendar": "",
        "uid": "",
        "recurrence_id": "",
        "start": None,
        "to": to,
        "people": "[]",
        "due": now,
        "until": until,
        "reason": body,
        "subject": subject,
        "next_try_at": now + wait,
    }
    return _insert(conn, row, now, State.PENDING, "")


def notice(conn: Connection, kind: str, subject_key: str, to: str) -> Delivery | None:
    """The notice of this fence, as far as it came; None where there was none."""
    found = _select(
        conn, deliveries.c.intent_key == _notice_key(kind, subject_key, to), order=(deliveries.c.id,)
    )
    return found[0] if found else None


def fence_of(notice: Delivery) -> tuple[str, str]:
    """The kind and the subject key under which a notice was queued."""
    _, kind, subject_key, _ = notice.intent_key.split(_SEPARATOR)
    return kind, subject_key


def _notice_key(kind: str, subject_key: str, to: str) -> str:
    return _SEPARATOR.join(("rebookd", kind, subject_key, to))


def done(conn: Connection, identities: Iterable[Identity]) -> dict[str, Done]:
    """Everything ever queued for these meetings, by intent key."""
    c = deliveries.c
    found: dict[str, Done] = {}
    for some in chunks({(i.uid, i.recurrence_id or "") for i in identities}):
        query = select(c.intent_key, c.state, c.changed_at).where(
            c.owner == owner_of(conn), named(deliveries, some), c.uid != ""
        )
        for key, state, at in conn.execute(query):
            found[key] = Done(key=key, state=state, at=at)
    return found


def get(conn: Connection, id_: int) -> Delivery | None:
    """One delivery with its rendered message."""
    row = conn.execute(select(deliveries).where(_is(conn, id_))).one_or_none()
    return None if row is None else to_delivery(row)


def list_(conn: Connection, state: State | None = None) -> list[Delivery]:
    """All deliveries, or those in one state, oldest first, without their rendered messages."""
    where = [] if state is None else [deliveries.c.state == state]
    return _select(conn, *where, order=(deliveries.c.id,))


def counts(conn: Connection) -> dict[State, int]:
    """How many deliveries there are in each state that has any."""
    c = deliveries.c
    query = select(c.state, func.count()).where(c.owner == owner_of(conn)).group_by(c.state)
    return {State(state): count for state, count in conn.execute(query)}


def due(conn: Connection, now: datetime, limit: int) -> list[Delivery]:
    """What may be sent now, the longest waiting first, without rendered messages.

    A step that was open before the clock was set back waits until it is open again.
    """
    c = deliveries.c
    waiting = c.state.in_((State.PENDING, State.RETRYING))
    return _select(
        conn, waiting, c.next_try_at <= now, c.due <= now, order=(c.next_try_at, c.id), limit=limit
    )


def companions(conn: Connection, delivery: Delivery) -> list[Delivery]:
    """The others of a claimed delivery's group that were due to the same address when it was claimed.

    Oldest first, without rendered messages; none for a delivery without a group.
    """
    if not delivery.group:
        return []
    c = deliveries.c
    return _select(
        conn,
        c.group_key == delivery.group,
        c.group_key != literal_column("''"),
        c.to == delivery.to,
        c.state.in_((State.PENDING, State.RETRYING)),
        c.next_try_at <= max(delivery.next_try_at, delivery.changed_at),
        c.due <= max(delivery.due, delivery.changed_at),
        c.id != delivery.id,
        order=(c.id,),
    )


def drafts(conn: Connection, now: datetime) -> list[Delivery]:
    """What is held as a draft to other people and is to be looked after, oldest first."""
    c = deliveries.c
    is_draft = (c.mode == "draft") & c.do.in_(TO_OTHERS) & c.error.not_in(("flood", PERHAPS_SENT))
    due = or_((c.next_try_at <= now) & (c.due <= now), c.until <= now)
    return _select(conn, c.state == State.HELD, is_draft, due, order=(c.id,))


def ended(conn: Connection, ids: Iterable[int]) -> list[Delivery]:
    """Those of these deliveries with which nothing more happens by itself."""
    c = deliveries.c
    over = c.state.not_in(OPEN)
    return [one for some in chunks(ids) for one in _select(conn, c.id.in_(some), over, order=(c.id,))]


def overdue(conn: Connection, now: datetime) -> list[Delivery]:
    """What still waits although its step is over."""
    c = deliveries.c
    waiting = c.state.in_((State.PENDING, State.RETRYING, State.HELD))
    return _select(conn, waiting, c.until <= now, order=(c.id,))


def next_try(conn: Connection) -> datetime | None:
    """When the outbox next has something to do by itself."""
    c = deliveries.c
    found: datetime | None = None
    for state in (State.PENDING, State.RETRYING):
        query = select(func.min(c.next_try_at)).where(c.owner == owner_of(conn), c.state == state)
        at = conn.execute(query).scalar_one()
        found = at if found is None or (at is not None and at < found) else found
    return found


def under_way(conn: Connection) -> list[Delivery]:
    """What some sender, living or dead, has in hand."""
    return _select(conn, deliveries.c.state.in_((State.CLAIMED, State.COMMITTING)), order=(deliveries.c.id,))


def claim(conn: Connection, id_: int, by: str, now: datetime, lease: timedelta) -> Delivery | None:
    """Take a delivery for sending; None when somebody else has it or it no longer waits."""
    try:
        taken = move(conn, id_, Event.CLAIM, now, lease_by=by, lease_until=now + lease)
    except ForbiddenMove:
        return None
    return get(conn, id_) if taken else None


def move(
    conn: Connection, id_: int, event: Event, now: datetime, *, mine: str | None = None, **fields: Any
) -> bool:
    """Let ``event`` happen to a delivery, and set ``fields`` with it.

    With ``mine`` only if that sender still holds it. False when it is not there or is somebody
    else's by now. Raises :class:`~rules.delivery.ForbiddenMove` when its state does not allow it.
    """
    where = _is(conn, id_) if mine is None else _is(conn, id_) & (deliveries.c.lease_by == mine)
    state = conn.execute(select(deliveries.c.state).where(where)).scalar_one_or_none()
    if state is None:
        return False
    target = next_state(State(state), event)
    if target not in (State.CLAIMED, State.COMMITTING):
        fields.update(lease_by="", lease_until=None)
    moved = conn.execute(
        update(deliveries)
        .where(where, deliveries.c.state == state)
        .values(state=target, changed_at=now, **encoded(fields))
    )
    return moved.rowcount == 1


def fill(conn: Connection, id_: int, *, mine: str, **fields: Any) -> bool:
    """Set fields of a delivery that ``mine`` has claimed; False when it is no longer theirs."""
    where = _is(conn, id_) & (deliveries.c.lease_by == mine) & (deliveries.c.state == State.CLAIMED)
    return conn.execute(update(deliveries).where(where).values(**encoded(fields))).rowcount == 1


def offer_more(conn: Connection, id_: int, offered: Sequence[Interval]) -> None:
    """Let a message that left offer these times from now on."""
    conn.execute(update(deliveries).where(_is(conn, id_)).values(**encoded({"offered": offered})))


def clear(conn: Connection, ids: Iterable[int], now: datetime) -> None:
    """Record that the flood brake let these through."""
    for some in chunks(ids):
        mine = (deliveries.c.owner == owner_of(conn)) & deliveries.c.id.in_(some)
        conn.execute(update(deliveries).where(mine).values(cleared_at=now))


def approve(conn: Connection, id_: int, now: datetime) -> bool:
    """The owner lets a held one go; False when there is none. Raises ForbiddenMove."""
    return move(conn, id_, Event.APPROVE, now, cleared_at=now, next_try_at=now, error="")


def cancel(conn: Connection, id_: int, now: datetime) -> bool:
    """The owner does not want it sent; False when there is none. Raises ForbiddenMove."""
    return move(conn, id_, Event.CANCEL, now, error="cancelled by you")


def retry(conn: Connection, id_: int, now: datetime) -> bool:
    """The owner wants it sent after all, within the hour; False when there is none. Raises ForbiddenMove."""
    delivery = get(conn, id_)
    if delivery is None:
        return False
    until = max(delivery.until, now + RETRY_FOR)
    return move(conn, id_, Event.RETRY, now, cleared_at=now, next_try_at=now, until=until, error="")


def _insert(
    conn: Connection, row: dict[str, Any], now: datetime, state: State | str, error: str
) -> int | None:
    statement = insert(deliveries).values(
        owner=owner_of(conn),
        state=State(state),
        message_id="",
        offered="[]",
        attempts=0,
        error=error,
        lease_by="",
        created_at=now,
        changed_at=now,
        **row,
    )
    statement = statement.on_conflict_do_nothing(index_elements=["owner", "intent_key"])
    return conn.execute(statement.returning(deliveries.c.id)).scalar_one_or_none()


def _is(conn: Connection, id_: int) -> ColumnElement[bool]:
    return (deliveries.c.owner == owner_of(conn)) & (deliveries.c.id == id_)


def _select(
    conn: Connection, *where: ColumnElement[bool], order: tuple[Any, ...], limit: int | None = None
) -> list[Delivery]:
    columns = [column for column in deliveries.c if column.name != "raw"]
    query = select(*columns).where(deliveries.c.owner == owner_of(conn), *where).order_by(*order).limit(limit)
    return [to_delivery(row) for row in conn.execute(query)]


__all__ = [
    "ACTIONS",
    "LAST_CALL",
    "NOTICE",
    "RETRY_FOR",
    "Delivery",
    "add",
    "add_notice",
    "approve",
    "cancel",
    "claim",
    "clear",
    "companions",
    "counts",
    "done",
    "drafts",
    "due",
    "fence_of",
    "fill",
    "get",
    "list_",
    "move",
    "next_try",
    "notice",
    "offer_more",
    "overdue",
    "retry",
    "under_way",
]
