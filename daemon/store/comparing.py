"""What a poll brought beside what is stored: which rows to write, which to delete, what was true before."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

from connectors.base import Resource
from daemon.store.codec import carry_over, encode
from daemon.store.history import Old
from rules.model import Interval, Occurrence, OccurrenceKey, Timing


class Held(NamedTuple):
    """One resource as it lies in the store."""

    id: int
    etag: str


@dataclass(slots=True)
class Stored:
    """One occurrence as it lies in the store."""

    id: int
    href: str
    record: str
    occurrence: Occurrence


@dataclass(slots=True)
class Work:
    """The rows to write, gathered before anything is written.

    ``covered`` is how far the calendar's occurrences were known before; ``appeared_at`` is noted on new
    ones, unless the calendar itself is new. ``replanned`` are the hrefs of series whose instances were
    replaced by others; ``past`` is what ceased to be true; ``people`` are those of all that changed.
    Of hrefs that are gone the server says ``cancelled`` that their organiser cancelled them, ``dismissed``
    that the owner took them out.
    """

    now: datetime
    covered: datetime
    appeared_at: datetime | None
    insert: list[tuple[str, Occurrence, str]] = field(default_factory=list)
    update: list[tuple[int, str, Occurrence, str]] = field(default_factory=list)
    move: list[tuple[int, str]] = field(default_factory=list)
    delete: list[Stored] = field(default_factory=list)
    touched: list[Interval] = field(default_factory=list)
    past: list[Old] = field(default_factory=list)
    replanned: set[str] = field(default_factory=set)
    cancelled: frozenset[str] = frozenset()
    dismissed: frozenset[str] = frozenset()
    people: set[str] = field(default_factory=set)
    changed: set[OccurrenceKey] = field(default_factory=set)
    removed: set[OccurrenceKey] = field(default_factory=set)


def compare(work: Work, arrived: dict[str, Resource], stored: list[Stored], held: dict[str, Held]) -> None:
    """Decide, occurrence by occurrence, what to write."""
    by_key = {row.occurrence.key: row for row in stored}
    by_place = {(row.href, row.occurrence.key): row for row in stored}
    new_keys = {o.key for resource in arrived.values() for o in resource.occurrences}
    replanned = {
        row.href
        for row in stored
        if row.href in arrived
        and row.occurrence.key not in new_keys
        and row.occurrence.start_utc > work.now
        and held[row.href].etag != arrived[row.href].etag
    }
    used: set[int] = set()
    for href, resource in arrived.items():
        for key, occurrence in {o.key: o for o in resource.occurrences}.items():
            old = by_place.get((href, key)) or by_key.get(key)
            if old is None:
                _add(work, href, occurrence, replanned=href in replanned)
            elif old.id in used:
                work.insert.append((href, occurrence, encode(occurrence)))
            else:
                used.add(old.id)
                _renew(work, href, occurrence, old)
    for row in stored:
        if row.id not in used:
            work.delete.append(row)
            if row.occurrence.key not in new_keys:
                work.removed.add(row.occurrence.key)
                work.past.append((row.occurrence, row.record))
                _touch(work, row.occurrence)


def _add(work: Work, href: str, new: Occurrence, *, replanned: bool) -> None:
    """A key not stored before. In a series whose other instances vanished, it is a moved one."""
    is_news = new.start_utc < work.covered  # else the window only came to show it
    if replanned and is_news:
        work.replanned.add(href)
        new = replace(new, time_changed_at=new.time_changed_at or work.now)
    if work.appeared_at is not None and is_news:
        new = replace(new, appeared_at=work.appeared_at)
    work.insert.append((href, new, encode(new)))
    work.changed.add(new.key)
    _touch(work, new)


def _renew(work: Work, href: str, new: Occurrence, old: Stored) -> None:
    """A key stored before: write it only when something in it changed."""
    record = encode(new)
    if record != old.record:
        new = carry_over(new, old.occurrence, work.now)
        record = encode(new)
    if record != old.record:
        work.update.append((old.id, href, new, record))
        work.past.append((old.occurrence, old.record))
        work.changed.add(new.key)
        _touch(work, old.occurrence)
        _touch(work, new)
    elif href != old.href:
        work.move.append((old.id, href))


def _touch(work: Work, occurrence: Occurrence) -> None:
    work.people.update(who.address for who in occurrence.attendees)
    if occurrence.organizer is not None:
        work.people.add(occurrence.organizer)
    if occurrence.timing is Timing.TIMED:
        work.touched.append(Interval(occurrence.start_utc, occurrence.end_utc))
