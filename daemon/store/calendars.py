"""Accounts and their calendars: when they were seen, where their polls stopped, what they hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, and_, delete, exists, or_, select, update

from connectors.base import Cursor, Resource
from daemon.store import graveyard, history
from daemon.store.changes import Applied, apply, calendar_is, reread, roll
from daemon.store.engine import owner_of
from daemon.store.schema import accounts as account_table
from daemon.store.schema import calendars as calendar_table
from daemon.store.schema import occurrences as occurrence_table
from daemon.store.schema import resources as resource_table
from daemon.store.upsert import insert
from daemon.store.waking import wake_everything
from rules.model import CalendarRef

SHRINK_ACCEPTED = "*"
"""The token that says the owner believes whatever smaller result comes next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountRow:
    """How an account's polls have gone. All times UTC; ``error`` is empty while they go well."""

    name: str
    kind: str = ""
    first_seen_at: datetime | None = None
    seen_at: datetime | None = None
    error_kind: str = ""
    error: str = ""
    error_since: datetime | None = None
    failures: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarRow:
    """One calendar as last read. ``shrink_seen`` is the token of a suspiciously smaller result."""

    ref: CalendarRef
    name: str
    cursor: Cursor
    first_seen_at: datetime
    seen_at: datetime
    events: int
    schedules: bool
    shrink_seen: str | None
    horizon_end: datetime


def accounts(conn: Connection) -> dict[str, AccountRow]:
    """Every account that was ever polled, by name."""
    t = account_table.c
    rows = conn.execute(
        select(
            t.name,
            t.kind,
            t.first_seen_at,
            t.seen_at,
            t.error_kind,
            t.error,
            t.error_since,
            t.failures,
        )
        .where(t.owner == owner_of(conn))
        .order_by(t.name)
    )
    return {row.name: AccountRow(**row._asdict()) for row in rows}


def polled(conn: Connection, account: str, now: datetime, *, kind: str = "") -> bool:
    """Record a complete poll of the account, of a ``kind`` such as caldav; whether it had been failing."""
    before = accounts(conn).get(account, AccountRow(name=account))
    _put_account(
        conn,
        AccountRow(
            name=account,
            kind=kind or before.kind,
            first_seen_at=before.first_seen_at or now,
            seen_at=now,
        ),
    )
    return before.failures > 0


def failed(conn: Connection, account: str, kind: str, message: str, now: datetime) -> AccountRow:
    """Record a poll that failed: the error's ``kind`` and sentence. Returns the account as it is now."""
    before = accounts(conn).get(account, AccountRow(name=account))
    after = AccountRow(
        name=account,
        kind=before.kind,
        first_seen_at=before.first_seen_at,
        seen_at=before.seen_at,
        error_kind=kind,
        error=message,
        error_since=before.error_since or now,
        failures=before.failures + 1,
    )
    _put_account(conn, after)
    return after


def _put_account(conn: Connection, row: AccountRow) -> None:
    values = {name: getattr(row, name) for name in row.__slots__}
    statement = insert(account_table).values(owner=owner_of(conn), **values)
    conn.execute(statement.on_conflict_do_update(index_elements=["owner", "name"], set_=values))


def calendars(conn: Connection, account: str | None = None) -> list[CalendarRow]:
    """The stored calendars, of one account or of all."""
    t = calendar_table.c
    query = select(calendar_table).where(t.owner == owner_of(conn)).order_by(t.account, t.name, t.ref)
    if account is not None:
        query = query.where(t.account == account)
    return [
        CalendarRow(
            ref=CalendarRef(account=row.account, id=row.ref),
            name=row.name,
            cursor=Cursor(row.cursor),
            first_seen_at=row.first_seen_at,
            seen_at=row.seen_at,
            events=row.events,
            schedules=row.schedules,
            shrink_seen=row.shrink_seen,
            horizon_end=row.horizon_end,
        )
        for row in conn.execute(query)
    ]


def cursor(conn: Connection, ref: CalendarRef) -> Cursor:
    """Where the last poll of the calendar stopped; empty for one never read."""
    value = conn.execute(select(calendar_table.c.cursor).where(calendar_is(conn, ref))).scalar_one_or_none()
    return Cursor(value or "")


