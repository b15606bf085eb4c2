"""What happened to meetings, in order of time, put together from the store's memory."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection

from daemon.store import calendars, history, optouts
from daemon.store.codec import decode, encode
from daemon.store.engine import Store
from daemon.store.scratch import every_mark, every_occurrence
from daemon.store.types import from_microseconds, to_microseconds
from rules.model import Attendance, CalendarRef, Held, Identity, Occurrence, OccurrenceKey

_EVERYTHING = "SELECT at, kind, what FROM happened ORDER BY at, n"


class Change(NamedTuple):
    """A meeting as it was from a moment on; None when it was in no calendar from then on."""

    key: OccurrenceKey
    occurrence: Occurrence | None


@dataclass(slots=True)
class Moment:
    """Everything that came about at one instant (UTC)."""

    at: datetime
    changes: list[Change] = field(default_factory=list)
    attended: list[tuple[Identity, Attendance]] = field(default_factory=list)
    optouts: list[str] = field(default_factory=list)


class Past:
    """What happened between ``since`` and ``now`` (UTC), spooled to a file so that memory stays small.

    ``titles`` are what meetings were last called, ``names`` those of the calendars.
    """

    def __init__(self, since: datetime, now: datetime, spool: sqlite3.Connection) -> None:
        self.since = since
        self.now = now
        self.names: dict[CalendarRef, str] = {}
        self.titles: dict[Identity, str] = {}
        self._spool = spool
        spool.execute("CREATE TABLE happened (n INTEGER PRIMARY KEY, at INTEGER, kind TEXT, what TEXT)")

    def moments(self) -> Iterator[Moment]:
        """Each instant at which something came about; the first of them is what was so at ``since``."""
        for micros, rows in groupby(self._spool.execute(_EVERYTHING), key=lambda row: row[0]):
            moment = Moment(from_microseconds(micros))
            for _, kind, what in rows:
                _READ[kind](moment, json.loads(what))
            yield moment

    def changed(self, at: datetime, key: OccurrenceKey, occurrence: Occurrence | None) -> None:
        """From then on the meeting was like this."""
        ref = key.calendar
        record = None if occurrence is None else encode(occurrence)
        if occurrence is not None:
            self.titles[key.identity] = occurrence.title
        self._put(at, "changed", [ref.account, ref.id, key.uid, key.recurrence_id, record])

    def attended(self, identity: Identity, known: Attendance) -> None:
        """What was known from then on of its having taken place."""
        what = [identity.uid, identity.recurrence_id, known.held.value, known.source]
        self._put(known.at, "attended", what)

    def opted_out(self, at: datetime, pattern: str) -> None:
        """From then on nobody was to write to them."""
        self._put(at, "opted out", [pattern])

    def index(self) -> None:
        """Everything is told; from here on it is only read."""
        self._spool.execute("CREATE INDEX by_time ON happened (at, n)")

    def _put(self, at: datetime, kind: str, what: list[Any]) -> None:
        micros = to_microseconds(max(at, self.since))
        self._spool.execute(
            "INSERT INTO happened (at, kind, what) VALUES (?, ?, ?)", (micros, kind, json.dumps(what))
        )


def _read_change(moment: Moment, what: list[Any]) -> None:
    account, ref, uid, recurrence_id, record = what
    key = OccurrenceKey(calendar=CalendarRef(account=account, id=ref), uid=uid, recurrence_id=recurrence_id)
    found = None
    if record is not None:
        found = decode(record, key=key, href="", etag="", observed_at=moment.at)
    moment.changes.append(Change(key, found))


def _read_attendance(moment: Moment, what: list[Any]) -> None:
    uid, recurrence_id, held, source = what
    known = Attendance(held=Held(held), source=source, at=moment.at)
    moment.attended.append((Identity(uid=uid, recurrence_id=recurrence_id), known))


def _read_optout(moment: Moment, what: list[Any]) -> None:
    moment.optouts.append(what[0])


_READ = {"changed": _read_change, "attended": _read_attendance, "opted out": _read_optout}


@contextmanager
def remembered(store: Store, since: datetime, now: datetime) -> Iterator[Past]:
    """The past from ``since`` (UTC), or from the first complete read if that was later, until ``now``."""
    with tempfile.TemporaryDirectory(prefix="rebookd-") as folder:
        spool = sqlite3.connect(Path(folder) / "past.db", isolation_level=None)
        try:
            spool.execute("PRAGMA journal_mode=OFF")
            spool.execute("BEGIN")
            with store.read() as conn:
                known = [row.first_seen_at for row in calendars.accounts(conn).values() if row.first_seen_at]
                past = Past(max(since, min(known, default=now)), now, spool)
                _tell(conn, past)
            past.index()
            spool.execute("COMMIT")
            yield past
        finally:
            spool.close()


def _tell(conn: Connection, past: Past) -> None:
    rows = calendars.calendars(conn)
    past.names = {row.ref: row.name for row in rows}
    begun = {row.ref: row.first_seen_at for row in rows}
    ended: dict[OccurrenceKey, datetime] = {}

    def tell(key: OccurrenceKey, version: Occurrence) -> None:
        """One more version of a meeting, after those told before."""
        before = ended.get(key)
        start = version.appeared_at or begun.get(key.calendar, past.since)
        if before is not None and start > before:
            past.changed(before, key, None)
        past.changed(start if before is None else max(start, before), key, version)

    for key, version, until in history.versions(conn, past.since):
        tell(key, version)
        ended[key] = until
    for one in every_occurrence(conn):
        tell(one.key, one)
        ended.pop(one.key, None)
    for key, until in ended.items():
        past.changed(until, key, None)
    for identity, known in every_mark(conn):
        past.attended(identity, known)
    for out in optouts.list_(conn):
        past.opted_out(out.created_at, out.pattern)
