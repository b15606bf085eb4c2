"""Reading stored occurrences: the one select and the one decoding that every query shares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, insert, select, tuple_

from daemon.store import postgresql
from daemon.store.codec import decode
from daemon.store.engine import owner_of
from daemon.store.schema import calendars, occurrences, resources
from rules.model import CalendarRef, Occurrence, OccurrenceKey

T = TypeVar("T")

CHUNK = 500
"""How many values one IN list carries; SQLite's own limit is higher, its planner likes few."""


def chunks(values: Iterable[T], size: int = CHUNK) -> Iterator[list[T]]:
    """The values in lists of at most ``size``."""
    rest = iter(values)
    while some := list(islice(rest, size)):
        yield some


def insert_many(conn: Connection, table: Table, names: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    """Insert rows of plain values (times as microseconds) for ``names``, in that order.

    Half the cost of SQLAlchemy's own handling of parameters, which a first sync would notice.
    """
    if rows and conn.dialect.name == "postgresql":
        postgresql.insert_many(conn, table, names, rows)
    elif rows:
        statement = insert(table).compile(dialect=conn.dialect, column_keys=list(names))
        places = [names.index(name) for name in statement.positiontup or names]
        if places != list(range(len(names))):
            rows = [tuple(row[place] for place in places) for row in rows]
        conn.exec_driver_sql(str(statement), rows)


def new_ids(conn: Connection, table: Table, count: int, *, besides: Iterable[int]) -> Iterable[int]:
    """Ids for so many new rows, rising. ``besides`` are taken though no row has them now."""
    if conn.dialect.name == "postgresql":
        return postgresql.new_ids(conn, table, count)
    top = conn.execute(select(func.max(table.c.id))).scalar_one() or 0
    top = max([top, *besides])
    return range(top + 1, top + 1 + count)


def chosen(conn: Connection) -> Select[Any]:
    """A select of the owner's occurrences, each with what :func:`to_occurrence` wants."""
    return chosen_of(owner_of(conn))


@cache
def chosen_of(owner: str) -> Select[Any]:
    """The same for an owner; made once, since making it costs more than asking it."""
    return (
        select(
            occurrences.c.id,
            occurrences.c.uid,
            occurrences.c.recurrence_id,
            occurrences.c.record,
            resources.c.href,
            resources.c.etag,
            resources.c.observed_at,
            calendars.c.account,
            calendars.c.ref,
        )
        .select_from(
            occurrences.join(resources, resources.c.id == occurrences.c.resource_id).join(
                calendars, calendars.c.id == resources.c.calendar_id
            )
        )
        .where(occurrences.c.owner == owner)
    )


def to_occurrence(row: Row[Any]) -> Occurrence:
    """The occurrence of one row of :func:`chosen`."""
    key = OccurrenceKey(
        calendar=CalendarRef(account=row.account, id=row.ref),
        uid=row.uid,
        recurrence_id=row.recurrence_id or None,
    )
    return decode(row.record, key=key, href=row.href, etag=row.etag, observed_at=row.observed_at)


def named(table: Table, names: Iterable[tuple[str, str]]) -> ColumnElement[bool]:
    """That a row's UID and RECURRENCE-ID are one of these pairs; said so that an index serves it."""
    pairs = sorted(names)
    c = table.c
    return c.uid.in_(sorted({uid for uid, _ in pairs})) & tuple_(c.uid, c.recurrence_id).in_(pairs)


def fetch(conn: Connection, query: Select[Any], values: dict[str, Any] | None = None) -> list[Occurrence]:
    """The occurrences a query finds, one per key: some servers keep one UID in two resources."""
    found: dict[OccurrenceKey, Occurrence] = {}
    for row in conn.execute(query, values):
        occurrence = to_occurrence(row)
        found.setdefault(occurrence.key, occurrence)
    return list(found.values())


def fetch_in(conn: Connection, query: Select[Any], column: Any, values: Sequence[Any]) -> list[Occurrence]:
    """The same, where ``column`` is one of many values."""
    found: dict[OccurrenceKey, Occurrence] = {}
    for some in chunks(values):
        for occurrence in fetch(conn, query.where(column.in_(some))):
            found.setdefault(occurrence.key, occurrence)
    return list(found.values())
