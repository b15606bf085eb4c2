"""What the questions of the rules look at beside a meeting itself: its copies, its rivals, its people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection

from daemon import horizon
from daemon.store import agenda, contacts
from daemon.store.waking import LONG, merged
from rules.model import (
    Address,
    Contact,
    Interval,
    Occurrence,
    OccurrenceKey,
    Owner,
    PartStat,
    Status,
)
from rules.people import required_people
from rules.policy import Away, Cancelled, Conflict, Declined, Ending, Missed, Policy, Silent
from rules.verdict import SEEN_LATE

KNOT_ROUNDS = 4
"""How often the search for clashing meetings widens to those that clash with what it found."""

MOST_OVERLAPS = 5000
"""More overlapping meetings than this are not looked at."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The meetings around some subjects, without them, and the history with their people."""

    meetings: tuple[Occurrence, ...]
    contacts: dict[Address, Contact]


class Gatherer:
    """Gathers from the store what one policy's questions need, and no more."""

    def __init__(self, policy: Policy, owner: Owner) -> None:
        self._owner = owner
        asked = [rule.when for rule in policy.rules]
        self._kinds = {type(when) for when in asked}
        travels = [when.travel.delta for when in asked if isinstance(when, Conflict) and when.travel]
        self._travel = max(travels, default=timedelta(0))

    @property
    def asks_of_contacts(self) -> bool:
        """Whether any rule is about people gone quiet."""
        return Silent in self._kinds

    def gather(self, conn: Connection, subjects: Sequence[Occurrence], now: datetime) -> Surroundings:
        """Everything around the subjects at ``now`` (UTC)."""
        ahead = [one for one in subjects if one.end_utc > now]
        found = {one.key: one for one in agenda.copies(conn, [one.key for one in subjects])}
        history = self._history(conn, subjects, now)
        for one in (
            *(self._knots(conn, ahead) if Conflict in self._kinds else ()),
            *self._absences(conn, ahead, history, now),
            *self._with_people(conn, subjects, history, now),
        ):
            found.setdefault(one.key, one)
        for one in subjects:
            found.pop(one.key, None)
        return Surroundings(tuple(found.values()), history)

    def _history(
        self, conn: Connection, subjects: Sequence[Occurrence], now: datetime
    ) -> dict[Address, Contact]:
        """The people for whom one of the subjects is the meeting last held with them."""
        if not self.asks_of_contacts:
            return {}
        over = [one for one in subjects if one.end_utc <= now]
        met = contacts.of(conn, {address for one in over for address in self._people(one)})
        ours = {one.identity for one in over}
        return {
            address: one for address, one in met.items() if one.last is not None and one.last.identity in ours
        }

    def _absences(
        self, conn: Connection, ahead: list[Occurrence], history: dict[Address, Contact], now: datetime
    ) -> Iterator[Occurrence]:
        labels = self._owner.marks.away
        if Away in self._kinds:
            for span in merged(Interval(one.start_utc, one.end_utc) for one in ahead):
                yield from agenda.away(conn, span.start, span.end, labels)
        if history:
            since = min(one.last.end_utc for one in history.values() if one.last is not None)
            yield from agenda.away(conn, since, horizon.window(now).end, labels)

    def _knots(self, conn: Connection, subjects: list[Occurrence]) -> list[Occurrence]:
        """Every meeting that clashes with one of these, directly or through others."""
        found: dict[OccurrenceKey, Occurrence] = {}
        asked: set[Interval] = set()
        spans = merged(self._reach(subjects))
        for _ in range(KNOT_ROUNDS):
            wider = [span for span in spans if span not in asked]
            if not wider:
                break
            asked.update(wider)
            for span in wider:
                for one in agenda.overlapping(conn, span.start, span.end, MOST_OVERLAPS):
                    found.setdefault(one.key, one)
            spans = merged(self._reach((*subjects, *found.values())))
        return list(found.values())

    def _reach(self, meetings: Iterable[Occurrence]) -> Iterator[Interval]:
        """The time each takes, with the way there and back."""
        for one in meetings:
            yield Interval(one.start_utc - self._travel, one.end_utc + self._travel)

    def _with_people(
        self,
        conn: Connection,
        subjects: Sequence[Occurrence],
        history: dict[Address, Contact],
        now: datetime,
    ) -> list[Occurrence]:
        """Other meetings with the people of these that may replace or follow them."""
        asked = [(since, self._people(one)) for one in subjects for since in self._since(one, now)]
        if history:
            asked.append((now - LONG, list(history)))
        people = {address for _, some in asked for address in some}
        if not people:
            return []
        return agenda.with_people(conn, sorted(people), min(since for since, _ in asked))

    def _since(self, one: Occurrence, now: datetime) -> Iterator[datetime]:
        """From when on other meetings with the same people matter for this one, question by question."""
        kinds = self._kinds
        if Missed in kinds and one.end_utc <= now:
            yield one.start_utc
        if Ending in kinds and one.final:
            yield one.start_utc
        if Cancelled in kinds and one.status is Status.CANCELLED:
            yield (one.cancelled_at or one.modified or one.created or one.start_utc) - SEEN_LATE
        if Declined in kinds and one.end_utc > now:
            for person in one.attendees:
                if person.partstat is PartStat.DECLINED or person.proposed is not None:
                    yield (person.answered_at or one.modified or one.created or one.start_utc) - SEEN_LATE

    def _people(self, occurrence: Occurrence) -> list[Address]:
        return [one.address for one in required_people(occurrence, self._owner)]
