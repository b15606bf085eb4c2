"""Does a tick's cost follow what is due, or what is stored?"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from benchmarks.bench import Bench
from benchmarks.table import Row
from connectors.base import CalendarInfo, ChangeSet, Cursor, Resource
from daemon.config.settings import load
from daemon.decide import Decider
from daemon.store import Store, agenda, open_store
from daemon.store.calendars import apply, polled
from daemon.store.schema import occurrences
from rules.model import Address, Attendee, CalendarRef, Occurrence, OccurrenceKey, PartStat

NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
DUE = 200
FEW = 10_000
MANY = 300_000
ROUNDS = 15
CHUNK = 20_000
REF = CalendarRef(account="own", id="work")

_CONFIG = """\
version: 1
me: {name: Dana Reyes, addresses: [dana@va.example], time_zone: Europe/Lisbon}
accounts:
  own:
    caldav: {url: dav.va.example, username: dana, password: {env: DAV_PASSWORD}}
mail:
  from: Dana Reyes <dana@va.example>
  smtp: {host: 127.0.0.1, port: 9, security: none}
"""
_RULES = """\
version: 1
rules:
  - name: confirm
    when: unconfirmed
    then: [{step: ask, do: confirm, at: 48h before start, until: 2h before start}]
  - name: no-show
    when: {missed: {presume: [never_confirmed]}}
    then: [{step: offer, do: reschedule, at: 15m after end, until: 2 days after end}]
  - name: clash
    when: {conflict: {keep: [earliest_created]}}
    then: [{step: move, do: reschedule, at: 3d before start, until: 3h before start}]
"""


@dataclass(frozen=True)
class _Office:
    """A store of so many occurrences and the decider over it; ``due`` are those that can be due."""

    store: Store
    decider: Decider
    due: list[OccurrenceKey]


def rows(bench: Bench) -> list[Row]:
    """200 due with the same neighbours and people, among 10,000 and among 300,000 stored, by turns."""
    sizes = (bench.size(FEW), bench.size(MANY))
    offices = [_filled(bench.folder(), stored) for stored in sizes]
    taken: list[list[float]] = [[] for _ in offices]
    for _ in range(ROUNDS):
        for office, times in zip(offices, taken, strict=True):
            times.append(_tick(office))
    for office in offices:
        office.store.close()
    few, many = (statistics.median(times) * 1e3 for times in taken)
    return [
        Row(
            what=f"tick, {DUE} due among {sizes[1]:,} stored",
            ours=many,
            against=f"the same among {sizes[0]:,}",
            theirs=few,
            unit="ms",
            aim=1 / 1.2,
        )
    ]


def _tick(office: _Office) -> float:
    with office.store.write() as conn:
        conn.execute(update(occurrences).where(occurrences.c.wake_at <= NOW).values(wake_at=None))
        agenda.wake(conn, office.due, NOW)
    begun = time.perf_counter()
    decided = office.decider.tick(NOW)
    taken = time.perf_counter() - begun
    if decided.judged != len(office.due) or decided.failed:
        raise RuntimeError(f"{decided.judged} judged, {len(decided.failed)} failed")
    return taken


def _filled(folder: Path, stored: int) -> _Office:
    (folder / "config.yaml").write_text(_CONFIG)
    (folder / "rules.yaml").write_text(_RULES)
    store = open_store(folder / "state.db", NOW, check=False)
    info = CalendarInfo(ref=REF, name="Work")
    due = list(_due())
    for batch in (due, *_chunks(_others(stored - len(due)))):
        changes = ChangeSet(changed=tuple(map(_resource, batch)), cursor=Cursor("1"))
        with store.write() as conn:
            apply(conn, info, changes, NOW - timedelta(days=40), NOW + timedelta(days=120))
    with store.write() as conn:
        polled(conn, REF.account, NOW, kind="caldav")
        conn.execute(update(occurrences).values(wake_at=None))
    decider = Decider(store, load(folder / "config.yaml"))
    return _Office(store=store, decider=decider, due=[one.key for one in due])


def _due() -> Iterator[Occurrence]:
    """Half are over since yesterday, half are ahead in the next three days; every tenth overlaps another."""
    for number in range(DUE):
        ahead = number % 2
        start = NOW + timedelta(minutes=20 * number + 30 if ahead else -20 * number - 90)
        lasts = timedelta(minutes=50 if number % 10 == 1 else 15)
        yield _meeting(f"due-{number}", start, lasts, f"guest-{number % 40}@acme.example")


def _others(count: int) -> Iterator[Occurrence]:
    """Meetings of other people, none within a week of now: the rest of 30 days back and 120 ahead."""
    span = 150 * 24 * 60
    for number in range(count):
        minutes = (number * 7919) % (span - 14 * 24 * 60)
        start = NOW - timedelta(days=30) + timedelta(minutes=minutes)
        if start > NOW - timedelta(days=7):
            start += timedelta(days=14)
        yield _meeting(
            f"other-{number}", start, timedelta(minutes=30), f"other-{number % 5000}@initech.example"
        )


def _meeting(uid: str, start: datetime, lasts: timedelta, guest: str) -> Occurrence:
    return Occurrence(
        key=OccurrenceKey(calendar=REF, uid=uid),
        title="Kickoff review",
        start=start,
        end=start + lasts,
        organizer=Address("dana@va.example"),
        attendees=(Attendee(address=Address(guest), partstat=PartStat.NEEDS_ACTION),),
        created=NOW - timedelta(days=60),
        href=f"/{uid}.ics",
        etag="1",
    )


def _resource(one: Occurrence) -> Resource:
    return Resource(href=one.href, etag=one.etag, uid=one.key.uid, raw="BEGIN:VCALENDAR", occurrences=(one,))


def _chunks(every: Iterator[Occurrence]) -> Iterator[list[Occurrence]]:
    batch: list[Occurrence] = []
    for one in every:
        batch.append(one)
        if len(batch) == CHUNK:
            yield batch
            batch = []
    if batch:
        yield batch
