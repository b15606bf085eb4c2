"""Writing resources and occurrences, many at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, select, update

from connectors.base import Resource
from daemon.store.comparing import Held, Work
from daemon.store.engine import owner_of
from daemon.store.rows import chunks, insert_many, new_ids
from daemon.store.schema import occurrences, people, resources
from daemon.store.types import to_microseconds
from daemon.store.upsert import insert
from daemon.store.waking import LONG
from rules.model import Occurrence, Timing


def held_resources(conn: Connection, calendar_id: int, hrefs: Iterable[str] | None = None) -> dict[str, Held]:
    """The stored resources of a calendar, or those of some hrefs, by href."""
    c = resources.c
    query = select(c.href, c.id, c.etag).where(c.calendar_id == calendar_id, c.href != "")
    queries = [query] if hrefs is None else [query.where(c.href.in_(some)) for some in chunks(sorted(hrefs))]
    return {row.href: Held(row.id, row.etag) for query in queries for row in conn.execute(query)}


def write_resources(
    conn: Connection,
    calendar_id: int,
    arrived: dict[str, Resource],
    held: dict[str, Held],
    observed_at: datetime | None,
) -> dict[str, int]:
    """Upsert the resources; the id of each href that arrived."""
    if observed_at is None:  # only the window moved
        return {href: held[href].id for href in arrived}
    owner = owner_of(conn)
    rows = [
        {
            "owner": owner,
            "calendar_id": calendar_id,
            "href": resource.href,
            "etag": resource.etag,
            "uid": resource.uid,
            "raw": resource.raw,
            "recurring": resource.recurring,
            "broken": resource.broken,
            "observed_at": observed_at,
        }
        for resource in arrived.values()
    ]
    if not rows:
        return {}
    statement = insert(resources)
    renewed = {
        name: statement.excluded[name] for name in rows[0] if name not in ("owner", "calendar_id", "href")
    }
    conn.execute(statement.on_conflict_do_update(index_elements=["calendar_id", "href"], set_=renewed), rows)
    if arrived.keys() <= held.keys():
        return {href: held[href].id for href in arrived}
    return {href: row.id for href, row in held_resources(conn, calendar_id, arrived).items()}


def write_occurrences(conn: Connection, work: Work, ids: dict[str, int], now: datetime) -> None:
    """Write what was gathered; a changed occurrence is written anew under its own id."""
    owner = owner_of(conn)
    for some in chunks([row.id for row in work.delete] + [row for row, *_ in work.update]):
        conn.execute(delete(occurrences).where(occurrences.c.id.in_(some)))
    if work.move:
        conn.execute(
            update(occurrences)
            .where(occurrences.c.id == bindparam("row"))
            .values(resource_id=bindparam("to")),
            [{"row": row, "to": ids[href]} for row, href in work.move],
        )
    # Ids in order of time: a batch of what is due then lies close together, and needs little around it.
    work.insert.sort(key=lambda new: new[1].start_utc)
    made = new_ids(conn, occurrences, len(work.insert), besides=(row for row, *_ in work.update))
    placed = work.update + [(row, *what) for row, what in zip(made, work.insert, strict=True)]
    wake_at = to_microseconds(now)
    insert_many(
        conn,
        occurrences,
        _COLUMNS,
        [
            (row, owner, ids[href], new.key.uid, new.key.recurrence_id or "", *_plain(new, record), wake_at)
            for row, href, new, record in placed
        ],
    )
    insert_many(
        conn,
        people,
        ("owner", "address", "start", "occurrence_id"),
        [
            (owner, address, start, row)
            for row, _, new, _ in placed
            for start in (to_microseconds(new.start),)
            for address in {who.address for who in new.attendees}
        ],
    )


_COLUMNS = (
    "id",
    "owner",
    "resource_id",
    "uid",
    "recurrence_id",
    "start",
    "end",
    "timed",
    "long",
    "title",
    "record",
    "wake_at",
)


def _plain(new: Occurrence, record: str) -> tuple[int, int, bool, bool, str, str]:
    """``start`` to ``record``, as the database keeps them."""
    start, end = new.start_utc, new.end_utc
    timed = new.timing is Timing.TIMED
    return (
        to_microseconds(start),
        to_microseconds(end),
        timed,
        timed and end - start > LONG,
        new.title,
        record,
    )