def seen(conn: Connection, ref: CalendarRef, now: datetime) -> None:
    """Record that the calendar was asked and had nothing new."""
    conn.execute(update(calendar_table).where(calendar_is(conn, ref)).values(seen_at=now))


def etags(conn: Connection, ref: CalendarRef) -> dict[str, str]:
    """The etag of each stored href."""
    query = select(resource_table.c.href, resource_table.c.etag).where(_in_calendar(conn, ref))
    return {row.href: row.etag for row in conn.execute(query)}


def uids(conn: Connection, ref: CalendarRef) -> dict[str, str]:
    """The UID of each stored href."""
    query = select(resource_table.c.href, resource_table.c.uid).where(_in_calendar(conn, ref))
    return {row.href: row.uid for row in conn.execute(query)}


def resources(conn: Connection, ref: CalendarRef, *, recurring_only: bool = False) -> Iterator[Resource]:
    """The stored resources with their raw text, without occurrences.

    ``recurring_only`` leaves out those that no rolling of the horizon can change: single events whose
    occurrence is already stored.
    """
    query = select(resource_table).where(_in_calendar(conn, ref)).order_by(resource_table.c.id)
    if recurring_only:
        stored = exists().where(occurrence_table.c.resource_id == resource_table.c.id)
        query = query.where(or_(resource_table.c.recurring, ~stored))
    for row in conn.execute(query.execution_options(yield_per=500)):
        yield _resource(row)


def resource(conn: Connection, ref: CalendarRef, href: str) -> Resource | None:
    """One stored resource with its raw text, without occurrences; None when it is not stored."""
    row = conn.execute(
        select(resource_table).where(and_(_in_calendar(conn, ref), resource_table.c.href == href))
    ).one_or_none()
    return None if row is None else _resource(row)


def forget_calendar(conn: Connection, ref: CalendarRef) -> None:
    """Drop a calendar that is no longer configured, with everything in it; everything else wakes.

    Its past stays in the history, as true until it was last seen.
    """
    row = conn.execute(select(calendar_table.c.id, calendar_table.c.seen_at).where(calendar_is(conn, ref)))
    found = row.one_or_none()
    if found is not None:
        within = select(resource_table.c.id).where(resource_table.c.calendar_id == found.id)
        history.keep_stored(conn, occurrence_table.c.resource_id.in_(within), found.seen_at)
        conn.execute(delete(calendar_table).where(calendar_table.c.id == found.id))
        wake_everything(conn, found.seen_at)


def set_shrink(conn: Connection, ref: CalendarRef, token: str | None) -> None:
    """Remember the token of a smaller result that waits for a second one or for the owner's word."""
    conn.execute(update(calendar_table).where(calendar_is(conn, ref)).values(shrink_seen=token))


def accept_shrink(conn: Connection, account: str) -> list[CalendarRef]:
    """The owner believes the smaller calendars of this account; those that were waiting for it."""
    t = calendar_table.c
    waiting = [row.ref for row in calendars(conn, account) if row.shrink_seen is not None]
    conn.execute(
        update(calendar_table)
        .where(t.owner == owner_of(conn), t.account == account, t.shrink_seen.is_not(None))
        .values(shrink_seen=SHRINK_ACCEPTED)
    )
    return waiting


def _in_calendar(conn: Connection, ref: CalendarRef) -> ColumnElement[bool]:
    chosen = select(calendar_table.c.id).where(calendar_is(conn, ref)).scalar_subquery()
    return (resource_table.c.calendar_id == chosen) & graveyard.LIVE


def _resource(row: object) -> Resource:
    names = ("href", "etag", "uid", "raw", "recurring", "broken")
    return Resource(**{name: getattr(row, name) for name in names})


__all__ = [
    "SHRINK_ACCEPTED",
    "AccountRow",
    "Applied",
    "CalendarRow",
    "accept_shrink",
    "accounts",
    "apply",
    "calendars",
    "cursor",
    "etags",
    "failed",
    "forget_calendar",
    "polled",
    "reread",
    "resource",
    "resources",
    "roll",
    "seen",
    "set_shrink",
    "uids",
]
