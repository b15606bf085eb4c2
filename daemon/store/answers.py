"""What people answered beside the calendars: every answer is kept, the latest of each person counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, select

from daemon.store.engine import owner_of
from daemon.store.rows import chunks, named
from daemon.store.schema import answers
from daemon.store.types import from_microseconds, to_microseconds
from daemon.store.upsert import insert
from rules.model import Acknowledgement, Address, Identity, Interval, Occurrence, PartStat
from rules.people import acknowledged


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One answer to the time ``start`` of a meeting. ``words`` are theirs, for the owner to read.

    ``picked`` are offered times that suit them, ``proposed`` others that they ask for. ``delivery`` is the
    message it answers.
    """

    identity: Identity
    start: datetime
    address: Address
    partstat: PartStat
    source: str
    at: datetime
    picked: tuple[Interval, ...] = ()
    proposed: tuple[Interval, ...] = ()
    words: str = ""
    delivery: int | None = None


def add(conn: Connection, answer: Answer) -> None:
    """Keep one answer."""
    conn.execute(
        insert(answers).values(
            owner=owner_of(conn),
            uid=answer.identity.uid,
            recurrence_id=answer.identity.recurrence_id or "",
            start=answer.start,
            address=answer.address,
            partstat=answer.partstat.value,
            picked=_spans_text(answer.picked),
            proposed=_spans_text(answer.proposed),
            words=answer.words,
            source=answer.source,
            delivery=answer.delivery,
            at=answer.at,
        )
    )


def latest(conn: Connection, identity: Identity, start: datetime) -> dict[Address, Answer]:
    """The last answer of each person to one time of a meeting."""
    c = answers.c
    query = (
        select(answers)
        .where(
            c.owner == owner_of(conn),
            c.uid == identity.uid,
            c.recurrence_id == (identity.recurrence_id or ""),
            c.start == start,
        )
        .order_by(c.at, c.id)
    )
    return {found.address: found for found in map(_answer, conn.execute(query))}


def since(conn: Connection, at: datetime) -> list[Answer]:
    """Every answer that came after that (UTC), oldest first."""
    c = answers.c
    query = select(answers).where(c.owner == owner_of(conn), c.at > at).order_by(c.at, c.id)
    return [_answer(row) for row in conn.execute(query)]


def acknowledgements(
    conn: Connection, identities: Iterable[Identity]
) -> dict[str, tuple[Acknowledgement, ...]]:
    """The last answer of each person to each time of these meetings, by ``str(identity)``."""
    c = answers.c
    last: dict[tuple[str, Address, datetime], Acknowledgement] = {}
    for some in chunks({(i.uid, i.recurrence_id or "") for i in identities}):
        query = select(answers).where(c.owner == owner_of(conn), named(answers, some)).order_by(c.at, c.id)
        for one in map(_answer, conn.execute(query)):
            last[str(one.identity), one.address, one.start] = Acknowledgement(
                address=one.address,
                start=one.start,
                partstat=one.partstat,
                at=one.at,
                source=one.source,
                proposed=one.proposed[0] if one.proposed else None,
                picked=one.picked,
            )
    found: dict[str, tuple[Acknowledgement, ...]] = {}
    for (name, _, _), word in last.items():
        found[name] = (*found.get(name, ()), word)
    return found


def told(conn: Connection, meetings: Iterable[Occurrence]) -> list[Occurrence]:
    """These meetings with what their people answered beside the calendars."""
    meetings = list(meetings)
    words = acknowledgements(conn, {one.identity for one in meetings})
    return [acknowledged(one, words.get(str(one.identity), ())) for one in meetings]


def agreed_to(
    conn: Connection, identity: Identity, start: datetime, slot: Interval, *, instead: Identity, now: datetime
) -> None:
    """Whoever picked the slot instead of ``start`` said yes to it, as the time of the meeting ``instead``."""
    for one in latest(conn, identity, start).values():
        if slot in one.picked:
            yes = Answer(
                identity=instead,
                start=slot.start,
                address=one.address,
                partstat=PartStat.ACCEPTED,
                source=one.source,
                at=now,
                delivery=one.delivery,
            )
            add(conn, yes)


def _answer(row: Row[Any]) -> Answer:
    return Answer(
        identity=Identity(uid=row.uid, recurrence_id=row.recurrence_id or None),
        start=row.start,
        address=Address(row.address),
        partstat=PartStat(row.partstat),
        source=row.source,
        at=row.at,
        picked=_spans(row.picked),
        proposed=_spans(row.proposed),
        words=row.words,
        delivery=row.delivery,
    )


def _spans_text(spans: Sequence[Interval]) -> str:
    return json.dumps([(to_microseconds(one.start), to_microseconds(one.end)) for one in spans])


def _spans(text: str) -> tuple[Interval, ...]:
    return tuple(
        Interval(from_microseconds(start), from_microseconds(end)) for start, end in json.loads(text)
    )
